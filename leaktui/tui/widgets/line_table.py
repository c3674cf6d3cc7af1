"""A table for any number of rows.

Law: only visible rows are formatted; the selection belongs to a row's key and survives every refresh;
there is no sideways scrolling, columns that do not fit are left out by rank.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message

from leaktui.tui.widgets.arrangement import Arrangement, Haystack, find_position, sort_rows
from leaktui.tui.widgets.columns import Column, fit_columns
from leaktui.tui.widgets.line_view import LineView, Underlay
from leaktui.tui.widgets.toned import Line, Span, fit_line, fit_text, plain

T = TypeVar("T")

# With more rows than this, sorting and filtering leave the UI thread.
_MANY_ROWS = 4000
# Whether a column is empty is judged by this many rows.
_LOOKED_AT = 200


class LineTable(LineView, Generic[T]):
    """Rows of columns with a cursor."""

    can_focus = True
    DEFAULT_CSS = """
    LineTable { height: 1fr; overflow: hidden auto; scrollbar-size-vertical: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup,ctrl+b", "page(-1)", "Page up", show=False),
        Binding("pagedown,space,ctrl+f", "page(1)", "Page down", show=False),
        Binding("home", "jump(0)", "First", show=False),
        Binding("end", "jump(-1)", "Last", show=False),
        Binding("enter", "choose", "Open", show=False),
    ]

    @dataclass
    class Chosen(Message):
        """Enter or a click on the row under the cursor."""

        table: LineTable[Any]
        row: Any

        @property
        def control(self) -> LineTable[Any]:
            return self.table

    @dataclass
    class Highlighted(Message):
        """The cursor is on another row, or on new facts of the same row."""

        table: LineTable[Any]
        row: Any

        @property
        def control(self) -> LineTable[Any]:
            return self.table

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, LineTable.Highlighted) and message.table is self.table

    @dataclass
    class Rearranged(Message):
        """Rows, order or filter changed."""

        table: LineTable[Any]

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, LineTable.Rearranged) and message.table is self.table

    @dataclass
    class _Arranged(Message):
        arrangement: Arrangement[Any]
        ticket: int

    def __init__(
        self,
        columns: Sequence[Column[T]],
        *,
        key: Callable[[T], Hashable],
        search: Callable[[T], str],
        sort: int | None = None,
        empty: str = "",
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._columns = tuple(columns)
        self._key = key
        self._haystack = Haystack(search)
        self._sort = sort
        self._descending = sort is not None and columns[sort].descending
        self._empty = empty
        self._source: Sequence[T] = ()
        self._rows: Sequence[T] = ()
        self._needle = ""
        self._cursor = 0
        self._moved = False
        self._ticket = 0
        self._empty_columns: frozenset[int] = frozenset()
        self._fit: tuple[int, list[tuple[int, int]]] | None = None

    # -- what it shows -------------------------------------------------------------------------

    @property
    def rows(self) -> Sequence[T]:
        """The rows shown, in order."""
        return self._rows

    @property
    def total(self) -> int:
        """How many rows there are without the filter."""
        return len(self._source)

    @property
    def columns(self) -> tuple[Column[T], ...]:
        return self._columns

    @property
    def needle(self) -> str:
        """The filter."""
        return self._needle

    @property
    def cursor_row(self) -> T | None:
        return self._rows[self._cursor] if self._cursor < len(self._rows) else None

    @property
    def sort_title(self) -> str:
        """`count ▾`, or nothing when the rows stand in their own order."""
        if self._sort is None:
            return ""
        return f"{self._columns[self._sort].title} {self._arrow}"

    @property
    def _arrow(self) -> str:
        return "▾" if self._descending else "▴"

    def set_rows(self, rows: Sequence[T]) -> None:
        """Show *rows*; the cursor stays on its row."""
        self._source = rows
        self._arrange()

    def set_filter(self, needle: str) -> None:
        """Show only rows holding every word of *needle*."""
        if needle != self._needle:
            self._needle = needle
            self._arrange()

    def prepare_filter(self) -> None:
        """Make the searchable text of many rows now, in a thread, so that the first letter finds it there."""
        rows = self._source
        if len(rows) > _MANY_ROWS:
            self.run_worker(lambda: self._haystack.prepare(rows), thread=True, group="prepare")

    def set_empty(self, text: str) -> None:
        """What to say when there are no rows."""
        self._empty = text
        if not self._rows:
            self.repaint()

    def sort_by(self, index: int | None, *, descending: bool | None = None) -> None:
        """Sort by a column; None keeps the rows' own order."""
        self._sort = index
        if index is not None:
            self._descending = self._columns[index].descending if descending is None else descending
        self._arrange()

    def cycle_sort(self) -> None:
        """Sort by the next visible column that can be sorted."""
        shown = [index for index, _ in self._fitting if self._columns[index].value]
        if shown:
            after = shown.index(self._sort) + 1 if self._sort in shown else 0
            self.sort_by(shown[after % len(shown)])

    def reverse_sort(self) -> None:
        if self._sort is not None:
            self.sort_by(self._sort, descending=not self._descending)

    # -- arranging -----------------------------------------------------------------------------

    def _arrange(self) -> None:
        self._ticket += 1
        ticket = self._ticket
        wanted = self.cursor_row if self._moved else None
        rows, needle, sort, descending = self._source, self._needle, self._sort, self._descending
        value = None if sort is None else self._columns[sort].value

        def compute() -> Arrangement[T]:
            found = self._haystack.find(rows, needle)
            ordered = sort_rows(found, value, descending=descending)
            return Arrangement(ordered, find_position(ordered, self._key, wanted))

        if len(rows) <= _MANY_ROWS or not self.is_running:
            self._show(compute())
            return

        def work() -> None:
            self.post_message(self._Arranged(compute(), ticket))

        self.run_worker(work, thread=True, group=f"arrange-{id(self)}", exclusive=True)

    def on_line_table__arranged(self, message: _Arranged) -> None:
        message.stop()
        if message.ticket == self._ticket:
            self._show(message.arrangement)

    def _show(self, arrangement: Arrangement[T]) -> None:
        screen_row = self._cursor - self.scroll_offset.y
        count_changed = len(arrangement.rows) != len(self._rows)
        self._rows = arrangement.rows
        empty = self._find_empty_columns()
        if empty != self._empty_columns:
            self._empty_columns, self._fit = empty, None
        if arrangement.position is not None:
            self._cursor = arrangement.position
        else:
            self._cursor = min(self._cursor, max(0, len(self._rows) - 1)) if self._moved else 0
        if not self.is_attached:
            return
        if count_changed:
            self._fit_height()
        # The cursor's row keeps its place on the screen while rows move around it.
        self._scroll_cursor_into_view(max(0, self._cursor - screen_row) if self._moved else 0)
        self.repaint()
        self.post_message(self.Rearranged(self))
        if (row := self.cursor_row) is not None:
            self.post_message(self.Highlighted(self, row))

    def _fit_height(self) -> None:
        self.virtual_size = Size(self._inner_width, len(self._rows) + 1)

    def on_resize(self) -> None:
        self._painted.clear()
        self._fit_height()
        self._scroll_cursor_into_view()

    # -- moving --------------------------------------------------------------------------------

    @property
    def _page(self) -> int:
        return max(1, self.size.height - 1)

    def move_to(self, index: int) -> None:
        """Put the cursor on a row of the order shown."""
        index = max(0, min(index, len(self._rows) - 1))
        self._moved = index > 0 or self._moved
        if index == self._cursor:
            return
        self._cursor = index
        self._scroll_cursor_into_view()
        self.repaint()
        if (row := self.cursor_row) is not None:
            self.post_message(self.Highlighted(self, row))

    def point_at(self, wanted: Callable[[T], bool]) -> bool:
        """Put the cursor on the first row that is *wanted*; False, and where it was, when none is shown."""
        index = next((index for index, row in enumerate(self._rows) if wanted(row)), None)
        if index is None:
            return False
        self._moved = True
        self.move_to(index)
        return True

    def _scroll_cursor_into_view(self, top: int | None = None) -> None:
        top = self.scroll_offset.y if top is None else top
        top = min(max(top, self._cursor - self._page + 1), self._cursor)
        top = max(0, min(top, len(self._rows) - self._page))
        if top != self.scroll_offset.y:
            self.scroll_to(y=top, animate=False, immediate=True, force=True)

    def action_move(self, by: int) -> None:
        self.move_to(self._cursor + by)

    def action_page(self, by: int) -> None:
        self.move_to(self._cursor + by * (self._page - 1))

    def action_jump(self, index: int) -> None:
        self.move_to(len(self._rows) - 1 if index < 0 else index)

    def action_choose(self) -> None:
        if (row := self.cursor_row) is not None:
            self.post_message(self.Chosen(self, row))

    def on_click(self, event: events.Click) -> None:
        if event.y == 0:
            self._click_header(event.x)
            return
        index = event.y - 1 + self.scroll_offset.y
        if index >= len(self._rows):
            return
        if index == self._cursor and self._moved:
            self.action_choose()
        self._moved = True
        self.move_to(index)

    def _click_header(self, x: int) -> None:
        at = 1
        for index, width in self._fitting:
            if at <= x < at + width + 1 and self._columns[index].value:
                if self._sort == index:
                    self.reverse_sort()
                else:
                    self.sort_by(index)
                return
            at += width + 1

    # -- painting ------------------------------------------------------------------------------

    @property
    def _inner_width(self) -> int:
        """Columns between the margins of one."""
        return max(10, self.size.width - 2)

    @property
    def _fitting(self) -> list[tuple[int, int]]:
        """(index, width) of the columns shown."""
        width = self._inner_width
        if self._fit is None or self._fit[0] != width:
            self._fit = width, fit_columns(self._columns, width, empty=self._empty_columns)
        return self._fit[1]

    def _find_empty_columns(self) -> frozenset[int]:
        """Columns without a value in any of the first rows."""
        first = self._rows[:_LOOKED_AT]
        return frozenset(
            index
            for index, column in enumerate(self._columns)
            if column.rank and column.value is not None and all(column.value(row) is None for row in first)
        )

    def paint(self, y: int) -> tuple[Line, Underlay]:
        if y == 0:
            return self._paint_header(), "line--header"
        index = y - 1 + self.scroll_offset.y
        if index >= len(self._rows):
            if not self._rows and y == 2 and self._empty:
                return fit_line(((" " + self._empty, "muted"),), self.size.width), ""
            return plain(""), ""
        row = self._rows[index]
        spans: list[Span] = [(" ", "plain")]
        for column_index, width in self._fitting:
            column = self._columns[column_index]
            text, tone = column.cell(row)
            spans.append((fit_text(text, width, align=column.align, cut=column.cut), tone))
            spans.append((" ", "plain"))
        if index != self._cursor:
            return tuple(spans), ""
        return tuple(spans), "line--cursor" if self.has_focus else "line--cursor-blurred"

    def _paint_header(self) -> Line:
        spans: list[Span] = [(" ", "muted")]
        for index, width in self._fitting:
            column = self._columns[index]
            title = column.title
            sorted_by = index == self._sort
            if sorted_by:
                title = f"{self._arrow}{title}" if column.align == "right" else f"{title} {self._arrow}"
            spans.append((fit_text(title, width, align=column.align), "accent" if sorted_by else "muted"))
            spans.append((" ", "muted"))
        return tuple(spans)

    def watch_has_focus(self, focused: bool) -> None:
        super().watch_has_focus(focused)
        self.repaint()
