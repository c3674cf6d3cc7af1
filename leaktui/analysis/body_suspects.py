"""Suspects of kind http-body.

Law: the number of unattended bodies must rise (or bodies must have waited for minutes) before anyone is
suspected, and only one who was seen to be handed bodies is named an owner; without one the call sites in the
binary are candidates, never suspects of their own. Books that pair every opening with its Close need no trend.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from leaktui.analysis.body_books import body_accounts, judged_of, pairing_evidence, tallies_of
from leaktui.analysis.body_evidence import (
    growth_text,
    orphan_evidence,
    request_evidence,
    trend_evidence,
    unattended_bodies,
)
from leaktui.analysis.body_trend import LEAST_GAIN, BodyTrend, body_trend, ledger_trend
from leaktui.analysis.handoffs import Fate, JudgedHandoff, OwnerTally, judge_handoffs, tally_owners
from leaktui.analysis.http_frames import CLIENT_CALLS, frame_key
from leaktui.analysis.ledger_accounts import Account
from leaktui.analysis.program import Program
from leaktui.analysis.series import captures
from leaktui.model.finding import Confidence, Evidence, Finding, LeakKind
from leaktui.model.frame import Frame
from leaktui.model.ledger import Ledger, LedgerKind
from leaktui.model.open_body import OpenBody
from leaktui.model.snapshot import Snapshot
from leaktui.model.trace import TraceSummary
from leaktui.text import format_duration, short_function

_CERTAIN = 8
"""So many bodies, and more all the time, are a leak whoever leaves them."""

_EXPLAINING_SECONDS = 5.0
_LEAST_LOST = 2
"""So many of those looked for must be out of everybody's reach."""

_OLD_MINUTES = 2


@dataclass(frozen=True, slots=True)
class BodySuspects:
    """Findings, with what the other analyses need to leave to them.

    `by_source` are the hand-offs of each source that saw some, with their fates; `tallies` are of the source
    that the findings rest on, `accounts` what the books of probes say of each owner.
    """

    findings: tuple[Finding, ...]
    by_source: tuple[tuple[str, tuple[JudgedHandoff, ...]], ...]
    tallies: tuple[OwnerTally, ...]
    trend: BodyTrend | None
    accounts: tuple[Account, ...] = ()


@dataclass(frozen=True, slots=True)
class _Look:
    """What one source saw of hand-offs. With a ledger, `accounts` are what `tallies` were made from."""

    source: str
    judged: tuple[JudgedHandoff, ...]
    tallies: tuple[OwnerTally, ...]
    ledger: Ledger | None = None
    accounts: tuple[Account, ...] = ()


def find_body_suspects(
    snapshots: Sequence[Snapshot], traces: Sequence[TraceSummary], program: Program
) -> BodySuspects:
    """Owners of bodies left open; the one that leaves most of them first."""
    latest = snapshots[-1]
    accounts = body_accounts(latest, program)
    ledger = latest.ledger(LedgerKind.BODIES)
    trend = body_trend(snapshots)
    if ledger is not None:
        booked = ledger_trend(ledger)
        if trend is None:
            trend = booked
        elif trend.per_minute is None:
            trend = replace(trend, per_minute=booked.per_minute)
    looks = _looks(snapshots, traces, program)
    if ledger is not None:
        paired = [account for account in accounts if account.attribution is not None]
        tallies = tallies_of(paired, ledger)
        looks.append(_Look("probes", judged_of(paired, latest), tallies, ledger, tuple(paired)))
    by_source = tuple((look.source, look.judged) for look in looks)
    if trend is None:
        return BodySuspects((), by_source, (), None, accounts)
    bodies = {body.holder_goid: body for body in unattended_bodies(snapshots) if body.holder_goid}
    # Books see every body there is, a trace every hand-off while it lasts, memory those whose caller it catches.
    looks.sort(key=lambda item: (item.ledger is None, -sum(tally.left_open for tally in item.tallies)))
    findings: list[Finding] = []
    for look in looks:
        findings = _findings_of(look, looks, trend, bodies, program)
        if findings:
            break
    tallies = next((look.tallies for look in looks if look.tallies), ())
    if (
        not findings
        and not (ledger is not None and _is_explained(ledger, accounts, trend))
        and (
            trend.rising
            or trend.orphaned >= LEAST_GAIN
            or (trend.unattended >= LEAST_GAIN and trend.oldest_wait_minutes >= _OLD_MINUTES)
        )
    ):
        findings.append(_unlocated(trend, bool(traces), program, unattended_bodies(snapshots)))
    return BodySuspects(tuple(findings), by_source, tallies, trend, accounts)


def _is_explained(ledger: Ledger, accounts: Sequence[Account], trend: BodyTrend) -> bool:
    """Whether books that see every body show nobody who leaves any, however many are open at the moment."""
    if trend.orphaned >= LEAST_GAIN or trend.oldest_wait_minutes >= _OLD_MINUTES:
        return False
    whole = ledger.exact and not ledger.dropped and ledger.seconds >= _EXPLAINING_SECONDS
    return whole and ledger.opened >= LEAST_GAIN and not any(account.left_open for account in accounts)


def _findings_of(
    look: _Look, looks: Sequence[_Look], trend: BodyTrend, bodies: Mapping[int, OpenBody], program: Program
) -> list[Finding]:
    """Who is guilty by what one source saw."""
    held = {id(tally): _held_by(tally, look, bodies) for tally in look.tallies}
    guilty = [
        (index, tally)
        for index, tally in enumerate(look.tallies)
        if tally.left_open
        and not _is_acquitted(tally, held[id(tally)], look, looks)
        and _is_guilty(tally, trend, held[id(tally)], paired=look.ledger is not None)
    ]
    total_left = sum(tally.left_open for _, tally in guilty)
    findings = []
    for index, tally in guilty:
        share = tally.left_open / total_left
        others = [other for other in looks if other is not look]
        account = look.accounts[index] if look.accounts else None
        findings.append(_finding(tally, trend, share, program, look, others, held[id(tally)], account))
    return findings


def _looks(snapshots: Sequence[Snapshot], traces: Sequence[TraceSummary], program: Program) -> list[_Look]:
    watches = [watch for _, watch in captures(snapshots, lambda s: s.handoffs, lambda s: s.handoffs_time)]
    looks = []
    for source, spans in (
        ("trace", [(trace.handoffs, trace.end_ns, trace.duration_ns) for trace in traces]),
        ("memory", [(watch.handoffs, watch.end_ns, watch.end_ns - watch.start_ns) for watch in watches]),
    ):
        if not spans:
            continue
        judged = tuple(item for handoffs, end, _ in spans for item in judge_handoffs(handoffs, end, program))
        seconds = sum(duration for _, _, duration in spans) / 1e9
        looks.append(_Look(source, judged, tuple(tally_owners(judged, seconds, program))))
    return looks


def _held_by(tally: OwnerTally, look: _Look, bodies: Mapping[int, OpenBody]) -> list[OpenBody]:
    """Those of *bodies* (by the goroutine that waits for them) that *tally*'s owner was handed last."""
    last: dict[int, JudgedHandoff] = {}
    for item in look.judged:
        last[item.handoff.holder_goid] = item
    place = frame_key(tally.attribution.frame)
    return [
        bodies[goid]
        for goid, item in last.items()
        if goid in bodies
        and item.fate is Fate.LEFT_OPEN
        and item.owner is not None
        and frame_key(item.owner.frame) == place
    ]


def _is_guilty(tally: OwnerTally, trend: BodyTrend, held: Sequence[OpenBody], *, paired: bool) -> bool:
    """Enough bodies left open, for longer than this owner ever takes to release one."""
    if paired and tally.left_open < LEAST_GAIN:
        return False
    if sum(body.orphaned is True for body in held) >= LEAST_GAIN:
        return True
    # A plateau in the middle of watching may hide a slow leak: a clear tally still counts then.
    if not paired and not trend.rising and min(trend.gain, tally.left_open) < LEAST_GAIN:
        return False
    if tally.left_open == 1 and tally.released:
        return False
    # A pool of readers that hand bodies around leaves a few open at any moment: as many as it takes
    # opening rate times release time. More than that, and they are not coming back.
    if tally.released >= 5 and tally.release_seconds:
        ordered = sorted(tally.release_seconds)
        slow = ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))]
        expected = tally.opened / max(tally.seconds, 0.001) * slow
        return tally.left_open > 2 * expected + 1 or tally.share_left > 0.8
    return True


def _finding(
    tally: OwnerTally,
    trend: BodyTrend,
    share: float,
    program: Program,
    look: _Look,
    others: Sequence[_Look],
    held: Sequence[OpenBody],
    account: Account | None,
) -> Finding:
    attribution = tally.attribution
    frame = attribution.frame
    known = tally.released + tally.left_open
    strong = tally.left_open >= LEAST_GAIN and attribution.sure and not program.is_stdlib(frame.function)
    where = f"{short_function(frame.function)}"
    if look.ledger is not None and account is not None:
        evidence = pairing_evidence(account, look.accounts, look.ledger)
        if account.callers_ended:
            evidence.append(Evidence("memory", _callers(tally)))
    else:
        evidence = [
            Evidence(
                look.source,
                f"{tally.left_open} of {known} response bodies handed to {where} in {tally.seconds:.0f} s"
                f" were left open, and {_callers(tally)}",
            )
        ]
    for other in others:
        for same in other.tallies:
            if frame_key(same.attribution.frame) == frame_key(frame) and same.left_open:
                text = f"saw {same.left_open} bodies handed to {where} and left open, too"
                evidence.append(Evidence(other.source, text))
    orphans = sum(body.orphaned is True for body in held)
    evidence += orphan_evidence(held)
    if trend.per_minute is not None and trend.source != look.source and trend.unattended:
        over = f" over {format_duration(trend.seconds)}"
        evidence += trend_evidence(trend, growth_text(trend.per_minute, over))
    evidence += request_evidence(held)
    if tally.released and account is None:
        evidence.append(
            Evidence(
                look.source,
                f"{tally.released} others opened at the same line were released: a path forgets it",
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
        # Shares are of the hand-offs that were judged, whoever saw them.
        reason_from = look.source if attribution.reason_from == "trace" else attribution.reason_from
        evidence.append(Evidence(reason_from, f"{where} is named because {attribution.reason}"))
    if tally.busy:
        evidence.append(Evidence(look.source, f"{tally.busy} more are in use and not counted"))
    per_minute = trend.per_minute * share if trend.per_minute is not None else None
    if account is not None and not trend.rising:
        # Those that are too young to be judged will meet the same fates as those before them.
        per_minute = tally.opened * tally.left_open / known / max(tally.seconds, 1.0) * 60
    return Finding(
        kind=LeakKind.HTTP_BODY,
        confidence=_confidence(strong, orphans, look, account),
        function=frame.function,
        location=frame,
        stack=tally.stack,
        count=max(tally.left_open, round(trend.unattended * share)),
        growth_per_minute=per_minute,
        evidence=tuple(evidence),
        surely_grows=orphans >= LEAST_GAIN
        or (account is not None and tally.left_open >= _CERTAIN)
        or (trend.per_minute is not None and max(tally.left_open, trend.unattended * share) >= _CERTAIN),
        advice=_advice(tally),
        candidates=tuple(
            frame
            for frame in (*attribution.alternatives, *tally.round_trippers)
            if frame != attribution.frame
        ),
    )


def _is_acquitted(tally: OwnerTally, held: Sequence[OpenBody], look: _Look, looks: Sequence[_Look]) -> bool:
    """Whether books that see every body have seen this owner at work, and nothing left behind so far.

    What the collector has freed unclosed acquits nobody.
    """
    if look.ledger is not None or sum(body.orphaned is True for body in held) >= LEAST_GAIN:
        return False
    place = frame_key(tally.attribution.frame)
    return any(
        frame_key(other.attribution.frame) == place and other.opened >= LEAST_GAIN and not other.left_open
        for books in looks
        if books.ledger is not None
        for other in books.tallies
    )


def _confidence(strong: bool, orphans: int, look: _Look, account: Account | None) -> Confidence:
    """Proven where the owner is sure, and nobody can close what it left: by the collector or by who could reach it.

    That something is still open proves little by itself: it may be in somebody's hands yet.
    """
    if not strong:
        return Confidence.POSSIBLE
    if orphans >= LEAST_GAIN:
        return Confidence.PROVEN
    if account is None or look.ledger is None:
        return Confidence.LIKELY
    paired = account.witnessed and look.ledger.exact and 4 * look.ledger.dropped <= account.left_open
    beyond_reach = account.collected >= LEAST_GAIN or account.lost >= _LEAST_LOST
    return Confidence.PROVEN if paired and beyond_reach else Confidence.LIKELY


def _callers(tally: OwnerTally) -> str:
    if tally.callers_ended == tally.left_open:
        return "the goroutines that asked for them have ended"
    if not tally.callers_ended and not tally.callers_untold:
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


def _unlocated(trend: BodyTrend, traced: bool, program: Program, bodies: Sequence[OpenBody]) -> Finding:
    candidates = program.call_sites(CLIENT_CALLS)
    evidence = trend_evidence(trend, growth_text(trend.per_minute or None))
    evidence += orphan_evidence(bodies)
    evidence += request_evidence(bodies)
    if trend.oldest_wait_minutes >= _OLD_MINUTES:
        text = f"the oldest has waited {trend.oldest_wait_minutes} minutes"
        evidence.append(Evidence(trend.dumped_by, text))
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
        surely_grows=trend.orphaned >= LEAST_GAIN or (trend.rising and trend.unattended >= _CERTAIN),
        advice="Look through the candidates for a path without Close, or watch while the leak is active.",
        candidates=_without(candidates, only),
    )


def _without(frames: tuple[Frame, ...], frame: Frame | None) -> tuple[Frame, ...]:
    return tuple(item for item in frames if item is not frame)
