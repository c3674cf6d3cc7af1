"""The table: arranging, fitting columns, cursor and painting."""

from __future__ import annotations

from typing import Any

from textual.app import App, ComposeResult
from textual.geometry import Region

from leaktui.tui.widgets.arrangement import Haystack, find_position, sort_rows
from leaktui.tui.widgets.columns import Column, fit_columns, name_column, number_column
from leaktui.tui.widgets.line_table import LineTable
from leaktui.tui.widgets.toned import line_text

Row = tuple[int, str]
COLUMNS: tuple[Column[Row], ...] = (
    number_column("size", lambda row: row[0], str, 8),
    name_column("name", lambda row: row[1], 10, 1),
    name_column("note", lambda row: None, 10, rank=1),
    name_column("shout", lambda row: row[1].upper(), 10, rank=2),
)


class TableApp(App[None]):
    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.table: LineTable[Row] = LineTable(
            COLUMNS, key=lambda row: row[1], search=lambda row: row[1], **options
        )

    def compose(self) -> ComposeResult:
        yield self.table


def rows_of(count: int) -> list[Row]:
    return [(number * 7919 % count, f"row{number}") for number in range(count)]


def painted(table: LineTable[Row]) -> list[str]:
    return [line_text(table.paint(y)[0]).rstrip() for y in range(table.size.height)]


def test_filter_wants_every_word_and_no_case() -> None:
    haystack = Haystack[Row](lambda row: row[1])
    rows: list[Row] = [(1, "Alpha beta"), (2, "beta"), (3, "ALPHA")]
    assert haystack.find(rows, "") is rows
    assert haystack.find(rows, "alpha") == [rows[0], rows[2]]
    assert haystack.find(rows, "beta ALPHA") == [rows[0]]
    assert haystack.find([(4, "alphabet")], "alpha") == [(4, "alphabet")]


def test_sort_puts_the_unknown_last_either_way_and_keeps_ties() -> None:
    rows = [("a", 2), ("b", None), ("c", 1), ("d", 2)]

    def value(row: tuple[str, int | None]) -> int | None:
        return row[1]

    assert [row[0] for row in sort_rows(rows, value, descending=True)] == ["a", "d", "c", "b"]
    assert [row[0] for row in sort_rows(rows, value, descending=False)] == ["c", "a", "d", "b"]
    assert sort_rows(rows, None, descending=True) is rows


def test_position_of_a_row_or_else_of_its_key() -> None:
    rows: list[Row] = [(1, "a"), (2, "b"), (3, "b")]
    assert find_position(rows, lambda row: row[1], rows[2]) == 2
    assert find_position(rows, lambda row: row[1], (9, "b")) == 1
    assert find_position(rows, lambda row: row[1], (9, "z")) is None
    assert find_position(rows, lambda row: row[1], None) is None


def test_columns_fill_the_width_and_leave_by_rank() -> None:
    wide = fit_columns(COLUMNS, 60)
    assert [index for index, _ in wide] == [0, 1, 2, 3]
    assert sum(width for _, width in wide) + 3 == 60
    assert [index for index, _ in fit_columns(COLUMNS, 35)] == [0, 1, 2]
    assert [index for index, _ in fit_columns(COLUMNS, 20)] == [0, 1]
    assert [index for index, _ in fit_columns(COLUMNS, 5)] == [0, 1]


def test_empty_columns_leave_first() -> None:
    assert [index for index, _ in fit_columns(COLUMNS, 35, empty=frozenset({2}))] == [0, 1, 3]


async def test_it_sorts_filters_and_says_what_is_empty() -> None:
    app = TableApp(sort=0, empty="nothing here")
    async with app.run_test(size=(60, 12)) as pilot:
        assert painted(app.table)[2] == " nothing here"
        app.table.set_rows(rows_of(100))
        await pilot.pause()
        assert painted(app.table)[1].split()[0] == "99"
        assert painted(app.table)[0].split()[0] == "▾size"
        app.table.set_filter("row42")
        await pilot.pause()
        assert [row[1] for row in app.table.rows] == ["row42"]
        assert app.table.total == 100


async def test_a_hundred_thousand_rows_arrange_off_the_ui_thread() -> None:
    app = TableApp(sort=0)
    async with app.run_test(size=(60, 12)) as pilot:
        app.table.set_rows(rows_of(100_000))
        await app.workers.wait_for_complete()
        await pilot.pause()
        assert app.table.rows[0][0] == 99_999
        await pilot.press("end")
        assert painted(app.table)[-1].split()[0] == "0"
        app.table.set_filter("row9999")
        await app.workers.wait_for_complete()
        await pilot.pause()
        assert len(app.table.rows) == 11


async def test_a_late_arrangement_of_old_rows_is_dropped() -> None:
    app = TableApp(sort=0)
    async with app.run_test(size=(60, 12)) as pilot:
        app.table.set_rows(rows_of(50_000))
        app.table.set_rows(rows_of(3))
        await app.workers.wait_for_complete()
        await pilot.pause()
        assert len(app.table.rows) == 3


async def test_the_cursor_belongs_to_a_row() -> None:
    app = TableApp()
    async with app.run_test(size=(60, 12)) as pilot:
        app.table.focus()
        app.table.set_rows([(number, f"row{number}") for number in range(50)])
        await pilot.press("down", "down", "down")
        assert app.table.cursor_row == (3, "row3")
        app.table.set_rows([(number, f"row{number}") for number in range(49, -1, -1)])
        await pilot.pause()
        assert app.table.cursor_row == (3, "row3")
        assert any("row3" in line for line in painted(app.table))
        app.table.set_rows([(number, f"row{number}") for number in range(10, 20)])
        await pilot.pause()
        assert app.table.cursor_row is not None


async def test_an_untouched_cursor_stays_on_top() -> None:
    app = TableApp(sort=0)
    async with app.run_test(size=(60, 12)) as pilot:
        app.table.set_rows([(1, "a"), (2, "b")])
        await pilot.pause()
        app.table.set_rows([(3, "a"), (2, "b"), (9, "c")])
        await pilot.pause()
        assert app.table.cursor_row == (9, "c")


async def test_moving_scrolls_and_stays_within() -> None:
    app = TableApp()
    async with app.run_test(size=(60, 12)) as pilot:
        app.table.focus()
        app.table.set_rows([(number, f"row{number}") for number in range(50)])
        await pilot.press("end")
        assert app.table.cursor_row == (49, "row49") and "row49" in painted(app.table)[-1]
        await pilot.press("down", "home", "up")
        assert app.table.cursor_row == (0, "row0") and "row0" in painted(app.table)[1]
        await pilot.press("pagedown")
        assert app.table.cursor_row == (10, "row10")


async def test_only_what_changed_is_drawn(monkeypatch: Any) -> None:
    app = TableApp()
    async with app.run_test(size=(60, 12)) as pilot:
        app.table.set_rows([(100, "a"), (200, "b")])
        await pilot.pause()
        refreshed: list[Region] = []
        monkeypatch.setattr(app.table, "refresh", lambda *regions, **options: refreshed.extend(regions))
        app.table.set_rows([(100, "a"), (200, "b")])
        assert refreshed == []
        app.table.set_rows([(100, "a"), (201, "b")])
        assert refreshed == [Region(8, 2, 1, 1)]
