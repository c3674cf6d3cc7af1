"""Bodies from before we looked that nobody can be seen to have in hand.

Law: they do not grow, so they are no proof of a leak, and a suspect of them is `possible` at most; but more of them
than there are goroutines that could hold one means that most were left behind: such a program is not called clean.
"""

from __future__ import annotations

from collections.abc import Sequence

from leaktui.analysis.bodies import count_bodies
from leaktui.analysis.body_evidence import request_evidence, unattended_bodies
from leaktui.analysis.body_trend import censuses_of
from leaktui.analysis.http_frames import CLIENT_CALLS
from leaktui.analysis.program import Program
from leaktui.analysis.series import captures
from leaktui.model.body import BodyState
from leaktui.model.finding import Confidence, Evidence, Finding, LeakKind
from leaktui.model.goroutine import GoroutineGroup
from leaktui.model.open_body import OpenBody
from leaktui.model.snapshot import Snapshot
from leaktui.model.trace import TraceSummary
from leaktui.text import format_duration

_FORGOTTEN = 5
_LEAST_SECONDS = 15.0
"""What somebody has put aside he may come back to in this time."""


def find_forgotten_bodies(
    snapshots: Sequence[Snapshot], traces: Sequence[TraceSummary], program: Program
) -> list[Finding]:
    """A suspect for all of them together, where there are enough."""
    taken = captures(snapshots, lambda item: item.groups, lambda item: item.groups_time)
    if len(taken) < 2:
        return []
    old, watched = _untouched(snapshots)
    if len(old) - _hands(taken[-1][1], program) >= _FORGOTTEN:
        since = format_duration(watched)
        text = f"{len(old)} response bodies were opened before we began to look, {since} ago, and nobody reads them"
        evidence = [Evidence("memory", f"{text}; {_few(taken[-1][1], program)}"), *request_evidence(old)]
        return [_finding(len(old), evidence, program)]
    if not traces:
        return []
    lowest = min(count_bodies(groups).unattended for _, groups in taken)
    seen_open = sum(handoff.released_ns is None for handoff in traces[-1].handoffs)
    if lowest - seen_open - _hands(taken[-1][1], program) < _FORGOTTEN:
        return []
    text = f"{lowest} connections have waited for their body to be read or closed all the time we watched"
    evidence = [
        Evidence(snapshots[-1].groups_from, f"{text}; {_few(taken[-1][1], program)}"),
        Evidence("trace", "none was added while watching, so no trace shows who left them"),
    ]
    return [_finding(lowest, evidence, program)]


def _untouched(snapshots: Sequence[Snapshot]) -> tuple[list[OpenBody], float]:
    """Bodies that memory lists now, whose response is older than our first look; and how long ago that was, in seconds.

    Their age is told by the peer's clock, to the second.
    """
    censuses = censuses_of(snapshots)
    if len(censuses) < 2 or censuses[-1][0] - censuses[0][0] < _LEAST_SECONDS:
        return [], 0.0
    began = censuses[0][1].time
    old = [
        body
        for body in unattended_bodies(snapshots)
        if body.state in (BodyState.UNREAD, BodyState.PART_READ)
        and body.opened_time is not None
        and body.opened_time < began
    ]
    return old, censuses[-1][0] - censuses[0][0]


def _hands(groups: Sequence[GoroutineGroup], program: Program) -> int:
    """How many goroutines of the program's own there are: each may have one in hand."""
    return sum(
        group.count for group in groups if any(not program.is_stdlib(frame.function) for frame in group.stack)
    )


def _few(groups: Sequence[GoroutineGroup], program: Program) -> str:
    return f"only {_hands(groups, program)} goroutines of the program could have one in hand"


def _finding(count: int, evidence: Sequence[Evidence], program: Program) -> Finding:
    candidates = program.call_sites(CLIENT_CALLS)
    return Finding(
        kind=LeakKind.HTTP_BODY,
        confidence=Confidence.POSSIBLE,
        function=candidates[0].function if candidates else "",
        location=candidates[0] if candidates else None,
        stack=candidates[:1],
        count=count,
        growth_per_minute=None,
        evidence=tuple(evidence),
        advice="Watch while the service works as it did when they were left, or look through the candidates.",
        candidates=candidates[1:],
    )
