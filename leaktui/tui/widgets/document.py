"""Lines to read, some of which lead on: details, stacks, source.

Law: prose wraps, rows are cut; the cursor rests only on lines that lead somewhere, and stays with its
target when the lines are replaced.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message

from leaktui.tui.widgets.line_view import LineView, Underlay
from leaktui.tui.widgets.toned import Line, fit_line, fit_text, line_width, plain, wrap_line


@dataclass(frozen=True, slots=True)
class DocLine:
    """One line. `target` is what Enter opens; a `marked` line stands out.

    Lines wrap, with `indent` from the second on, unless `wrap` is False; one that may not wrap is cut at its
    end, or in front of its last span when that is to `keep_end`.
    """

    spans: Line = ()
    target: Any = None
    wrap: bool = True
    indent: int = 0
    marked: bool = False
    keep_end: bool = False


def _flow_line(line: DocLine, width: int) -> list[Line]:
    """*line* as one or more drawn lines."""
    if line.wrap:
        return wrap_line(line.spans, width, line.indent)
    if line.keep_end and line_width(line.spans) > width:
        *head, (text, tone) = line.spans
        room = max(1, width - line_width(tuple(head)))
        return [(*head, (fit_text(text, room, cut="start"), tone))]
    return [line.spans]


class Document(LineView):
    """A column of `DocLine`s."""

    can_focus = True
    DEFAULT_CSS = """
    Document { height: 1fr; overflow: hidden auto; scrollbar-size-vertical: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup,ctrl+b", "page(-1)", "Page up", show=False),
        Binding("pagedown,space,ctrl+f", "page(1)", "Page down", show=False),
        Binding("home", "edge(-1)", "Top", show=False),
        Binding("end", "edge(1)", "End", show=False),
        Binding("enter", "choose", "Open", show=False),
    ]

    @dataclass
    class Chosen(Message):
        """Enter or a click on a line that leads on."""

        document: Document
        target: Any

        @property
        def control(self) -> Document:
            return self.document

    def __init__(
        self, lines: Sequence[DocLine] = (), *, id: str | None = None, classes: str | None = None
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._doc_lines = tuple(lines)
        self._flow: list[tuple[Line, int]] = []
        self._flow_width = 0
        self._cursor: int | None = None
        self._centre: int | None = None

    @property
    def doc_lines(self) -> tuple[DocLine, ...]:
        return self._doc_lines

    @property
    def cursor_target(self) -> Any:
        """What Enter would open; None when nothing leads on."""
        return self._doc_lines[self._cursor].target if self._cursor is not None else None

    def set_lines(self, lines: Sequence[DocLine], *, centre: int | None = None) -> None:
        """Show *lines*; *centre* is an index to bring to the middle."""
        lines = tuple(lines)
        if lines == self._doc_lines and centre is None and self._flow:
            return
        target = self.cursor_target
        self._doc_lines = lines
        leading = [index for index, line in enumerate(lines) if line.target is not None]
        same = [index for index in leading if target is not None and lines[index].target == target]
        self._cursor = next(iter(same or leading), None)
        self._centre = centre
        self._reflow()
        self.repaint()

    def select(self, target: Any) -> None:
        """Put the cursor on the first line that leads to *target*, if there is one."""
        for index, line in enumerate(self._doc_lines):
            if line.target == target:
                self._put_cursor(index)
                return

    def on_resize(self) -> None:
        self._painted.clear()
        self._reflow()

    def on_mount(self) -> None:
        super().on_mount()  # type: ignore[no-untyped-call]
        if self._cursor is None:
            self._cursor = next(
                (index for index, line in enumerate(self._doc_lines) if line.target is not None), None
            )

    def _reflow(self) -> None:
        width = self.size.width
        if not width:
            return
        self._flow_width = width
        self._flow = []
        for index, line in enumerate(self._doc_lines):
            pieces = _flow_line(line, width - 1)
            self._flow += [(fit_line(piece, width), index) for piece in pieces or [plain("")]]
        self.virtual_size = Size(width, len(self._flow))
        if self._centre is not None:
            row = self._row_of(self._centre)
            self.scroll_to(y=max(0, row - self.size.height // 2), animate=False, immediate=True, force=True)
            if self.size.height > 2:
                self._centre = None

    def _row_of(self, index: int) -> int:
        return next((row for row, (_, line) in enumerate(self._flow) if line == index), 0)

    # -- moving --------------------------------------------------------------------------------

    def _scroll_by(self, rows: int) -> None:
        top = max(0, min(self.scroll_offset.y + rows, len(self._flow) - self.size.height))
        self.scroll_to(y=top, animate=False, immediate=True, force=True)

    def action_move(self, by: int) -> None:
        """To the next line that leads on when it is within a page, else scroll."""
        if self._cursor is None:
            self._scroll_by(by)
            return
        leading = [index for index, line in enumerate(self._doc_lines) if line.target is not None]
        place = leading.index(self._cursor) + by
        if not 0 <= place < len(leading):
            self._scroll_by(by)
            return
        row = self._row_of(leading[place])
        top, height = self.scroll_offset.y, self.size.height
        if (by > 0 and row >= top + 2 * height) or (by < 0 and row < top - height):
            self._scroll_by(by)
            return
        self._put_cursor(leading[place])

    def _put_cursor(self, index: int) -> None:
        self._cursor = index
        row = self._row_of(index)
        top, height = self.scroll_offset.y, self.size.height
        # What stands before the first line that leads on is reachable by going up to it.
        first = all(line.target is None for line in self._doc_lines[:index])
        if first and row < height:
            wanted = 0
        else:
            wanted = min(max(top, row - height + 1), row)
        if wanted != top:
            self.scroll_to(y=wanted, animate=False, immediate=True, force=True)
        self.repaint()

    def action_page(self, by: int) -> None:
        self._scroll_by(by * max(1, self.size.height - 1))

    def action_edge(self, by: int) -> None:
        self._scroll_by(by * len(self._flow))

    def action_choose(self) -> None:
        if self.cursor_target is not None:
            self.post_message(self.Chosen(self, self.cursor_target))

    def on_click(self, event: events.Click) -> None:
        row = event.y + self.scroll_offset.y
        if row >= len(self._flow):
            return
        index = self._flow[row][1]
        if self._doc_lines[index].target is None:
            return
        if index == self._cursor:
            self.action_choose()
        else:
            self._put_cursor(index)

    # -- painting ------------------------------------------------------------------------------

    def paint(self, y: int) -> tuple[Line, Underlay]:
        row = y + self.scroll_offset.y
        if row >= len(self._flow):
            return plain(""), ""
        line, index = self._flow[row]
        if self._doc_lines[index].marked:
            return line, "line--mark"
        if index == self._cursor and self.has_focus:
            return line, "line--cursor"
        return line, ""

    def watch_has_focus(self, focused: bool) -> None:
        super().watch_has_focus(focused)
        self.repaint()
