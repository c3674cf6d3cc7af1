"""The base of everything drawn here: one line at a time, and only the columns that changed.

Law: cost follows the screen. `paint` is asked for visible lines only; `repaint` compares with what was
painted before and refreshes the columns that differ, which is what keeps a slow link quiet.
"""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from leaktui.tui.widgets.toned import TONES, Line, Tone, changed_columns, plain

Underlay = str
"""Name of a component class laid over a whole line (`line--cursor`, …), or empty."""


class LineView(ScrollView):
    """Draws toned lines. Subclasses give `paint(y)` for a line of the viewport."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"tone--{tone}" for tone in TONES} | {
        "line--cursor",
        "line--cursor-blurred",
        "line--header",
        "line--mark",
    }
    ALLOW_SELECT = False

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._painted: dict[int, tuple[Line, Underlay]] = {}
        self._tone_styles: dict[tuple[Tone, Underlay], Style] = {}

    def paint(self, y: int) -> tuple[Line, Underlay]:
        """The line at viewport row *y* and what lies over it."""
        raise NotImplementedError

    def render_line(self, y: int) -> Strip:
        line, underlay = self.paint(y)
        self._painted[y] = line, underlay
        width = self.size.width
        segments = [Segment(text, self._style(tone, underlay)) for text, tone in line if text]
        return Strip(segments).adjust_cell_length(width, self._style("plain", underlay))

    def repaint(self) -> None:
        """Refresh what differs from the last painting."""
        width, height = self.size
        for y in range(height):
            painted = self._painted.get(y)
            if painted is None:
                self.refresh(Region(0, y, width, 1))
                continue
            line, underlay = self.paint(y)
            if underlay != painted[1]:
                self.refresh(Region(0, y, width, 1))
            elif (changed := changed_columns(painted[0], line, width)) is not None:
                self.refresh(Region(changed[0], y, changed[1], 1))

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._tone_styles.clear()

    def watch_has_focus(self, focused: bool) -> None:
        super().watch_has_focus(focused)
        self._tone_styles.clear()

    def _style(self, tone: Tone, underlay: Underlay) -> Style:
        key = tone, underlay
        style = self._tone_styles.get(key)
        if style is None:
            style = self.rich_style + self.get_component_rich_style(f"tone--{tone}", partial=True)
            if underlay:
                style += self.get_component_rich_style(underlay, partial=True)
            self._tone_styles[key] = style
        return style


class Lines(LineView):
    """A fixed block of lines, without scrolling or focus."""

    can_focus = False
    DEFAULT_CSS = """
    Lines { height: auto; overflow: hidden hidden; }
    """

    def __init__(
        self, lines: tuple[Line, ...] = (), *, id: str | None = None, classes: str | None = None
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._lines = lines

    @property
    def lines(self) -> tuple[Line, ...]:
        return self._lines

    def set_lines(self, lines: tuple[Line, ...]) -> None:
        """Show *lines*; only what differs is drawn."""
        if lines == self._lines:
            return
        grown = len(lines) != len(self._lines)
        self._lines = lines
        if grown:
            self._painted.clear()
            self.refresh(layout=True)
        else:
            self.repaint()

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self._lines)

    def paint(self, y: int) -> tuple[Line, Underlay]:
        return (self._lines[y] if y < len(self._lines) else plain("")), ""
