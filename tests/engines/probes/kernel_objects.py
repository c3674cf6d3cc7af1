"""The BPF programs and maps the kernel holds, of anybody (bpf(2), BPF_PROG_GET_NEXT_ID and BPF_MAP_GET_NEXT_ID)."""

from __future__ import annotations

import ctypes
import struct

_SYS_BPF = 321  # x86-64
_PROGRAMS, _MAPS = 11, 12


def loaded_programs() -> frozenset[int]:
    """Ids of all programs. Needs root."""
    return _ids(_PROGRAMS)


def loaded_maps() -> frozenset[int]:
    """Ids of all maps. Needs root."""
    return _ids(_MAPS)


def _ids(command: int) -> frozenset[int]:
    libc = ctypes.CDLL(None, use_errno=True)
    found: list[int] = []
    while True:
        attributes = ctypes.create_string_buffer(struct.pack("=III", found[-1] if found else 0, 0, 0), 12)
        if libc.syscall(_SYS_BPF, command, attributes, 12) != 0:
            return frozenset(found)  # ENOENT: that was the last
        found.append(struct.unpack("=III", attributes.raw)[1])
