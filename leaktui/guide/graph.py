"""The curve of what leaks, some rows high; after the fix, both builds on one pair of axes. Pure text.

Law: one time axis and one value axis for all that is drawn; the moment the repaired build took over is a column.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from leaktui.guide.state import State, StepState
from leaktui.guide.words import SHORT_METRICS, value_of
from leaktui.session.history import Metric
from leaktui.text import format_duration

HEIGHT = 3
_BARS = " ▁▂▃▄▅▆▇█"
_SWAP = "┆"
_LEAST_SPAN = 0.1
_LEAST_WIDTH = 16


@dataclass(frozen=True, slots=True)
class Graph:
    """Rows from the top, all of one width. `turn` is the column where the repaired build took over, None without.

    `title` names the number; `foot` its values and the time, for a line below.
    """

    title: str
    rows: tuple[str, ...]
    foot: str
    turn: int | None = None


def graph_for(state: State, step: StepState, width: int, height: int = HEIGHT) -> Graph | None:
    """The graph of *step* in *width* columns; None where it has none, or too little of it was seen."""
    metric, sight = step.graph, state.sight
    if metric is None or sight is None or width < _LEAST_WIDTH:
        return None
    newest = tuple(sight.series.get(metric, ()))
    before = state.before.points if state.before is not None else newest
    after = newest if state.before is not None and sight.snapshot.target.pid == state.after_pid else ()
    if len(before) < 2:
        return None
    return draw_graph(metric, before, after, width, height)


def draw_graph(
    metric: Metric,
    before: Sequence[tuple[float, float]],
    after: Sequence[tuple[float, float]],
    width: int,
    height: int = HEIGHT,
) -> Graph:
    """*before*, and *after* it where there is one; points are (seconds, value), *before* not empty."""
    points = [*before, *after]
    start, end = points[0][0], max(points[-1][0], points[0][0] + 1.0)
    values = [value for _, value in points]
    low, high = min(values), max(values)
    if low <= high / 2:
        low = 0.0
    span = max(high - low, abs(high) * _LEAST_SPAN, 1e-9)
    turn = round((after[0][0] - start) / (end - start) * (width - 1)) if after else None
    columns: list[float | None] = [None] * width
    for time, value in points:
        index = min(width - 1, max(0, round((time - start) / (end - start) * (width - 1))))
        columns[index] = value
    filled = _filled(columns, turn)
    rows = tuple(_row(filled, turn, level, height, low, span) for level in range(height - 1, -1, -1))
    length = format_duration(end - start)
    first, last = value_of(metric, before[0][1]), value_of(metric, before[-1][1])
    foot = f"{first} → {last} in {length}"
    if after:
        then = f"{value_of(metric, after[0][1])} → {value_of(metric, after[-1][1])}"
        foot = f"before {first} → {last}   {_SWAP} after the fix {then}"
    return Graph(SHORT_METRICS[metric], rows, foot, turn)


def _filled(columns: Sequence[float | None], turn: int | None) -> list[float | None]:
    """Each column with a value, between two that were seen on the line between them; none crosses *turn*."""
    filled = list(columns)
    known = [index for index, value in enumerate(columns) if value is not None]
    for left, right in pairwise(known):
        if turn is not None and left < turn <= right:
            continue
        first, last = columns[left], columns[right]
        if first is None or last is None:
            continue
        for index in range(left + 1, right):
            filled[index] = first + (last - first) * (index - left) / (right - left)
    return filled


def _row(
    columns: Sequence[float | None], turn: int | None, level: int, height: int, low: float, span: float
) -> str:
    cells = []
    for index, value in enumerate(columns):
        if turn is not None and index == turn:
            cells.append(_SWAP)
        elif value is None:
            cells.append(" ")
        else:
            eighths = round((value - low) / span * (8 * height - 1)) + 1
            cells.append(_BARS[min(8, max(0, eighths - 8 * level))])
    return "".join(cells)


def draw_curves(state: State, step: StepState, width: int) -> list[str] | None:
    """The graph of *step* as plain lines; None where it has none."""
    graph = graph_for(state, step, width)
    return [*graph.rows, f"{graph.title}: {graph.foot}"] if graph is not None else None
