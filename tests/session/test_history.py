"""Bounded memory: what is kept, what is thinned."""

from __future__ import annotations

from leaktui.model.goroutine import Goroutine, GoroutineGroup
from leaktui.model.process import ProcessStat
from leaktui.model.snapshot import Snapshot
from leaktui.model.target import Target
from leaktui.session.history import History, Metric, Point


def snapshot(second: int, *, dump: tuple[Goroutine, ...] | None = None, dump_time: float = 0.0) -> Snapshot:
    return Snapshot(
        time=float(second),
        target=Target(pid=1),
        process=ProcessStat(1000 + second, 0, 4, 0.0, 10, 1024),
        process_time=float(second),
        groups=(GoroutineGroup(second, ()),),
        groups_time=float(second),
        goroutines=dump,
        goroutines_time=dump_time,
    )


def test_a_repeated_part_adds_no_point() -> None:
    history = History()
    first = snapshot(1)
    history.add(first)
    history.add(first)
    assert history.series(Metric.RSS) == (Point(1.0, 1001),)
    assert history.series(Metric.GOROUTINES) == (Point(1.0, 1),)


def test_a_part_nobody_delivered_has_no_series() -> None:
    history = History()
    history.add(Snapshot(time=0.0, target=Target(pid=1)))
    assert all(history.series(metric) == () for metric in Metric)


def test_series_and_snapshots_stay_bounded_and_keep_their_ends() -> None:
    history = History(capacity=50, heavy_snapshots=10)
    for second in range(2000):
        history.add(snapshot(second))
    points = history.series(Metric.RSS)
    assert len(points) <= 50
    assert points[0].time == 0.0
    assert points[-1].time == 1999.0
    kept = history.snapshots
    assert len(kept) <= 21
    assert (kept[0].time, kept[-1].time) == (0.0, 1999.0)
    assert [item.time for item in kept] == sorted(item.time for item in kept)


def test_of_the_dumps_the_first_and_the_newest_are_kept() -> None:
    history = History(dumps=3)
    for second in range(10):
        dump = (Goroutine(second, "select", ()),)
        for part in range(2):
            history.add(snapshot(second * 2 + part, dump=dump, dump_time=float(second * 2)))
    dumps = {item.goroutines[0].goid for item in history.snapshots if item.goroutines is not None}
    assert dumps == {0, 8, 9}
