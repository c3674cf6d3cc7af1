"""Structs of one size at many addresses, read together where they are near one another.

Law: one read costs as much as some ten kilobytes, so a gap is read along; but not so much is read at once that
the first is old when the last is there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from leaktui.engines.memory.reader import MemoryReader
from leaktui.errors import DecodeError

GAP = 16 << 10
"""Bytes between two structs that are still read together."""

_RANGE_LIMIT = 1 << 20


def iter_structs(memory: MemoryReader, addresses: Iterable[int], size: int) -> Iterator[tuple[int, bytes]]:
    """The *size* bytes at each of *addresses* (ascending) that can be read. Raises TargetGone."""
    for members in iter_near(addresses, size):
        start = members[0]
        try:
            data = memory.read(start, members[-1] + size - start)
        except DecodeError:
            if len(members) > 1:
                for address in members:
                    yield from iter_structs(memory, (address,), size)
            continue
        for address in members:
            yield address, data[address - start : address - start + size]


def iter_near(addresses: Iterable[int], size: int, gap: int = GAP) -> Iterator[Sequence[int]]:
    """*addresses* (ascending) in the groups to read at once; between two structs lie *gap* bytes at the most."""
    members: list[int] = []
    for address in addresses:
        if members and (address > members[-1] + size + gap or address + size > members[0] + _RANGE_LIMIT):
            yield members
            members = []
        members.append(address)
    if members:
        yield members
