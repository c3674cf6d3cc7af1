"""perf_event_open(2) for uprobes.

Law: an event is opened for one process or one CPU, never with `inherit`: with it the kernel fails the target's
clone(2), and the program dies. Closing the descriptor takes the probe out.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import struct
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from leaktui.engines.probes.kernel.system_call import SYS_PERF_EVENT_OPEN, KernelRefused, system_call

UPROBE_TYPE_FILE = Path("/sys/bus/event_source/devices/uprobe/type")

_ENABLE = 0x2400
_SET_OUTPUT = 0x2405
_SET_BPF = 0x40042408

_CLOSE_ON_EXEC = 8

_DISABLED = 1 << 0
_EXCLUDE_KERNEL_CHAIN = 1 << 21
_USE_CLOCK = 1 << 25

_CLOCK_MONOTONIC = 1

# struct perf_event_attr up to PERF_ATTR_SIZE_VER5 (Linux 4.1): type, size, config, sample_period, sample_type,
# read_format, flags, wakeup_events, bp_type, config1, config2, branch_sample_type, sample_regs_user,
# sample_stack_user, clockid, sample_regs_intr, aux_watermark, sample_max_stack, reserved.
_ATTRIBUTES = struct.Struct("=IIQQQQQIIQQQQIiQIHH")


@dataclass(frozen=True, slots=True)
class Sampling:
    """What the kernel writes to an event's own buffer at each hit; without BPF only."""

    sample_type: int
    registers: int
    stack_bytes: int
    most_frames: int


@cache
def uprobe_type() -> int:
    """The number of the uprobe PMU (Linux 4.17). Raises KernelRefused (ENOENT) where there is none."""
    try:
        return int(UPROBE_TYPE_FILE.read_text())
    except (OSError, ValueError):
        raise KernelRefused("uprobes through perf", errno.ENOENT) from None


def open_uprobe(
    path: str, file_offset: int, *, pid: int = -1, cpu: int = -1, sampling: Sampling | None = None
) -> int:
    """A disabled uprobe at *file_offset* of the file *path*, in process *pid* or on *cpu*. Its descriptor.

    Raises KernelRefused.
    """
    name = ctypes.create_string_buffer(os.fsencode(path))
    attributes = _ATTRIBUTES.pack(
        uprobe_type(),
        _ATTRIBUTES.size,
        0,
        1 if sampling else 0,
        sampling.sample_type if sampling else 0,
        0,
        _DISABLED | (_USE_CLOCK | _EXCLUDE_KERNEL_CHAIN if sampling else 0),
        0,
        0,
        ctypes.addressof(name),
        file_offset,
        0,
        sampling.registers if sampling else 0,
        sampling.stack_bytes if sampling else 0,
        _CLOCK_MONOTONIC if sampling else 0,
        0,
        0,
        sampling.most_frames if sampling else 0,
        0,
    )
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    return system_call(
        SYS_PERF_EVENT_OPEN, ctypes.byref(buffer), pid, cpu, -1, _CLOSE_ON_EXEC, what="a uprobe"
    )


def set_program(event: int, program: int) -> None:
    """Run *program* at each hit of *event*. Raises KernelRefused."""
    _control(event, _SET_BPF, program, "a BPF program on a uprobe")


def set_output(event: int, other: int) -> None:
    """Let *event* write to the buffer of *other*. Raises KernelRefused."""
    _control(event, _SET_OUTPUT, other, "one buffer for several uprobes")


def enable(event: int) -> None:
    """Let *event* count. Raises KernelRefused."""
    _control(event, _ENABLE, 0, "to enable a uprobe")


def _control(event: int, code: int, argument: int, what: str) -> None:
    try:
        fcntl.ioctl(event, code, argument)
    except OSError as error:
        raise KernelRefused(what, error.errno or 0) from None
