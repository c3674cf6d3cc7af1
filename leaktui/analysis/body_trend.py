"""How many response bodies nobody attends to, and whether that rises.

Law: one series comes from one source. Where memory lists the bodies themselves their number counts; else
the goroutines that wait for bodies do (`bodies.count_bodies`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from leaktui.analysis.bodies import count_bodies
from leaktui.analysis.growth import rises, theil_sen
from leaktui.analysis.http_frames import waits_for_body
from leaktui.analysis.series import captures
from leaktui.model.ledger import Ledger
from leaktui.model.open_body import BodyCensus
from leaktui.model.snapshot import Snapshot

LEAST_GAIN = 3


@dataclass(frozen=True, slots=True)
class BodyTrend:
    """Unattended bodies over time, as `source` counts them; `dumped_by` listed goroutines one by one.

    `orphaned` of them nobody can close any more (0 also where that cannot be seen). `also_counted` is what
    another source counts now.
    """

    open: int
    unattended: int
    rising: bool
    gain: int
    per_minute: float | None
    seconds: float
    oldest_wait_minutes: int
    source: str = "pprof"
    dumped_by: str = "pprof"
    orphaned: int = 0
    also_counted: tuple[tuple[str, int], ...] = ()


def body_trend(snapshots: Sequence[Snapshot]) -> BodyTrend | None:
    """How many bodies nobody attends to, and whether that rises; None where no source sees them."""
    latest = snapshots[-1]
    also: tuple[tuple[str, int], ...] = ()
    censuses = censuses_of(snapshots)
    if censuses:
        now = censuses[-1][1].counts
        source, orphaned, open_now = "memory", now.orphaned, now.open
        points = [(time, float(census.counts.unattended)) for time, census in censuses]
        also = tuple((look.source, count_bodies(look.groups).unattended) for look in latest.also)
        if latest.groups is not None and latest.groups_from != source:
            also = ((latest.groups_from, count_bodies(latest.groups).unattended), *also)
    else:
        taken = captures(snapshots, lambda item: item.groups, lambda item: item.groups_time)
        if not taken:
            return None
        source, orphaned = latest.groups_from, 0
        counts = [(time, count_bodies(groups)) for time, groups in taken]
        points = [(time, float(count.unattended)) for time, count in counts]
        open_now = counts[-1][1].open
    slope = rises(points, least_gain=LEAST_GAIN)
    trend = slope or theil_sen(points)
    return BodyTrend(
        open=open_now,
        unattended=round(points[-1][1]),
        rising=slope is not None,
        gain=round(points[-1][1] - points[0][1]),
        per_minute=trend.per_minute if trend is not None else None,
        seconds=points[-1][0] - points[0][0],
        oldest_wait_minutes=_oldest_wait(snapshots),
        source=source,
        dumped_by=latest.goroutines_from,
        orphaned=orphaned,
        also_counted=also,
    )


def ledger_trend(ledger: Ledger) -> BodyTrend:
    """The same from the books of probes: those opened while they were armed, busy ones too."""
    points = [(time, float(count)) for time, count in ledger.points]
    slope = rises(points, least_gain=LEAST_GAIN) if points else None
    trend = slope or (theil_sen(points) if len(points) > 1 else None)
    return BodyTrend(
        open=ledger.still_open,
        unattended=ledger.still_open,
        rising=slope is not None,
        gain=ledger.still_open,
        per_minute=trend.per_minute if trend is not None else None,
        seconds=ledger.seconds,
        oldest_wait_minutes=0,
        source="probes",
        dumped_by="probes",
    )


def censuses_of(snapshots: Sequence[Snapshot]) -> list[tuple[float, BodyCensus]]:
    """(seconds, the bodies then) for every look at the bodies themselves."""
    return captures(snapshots, lambda item: item.bodies, lambda item: item.bodies_time)


def _oldest_wait(snapshots: Sequence[Snapshot]) -> int:
    for snapshot in reversed(snapshots):
        if snapshot.goroutines is not None:
            waits = [
                item.wait_minutes or 0
                for item in snapshot.goroutines
                if waits_for_body(item.stack, item.wait_reason)
            ]
            return max(waits, default=0)
    return 0
