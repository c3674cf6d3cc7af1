"""The newest facts of an investigation, read at one moment into one frozen value."""

from __future__ import annotations

from leaktui.engines.protocol import Want
from leaktui.session.history import Metric
from leaktui.tui.facts import Facts
from leaktui.tui.orders import Orders
from leaktui.tui.source import InvestigationLike


def read_facts(
    investigation: InvestigationLike,
    orders: Orders,
    *,
    now: float,
    wall_time: float,
    paused: bool,
    baseline_at: float | None,
    capture: str = "",
) -> Facts:
    """What is known at *now* (monotonic seconds); *wall_time* is seconds since 1970."""
    session = investigation.session
    snapshot = session.snapshot
    exited = session.exited
    if exited is not None or paused:
        now = snapshot.time
    started_at = snapshot.target.started_at
    return Facts(
        snapshot=snapshot,
        assessment=investigation.assessment,
        series={metric: session.history.series(metric) for metric in Metric},
        capabilities=session.capabilities,
        watched_seconds=max(0.0, now - investigation.started),
        uptime_seconds=wall_time - started_at if started_at is not None else None,
        baseline_seconds=now - baseline_at if baseline_at is not None else None,
        paused=paused,
        exited=exited,
        searching=orders.searching,
        searched=orders.searched,
        under_way=long_looks(investigation),
        capture=capture,
        # Only what plays a capture has one.
        shortfall=getattr(investigation, "shortfall", ""),
    )


def count_sorts(investigation: InvestigationLike) -> int:
    """How many sorts of facts there are to be shown, of the process and as judged."""
    snapshot, assessment = investigation.session.snapshot, investigation.assessment
    seen = (snapshot.process, snapshot.fds, snapshot.groups, snapshot.heap, snapshot.bodies)
    judged = (assessment.groups, assessment.sites, assessment.fds, assessment.bodies)
    return sum(item is not None for item in seen) + sum(map(bool, judged))


def long_looks(investigation: InvestigationLike | None) -> frozenset[Want]:
    """The long captures that were ordered and have not ended."""
    if investigation is None:
        return frozenset()
    return frozenset(want for want in Want if investigation.session.is_under_way(want))
