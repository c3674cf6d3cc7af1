"""bpf(2): maps and programs as file descriptors.

Law: whoever is given a descriptor closes it. Layouts are those of `union bpf_attr` (include/uapi/linux/bpf.h);
only what Linux 5.8 knows is used.
"""

from __future__ import annotations

import ctypes
import errno
import resource
import struct
from contextlib import suppress

from leaktui.engines.probes.kernel.system_call import SYS_BPF, KernelRefused, system_call
from leaktui.text import printable

_MAP_CREATE = 0
_PROG_LOAD = 5

_MAP_ARRAY = 2
_MAP_RINGBUF = 27
_PROG_KPROBE = 2
_MMAPABLE = 1 << 10

_NAME = b"leaktui"
_LOG_BYTES = 1 << 20
_LOG_SHOWN = 400

_MAP_ATTRIBUTES = struct.Struct("=5I8x16s")
_PROGRAM_ATTRIBUTES = struct.Struct("=IIQQIIQII16sII")


def create_ring_buffer(size: int) -> int:
    """A BPF_MAP_TYPE_RINGBUF of *size* bytes: a power of two, and whole pages. Linux 5.8.

    Raises KernelRefused.
    """
    return _create_map("a BPF ring buffer", _MAP_RINGBUF, 0, 0, size, 0)


def create_array(value_size: int) -> int:
    """A BPF_MAP_TYPE_ARRAY of one value of *value_size* bytes, which may be mapped into memory (Linux 5.5).

    Raises KernelRefused.
    """
    return _create_map("a BPF array", _MAP_ARRAY, 4, value_size, 1, _MMAPABLE)


def load_program(code: bytes, *, attach_type: int = 0) -> int:
    """Load *code* as a program for uprobes (BPF_PROG_TYPE_KPROBE), to be attached as *attach_type* says.

    Raises KernelRefused; where the verifier refused, with the end of what it wrote.
    """
    try:
        return _load(code, attach_type, None)
    except KernelRefused as refusal:
        if refusal.errno not in (errno.EACCES, errno.EINVAL):
            raise
        first = refusal
    # Asked again for the reasons only: a log costs time.
    log = ctypes.create_string_buffer(_LOG_BYTES)
    with suppress(KernelRefused):
        return _load(code, attach_type, log)
    text = log.value.decode(errors="replace").strip()
    raise KernelRefused(first.call, first.errno, log=printable(text[-_LOG_SHOWN:])) from None


def _create_map(what: str, kind: int, key: int, value: int, entries: int, flags: int) -> int:
    attributes = _MAP_ATTRIBUTES.pack(kind, key, value, entries, flags, _NAME)
    return bpf(_MAP_CREATE, attributes, what)


def _load(code: bytes, attach_type: int, log: ctypes.Array[ctypes.c_char] | None) -> int:
    instructions = ctypes.create_string_buffer(code, len(code))
    license_ = ctypes.create_string_buffer(
        b"GPL"
    )  # probe_read_user and ktime are for GPL-compatible programs
    attributes = _PROGRAM_ATTRIBUTES.pack(
        _PROG_KPROBE,
        len(code) // 8,
        ctypes.addressof(instructions),
        ctypes.addressof(license_),
        0 if log is None else 1,
        0 if log is None else len(log),
        0 if log is None else ctypes.addressof(log),
        0,
        0,
        _NAME,
        0,
        attach_type,
    )
    return bpf(_PROG_LOAD, attributes, "a BPF program")


def bpf(command: int, attributes: bytes, what: str) -> int:
    """One command, which makes a descriptor. Raises KernelRefused, in which it is called *what*.

    Before Linux 5.11 what it makes counts as locked memory: then the limit is raised once.
    """
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    try:
        return system_call(SYS_BPF, command, ctypes.byref(buffer), len(attributes), what=what)
    except KernelRefused as refusal:
        if refusal.errno != errno.EPERM or not _unlimit_locked_memory():
            raise
    return system_call(SYS_BPF, command, ctypes.byref(buffer), len(attributes), what=what)


def _unlimit_locked_memory() -> bool:
    """Lift RLIMIT_MEMLOCK where that makes a difference and is allowed."""
    limit = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    if resource.getrlimit(resource.RLIMIT_MEMLOCK) == limit:
        return False
    try:
        resource.setrlimit(resource.RLIMIT_MEMLOCK, limit)
    except (OSError, ValueError):
        return False
    return True
