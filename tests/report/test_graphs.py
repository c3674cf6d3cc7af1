"""What of a session's history becomes a graph."""

from __future__ import annotations

from dataclasses import dataclass, field

from leaktui.report.graphs import read_graphs
from leaktui.session.history import Metric, Point


@dataclass
class History:
    points: dict[Metric, tuple[Point, ...]] = field(default_factory=dict)

    def series(self, metric: Metric) -> tuple[Point, ...]:
        return self.points.get(metric, ())


def line(start: float, count: int, step: float, per_step: float) -> tuple[Point, ...]:
    return tuple(Point(start + index * step, 10 + index * per_step) for index in range(count))


def test_all_graphs_share_one_beginning() -> None:
    history = History({Metric.RSS: line(100, 10, 1, 0), Metric.OPEN_BODIES: line(104, 10, 1, 5)})
    rss, bodies = read_graphs(history)
    assert (rss.title, rss.in_bytes, rss.points[0][0]) == ("Resident memory", True, 0.0)
    assert (bodies.title, bodies.in_bytes, bodies.points[0]) == ("Open response bodies", False, (4.0, 10.0))
    assert bodies.slope is not None and bodies.slope.rising and round(bodies.slope.per_minute) == 300
    assert rss.slope is not None and not rss.slope.rising


def test_growth_is_of_the_last_three_minutes() -> None:
    rising = line(0, 60, 10, 5)
    level = tuple(Point(rising[-1].time + index * 10, rising[-1].value) for index in range(1, 30))
    (graph,) = read_graphs(History({Metric.FDS: rising + level}))
    assert len(graph.points) == 89 and graph.slope is not None and graph.slope.per_minute == 0


def test_one_point_is_no_graph() -> None:
    assert read_graphs(History({Metric.FDS: line(0, 1, 1, 1)})) == ()
    assert read_graphs(History()) == ()
    assert read_graphs(History({Metric.FDS: (Point(1, 2), Point(1, 3))})) == ()
