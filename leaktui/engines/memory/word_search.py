"""Words that point into given ranges, in a lot of memory.

Law: pure, bytes in, (offset, value) out; every hit is checked against the ranges, so the search itself may be
coarse. Measured on heap-like memory: `re` on the four middle bytes of an address goes through 3 GB/s; planes,
a byte of each word (`data[2::8]`) translated to a bit per group of ranges and joined by `&`, through about
1 GB/s, however many ranges there are.
"""

from __future__ import annotations

import re
import struct
from bisect import bisect_right
from collections.abc import Iterable, Iterator

_WORD = struct.Struct("<Q")
_MIDDLE = slice(2, 6)
_PAGE_BITS = 16
_LITERALS = 2
_GROUPS = 8
_FALSE_SHARE = 256
"""More than one candidate in so many words costs more than looking at another byte of all."""

_FOLD = bytes((0, *(1,) * 255))
_ONE = re.compile(b"\1")


class WordSearch:
    """Finds words that point into one of *ranges*, (start, end) pairs that do not overlap."""

    def __init__(self, ranges: Iterable[tuple[int, int]]) -> None:
        self.ranges = sorted((start, end) for start, end in ranges if start < end)
        self._starts = [start for start, _ in self.ranges]
        self._literals = self._compile_literals()
        self._tables = {byte: _table(self.ranges, byte) for byte in (1, 2, 3)}

    def range_of(self, value: int) -> tuple[int, int] | None:
        """The range that *value* points into."""
        index = bisect_right(self._starts, value) - 1
        return self.ranges[index] if index >= 0 and value < self.ranges[index][1] else None

    def iter_hits(self, data: bytes) -> Iterator[tuple[int, int]]:
        """(offset, value) of the words of *data*, which begins at a word, that point into a range."""
        if len(data) % 8:
            data = data[: len(data) // 8 * 8]
        candidates: Iterable[int] | None = self._find_literals(data) if self._literals else None
        if candidates is None:  # either there are many ranges, or much of this memory points near the few
            candidates = self._iter_by_planes(data)
        starts, ranges = self._starts, self.ranges
        for offset in candidates:
            (value,) = _WORD.unpack_from(data, offset)
            index = bisect_right(starts, value) - 1
            if index >= 0 and value < ranges[index][1]:
                yield offset, value

    def _compile_literals(self) -> tuple[re.Pattern[bytes], ...]:
        """The middle bytes of all addresses in the ranges, empty where they are more than a few."""
        pages: set[int] = set()
        for start, end in self.ranges:
            pages.update(
                range(start >> _PAGE_BITS, min(end - 1 >> _PAGE_BITS, (start >> _PAGE_BITS) + _LITERALS) + 1)
            )
            if len(pages) > _LITERALS:
                return ()
        words = [_WORD.pack(page << _PAGE_BITS) for page in sorted(pages)]
        return tuple(re.compile(re.escape(word[_MIDDLE]), re.DOTALL) for word in words)

    def _find_literals(self, data: bytes) -> list[int] | None:
        """Offsets of words with the bytes of a literal; None where there are many."""
        found: list[int] = []
        limit = len(data) // 8 // _FALSE_SHARE + 64
        for literal in self._literals:
            match = literal.search(data, _MIDDLE.start)
            while match is not None:
                place = match.start()
                if place & 7 == _MIDDLE.start:
                    found.append(place - _MIDDLE.start)
                    if len(found) > limit:
                        return None
                match = literal.search(data, place + 1)  # one that is no word's may overlap one that is
        return found

    def _iter_by_planes(self, data: bytes) -> Iterator[int]:
        joined = -1
        for byte in (2, 1, 3):
            plane = int.from_bytes(data[byte::8].translate(self._tables[byte]), "little")
            joined &= plane
            if byte == 1 and joined.bit_count() < len(data) // 8 // _FALSE_SHARE:
                break
        if joined:
            # A class of bytes would be ten times slower to search for than one byte.
            for match in _ONE.finditer(joined.to_bytes(len(data) // 8, "little").translate(_FOLD)):
                yield 8 * match.start()


def _table(ranges: list[tuple[int, int]], byte: int) -> bytes:
    """For each value of that *byte* of an address, a bit for each group of ranges that has such addresses."""
    table = [0] * 256
    for number, (start, end) in enumerate(ranges):
        first, last = start >> 8 * byte, end - 1 >> 8 * byte
        bit = 1 << number % _GROUPS
        for value in range(first, min(last, first + 255) + 1):
            table[value & 0xFF] |= bit
    return bytes(table)
