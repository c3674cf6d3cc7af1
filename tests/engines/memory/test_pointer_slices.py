"""The runtime's slices of pointers: read whole or not at all, and looked for among variables."""

from __future__ import annotations

import struct

import pytest

from leaktui.engines.memory.pointer_slices import iter_pointer_slices, read_pointer_slice
from leaktui.engines.memory.reader import FakeMemory
from leaktui.errors import DecodeError

SLICE = 0x1000
HEAP = 0x100000
LIMIT = 100


def header(pointer: int, length: int, capacity: int) -> bytes:
    return struct.pack("<QQQ", pointer, length, capacity)


def test_its_pointers_are_read() -> None:
    memory = FakeMemory({SLICE: header(HEAP, 3, 4), HEAP: struct.pack("<4Q", 8, 16, 24, 99)})
    assert read_pointer_slice(memory, SLICE, LIMIT, "the list") == (8, 16, 24)


class Growing(FakeMemory):
    """Where the slice moves after it was found, *times*; its old place is given back each time."""

    def __init__(self, times: int) -> None:
        super().__init__({SLICE: header(HEAP, 1, 1)})
        self.times = times

    def read(self, address: int, size: int) -> bytes:
        data = super().read(address, size)
        if address == SLICE and self.times:
            self.times -= 1
            place = HEAP + 64 * self.times
            self.regions = {SLICE: header(place, 2, 2), place: struct.pack("<QQ", 8, 16)}
        return data


def test_one_that_moves_is_read_at_its_new_place() -> None:
    assert read_pointer_slice(Growing(3), SLICE, LIMIT, "the list") == (8, 16)


def test_one_that_never_holds_still_is_an_error() -> None:
    with pytest.raises(DecodeError, match=r"^the list moved"):
        read_pointer_slice(Growing(1000), SLICE, LIMIT, "the list")


@pytest.mark.parametrize("values", [(0, 1, 1), (HEAP, 2, 1), (HEAP, LIMIT + 1, LIMIT + 1)])
def test_one_that_makes_no_sense_is_an_error(values: tuple[int, int, int]) -> None:
    with pytest.raises(DecodeError, match=r"^the list makes no sense"):
        read_pointer_slice(FakeMemory({SLICE: header(*values)}), SLICE, LIMIT, "the list")


def test_what_looks_like_one_is_found_longest_first() -> None:
    area = bytearray(512)
    for place, values in (
        (0, (HEAP, 5, 8)),
        (104, (HEAP + 8, 50, 50)),
        (200, (HEAP + 4, 6, 6)),  # no pointer to words
        (256, (SLICE, 7, 7)),  # not beyond the variables
        (312, (HEAP, 9, 8)),  # longer than its room
        (368, (HEAP, LIMIT + 1, LIMIT + 1)),
        (424, (HEAP, 0, 8)),
    ):
        area[place : place + 24] = header(*values)
    memory = FakeMemory({SLICE: bytes(area)})
    found = iter_pointer_slices(memory, (SLICE - 7 + 8, SLICE + 512), SLICE + 4096, LIMIT)
    assert list(found) == [SLICE + 104]
    found = iter_pointer_slices(memory, (SLICE, SLICE + 512), SLICE + 4096, LIMIT)
    assert list(found) == [SLICE + 104, SLICE]
    assert list(iter_pointer_slices(FakeMemory({}), (SLICE, SLICE + 512), SLICE + 4096, LIMIT)) == []
