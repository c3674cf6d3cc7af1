"""Levels of a drill-down: a table of rows, a document, a source file.

Law: a level is given whole Facts and draws itself from them; opening something is a message to the pane,
which pushes the next level.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from textual.app import ComposeResult
from textual.containers import Container
from textual.message import Message

from leaktui.model.frame import Frame
from leaktui.model.goroutine import Goroutine
from leaktui.tui.facts import Facts
from leaktui.tui.links import ExpressionLink, HoldersLink
from leaktui.tui.widgets.columns import Column
from leaktui.tui.widgets.document import DocLine, Document
from leaktui.tui.widgets.line_table import LineTable
from leaktui.tui.widgets.toned import Line

T = TypeVar("T")

_SIDE_WIDTH = 140
_BELOW_HEIGHT = 26
# From this many rows on, grouping them leaves the UI thread.
_MANY_ROWS = 4000


class Level(Container):
    """One step of the drill-down. `crumb` is its name in the breadcrumb."""

    def __init__(self, crumb: str) -> None:
        super().__init__()
        self.crumb = crumb
        self.facts: Facts | None = None

    @dataclass
    class Descended(Message):
        """Something was opened: go down to `level`."""

        level: Level

    @dataclass
    class HoldersWanted(Message):
        """What holds the object at `address` is to be looked for."""

        address: int

    @dataclass
    class DetailWanted(Message):
        """Goroutine `goid` is to be looked at closely."""

        goid: int

    @dataclass
    class EvaluationWanted(Message):
        """An expression is to be evaluated."""

        link: ExpressionLink

    def show(self, facts: Facts) -> None:
        """Draw from *facts*."""
        self.facts = facts

    def caption(self) -> Line:
        """What the level shows, in a few words; for the line over it."""
        return ()

    @property
    def table(self) -> LineTable[Any] | None:
        """The table that filter and sort act on."""
        return None

    @property
    def export_suffix(self) -> str:
        """What an export is called after the pane's name: `-ledger-fds`."""
        return ""

    @property
    def frame(self) -> Frame | None:
        """The frame under the cursor, for `$EDITOR`."""
        return None

    @property
    def held(self) -> int | None:
        """Address of the object whose holders can be asked for here, 0 where it is not known; None for none."""
        return None

    @property
    def inspected(self) -> int | None:
        """The goroutine whose values can be asked for here, 0 where only expressions can be; None for none."""
        return None

    def focus_first(self) -> None:
        """Put the focus where the keys are expected."""
        for widget in self.query(LineTable):
            if widget.display:
                widget.focus()
                return
        for document in self.query(Document):
            document.focus()
            return

    def ask(self, message: Message) -> None:
        """Tell the screen: it would not bubble past a pane that is drawing this level."""
        self.screen.post_message(message)

    def open_target(self, target: object) -> None:
        """Go down to what a document's line leads to."""
        from leaktui.tui.panes.drill import level_for

        if isinstance(target, HoldersLink):
            self.ask(self.HoldersWanted(target.address))
            return
        if isinstance(target, ExpressionLink):
            self.ask(self.EvaluationWanted(target))
            return
        level = level_for(target, self.facts)
        if level is not None:
            self.post_message(self.Descended(level))

    def on_document_chosen(self, message: Document.Chosen) -> None:
        message.stop()
        self.open_target(message.target)


class DocumentLevel(Level):
    """A document made from the facts, redrawn as they change. *describe* may return None: keep the old."""

    def __init__(
        self,
        crumb: str,
        describe: Callable[[Facts], Sequence[DocLine] | None],
        frame: Frame | None = None,
    ) -> None:
        super().__init__(crumb)
        self._describe = describe
        self._frame = frame

    def compose(self) -> ComposeResult:
        yield Document()

    def show(self, facts: Facts) -> None:
        super().show(facts)
        lines = self._describe(facts)
        if lines is not None:
            self.query_one(Document).set_lines(lines)

    @property
    def frame(self) -> Frame | None:
        target = self.query_one(Document).cursor_target
        return target if isinstance(target, Frame) else self._frame


@dataclass(frozen=True)
class Listing(Generic[T]):
    """What a table level shows in one of its modes.

    `rows` makes the rows from the facts; `describe` the document of one row; `open` the level below it.
    `label` names the mode (`by stack`), `noun` the rows (`stacks`). `held` is the object of a row whose holders
    can be asked for, `inspected` the goroutine whose values can be.
    """

    label: str
    noun: str
    columns: tuple[Column[T], ...]
    rows: Callable[[Facts], Sequence[T]]
    key: Callable[[T], Hashable]
    search: Callable[[T], str]
    describe: Callable[[T, Facts], Sequence[DocLine]]
    open: Callable[[T], Level]
    frame: Callable[[T], Frame | None]
    sort: int | None = 0
    empty: Callable[[Facts], str] = lambda facts: "Nothing yet."
    held: Callable[[T], int] | None = None
    inspected: Callable[[T], int] | None = None


class TableLevel(Level):
    """A table of the rows of one listing, with a preview of the row under the cursor where there is room."""

    @dataclass
    class _Listed(Message):
        rows: Sequence[Any]
        ticket: int

    def __init__(self, crumb: str, listings: Sequence[Listing[Any]], *, mode: int = 0) -> None:
        super().__init__(crumb)
        self._listings = tuple(listings)
        self._mode = mode
        self._ticket = 0
        self._table = self._new_table()
        self._preview = Document(classes="preview")

    def _new_table(self) -> LineTable[Any]:
        listing = self.listing
        return LineTable(
            listing.columns, key=listing.key, search=listing.search, sort=listing.sort, classes="main"
        )

    @property
    def listing(self) -> Listing[Any]:
        return self._listings[self._mode]

    @property
    def table(self) -> LineTable[Any]:
        return self._table

    @property
    def frame(self) -> Frame | None:
        target = self._preview.cursor_target
        if self._preview.has_focus and isinstance(target, Frame):
            return target
        row = self._table.cursor_row
        return self.listing.frame(row) if row is not None else None

    @property
    def held(self) -> int | None:
        row = self._table.cursor_row
        return self.listing.held(row) if self.listing.held is not None and row is not None else None

    @property
    def inspected(self) -> int | None:
        row = self._table.cursor_row
        known = self.listing.inspected is not None and row is not None
        return self.listing.inspected(row) if known and self.listing.inspected is not None else None

    def open_row(self) -> None:
        """Go down to the row under the cursor."""
        row = self._table.cursor_row
        if row is not None:
            self.post_message(self.Descended(self.listing.open(row)))

    def compose(self) -> ComposeResult:
        yield self._table
        yield self._preview

    def on_mount(self) -> None:
        self._arrange_parts()

    def on_resize(self) -> None:
        self._arrange_parts()

    def _arrange_parts(self) -> None:
        side = self.size.width >= _SIDE_WIDTH
        self.set_class(side, "-side")
        self.set_class(not side and self.size.height < _BELOW_HEIGHT, "-alone")
        # The first rows may come before the first size.
        self._draw_preview(self._table.cursor_row)

    def _draw_preview(self, row: Any | None) -> None:
        """Describe *row*, where there is room for it beside or below the table."""
        if row is not None and self.facts is not None and not self.has_class("-alone"):
            self._preview.set_lines(self.listing.describe(row, self.facts))

    def change_mode(self, mode: int) -> None:
        """List another way; the table is replaced, its filter stays."""
        needle = self._table.needle
        self._mode = mode % len(self._listings)
        focused = self._table.has_focus
        old, self._table = self._table, self._new_table()
        self._table.set_filter(needle)
        old.remove()
        self.mount(self._table, before=self._preview)
        if focused:
            self._table.focus()
        if self.facts is not None:
            self.show(self.facts)

    def next_mode(self) -> None:
        self.change_mode(self._mode + 1)

    @property
    def modes(self) -> int:
        return len(self._listings)

    def show(self, facts: Facts) -> None:
        super().show(facts)
        self._ticket += 1
        listing, ticket = self.listing, self._ticket
        self._table.set_empty(listing.empty(facts))
        if _size_of(facts) <= _MANY_ROWS:
            self._table.set_rows(listing.rows(facts))
            return

        def work() -> None:
            self.post_message(self._Listed(listing.rows(facts), ticket))

        self.run_worker(work, thread=True, group="rows", exclusive=True)

    def on_table_level__listed(self, message: _Listed) -> None:
        message.stop()
        if message.ticket == self._ticket:
            self._table.set_rows(message.rows)

    def caption(self) -> Line:
        total, shown = self._table.total, len(self._table.rows)
        amount = f"{shown} of {total}" if self._table.needle else f"{total}"
        label = f" · {self.listing.label}" if self.listing.label else ""
        return ((f"{amount} {self.listing.noun}{label}", "muted"),)

    def on_line_table_chosen(self, message: LineTable.Chosen) -> None:
        message.stop()
        self.post_message(self.Descended(self.listing.open(message.row)))

    def on_line_table_highlighted(self, message: LineTable.Highlighted) -> None:
        message.stop()
        if message.table is self._table:
            self._draw_preview(message.row)

    def on_line_table_rearranged(self, message: LineTable.Rearranged) -> None:
        if message.table is self._table and self._table.cursor_row is None:
            self._preview.set_lines(())


def _size_of(facts: Facts) -> int:
    """How many rows of the longest kind there are."""
    assessment = facts.assessment
    return max(
        len(assessment.groups),
        len(assessment.sites),
        len(assessment.bodies),
        len(facts.snapshot.goroutines or ()),
        *(len(ledger.open) for ledger in facts.snapshot.ledgers),
    )


def find_goroutines(facts: Facts, goids: Sequence[int]) -> list[Goroutine]:
    """Those of *goids* that the newest dump holds, in the dump's order."""
    dump = facts.snapshot.goroutines
    if not dump or not goids:
        return []
    wanted = frozenset(goids)
    return [goroutine for goroutine in dump if goroutine.goid in wanted]
