"""Records of functions made as data: every field in its place, in both byte orders, and cut short anywhere."""

from __future__ import annotations

import struct

import pytest

from leaktui.binary.func_record import NO_TABLE, FuncInfo, FuncRecords, FuncTables
from leaktui.errors import Truncated

START = 12
VALUES = (100, 0, 102)
"""PCDATA tables; the last is that of inlined calls."""
DATA = (200, NO_TABLE, 202, 203)
"""FUNCDATA offsets; the last is that of the inline tree."""


def written(order: str, values: tuple[int, ...] = VALUES, data: tuple[int, ...] = DATA) -> bytes:
    """A record at START, as cmd/link writes it."""
    counts = len(values), 8, 42, 21, 5, len(data)
    record = struct.pack(f"{order}IiiIIIIIIiBBxB", 16, 1, -24, 3, 4, 5, 6, *counts)
    return bytes(START) + record + struct.pack(f"{order}{len(values) + len(data)}I", *values, *data)


@pytest.mark.parametrize("order", ["<", ">"])
def test_every_field_is_read(order: str) -> None:
    records = FuncRecords(written(order), order)
    assert records.info(START, entry=0x401000, size=64) == FuncInfo(
        entry=0x401000,
        size=64,
        name_offset=1,
        file_values=5,
        line_values=6,
        unit=8,
        start_line=42,
        func_id=21,
        inline_values=102,
        inline_tree=203,
        stack_values=4,
        flags=5,
    )
    assert records.tables(START) == FuncTables(-24, 3, VALUES, (200, None, 202, 203))
    assert records.inline_tree(START) == 203
    assert list(records.iter_func_ids([START, START + 1000])) == [21]


@pytest.mark.parametrize(
    ("values", "data"),
    [((1, 2), DATA), (VALUES, (1, 2, 3)), (VALUES, (1, 2, 3, NO_TABLE)), ((), ())],
)
def test_a_function_into_which_nothing_was_inlined_has_no_tree(
    values: tuple[int, ...], data: tuple[int, ...]
) -> None:
    records = FuncRecords(written("<", values, data), "<")
    assert records.info(START, entry=0, size=0).inline_tree is None
    assert records.inline_tree(START) is None


def test_a_record_cut_short_is_an_error() -> None:
    whole = written("<")
    for size in range(len(whole)):
        records = FuncRecords(whole[:size], "<")
        with pytest.raises(Truncated):
            records.tables(START)
        with pytest.raises(Truncated):
            records.info(START, entry=0, size=0)
        with pytest.raises(Truncated):
            records.inline_tree(START)


def test_more_tables_than_there_can_be_are_an_error() -> None:
    with pytest.raises(Truncated):
        FuncRecords(written("<", (0,) * 65), "<").tables(START)
