"""The header of the pc-line table, by which the table is also found where no section names it.

Law: pure. The layout is runtime.pcHeader of Go 1.20 and newer (runtime/symtab.go); Go 1.26 stopped
writing `textStart`, which is then 0.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from leaktui.errors import DecodeError, Truncated

MAGIC = 0xFFFFFFF1
"""internal/abi.Go120PCLnTabMagic: Go 1.20 to 1.27."""

_HEADER = re.compile(rb"(?:\xf1\xff\xff\xff|\xff\xff\xff\xf1)\x00\x00[\x01\x02\x04][\x04\x08]")
_OLDER_MAGICS = (0xFFFFFFFB, 0xFFFFFFFA, 0xFFFFFFF0)


@dataclass(frozen=True, slots=True)
class Header:
    """runtime.pcHeader. The offsets are bytes from the start of the table."""

    order: str
    quantum: int
    word_size: int
    function_count: int
    text_start: int
    names: int
    units: int
    files: int
    values: int
    functions: int


def decode_header(data: bytes) -> Header:
    """Decode and check the 72 (or 40) bytes at the start of a table; raises DecodeError."""
    if len(data) < 8:
        raise Truncated("the pc-line table is cut short")
    order = "<" if data[3] == 0xFF else ">"
    (magic,) = struct.unpack_from(order + "I", data)
    if magic in _OLDER_MAGICS:
        raise DecodeError("built with a Go older than 1.20, whose tables leaktui does not read")
    if magic != MAGIC or data[4] or data[5] or data[6] not in (1, 2, 4) or data[7] not in (4, 8):
        raise DecodeError("no Go pc-line table here")
    word_size = data[7]
    words = struct.Struct(f"{order}8{'Q' if word_size == 8 else 'I'}")
    if len(data) < 8 + words.size:
        raise Truncated("the pc-line table is cut short")
    count, _files, text_start, names, units, files, values, functions = words.unpack_from(data, 8)
    if not (8 + words.size <= names < units <= files <= values <= functions) or not 0 < count < 1 << 28:
        raise DecodeError("the pc-line table's header makes no sense")
    return Header(order, data[6], word_size, count, text_start, names, units, files, values, functions)


def iter_headers(data: bytes) -> Iterator[int]:
    """Offsets in *data* at which a table may begin, ascending."""
    for match in _HEADER.finditer(data):
        try:
            decode_header(data[match.start() : match.start() + 72])
        except DecodeError:
            continue
        yield match.start()
