"""Bounded memory of a session.

Law: memory is bounded whatever the target's size and however long one watches. Series keep every point
up to a capacity, then thin by halves from the old end; big parts (dumps, heap profiles) are kept for
the first and the newest few snapshots only, response bodies one by one and ledgers for the newest.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from enum import Enum

from leaktui.analysis.bodies import count_open_bodies
from leaktui.model.snapshot import Snapshot


class Metric(Enum):
    """A number of the strip on top."""

    RSS = "rss"
    LIVE_HEAP = "heap"
    GOROUTINES = "goroutines"
    FDS = "fds"
    OPEN_BODIES = "bodies"


@dataclass(frozen=True, slots=True)
class Point:
    """A value at a time; `time` is seconds on the session's monotonic clock."""

    time: float
    value: float


class History:
    """Snapshots and series of one session. Safe to use from several threads."""

    def __init__(self, capacity: int = 720, heavy_snapshots: int = 48, dumps: int = 3) -> None:
        self._capacity = capacity
        self._heavy = heavy_snapshots
        self._dumps = dumps
        self._lock = threading.Lock()
        self._snapshots: list[Snapshot] = []
        self._series: dict[Metric, list[Point]] = {metric: [] for metric in Metric}

    def add(self, snapshot: Snapshot) -> None:
        """Remember *snapshot*, and thin what is old."""
        with self._lock:
            previous = self._snapshots[-1] if self._snapshots else None
            self._snapshots.append(snapshot)
            self._drop_bodies(snapshot)
            self._drop_ledgers()
            for metric, point in _points(snapshot, previous):
                series = self._series[metric]
                series.append(point)
                if len(series) > self._capacity:
                    half = self._capacity // 2
                    self._series[metric] = series[:half:2] + series[half:]
            self._thin()

    def _drop_bodies(self, newest: Snapshot) -> None:
        """Leave the bodies one by one to the newest snapshot that has seen them; of the others, their number."""
        for index in range(len(self._snapshots) - 2, -1, -1):
            older = self._snapshots[index]
            if older.bodies is None or older.bodies.kept_counts is not None:
                return
            if older.bodies is not newest.bodies:
                self._snapshots[index] = replace(older, bodies=older.bodies.without_bodies())

    def _drop_ledgers(self) -> None:
        """Leave the ledgers to the newest snapshot: each tells of all the time since its probes were armed."""
        if len(self._snapshots) > 1 and self._snapshots[-2].ledgers:
            self._snapshots[-2] = replace(self._snapshots[-2], ledgers=())

    def _thin(self) -> None:
        snapshots = self._snapshots
        # The first dump is the baseline, the newest are for comparison; those between are dropped.
        holding = [
            index
            for index, item in enumerate(snapshots)
            if item.goroutines is not None
            and (index == 0 or item.goroutines is not snapshots[index - 1].goroutines)
        ]
        if len(holding) > self._dumps:
            first_to_drop, next_kept = holding[1], holding[2]
            for index in range(first_to_drop, next_kept):
                snapshots[index] = replace(snapshots[index], goroutines=None, goroutines_time=0.0)
        if len(snapshots) > self._heavy * 2:
            self._snapshots = snapshots[: self._heavy : 2] + snapshots[self._heavy :]

    @property
    def snapshots(self) -> tuple[Snapshot, ...]:
        """What is kept, oldest first."""
        with self._lock:
            return tuple(self._snapshots)

    @property
    def latest(self) -> Snapshot | None:
        """The newest snapshot."""
        with self._lock:
            return self._snapshots[-1] if self._snapshots else None

    def series(self, metric: Metric) -> tuple[Point, ...]:
        """The points of one metric, oldest first."""
        with self._lock:
            return tuple(self._series[metric])


def _points(snapshot: Snapshot, previous: Snapshot | None) -> list[tuple[Metric, Point]]:
    """The points *snapshot* adds: only parts that are newer than in *previous*."""
    points = []
    if snapshot.process is not None and (
        previous is None or snapshot.process_time > previous.process_time or previous.process is None
    ):
        points.append((Metric.RSS, Point(snapshot.process_time, snapshot.process.rss_bytes)))
        if snapshot.process.fd_count is not None:
            points.append((Metric.FDS, Point(snapshot.process_time, snapshot.process.fd_count)))
    if snapshot.groups is not None and (previous is None or snapshot.groups is not previous.groups):
        count = sum(group.count for group in snapshot.groups)
        points.append((Metric.GOROUTINES, Point(snapshot.groups_time, count)))
        if snapshot.bodies is None:
            open_bodies = count_open_bodies(snapshot.groups)
            points.append((Metric.OPEN_BODIES, Point(snapshot.groups_time, open_bodies)))
    if snapshot.bodies is not None and (previous is None or snapshot.bodies is not previous.bodies):
        points.append((Metric.OPEN_BODIES, Point(snapshot.bodies_time, snapshot.bodies.counts.unattended)))
    if snapshot.heap is not None and (previous is None or snapshot.heap is not previous.heap):
        live = sum(site.inuse_bytes for site in snapshot.heap.sites)
        points.append((Metric.LIVE_HEAP, Point(snapshot.heap_time, live)))
    return points
