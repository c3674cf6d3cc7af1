"""Label sets in both forms, and what only looks like one."""

from __future__ import annotations

import struct

import pytest

from leaktui.engines.memory.labels import LabelForm, read_labels
from leaktui.engines.memory.reader import FakeMemory

SET, PAIRS, TEXT = 0x1000, 0x2000, 0x3000
STRINGS = b"tenantblueshard7"
PLACES = ((0, 6), (6, 4), (10, 5), (15, 1))


def string(number: int) -> bytes:
    offset, size = PLACES[number]
    return struct.pack("<QQ", TEXT + offset, size)


def slice_of(length: int, capacity: int = 2) -> FakeMemory:
    pairs = b"".join(map(string, range(4)))
    return FakeMemory({SET: struct.pack("<QQQ", PAIRS, length, capacity), PAIRS: pairs, TEXT: STRINGS})


def map_of(count: int = 2, log_buckets: int = 0) -> FakeMemory:
    slots = bytes((7, 1, 200, 0, 0, 0, 0, 0))
    keys = string(0) + bytes(16) + string(2) + bytes(16 * 5)
    values = string(1) + bytes(16) + string(3) + bytes(16 * 5)
    return FakeMemory(
        {
            SET: struct.pack("<Q", SET + 64),
            SET + 64: struct.pack("<QBBHIQ", count, 0, log_buckets, 0, 4711, PAIRS),
            PAIRS: slots + keys + values,
            TEXT: STRINGS,
        }
    )


def test_both_forms_are_read_and_sorted() -> None:
    expected = (("shard", "7"), ("tenant", "blue"))
    assert read_labels(slice_of(2), SET, LabelForm.SLICE) == expected
    assert read_labels(map_of(), SET, LabelForm.MAP) == expected
    assert read_labels(slice_of(1), SET, LabelForm.SLICE) == (("tenant", "blue"),)


@pytest.mark.parametrize(("length", "capacity"), [(0, 2), (3, 2), (65, 65), (1 << 60, 1 << 61), (40, 64)])
def test_a_slice_that_cannot_be_is_no_label(length: int, capacity: int) -> None:
    assert read_labels(slice_of(length, capacity), SET, LabelForm.SLICE) == ()


@pytest.mark.parametrize(("count", "log_buckets"), [(0, 0), (3, 0), (9, 0), (2, 1)])
def test_a_map_that_is_larger_or_inconsistent_is_no_label(count: int, log_buckets: int) -> None:
    assert read_labels(map_of(count, log_buckets), SET, LabelForm.MAP) == ()


def test_absurd_and_unmapped_strings_are_no_label() -> None:
    memory = slice_of(2)
    memory.regions[PAIRS] = struct.pack("<QQ", TEXT, 1 << 40) * 4
    assert read_labels(memory, SET, LabelForm.SLICE) == ()
    memory.regions[PAIRS] = struct.pack("<QQ", 0x9000, 4) * 4
    assert read_labels(memory, SET, LabelForm.SLICE) == ()
    assert read_labels(FakeMemory({}), SET, LabelForm.MAP) == ()
    assert read_labels(slice_of(2), SET, LabelForm.NONE) == ()
