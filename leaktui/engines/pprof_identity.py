"""Is the process behind an endpoint the process with this pid?

Law: an address proves nothing (ports are forwarded, proxied, shared by SO_REUSEPORT and inherited), and
a command line little (two workers have the same). What names a process is where the kernel mapped its
vDSO: random for each exec, readable in `/proc/PID/maps`, and part of every `debug=0` profile, because
runtime/pprof copies the executable mappings of `/proc/self/maps` into it (proto.go `parseProcSelfMaps`,
Go 1.22 to 1.27). The `threadcreate` profile is the smallest that has them, and stops nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from leaktui.engines.proc_stat import read_proc
from leaktui.errors import DecodeError, TargetForbidden, Truncated
from leaktui.wire.gzip_stream import inflate_gzip, is_gzip

_INFLATED_LIMIT = 32 << 20
_VDSO = b"[vdso]"
_ADDR_NO_RANDOMIZE = 0x0040000  # include/uapi/linux/personality.h


class Identity(Enum):
    """What comparing the mappings showed."""

    SAME = "same"
    SIBLING = "sibling"
    """Another process, but of the same program: it may share the listening socket."""
    OTHER = "other"
    UNKNOWN = "unknown"
    """No vDSO on one side, no permission to read the maps, or addresses are not random here."""


@dataclass(frozen=True, slots=True)
class Mappings:
    """Start address and file of the executable mappings: of a process, or as a profile lists them."""

    vdso: int | None
    files: frozenset[bytes]


def read_mappings(pid: int) -> Mappings | None:
    """The executable mappings of *pid*; None where it may not be read or addresses are not random."""
    try:
        with suppress(OSError, ValueError):
            if int(Path("/proc/sys/kernel/randomize_va_space").read_text()) == 0:
                return None
        if int(read_proc(pid, "personality"), 16) & _ADDR_NO_RANDOMIZE:
            return None
        maps = read_proc(pid, "maps", limit=64 << 20)
    except (TargetForbidden, ValueError):
        return None
    vdso: int | None = None
    files: set[bytes] = set()
    for line in maps.splitlines():
        fields = line.split(None, 5)
        if len(fields) == 6 and fields[1][2:3] == b"x":
            name = fields[5].removesuffix(b" (deleted)")
            files.add(name)
            if name == _VDSO:
                vdso = int(fields[0].partition(b"-")[0], 16)
    return Mappings(vdso, frozenset(files))


def compare(process: Mappings | None, profile: Mappings) -> Identity:
    """Whether *profile* was written by the process that *process* describes."""
    if process is None or process.vdso is None or not profile.vdso:
        return Identity.UNKNOWN
    if process.vdso == profile.vdso:
        return Identity.SAME
    ours = {name for name in process.files if name.startswith(b"/")}
    theirs = {name for name in profile.files if name.startswith(b"/")}
    return Identity.SIBLING if ours and ours == theirs else Identity.OTHER


def decode_mappings(data: bytes) -> Mappings:
    """The mappings of a profile.proto, gzipped or not; raises DecodeError.

    Fields: Profile.mapping = 3, .string_table = 6; Mapping.memory_start = 2, .filename = 5.
    """
    if is_gzip(data):
        data = inflate_gzip(data, limit_bytes=_INFLATED_LIMIT)
    strings: list[bytes] = []
    raw: list[dict[int, int]] = []
    for number, value in _iter_fields(data):
        if number == 6 and isinstance(value, bytes):
            strings.append(value)
        elif number == 3 and isinstance(value, bytes):
            raw.append({key: item for key, item in _iter_fields(value) if isinstance(item, int)})
    if not strings or strings[0]:
        raise DecodeError("not a profile: its string table does not begin with the empty string")
    vdso: int | None = None
    files: set[bytes] = set()
    for mapping in raw:
        index = mapping.get(5, 0)
        name = strings[index] if index < len(strings) else b""
        if name:
            files.add(name)
        if name == _VDSO:
            vdso = mapping.get(2, 0)
    return Mappings(vdso, frozenset(files))


def _iter_fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Field numbers and values of one protobuf message."""
    position, end = 0, len(data)
    while position < end:
        key, position = _varint(data, position)
        kind = key & 7
        if kind == 0:
            value, position = _varint(data, position)
            yield key >> 3, value
        elif kind == 2:
            size, position = _varint(data, position)
            if position + size > end:
                raise Truncated("the profile ends early")
            yield key >> 3, data[position : position + size]
            position += size
        elif kind in (1, 5):
            position += 8 if kind == 1 else 4
        else:
            raise DecodeError("not a profile")


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(data):
            raise Truncated("the profile ends early")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise DecodeError("not a profile")
