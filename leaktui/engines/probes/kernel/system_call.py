"""System calls that Python has no name for, and what they say when they refuse.

Law: this is the only module that calls syscall(2) and mmap(2) through ctypes. x86-64 numbers.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import signal
from functools import cache
from typing import Any

from leaktui.errors import EngineUnavailable

SYS_PERF_EVENT_OPEN = 298
SYS_BPF = 321

_MAP_FAILED = (1 << 64) - 1

_NAMES = {SYS_PERF_EVENT_OPEN: "perf_event_open", SYS_BPF: "bpf"}


class KernelRefused(EngineUnavailable):
    """The kernel said no: `call` is what was tried, `errno` its answer, `log` what the BPF verifier wrote."""

    def __init__(self, call: str, number: int, *, log: str = "") -> None:
        reason = f"the kernel refused {call} ({errno.errorcode.get(number, number)}: {os.strerror(number)})"
        super().__init__(f"{reason}; the verifier said: {log}" if log else reason)
        self.call = call
        self.errno = number
        self.log = log


def system_call(number: int, *arguments: Any, what: str = "") -> int:
    """Make the call. Integers are passed as 64 bits, ctypes objects as they are.

    No signal reaches this thread meanwhile: with one that waits the verifier gives a program up (EAGAIN, kernel/bpf/
    verifier.c `do_check`), and a terminal that is being resized sends many.

    Raises KernelRefused, in which the call is named *what*.
    """
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        result: int = _libc().syscall(
            ctypes.c_long(number),
            *(ctypes.c_long(value) if isinstance(value, int) else value for value in arguments),
        )
        error = ctypes.get_errno()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    if result < 0:
        raise KernelRefused(what or _NAMES.get(number, str(number)), error)
    return result


def name_process(name: bytes) -> None:
    """Call this process *name* (at most 15 bytes) in what `ps` and `top` show (prctl PR_SET_NAME)."""
    _libc().prctl(15, name, 0, 0, 0)


def map_code(file: int, size: int) -> int:
    """Map the first *size* bytes of *file* to be run, not written; the address. Raises KernelRefused."""
    address: int | None = _libc().mmap(None, size, mmap.PROT_READ | mmap.PROT_EXEC, mmap.MAP_PRIVATE, file, 0)
    if address is None or address == _MAP_FAILED:
        raise KernelRefused("to map code", ctypes.get_errno())
    return address


def unmap_code(address: int, size: int) -> None:
    """Take back what `map_code` gave."""
    _libc().munmap(address, size)


@cache
def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = (
        ctypes.c_void_p,
        ctypes.c_size_t,
        ctypes.c_int,
        ctypes.c_int,
        ctypes.c_int,
        ctypes.c_long,
    )
    libc.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
    return libc
