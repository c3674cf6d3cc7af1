"""Compressed bytes → lines, whatever the bytes are.

Law: holds one line and one chunk at a time, gives out at most a known number of bytes in all, and never tells a file
that was cut off from one that ends there by an exception: what could be read is given, then the reason it stopped.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

from leaktui.errors import DecodeError, LimitExceeded
from leaktui.text import format_bytes
from leaktui.wire.capture.encoder import LONGEST_LINE
from leaktui.wire.gzip_stream import is_gzip

MOST_INFLATED = 1 << 30
"""Bytes of all lines of a capture together: more is not read."""

_PIECE = 1 << 20


class LineReader:
    """The lines in *chunks* of a gzip file, once, without their ends.

    `ended` says, after the last line, that the file went on to its proper end. Raises DecodeError for what is not
    gzip at all, is damaged, or holds more than may be read.
    """

    def __init__(self, chunks: Iterable[bytes], *, most_bytes: int = MOST_INFLATED) -> None:
        self._chunks = chunks
        self._room = most_bytes
        self._most = most_bytes
        self.ended = False

    def __iter__(self) -> Iterator[bytes]:
        rest = b""
        for piece in self._inflated():
            lines = (rest + piece).split(b"\n")
            rest = lines.pop()
            yield from lines
            if len(rest) > LONGEST_LINE:
                raise LimitExceeded(f"a line is longer than {format_bytes(LONGEST_LINE)}")

    def _inflated(self) -> Iterator[bytes]:
        inflater = zlib.decompressobj(wbits=31)
        first = True
        for chunk in self._chunks:
            if first and not is_gzip(chunk):
                raise DecodeError("it is not compressed with gzip")
            first = False
            data = chunk
            while data and not inflater.eof:
                try:
                    piece = inflater.decompress(data, _PIECE)
                except zlib.error:
                    raise DecodeError("its compressed data is damaged") from None
                data = inflater.unconsumed_tail
                self._room -= len(piece)
                if self._room < 0:
                    raise LimitExceeded(f"it holds more than {format_bytes(self._most)}")
                if piece:
                    yield piece
            if inflater.eof:
                self.ended = True
                return
        if first:
            raise DecodeError("it is empty")
