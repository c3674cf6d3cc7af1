"""gzip, inflated to a known bound.

Law: never produces more than `limit_bytes`, whatever the stream promises; a stream that ends early,
is damaged or goes on too long is three different errors.
"""

from __future__ import annotations

import zlib

from leaktui.errors import DecodeError, LimitExceeded, Truncated
from leaktui.text import format_bytes

_MAGIC = b"\x1f\x8b"


def is_gzip(data: bytes) -> bool:
    """True when *data* begins like a gzip member (RFC 1952)."""
    return data[:2] == _MAGIC


def inflate_gzip(data: bytes, *, limit_bytes: int) -> bytes:
    """The content of all gzip members in *data*, checksums verified.

    Zero bytes after the last member are padding, as gzip(1) has it. Raises Truncated, LimitExceeded
    or DecodeError.
    """
    parts: list[bytes] = []
    room = limit_bytes
    rest = data
    while True:
        inflater = zlib.decompressobj(wbits=31)
        try:
            # One byte more than allowed tells "exactly full" from "too much".
            part = inflater.decompress(rest, room + 1)
        except zlib.error as error:
            raise DecodeError("the gzip data is damaged", remedy="fetch it again") from error
        room -= len(part)
        if room < 0:
            raise LimitExceeded(
                f"the gzip data holds more than {format_bytes(limit_bytes)}, the most leaktui inflates"
            )
        parts.append(part)
        if not inflater.eof:
            raise Truncated("the gzip data ends early", remedy="fetch it again")
        rest = inflater.unused_data.lstrip(b"\0")
        if not rest:
            return parts[0] if len(parts) == 1 else b"".join(parts)
        if not is_gzip(rest):
            raise DecodeError("the gzip data is followed by something else", remedy="fetch it again")
