"""Several series over one axis of time, as bars of text: zoomed, scrolled, and read off at a cursor.

Law: cost follows the screen: a series is summed up into the columns that are visible, and only when window or size
changed. Every scale starts at zero. No meaning rests on colour.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message

from leaktui.tui.widgets.line_view import LineView, Underlay
from leaktui.tui.widgets.toned import Line, Span, Tone, fit_line, fit_text, plain

_BARS = " ▁▂▃▄▅▆▇█"
_GUTTER = 21
_TALLEST = 5
_LEAST_STEPS = 8.0
_TICKS = (1, 2, 5)


@dataclass(frozen=True, slots=True)
class ChartLane:
    """One series, a value a step. `rate` lanes hold amounts and are shown as amount per second; the others hold
    levels, of which a column shows the highest. `show` makes a value text; `weight` is its claim to height.
    """

    title: str
    values: Sequence[float]
    show: Callable[[float], str]
    rate: bool = False
    weight: int = 1
    tone: Tone = "graph"


class LaneChart(LineView):
    """Lanes one above the other. `at` is the step under the cursor; `hidden` are titles of lanes folded away."""

    can_focus = True
    DEFAULT_CSS = """
    LaneChart { height: 1fr; overflow: hidden hidden; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "move(-1)", "Earlier", show=False),
        Binding("right", "move(1)", "Later", show=False),
        Binding("shift+left,pageup", "leap(-1)", "Much earlier", show=False),
        Binding("shift+right,pagedown", "leap(1)", "Much later", show=False),
        Binding("home", "edge(0)", "Start", show=False),
        Binding("end", "edge(1)", "End", show=False),
        Binding("plus,equals_sign", "zoom(1)", "Zoom in", show=False),
        Binding("minus,underscore", "zoom(-1)", "Zoom out", show=False),
        Binding("up,k", "select(-1)", "Lane above", show=False),
        Binding("down,j", "select(1)", "Lane below", show=False),
        Binding("space", "fold", "Hide or show the lane", show=False),
        Binding("enter", "choose", "Open", show=False),
    ]

    @dataclass
    class Chosen(Message):
        """Enter on the chart: the steps under the cursor, from `first` up to but not including `last`."""

        chart: LaneChart
        first: int
        last: int

        @property
        def control(self) -> LaneChart:
            return self.chart

    @dataclass
    class Changed(Message):
        """Another lane is under the cursor, one was hidden or shown, or another part of the time is shown."""

        chart: LaneChart

        @property
        def control(self) -> LaneChart:
            return self.chart

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.hidden: set[str] = set()
        self._lanes: tuple[ChartLane, ...] = ()
        self._step_seconds = 1.0
        self._steps = 0
        self._empty = ""
        self._selected = 0
        self._at = 0.0
        self._first = 0.0
        self._shown_steps = 0.0
        self._drawn: list[Line] = []

    # -- what it shows -------------------------------------------------------------------------

    @property
    def lanes(self) -> tuple[ChartLane, ...]:
        return self._lanes

    @property
    def selected(self) -> ChartLane | None:
        """The lane under the cursor."""
        return self._lanes[self._selected] if self._lanes else None

    @property
    def window(self) -> tuple[float, float]:
        """First second shown and number of seconds shown."""
        return self._first * self._step_seconds, self._shown_steps * self._step_seconds

    def set_lanes(self, lanes: Sequence[ChartLane], step_seconds: float, *, fresh: bool) -> None:
        """Show *lanes*, whose steps last *step_seconds*; *fresh* ones are looked at from end to end."""
        self._lanes = tuple(lanes)
        self._step_seconds = step_seconds
        self._steps = max((len(lane.values) for lane in lanes), default=0)
        self._selected = min(self._selected, max(0, len(lanes) - 1))
        if fresh or not self._shown_steps:
            self._first, self._shown_steps, self._at = 0.0, float(self._steps), 0.0
        self._draw()
        self._say_changed()

    def set_empty(self, text: str) -> None:
        """What to say when there are no lanes."""
        self._empty = text
        if not self._lanes:
            self._draw()

    def on_resize(self) -> None:
        self._painted.clear()
        self._draw()

    # -- moving --------------------------------------------------------------------------------

    @property
    def _columns(self) -> int:
        return max(1, self.size.width - _GUTTER - 1)

    @property
    def _steps_a_column(self) -> float:
        return self._shown_steps / self._columns

    def action_move(self, by: int) -> None:
        self._go_to(self._at + by * self._steps_a_column)

    def action_leap(self, by: int) -> None:
        self._go_to(self._at + by * self._shown_steps / 4)

    def action_edge(self, end: int) -> None:
        self._go_to(self._steps if end else 0.0)

    def _go_to(self, step: float) -> None:
        column = self._steps_a_column
        self._at = min(max(0.0, step), max(0.0, self._steps - column))
        if self._at < self._first:
            self._first = self._at
        elif self._at + column > self._first + self._shown_steps:
            self._first = self._at + column - self._shown_steps
        self._draw()
        self._say_changed()

    def action_zoom(self, by: int) -> None:
        """Twice as near, or as far; the cursor stays where it stands on the screen."""
        least = min(_LEAST_STEPS, float(self._steps))
        shown = min(
            max(self._shown_steps / 2 if by > 0 else self._shown_steps * 2, least), float(self._steps)
        )
        share = (self._at - self._first) / (self._shown_steps or 1.0)
        self._shown_steps = shown
        self._first = min(max(0.0, self._at - share * shown), self._steps - shown)
        self._draw()
        self._say_changed()

    def _say_changed(self) -> None:
        self.post_message(self.Changed(self))

    def action_select(self, by: int) -> None:
        if self._lanes:
            self._selected = (self._selected + by) % len(self._lanes)
            self._draw()
            self._say_changed()

    def action_fold(self) -> None:
        """Fold the lane under the cursor away, or back."""
        if self.selected is not None:
            self.hidden ^= {self.selected.title}
            self._draw()
            self._say_changed()

    def action_choose(self) -> None:
        if self._lanes:
            first = int(self._at)
            last = max(first + 1, round(self._at + self._steps_a_column))
            self.post_message(self.Chosen(self, first, min(last, self._steps)))

    def on_click(self, event: events.Click) -> None:
        if event.x >= _GUTTER:
            self._go_to(self._first + (event.x - _GUTTER) * self._steps_a_column)

    # -- painting ------------------------------------------------------------------------------

    def paint(self, y: int) -> tuple[Line, Underlay]:
        return (self._drawn[y] if y < len(self._drawn) else plain("")), ""

    def _draw(self) -> None:
        width, height = self.size
        if not width or not height:
            return
        if not self._lanes or not self._steps:
            self._drawn = [plain(""), ((f" {self._empty}", "muted"),)]
            self.repaint()
            return
        columns = self._columns
        cursor = min(columns - 1, max(0, round((self._at - self._first) / self._steps_a_column)))
        lines: list[Line] = []
        readings: list[tuple[float, float]] = []
        for index, (lane, rows) in enumerate(zip(self._lanes, self._heights(height - 2), strict=True)):
            if not rows:
                readings.append((0.0, 0.0))
                lines.append(self._folded(lane, index == self._selected))
                continue
            values = self._summed(lane, columns)
            highest = max(values)
            readings.append((values[cursor], highest))
            lines += self._lane_lines(lane, values, highest, rows, cursor, index == self._selected)
        lines = lines[: height - 2]
        lines += [plain("")] * (height - 2 - len(lines))
        lines.append(self._axis(columns))
        lines.append(fit_line(self._reading(readings[self._selected]), width))
        self._drawn = lines
        self.repaint()

    def _heights(self, room: int) -> list[int]:
        """Rows of each lane, 0 for a folded one (which takes one row all the same)."""
        shown = [lane.title not in self.hidden for lane in self._lanes]
        heights = [int(is_shown) for is_shown in shown]
        spare = room - len(heights)
        wanting = sorted(
            (index for index, is_shown in enumerate(shown) if is_shown), key=lambda i: -self._lanes[i].weight
        )
        while spare > 0 and wanting:
            for index in wanting:
                if spare > 0 and heights[index] < min(_TALLEST, 1 + self._lanes[index].weight * 2):
                    heights[index] += 1
                    spare -= 1
            if all(heights[i] >= min(_TALLEST, 1 + self._lanes[i].weight * 2) for i in wanting):
                break
        return heights

    def _summed(self, lane: ChartLane, columns: int) -> list[float]:
        """The values of the columns shown."""
        values, share = lane.values, self._steps_a_column
        size = len(values)
        summed: list[float] = []
        for column in range(columns):
            begin = self._first + column * share
            first = min(int(begin), size - 1)
            last = min(max(first + 1, int(begin + share)), size)
            part = values[first:last]
            if lane.rate:
                summed.append(sum(part) / (len(part) * self._step_seconds))
            else:
                summed.append(max(part))
        return summed

    def _lane_lines(
        self, lane: ChartLane, values: Sequence[float], highest: float, rows: int, cursor: int, selected: bool
    ) -> list[Line]:
        lines: list[Line] = []
        for row in range(rows):
            # The topmost row shows what exceeds the rows below it.
            floor = (rows - 1 - row) * 8
            cells = [_BARS[min(8, max(0, _eighths(value, highest, rows) - floor))] for value in values]
            if row == 0:
                gutter = self._gutter(lane.title, lane.show(values[cursor]), selected)
            elif row == 1:
                gutter = (
                    (fit_text(f"most {lane.show(highest)}", _GUTTER - 1, align="right"), "muted"),
                    (" ", "plain"),
                )
            else:
                gutter = ((" " * _GUTTER, "plain"),)
            lines.append((*gutter, *_split(cells, cursor, lane.tone)))
        return lines

    def _folded(self, lane: ChartLane, selected: bool) -> Line:
        return (*self._gutter(lane.title, "hidden", selected, muted=True),)

    def _gutter(self, title: str, value: str, selected: bool, *, muted: bool = False) -> tuple[Span, ...]:
        mark = "▸" if selected else " "
        room = _GUTTER - 2 - len(value)
        tone: Tone = "strong" if selected else "muted" if muted else "plain"
        return (
            (mark, "accent"),
            (fit_text(title, room), tone),
            (value, "muted" if muted else "strong"),
            (" ", "plain"),
        )

    def _axis(self, columns: int) -> Line:
        """Ticks with their times."""
        start, length = self.window
        tick = _tick_seconds(length, max(1, columns // 12))
        digits = 0 if tick >= 1 else 1 if tick >= 0.1 else 2 if tick >= 0.01 else 3
        cells = ["─"] * columns
        number = -(-start // tick)
        while (when := number * tick) < start + length:
            column = int((when - start) / length * columns)
            text = f"┴{when:.{digits}f} s"
            if column + len(text) <= columns:
                cells[column : column + len(text)] = text
            number += 1
        return (fit_text("time", _GUTTER - 1), "muted"), (" ", "plain"), ("".join(cells), "muted")

    def _reading(self, values: tuple[float, float]) -> Line:
        lane = self._lanes[self._selected]
        when = self._at * self._step_seconds
        if lane.title in self.hidden:
            said: Line = ((f"{lane.title} is hidden", "muted"),)
        else:
            value, highest = values
            said = (
                (f"{lane.title} {lane.show(value)}", "strong"),
                (f", at most {lane.show(highest)} here", "muted"),
            )
        return ((f" at {when:.3f} s: ", "muted"), *said)


def _eighths(value: float, highest: float, rows: int) -> int:
    """Height of a bar in eighths of a row: anything above nothing shows."""
    if value <= 0 or highest <= 0:
        return 0
    return max(1, round(value / highest * rows * 8))


def _split(cells: Sequence[str], cursor: int, tone: Tone) -> tuple[Span, ...]:
    """*cells* with the one under the cursor apart."""
    here = cells[cursor] if cells[cursor] != " " else "│"
    return ("".join(cells[:cursor]), tone), (here, "chip"), ("".join(cells[cursor + 1 :]), tone)


def _tick_seconds(length: float, most: int) -> float:
    """A round distance of ticks such that at most *most* fall on *length* seconds."""
    power = 1e-4
    while True:
        for factor in _TICKS:
            if length / (power * factor) <= most:
                return power * factor
        power *= 10
