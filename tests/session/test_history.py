"""Bounded memory: what is kept, what is thinned."""

from __future__ import annotations

from leaktui.model.body import BodyState
from leaktui.model.goroutine import Goroutine, GoroutineGroup
from leaktui.model.open_body import BodyCensus, OpenBody
from leaktui.model.process import ProcessStat
from leaktui.model.snapshot import Snapshot
from leaktui.model.target import Target
from leaktui.session.history import History, Metric, Point


def snapshot(
    second: int,
    *,
    dump: tuple[Goroutine, ...] | None = None,
    dump_time: float = 0.0,
    bodies: BodyCensus | None = None,
) -> Snapshot:
    return Snapshot(
        time=float(second),
        target=Target(pid=1),
        process=ProcessStat(1000 + second, 0, 4, 0.0, 10, 1024),
        process_time=float(second),
        groups=(GoroutineGroup(second, ()),),
        groups_time=float(second),
        goroutines=dump,
        goroutines_time=dump_time,
        bodies=bodies,
        bodies_time=0.0 if bodies is None else bodies.time,
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


def census(second: int) -> BodyCensus:
    """As many bodies nobody reads as seconds have passed, half of them freed, and three that are being read."""
    unread = tuple(
        OpenBody(0, "HTTP/1.1", BodyState.UNREAD, orphaned=number % 2 == 0, body=number)
        for number in range(second)
    )
    read = (OpenBody(7, "HTTP/1.1", BodyState.BEING_READ),) * 3
    return BodyCensus(unread + read, time=float(second), idle_connections=second, unseen=("something",))


def test_bodies_are_kept_one_by_one_for_the_newest_look_only() -> None:
    history = History()
    looks = [census(second) for second in range(6)]
    for look in looks:
        for part in range(3):  # other parts of a snapshot are seen more often
            history.add(snapshot(int(look.time) * 3 + part, bodies=look))
            *older, newest = history.snapshots
            assert newest.bodies is look
            for item in older:
                assert item.bodies is not None
                assert item.bodies is look or item.bodies.bodies == ()
    assert len(history.snapshots) == 18
    for item in history.snapshots:
        assert item.bodies is not None
        look = looks[int(item.bodies.time)]
        assert item.bodies.counts == look.counts
        assert item.bodies.counts.unattended == look.time
        assert item.bodies.counts.open == look.time + 3
        assert item.bodies.counts.orphaned == (int(look.time) + 1) // 2
        assert (item.bodies.idle_connections, item.bodies.unseen) == (look.idle_connections, look.unseen)
    assert history.latest is not None
    assert history.latest.bodies is looks[-1]


def test_the_series_of_open_bodies_has_a_point_for_every_look() -> None:
    history = History()
    for second in range(6):
        look = census(second)
        for part in range(3):
            history.add(snapshot(second * 3 + part, bodies=look))
    assert history.series(Metric.OPEN_BODIES) == tuple(Point(float(second), second) for second in range(6))
