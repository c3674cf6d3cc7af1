"""The graphs of a report: what was counted while it was watched, as data.

Law: pure. A metric nobody has seen twice has no graph; its growth is of the last three minutes, as on the screen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from leaktui.analysis.growth import theil_sen
from leaktui.model.assessment import Slope
from leaktui.session.history import Metric, Point

# Growth is told for the recent past only, so that a leak that was stopped is seen to have stopped.
GROWTH_WINDOW_SECONDS = 180.0
_FEWEST_POINTS = 2

TITLES = {
    Metric.RSS: "Resident memory",
    Metric.LIVE_HEAP: "Live heap",
    Metric.GOROUTINES: "Goroutines",
    Metric.FDS: "File descriptors",
    Metric.OPEN_BODIES: "Open response bodies",
}
_IN_BYTES = frozenset((Metric.RSS, Metric.LIVE_HEAP))


class Series(Protocol):
    """Where the points come from: a session's history."""

    def series(self, metric: Metric) -> tuple[Point, ...]: ...


@dataclass(frozen=True, slots=True)
class Graph:
    """One metric over the time it was watched.

    `points` are (seconds since the first point of all graphs, value), oldest first, at least two. `slope` is of the
    last three minutes, None where too little was seen.
    """

    title: str
    points: tuple[tuple[float, float], ...]
    slope: Slope | None = None
    in_bytes: bool = False


def read_graphs(history: Series) -> tuple[Graph, ...]:
    """The graphs of everything *history* has points of, with one time axis."""
    seen = {metric: history.series(metric) for metric in Metric}
    starts = [points[0].time for points in seen.values() if points]
    began = min(starts, default=0.0)
    graphs = []
    for metric, series in seen.items():
        if len(series) < _FEWEST_POINTS or series[-1].time <= series[0].time:
            continue
        points = tuple((point.time - began, point.value) for point in series)
        recent = [point for point in points if point[0] >= points[-1][0] - GROWTH_WINDOW_SECONDS]
        graphs.append(Graph(TITLES[metric], points, theil_sen(recent), metric in _IN_BYTES))
    return tuple(graphs)
