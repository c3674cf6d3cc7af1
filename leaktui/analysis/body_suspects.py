"""Suspects of kind http-body.

Law: the number of unattended bodies must rise (or bodies must have waited for minutes) before anyone is
suspected, and only a hand-off seen in a trace names an owner; without one the call sites in the binary
are candidates, never suspects of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from leaktui.analysis.bodies import count_bodies
from leaktui.analysis.growth import rises, theil_sen
from leaktui.analysis.handoffs import JudgedHandoff, OwnerTally, judge_handoffs, tally_owners
from leaktui.analysis.http_frames import waits_for_body
from leaktui.analysis.program import Program
from leaktui.analysis.series import captures
from leaktui.model.finding import Confidence, Evidence, Finding, LeakKind
from leaktui.model.frame import Frame
from leaktui.model.snapshot import Snapshot
from leaktui.model.trace import TraceSummary
from leaktui.text import format_duration, format_rate, short_function

LEAST_GAIN = 3
_CERTAIN = 8
"""So many bodies, and more all the time, are a leak whoever leaves them."""

_OLD_MINUTES = 2
_FORGOTTEN = 5
_CLIENT_CALLS = (
    "net/http.(*Client).do",
    "net/http.(*Client).Get",
    "net/http.(*Client).Post",
    "net/http.(*Client).PostForm",
    "net/http.(*Client).Head",
    "net/http.(*Transport).RoundTrip",
)


@dataclass(frozen=True, slots=True)
class BodyTrend:
    """Unattended bodies over time."""

    open: int
    unattended: int
    rising: bool
    gain: int
    per_minute: float | None
    seconds: float
    oldest_wait_minutes: int


def body_trend(snapshots: Sequence[Snapshot]) -> BodyTrend | None:
    """How many bodies nobody attends to, and whether that rises; None without a goroutine profile."""
    taken = captures(snapshots, lambda item: item.groups, lambda item: item.groups_time)
    if not taken:
        return None
    counts = [(time, count_bodies(groups)) for time, groups in taken]
    points = [(time, float(count.unattended)) for time, count in counts]
    latest = counts[-1][1]
    slope = rises(points, least_gain=LEAST_GAIN)
    trend = slope or theil_sen(points)
    return BodyTrend(
        open=latest.open,
        unattended=latest.unattended,
        rising=slope is not None,
        gain=round(points[-1][1] - points[0][1]),
        per_minute=trend.per_minute if trend is not None else None,
        seconds=points[-1][0] - points[0][0],
        oldest_wait_minutes=_oldest_wait(snapshots),
    )


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


@dataclass(frozen=True, slots=True)
class BodySuspects:
    """Findings, with what the other analyses need to leave to them."""

    findings: tuple[Finding, ...]
    judged: tuple[JudgedHandoff, ...]
    tallies: tuple[OwnerTally, ...]
    trend: BodyTrend | None


def find_body_suspects(
    snapshots: Sequence[Snapshot], traces: Sequence[TraceSummary], program: Program
) -> BodySuspects:
    """Owners of bodies left open; the one that leaves most of them first."""
    trend = body_trend(snapshots)
    judged = tuple(item for trace in traces for item in judge_handoffs(trace, program))
    seconds = sum(trace.duration_ns for trace in traces) / 1e9
    tallies = tally_owners(judged, seconds, program)
    if trend is None:
        return BodySuspects((), judged, tuple(tallies), None)
    findings: list[Finding] = []
    guilty = [tally for tally in tallies if tally.left_open and _is_guilty(tally, trend)]
    total_left = sum(tally.left_open for tally in guilty)
    for tally in guilty:
        share = tally.left_open / total_left
        findings.append(_finding(tally, trend, share, program))
    if not findings and (
        trend.rising or (trend.unattended >= LEAST_GAIN and trend.oldest_wait_minutes >= _OLD_MINUTES)
    ):
        findings.append(_unlocated(trend, bool(traces), program))
    return BodySuspects(tuple(findings), judged, tuple(tallies), trend)


def _is_guilty(tally: OwnerTally, trend: BodyTrend) -> bool:
    """Enough bodies left open, for longer than this owner ever takes to release one."""
    # A plateau in the middle of watching may hide a slow leak: a clear tally still counts then.
    if not trend.rising and min(trend.gain, tally.left_open) < LEAST_GAIN:
        return False
    if tally.left_open == 1 and tally.released:
        return False
    # A pool of readers that hand bodies around leaves a few open at any moment: as many as it takes
    # opening rate times release time. More than that, and they are not coming back.
    if tally.released >= 5:
        ordered = sorted(tally.release_seconds)
        slow = ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))]
        expected = tally.opened / max(tally.seconds, 0.001) * slow
        return tally.left_open > 2 * expected + 1 or tally.share_left > 0.8
    return True


def _finding(tally: OwnerTally, trend: BodyTrend, share: float, program: Program) -> Finding:
    attribution = tally.attribution
    frame = attribution.frame
    known = tally.released + tally.left_open
    strong = tally.left_open >= LEAST_GAIN and attribution.sure and not program.is_stdlib(frame.function)
    where = f"{short_function(frame.function)}"
    evidence = [
        Evidence(
            "trace",
            f"{tally.left_open} of {known} response bodies handed to {where} in {tally.seconds:.0f} s"
            f" were left open, and {_callers(tally)}",
        )
    ]
    if trend.per_minute is not None:
        evidence.append(
            Evidence(
                "pprof",
                f"{trend.unattended} connections wait for a body that nobody reads"
                f" ({format_rate(trend.per_minute)} over {format_duration(trend.seconds)})",
            )
        )
    if tally.released:
        evidence.append(
            Evidence(
                "trace", f"{tally.released} others opened at the same line were released: a path forgets it"
            )
        )
    for exit_ in attribution.exits[:3]:
        file = exit_.file.rpartition("/")[2]
        evidence.append(
            Evidence(
                "binary", f"{short_function(exit_.function)} leaves at {file}:{exit_.line} without closing it"
            )
        )
    if not attribution.exits:
        for place in attribution.panics[:2]:
            file = place.file.rpartition("/")[2]
            evidence.append(
                Evidence(
                    "binary", f"a panic at {file}:{place.line} would skip its Close, which is not deferred"
                )
            )
    if attribution.reason:
        evidence.append(Evidence(attribution.reason_from, f"{where} is named because {attribution.reason}"))
    if tally.busy:
        evidence.append(Evidence("trace", f"{tally.busy} more are in use and not counted"))
    per_minute = trend.per_minute * share if trend.per_minute is not None else None
    return Finding(
        kind=LeakKind.HTTP_BODY,
        confidence=Confidence.LIKELY if strong else Confidence.POSSIBLE,
        function=frame.function,
        location=frame,
        stack=tally.stack,
        count=max(tally.left_open, round(trend.unattended * share)),
        growth_per_minute=per_minute,
        evidence=tuple(evidence),
        surely_grows=trend.per_minute is not None
        and max(tally.left_open, trend.unattended * share) >= _CERTAIN,
        advice=_advice(tally),
        candidates=tuple(
            frame
            for frame in (*attribution.alternatives, *tally.round_trippers)
            if frame != attribution.frame
        ),
    )


def _callers(tally: OwnerTally) -> str:
    if tally.callers_ended == tally.left_open:
        return "the goroutines that asked for them have ended"
    if tally.callers_ended == 0:
        return "the goroutines that asked for them went on without them"
    return "the goroutines that asked for them have ended or went on"


def _advice(tally: OwnerTally) -> str:
    if tally.attribution.replaces:
        return "Close the body you got before you put another in its place, or close both in the new body's Close."
    if tally.released:
        return (
            "Some path leaves without closing: put `defer resp.Body.Close()` right after the error check, "
            "before any return, retry or continue."
        )
    return "Close resp.Body on every path: `defer resp.Body.Close()` right after the error check."


def _unlocated(trend: BodyTrend, traced: bool, program: Program) -> Finding:
    candidates = program.call_sites(_CLIENT_CALLS)
    evidence = [
        Evidence(
            "pprof",
            f"{trend.unattended} connections wait for a body that nobody reads"
            + (f" ({format_rate(trend.per_minute)})" if trend.per_minute else ""),
        )
    ]
    if trend.oldest_wait_minutes >= _OLD_MINUTES:
        evidence.append(Evidence("pprof", f"the oldest has waited {trend.oldest_wait_minutes} minutes"))
    evidence.append(
        Evidence(
            "trace",
            "no hand-off of a leaked body was seen while tracing"
            if traced
            else "no execution trace was taken",
        )
    )
    only = candidates[0] if len(candidates) == 1 else None
    return Finding(
        kind=LeakKind.HTTP_BODY,
        confidence=Confidence.POSSIBLE,
        function=only.function if only else "",
        location=only,
        stack=(only,) if only else (),
        count=trend.unattended,
        growth_per_minute=trend.per_minute if trend.rising else None,
        evidence=tuple(evidence),
        surely_grows=trend.rising and trend.unattended >= _CERTAIN,
        advice="Look through the candidates for a path without Close, or watch while the leak is active.",
        candidates=_without(candidates, only),
    )


def find_forgotten_bodies(
    snapshots: Sequence[Snapshot], traces: Sequence[TraceSummary], program: Program
) -> list[Finding]:
    """Bodies from before we looked that nobody can be seen to have in hand.

    They do not grow, so they are no proof of a leak; but more of them than there are goroutines that could
    hold one means that most were left behind.
    """
    taken = captures(snapshots, lambda item: item.groups, lambda item: item.groups_time)
    if not traces or len(taken) < 2:
        return []
    lowest = min(count_bodies(groups).unattended for _, groups in taken)
    seen_open = sum(handoff.released_ns is None for handoff in traces[-1].handoffs)
    hands = sum(
        group.count
        for group in taken[-1][1]
        if any(not program.is_stdlib(frame.function) for frame in group.stack)
    )
    forgotten = lowest - seen_open - hands
    if forgotten < _FORGOTTEN:
        return []
    candidates = program.call_sites(_CLIENT_CALLS)
    evidence = (
        Evidence(
            "pprof",
            f"{lowest} connections have waited for their body to be read or closed all the time we watched; only"
            f" {hands} goroutines of the program could have one in hand",
        ),
        Evidence("trace", "none was added while watching, so no trace shows who left them"),
    )
    return [
        Finding(
            kind=LeakKind.HTTP_BODY,
            confidence=Confidence.POSSIBLE,
            function=candidates[0].function if candidates else "",
            location=candidates[0] if candidates else None,
            stack=candidates[:1],
            count=lowest,
            growth_per_minute=None,
            evidence=evidence,
            advice="Watch while the service works as it did when they were left, or look through the candidates.",
            candidates=candidates[1:],
        )
    ]


def _without(frames: tuple[Frame, ...], frame: Frame | None) -> tuple[Frame, ...]:
    return tuple(item for item in frames if item is not frame)
