"""Slices of pointers among the runtime's variables: its list of goroutines, its list of spans.

Law: such a slice only grows; when it is full it moves, and its old place is used for other things or given back. So
what was read of it counts if it is still there afterwards. What looks like one is for the caller to prove.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from leaktui.engines.memory.reader import READ_LIMIT, MemoryReader
from leaktui.errors import DecodeError

_CHUNK = 4 << 20
_TRIES = 8
_CANDIDATES = 4096
_HEADER = 24


def read_pointer_slice(memory: MemoryReader, address: int, limit: int, what: str) -> tuple[int, ...]:
    """The pointers of the slice at *address*, *limit* at most.

    Raises DecodeError, about *what*, when the slice keeps moving or makes no sense.
    """
    for _ in range(_TRIES):
        pointer, length, capacity = struct.unpack("<QQQ", memory.read(address, _HEADER))
        if not pointer or length > capacity or length > limit:
            raise DecodeError(f"{what} makes no sense")
        try:
            data = b"".join(
                memory.read(pointer + start, min(_CHUNK, 8 * length - start))
                for start in range(0, 8 * length, _CHUNK)
            )
        except DecodeError:
            continue
        if memory.read(address, 8) == struct.pack("<Q", pointer):
            return struct.unpack(f"<{length}Q", data)
    raise DecodeError(f"{what} moved whenever it was read", remedy="try again")


def iter_pointer_slices(
    memory: MemoryReader, area: tuple[int, int], variables_end: int, limit: int
) -> Iterator[int]:
    """Addresses in *area* (start, end) of what looks like a slice of pointers, longest first, a few only.

    It has *limit* pointers at most, and they lie in memory of the runtime's, which is beyond *variables_end*.
    """
    start, end = (area[0] + 7) & ~7, area[1]
    found = []
    for place in range(start, end - _HEADER, READ_LIMIT):
        size = min(READ_LIMIT, end - place)
        try:
            words = struct.unpack(f"<{size // 8}Q", memory.read(place, size // 8 * 8))
        except DecodeError:
            continue
        for at in range(len(words) - 2):
            length, capacity = words[at + 1], words[at + 2]
            if 0 < length <= capacity <= limit and words[at] > variables_end and words[at] % 8 == 0:
                found.append((length, place + 8 * at))
    found.sort(reverse=True)
    for _, address in found[:_CANDIDATES]:
        yield address
