"""Many uprobes in one BPF link (Linux 6.6): put in together, and out together.

Law: where it is missing, or follows only one thread (before 6.10 `pid` meant that; `trial` finds out), there are
perf events. Taking a perf event's uprobe out waits for several RCU grace periods, 0.1 s since Linux 6.12; here
all wait once.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Sequence

from leaktui.engines.probes.kernel import bpf

ATTACH_TYPE = 48
"""BPF_TRACE_UPROBE_MULTI: a program is loaded for it."""

_LINK_CREATE = 28

# union bpf_attr, link_create: prog_fd, target_fd, attach_type, flags; uprobe_multi: path, offsets,
# ref_ctr_offsets, cookies, cnt, flags, pid.
_ATTRIBUTES = struct.Struct("=IIIIQQQQIII4x")


def link_uprobes(program: int, path: str, file_offsets: Sequence[int], pid: int) -> int:
    """Run *program* wherever process *pid* comes by one of *file_offsets* of *path*. The link's descriptor.

    Raises KernelRefused.
    """
    name = ctypes.create_string_buffer(os.fsencode(path))
    offsets = (ctypes.c_uint64 * len(file_offsets))(*file_offsets)
    attributes = _ATTRIBUTES.pack(
        program,
        0,
        ATTACH_TYPE,
        0,
        ctypes.addressof(name),
        ctypes.addressof(offsets),
        0,
        0,
        len(file_offsets),
        0,
        pid,
    )
    return bpf.bpf(_LINK_CREATE, attributes, "a link of uprobes")
