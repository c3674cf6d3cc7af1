"""Goroutines that have run since they were last looked at.

Law: a look costs one read of every runtime.g, or of those asked for, and a comparison with what was there before: a g
counts how often it stopped (trackingSeq; casgstatus in runtime/proc.go).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from leaktui.engines.memory.allgs import SCAN_BIT, read_allgs
from leaktui.engines.memory.attachment import Attachment
from leaktui.engines.memory.near_structs import iter_near
from leaktui.engines.memory.runtime_layout import GState
from leaktui.errors import DecodeError

_GAP = 4 << 10
_BLOCK = 16
_HOT_KEPT = 256


class _Range:
    """Some runtime.g that lie together, as they were at the last look."""

    __slots__ = ("addresses", "data", "start")

    def __init__(self, addresses: Sequence[int]) -> None:
        self.start = addresses[0]
        self.addresses = addresses
        self.data = b""


class MovedGoroutines:
    """Says which goroutines of a process have run, from look to look. Not thread-safe."""

    def __init__(self, attachment: Attachment) -> None:
        self._memory = attachment.memory
        self._place = attachment.allgs
        self._size = attachment.layout.g.size
        self._decode = attachment.layout.g.decode
        self._header = b""
        self._ranges: list[_Range] = []
        self._hot: dict[int, bytes] = {}

    def look(self) -> Iterator[tuple[int, GState]]:
        """The address and the state of each goroutine that is new, or has run since the last look.

        Raises TargetGone, and DecodeError when the list of goroutines cannot be read.
        """
        header = self._memory.read(self._place, 16)
        if header != self._header:
            self._arrange(read_allgs(self._memory, self._place))
            self._header = header
        for part in self._ranges:
            size = part.addresses[-1] + self._size - part.start
            try:
                data = self._memory.read(part.start, size)
            except DecodeError:
                continue
            before, part.data = part.data, data
            if data != before:
                yield from self._compare(part, before)

    def look_at(self, addresses: Iterable[int]) -> Iterator[tuple[int, GState]]:
        """Those of *addresses* that have run since they were last looked at by this method. Raises TargetGone."""
        size, hot = self._size, self._hot
        for address in addresses:
            try:
                raw = self._memory.read(address, size)
            except DecodeError:
                continue
            if hot.get(address) != raw:
                if len(hot) >= _HOT_KEPT:
                    hot.clear()
                hot[address] = raw
                state = self._decode(raw)
                yield address, state._replace(status=state.status & ~SCAN_BIT)

    def _compare(self, part: _Range, before: bytes) -> Iterator[tuple[int, GState]]:
        data, size, start = part.data, self._size, part.start
        for first in range(0, len(part.addresses), _BLOCK):
            block = part.addresses[first : first + _BLOCK]
            low, high = block[0] - start, block[-1] - start + size
            if data[low:high] == before[low:high]:
                continue
            for address in block:
                low = address - start
                if data[low : low + size] != before[low : low + size]:
                    state = self._decode(data, low)
                    yield address, state._replace(status=state.status & ~SCAN_BIT)

    def _arrange(self, addresses: tuple[int, ...]) -> None:
        known = {
            address: part.data[address - part.start : address - part.start + self._size]
            for part in self._ranges
            if part.data
            for address in part.addresses
        }
        valid = sorted(address for address in set(addresses) if address and address % 8 == 0)
        self._ranges = [self._range(members, known) for members in iter_near(valid, self._size, _GAP)]

    def _range(self, members: Sequence[int], known: dict[int, bytes]) -> _Range:
        """A range that holds what was seen of *members* before, so that they do not all look new."""
        part = _Range(members)
        data = bytearray(members[-1] + self._size - part.start)
        for address in members:
            raw = known.get(address)
            if raw is not None:
                data[address - part.start : address - part.start + self._size] = raw
        part.data = bytes(data)
        return part
