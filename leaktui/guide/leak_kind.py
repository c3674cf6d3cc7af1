"""What the middle steps saw: the kind of the leak with what follows from it, and who piles up. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from leaktui.guide.first_looks import slope_of, source_of
from leaktui.guide.sight import LEDGER_OF, Sight
from leaktui.guide.state import Outcome, Seen, Weight
from leaktui.guide.words import (
    KIND_WORDS,
    METRIC_WORDS,
    amount_of,
    host_of,
    in_bytes,
    name_of,
    place_of,
)
from leaktui.model.assessment import FdRow, GroupRow, SiteRow
from leaktui.model.body import BodyHolder
from leaktui.model.finding import Finding, LeakKind
from leaktui.model.heap_census import HeapCensus
from leaktui.session.history import Metric
from leaktui.text import format_bytes, format_count, format_duration, format_rate, printable

_MOST_ROWS = 4
_MOST_MISSING = 6


def seen_kind(sight: Sight, finding: Finding | None, outcome: Outcome) -> tuple[Seen, ...]:
    """What leaks and what comes with it; or that nothing does; or what is missing to say."""
    if outcome is Outcome.NOTHING:
        watched = format_duration(sight.watched_seconds)
        return (
            Seen(f"nothing leaks: watched for {watched}, and nothing grows", weight=Weight.GOOD),
            *_level_numbers(sight),
        )
    if finding is None:
        return (Seen("no suspect", weight=Weight.UNSURE), *seen_missing(sight))
    lines = [Seen(KIND_WORDS[finding.kind], weight=Weight.MAIN, subject=finding)]
    if amount := amount_of(finding):
        lines.append(Seen(amount, finding.evidence[0].source if finding.evidence else ""))
    follows = [_follows(metric, sight) for metric in Metric if metric is not sight.metric_of(finding.kind)]
    lines += [line for line in follows if line is not None]
    if outcome is Outcome.UNDECIDED:
        lines += seen_missing(sight)
    return tuple(lines)


def _follows(metric: Metric, sight: Sight) -> Seen | None:
    slope = slope_of(metric, sight)
    if slope is None or not slope.rising:
        return None
    rate = format_rate(slope.per_minute, as_bytes=in_bytes(metric))
    return Seen(f"with it: {METRIC_WORDS[metric]} {rate}", source_of(metric, sight), Weight.SIDE)


def _level_numbers(sight: Sight) -> Iterable[Seen]:
    for metric, points in sight.series.items():
        if points and metric is not Metric.RSS:
            yield Seen(f"{METRIC_WORDS[metric]}: no lasting growth", source_of(metric, sight), Weight.SIDE)


def seen_missing(sight: Sight) -> tuple[Seen, ...]:
    """What could not be seen, and so keeps the answer open."""
    texts = list(dict.fromkeys(sight.assessment.missing))[:_MOST_MISSING]
    lines = [Seen(f"missing: {printable(text, 400)}", weight=Weight.UNSURE) for text in texts]
    if not lines and sight.assessment.suspects:
        lines = [Seen("missing: proof of which place it is", weight=Weight.UNSURE)]
    return tuple(lines)


# -- who ---------------------------------------------------------------------------------------


def seen_who(sight: Sight, finding: Finding) -> tuple[Seen, ...]:
    """What piles up, in groups, the largest first."""
    if finding.kind is LeakKind.HTTP_BODY:
        return _bodies(sight, finding)
    if finding.kind is LeakKind.GOROUTINE:
        return _goroutines(sight)
    if finding.kind is LeakKind.FD:
        return _descriptors(sight)
    return _heap(sight)


def _bodies(sight: Sight, finding: Finding) -> tuple[Seen, ...]:
    groups: dict[tuple[str, str], list[BodyHolder]] = {}
    for body in sight.assessment.bodies:
        groups.setdefault((host_of(body), body_state(body)), []).append(body)
    lines: list[Seen] = []
    for (host, state), bodies in sorted(groups.items(), key=lambda item: -len(item[1]))[:_MOST_ROWS]:
        statuses = Counter(body.status for body in bodies if body.status is not None)
        status = f", status {statuses.most_common(1)[0][0]}" if statuses else ""
        where = f" from {host}" if host else ""
        text = f"{format_count(len(bodies))}{where}: {state}{status}"
        source = bodies[0].sources[0] if bodies[0].sources else ""
        lines.append(Seen(text, source, Weight.PLAIN if lines else Weight.MAIN, bodies[0]))
    census = sight.snapshot.bodies
    if census is not None and census.idle_connections:
        idle = f"{format_count(census.idle_connections)} idle connections: kept for the next request, no leak"
        lines.append(Seen(idle, "memory", Weight.SIDE))
    return tuple(lines) or (
        Seen("no source lists them one by one here", weight=Weight.SIDE),
        *_booked(sight, finding),
    )


def body_state(body: BodyHolder) -> str:
    """How far a body was read, and whether anybody can still close it."""
    return "nobody can close them any more" if body.orphaned else body.state.value


def _booked(sight: Sight, finding: Finding) -> Iterable[Seen]:
    kind = LEDGER_OF.get(finding.kind)
    for row in sight.assessment.ledger:
        if row.kind is kind and row.left_open and row.owner is not None:
            text = f"{row.left_open} of {row.opened} opened in {name_of(row.owner.function)} were left open"
            yield Seen(text, "probes")


def _goroutines(sight: Sight) -> tuple[Seen, ...]:
    rows = sorted(sight.assessment.groups, key=_growing_first)
    return tuple(
        Seen(_group_text(row), "", Weight.PLAIN if index else Weight.MAIN, row)
        for index, row in enumerate(rows[:_MOST_ROWS])
    )


def _growing_first(row: GroupRow) -> tuple[bool, float, int]:
    rising = row.slope is not None and row.slope.rising
    return not rising, -(row.slope.per_minute if row.slope is not None and rising else 0.0), -row.group.count


def _group_text(row: GroupRow) -> str:
    group = row.group
    waits = printable(group.wait_reason, 60)
    parts = [f"{format_count(group.count)} wait in {waits}" if waits else format_count(group.count)]
    if row.owner is not None:
        parts.append(f"in {name_of(row.owner.function)} {place_of(row.owner)}".rstrip())
    if group.created_by is not None:
        parts.append(f"started by {name_of(group.created_by.function)}")
    if row.slope is not None and row.slope.rising:
        parts.append(format_rate(row.slope.per_minute))
    return ", ".join(parts)


def _descriptors(sight: Sight) -> tuple[Seen, ...]:
    lines: list[Seen] = []
    for row in sight.assessment.fds[:_MOST_ROWS]:
        lines.append(Seen(_fd_text(row), "proc", Weight.PLAIN if lines else Weight.MAIN))
    return tuple(lines)


def _fd_text(row: FdRow) -> str:
    text = f"{format_count(row.count)} {row.kind.value}: {printable(row.pattern, 120)}"
    if row.slope is not None and row.slope.rising:
        text += f", {format_rate(row.slope.per_minute)}"
    if row.seconds_to_limit is not None and row.slope is not None and row.slope.rising:
        text += f"; the limit is reached in {format_duration(row.seconds_to_limit)}"
    return text


def _heap(sight: Sight) -> tuple[Seen, ...]:
    rows = sorted(sight.assessment.sites, key=_fastest_first)[:_MOST_ROWS]
    if rows:
        source = sight.snapshot.heap_from
        return tuple(
            Seen(_site_text(row), source, Weight.PLAIN if index else Weight.MAIN, row)
            for index, row in enumerate(rows)
        )
    return tuple(_types(sight.snapshot.heap_census))


def _fastest_first(row: SiteRow) -> tuple[bool, float, int]:
    rising = row.slope is not None and row.slope.rising
    return not rising, -float(row.delta_bytes), -row.site.inuse_bytes


def _site_text(row: SiteRow) -> str:
    where = f"{name_of(row.owner.function)} {place_of(row.owner)}" if row.owner is not None else "Go itself"
    text = f"{format_bytes(row.site.inuse_bytes)} live in {format_count(row.site.inuse_objects)} objects of {where}"
    if row.slope is not None and row.slope.rising:
        text += f", {format_rate(row.slope.per_minute, as_bytes=True)}"
    return text


def _types(census: HeapCensus | None) -> Iterable[Seen]:
    if census is None:
        return
    for index, item in enumerate(sorted(census.types, key=lambda item: -item.live_bytes)[:_MOST_ROWS]):
        amount = f"{format_bytes(item.live_bytes)} live in {format_count(item.objects)}"
        text = f"{amount} of {printable(item.type_name, 120)}"
        yield Seen(text, "memory", Weight.PLAIN if index else Weight.MAIN)
