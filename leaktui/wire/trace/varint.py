"""Bulk decoding of unsigned LEB128 varints.

Law: a trace batch is almost nothing but varints, so it is cut into tokens by one regular expression
and the tokens are looked up in a table that fills itself; both run at C speed. A batch must end with a
whole varint and none may be longer than ten bytes.
"""

from __future__ import annotations

import re

from leaktui.errors import DecodeError

_TOKEN = re.compile(rb"[\x80-\xff]*[\x00-\x7f]")
_MAX_BYTES = 10
_MAX_REMEMBERED = 1 << 16
_MASK = (1 << 64) - 1


class _Values(dict[bytes, int]):
    """Token to value; remembers a bounded number of them."""

    def __missing__(self, token: bytes) -> int:
        if len(token) > _MAX_BYTES:
            raise DecodeError("the execution trace holds a number longer than 64 bits")
        value = 0
        for position, byte in enumerate(token):
            value |= (byte & 0x7F) << (7 * position)
        value &= _MASK
        if len(self) < _MAX_REMEMBERED:
            self[token] = value
        return value


# A pure function's memory: shared by all decoders, bounded above.
_values = _Values()


def decode_varints(data: bytes) -> list[int]:
    """All varints of *data*, which must hold nothing else.

    Raises DecodeError when the last one is cut off or one exceeds 64 bits.
    """
    if data and data[-1] >= 0x80:
        raise DecodeError("a batch of the execution trace ends within a number")
    return list(map(_values.__getitem__, _TOKEN.findall(data)))


def decode_varint(data: bytes | bytearray, start: int) -> tuple[int, int]:
    """The varint at *start* and the index behind it.

    Raises IndexError when *data* ends within it (the caller waits for more or complains) and
    DecodeError when it exceeds 64 bits.
    """
    value = shift = 0
    index = start
    while True:
        byte = data[index]
        index += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & _MASK, index
        shift += 7
        if shift >= 7 * _MAX_BYTES:
            raise DecodeError("the execution trace holds a number longer than 64 bits")
