"""A tree of weights as nested cells: each row holds the parts of the row above it, as wide as they weigh.

Law: cost follows the screen: what is narrower than a column, or deeper than the window, is never computed. Where
cells begin is a stroke, not a colour, so that it reads without any.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message

from leaktui.tui.widgets.line_view import LineView, Underlay
from leaktui.tui.widgets.toned import Line, Span, Tone, fit_text, plain

HUES: tuple[Tone, ...] = ("hue-0", "hue-1", "hue-2", "hue-3", "hue-4", "hue-5")


class FlameNode(Protocol):
    """A node of the tree. `key` names it for good; `parts` are its children, largest first."""

    @property
    def key(self) -> tuple[str, ...]: ...

    @property
    def label(self) -> str: ...

    @property
    def weight(self) -> float: ...

    @property
    def tone(self) -> Tone: ...

    def parts(self) -> Sequence[FlameNode]: ...


@dataclass(frozen=True, slots=True)
class FlameCell:
    """A node where it is drawn: columns from `left` to `right` of row `row`."""

    node: Any
    row: int
    left: int
    right: int


class FlameView(LineView):
    """The tree below `root`, which fills the width. One cell is selected."""

    can_focus = True
    DEFAULT_CSS = """
    FlameView { height: 1fr; overflow: hidden hidden; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "rise", "Caller", show=False),
        Binding("down,j", "sink", "Largest part", show=False),
        Binding("left", "aside(-1)", "Left", show=False),
        Binding("right", "aside(1)", "Right", show=False),
        Binding("home", "top", "Top", show=False),
        Binding("enter", "choose", "Zoom", show=False),
    ]

    @dataclass
    class Chosen(Message):
        """Enter or a click on the selected cell."""

        view: FlameView
        node: Any

        @property
        def control(self) -> FlameView:
            return self.view

    @dataclass
    class Highlighted(Message):
        """Another cell is selected."""

        view: FlameView

        @property
        def control(self) -> FlameView:
            return self.view

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._root: FlameNode | None = None
        self._rows: list[list[FlameCell]] = []
        self._selected: FlameCell | None = None
        self._top = 0
        self._empty = ""

    # -- what it shows -------------------------------------------------------------------------

    @property
    def selected(self) -> Any | None:
        """The node of the selected cell."""
        return self._selected.node if self._selected is not None else None

    @property
    def cells(self) -> list[list[FlameCell]]:
        """The cells drawn, row by row from the root down."""
        return self._rows

    def set_root(self, root: FlameNode | None) -> None:
        """Show the tree below *root*; the selection stays on its node where that is still drawn."""
        known = self._selected.node.key if self._selected is not None else None
        self._root = root
        self._top = 0
        self._arrange()
        self._selected = self._find(known) or (self._rows[0][0] if self._rows else None)
        self._follow()

    def set_empty(self, text: str) -> None:
        """What to say when there is nothing."""
        self._empty = text
        self.repaint()

    def _find(self, key: tuple[str, ...] | None) -> FlameCell | None:
        return next((cell for row in self._rows for cell in row if cell.node.key == key), None)

    def on_resize(self) -> None:
        self._painted.clear()
        self.set_root(self._root)

    def _arrange(self) -> None:
        """Lay out the rows down to the last one visible."""
        width, height = self.size
        self._rows = []
        if self._root is None or not width or self._root.weight <= 0:
            return
        row = [FlameCell(self._root, 0, 0, width)]
        while row and len(self._rows) < self._top + height:
            self._rows.append(row)
            row = [below for cell in row for below in _lay_out(cell)]

    # -- moving --------------------------------------------------------------------------------

    def action_rise(self) -> None:
        cell = self._selected
        if cell is not None and cell.row:
            above = self._rows[cell.row - 1]
            self._select(next(item for item in above if item.left <= cell.left < item.right))

    def action_sink(self) -> None:
        cell = self._selected
        if cell is None:
            return
        if cell.row + 1 >= len(self._rows):
            self._top += 1
            self._arrange()
        if cell.row + 1 < len(self._rows):
            inside = [item for item in self._rows[cell.row + 1] if cell.left <= item.left < cell.right]
            if inside:
                self._select(max(inside, key=lambda item: item.node.weight))
                return
        self._follow()

    def action_aside(self, by: int) -> None:
        cell = self._selected
        if cell is not None:
            row = self._rows[cell.row]
            place = row.index(cell) + by
            if 0 <= place < len(row):
                self._select(row[place])

    def action_top(self) -> None:
        if self._rows:
            self._select(self._rows[0][0])

    def _select(self, cell: FlameCell) -> None:
        self._selected = cell
        self._follow()
        self.post_message(self.Highlighted(self))

    def _follow(self) -> None:
        """Bring the selected row into the window."""
        height = self.size.height
        if self._selected is not None and height:
            row = self._selected.row
            self._top = min(max(self._top, row - height + 1), row)
            self._top = max(0, min(self._top, len(self._rows) - 1))
            if len(self._rows) < self._top + height:
                self._arrange()
        self.repaint()

    def action_choose(self) -> None:
        if self._selected is not None:
            self.post_message(self.Chosen(self, self._selected.node))

    def on_click(self, event: events.Click) -> None:
        row = event.y + self._top
        if row >= len(self._rows):
            return
        cell = next((item for item in self._rows[row] if item.left <= event.x < item.right), None)
        if cell is None:
            return
        if cell is self._selected:
            self.action_choose()
        else:
            self._select(cell)

    # -- painting ------------------------------------------------------------------------------

    def paint(self, y: int) -> tuple[Line, Underlay]:
        row = y + self._top
        if not self._rows:
            return ((f" {self._empty}", "muted"),) if y == 1 else plain(""), ""
        if row >= len(self._rows):
            return plain(""), ""
        spans: list[Span] = []
        column = 0
        chosen = self._selected
        for cell in self._rows[row]:
            if cell.left > column:
                spans.append((" " * (cell.left - column), "plain"))
            here = chosen is not None and cell.row == chosen.row and cell.left == chosen.left
            text = f"▏{cell.node.label}" if cell.right - cell.left > 1 else "▏"
            spans.append((fit_text(text, cell.right - cell.left), "chip" if here else cell.node.tone))
            column = cell.right
        return tuple(spans), ""


def _lay_out(cell: FlameCell) -> list[FlameCell]:
    """The parts of *cell* that get at least a column, side by side from its left edge."""
    width = cell.right - cell.left
    whole = cell.node.weight
    cells: list[FlameCell] = []
    before = 0.0
    for part in cell.node.parts():
        left = cell.left + round(before / whole * width)
        before += part.weight
        right = cell.left + round(min(before, whole) / whole * width)
        if right > left:
            cells.append(FlameCell(part, cell.row + 1, left, right))
    return cells
