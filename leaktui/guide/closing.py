"""What the last steps saw: the answer in short, and before and after the fix. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from leaktui.analysis.growth import theil_sen
from leaktui.guide.first_looks import METRICS, source_of
from leaktui.guide.leak_kind import seen_missing
from leaktui.guide.sight import Sight
from leaktui.guide.state import Outcome, Seen, State, Weight
from leaktui.guide.words import KIND_WORDS, METRIC_WORDS, amount_of, in_bytes, name_of, place_of, value_of
from leaktui.model.capability import SourceState
from leaktui.model.verification import Verification, VerificationVerdict
from leaktui.text import format_duration, format_rate, printable

_MOST_REASONS = 3


def seen_report(state: State, sight: Sight) -> tuple[Seen, ...]:
    """The answer in short; for a healthy process all that was looked at."""
    watched = format_duration(sight.watched_seconds)
    lines: list[Seen] = []
    finding = state.finding
    if state.outcome is Outcome.NOTHING:
        lines.append(Seen(f"nothing leaks: here is what we looked at, for {watched}", weight=Weight.GOOD))
        lines += _looked_at(sight)
    elif finding is not None:
        sure = finding.confidence.value
        place = place_of(finding.location) or ("line not known" if finding.function else "")
        lines.append(Seen(f"{KIND_WORDS[finding.kind]}: {sure}", weight=Weight.BAD, subject=finding))
        lines.append(Seen(f"{name_of(finding.function)}  {place}", weight=Weight.MAIN, subject=finding))
        if state.explanation is not None:
            lines.append(Seen(printable(state.explanation.text, 400), "source"))
        lines.append(Seen(f"{amount_of(finding)}; watched for {watched}", "", Weight.SIDE))
        others = len(sight.assessment.suspects) - 1
        if others > 0:
            lines.append(Seen(f"{others} more suspects stand in the Suspects pane", weight=Weight.SIDE))
    if state.outcome is Outcome.UNDECIDED:
        lines.insert(0, Seen(f"undecided after {watched}", weight=Weight.UNSURE))
        lines += seen_missing(sight)
        lines += _remedies(sight)
    pause_ms = sum(source.pause_ms for source in sight.snapshot.sources)
    stopped = f"stopped for {pause_ms:.1f} ms in all" if pause_ms >= 0.05 else "never stopped"
    lines.append(Seen(f"the process was {stopped}", weight=Weight.SIDE))
    lines += _files(state)
    return tuple(lines)


def _looked_at(sight: Sight) -> Iterable[Seen]:
    for metric in METRICS:
        points = sight.series.get(metric)
        if points:
            first, last = value_of(metric, points[0][1]), value_of(metric, points[-1][1])
            yield Seen(
                f"{METRIC_WORDS[metric]}: {first} → {last} in {format_duration(points[-1][0] - points[0][0])},"
                f" {len(points)} looks",
                source_of(metric, sight),
            )
        else:
            yield Seen(f"{METRIC_WORDS[metric]}: not seen by any source here", weight=Weight.SIDE)


def _remedies(sight: Sight) -> Iterable[Seen]:
    for source in sight.snapshot.sources:
        if source.state in (SourceState.UNAVAILABLE, SourceState.FAILED) and source.remedy:
            yield Seen(
                f"would help: {printable(source.remedy, 300)}", printable(source.name, 20), Weight.SIDE
            )


def _files(state: State) -> Iterable[Seen]:
    for path in state.written:
        yield Seen(f"written: {printable(path, 300)}", weight=Weight.GOOD)
    if state.why_unwritten:
        yield Seen(f"not written: {printable(state.why_unwritten, 300)}", weight=Weight.UNSURE)


def seen_after(state: State, sight: Sight) -> tuple[Seen, ...]:
    """Before, after, and the verdict."""
    before = state.before
    if not state.swapped:
        return (Seen("starting the repaired build…", weight=Weight.SIDE),)
    if before is None or state.why_unswapped:
        return (Seen(printable(state.why_unswapped, 300), weight=Weight.UNSURE),)
    lines = [Seen(f"pid {before.pid} is gone; the repaired build runs as pid {state.after_pid}")]
    name = METRIC_WORDS[before.metric]
    for when, points in (("before", before.points), ("after", sight.series.get(before.metric, ()))):
        slope = theil_sen(points)
        if not points or slope is None:
            continue
        rate = format_rate(slope.per_minute, as_bytes=in_bytes(before.metric))
        bad = Weight.BAD if slope.rising else Weight.GOOD
        values = f"{value_of(before.metric, points[0][1])} → {value_of(before.metric, points[-1][1])}"
        lines.append(Seen(f"{when}: {name} {values}, {rate}", source_of(before.metric, sight), bad))
    if state.verification is not None:
        lines += _verdict(state.verification)
    elif state.why_unverified:
        lines.append(Seen(printable(state.why_unverified, 300), weight=Weight.UNSURE))
    return tuple(lines)


def _verdict(verification: Verification) -> Iterable[Seen]:
    fixed = verification.verdict is VerificationVerdict.FIXED
    weight = Weight.GOOD if fixed else Weight.BAD
    if verification.verdict is VerificationVerdict.UNDECIDED:
        weight = Weight.UNSURE
    yield Seen(f"verdict: {verification.verdict.value}", "verify", weight)
    for reason in verification.reasons[:_MOST_REASONS]:
        yield Seen(printable(reason, 300), "verify")
