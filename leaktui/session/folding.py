"""One fact more: the newest Snapshot with it folded in, and the line of the source that delivered it.

Law: pure; a Snapshot is never changed, only followed by another.
"""

from __future__ import annotations

from dataclasses import replace

from leaktui.engines.protocol import (
    BodiesSeen,
    DetailSeen,
    Engine,
    EvaluationSeen,
    Fact,
    FdsSeen,
    GoroutinesSeen,
    GroupsSeen,
    HandoffsSeen,
    HeapCensusSeen,
    HeapSeen,
    HoldersSeen,
    InspectionSeen,
    LeakedSeen,
    LedgerSeen,
    ProcessSeen,
    Refused,
    TracepointsSeen,
    TraceSeen,
)
from leaktui.model.capability import Source, SourceState
from leaktui.model.goroutine import GoroutineGroup
from leaktui.model.snapshot import GroupsLook, Snapshot
from leaktui.text import format_count

_ANSWERS_KEPT = 8


def with_source(snapshot: Snapshot, source: Source) -> Snapshot:
    """*snapshot* with the line of the engine that *source* is of."""
    sources = tuple(source if item.name == source.name else item for item in snapshot.sources)
    return replace(snapshot, sources=sources)


def with_fact(snapshot: Snapshot, fact: Fact, now: float, source: str) -> Snapshot:
    """*snapshot* with *fact*, which *source* delivered, folded in."""
    if isinstance(fact, ProcessSeen):
        return replace(snapshot, time=now, process=fact.stat, process_time=now)
    if isinstance(fact, FdsSeen):
        return replace(snapshot, time=now, fds=fact.fds, fds_time=now)
    if isinstance(fact, GroupsSeen):
        also = tuple(look for look in snapshot.also if look.source != source)
        return replace(
            snapshot,
            time=now,
            groups=fact.groups,
            groups_time=now,
            groups_from=source,
            ended=fact.ended or snapshot.ended,
            also=also,
        )
    if isinstance(fact, GoroutinesSeen):
        return replace(
            snapshot, time=now, goroutines=fact.goroutines, goroutines_time=now, goroutines_from=source
        )
    if isinstance(fact, LeakedSeen):
        return replace(snapshot, time=now, leaked=_looked(snapshot.leaked, source, now, fact.groups))
    if isinstance(fact, HeapSeen):
        return replace(snapshot, time=now, heap=fact.heap, heap_time=now, heap_from=source)
    if isinstance(fact, TraceSeen):
        return replace(snapshot, time=now, trace=fact.trace, trace_time=now)
    if isinstance(fact, LedgerSeen):
        others = tuple(item for item in snapshot.ledgers if item.kind is not fact.ledger.kind)
        return replace(snapshot, time=now, ledgers=(*others, fact.ledger))
    if isinstance(fact, InspectionSeen):
        older = [item for item in snapshot.inspections if item.goid != fact.inspection.goid]
        return replace(snapshot, time=now, inspections=(*older[1 - _ANSWERS_KEPT :], fact.inspection))
    if isinstance(fact, EvaluationSeen):
        evaluations = (*snapshot.evaluations[1 - _ANSWERS_KEPT :], fact.evaluation)
        return replace(snapshot, time=now, evaluations=evaluations)
    if isinstance(fact, TracepointsSeen):
        return replace(snapshot, time=now, tracepoints=fact.run)
    return _with_memory_fact(snapshot, fact, now)


def _with_memory_fact(snapshot: Snapshot, fact: Fact, now: float) -> Snapshot:
    """*snapshot* with a fact that only memory tells."""
    if isinstance(fact, BodiesSeen):
        return replace(snapshot, time=now, bodies=fact.census, bodies_time=now)
    if isinstance(fact, HeapCensusSeen):
        return replace(snapshot, time=now, heap_census=fact.census, heap_census_time=now)
    if isinstance(fact, HandoffsSeen):
        return replace(snapshot, time=now, handoffs=fact.watch, handoffs_time=now)
    if isinstance(fact, HoldersSeen):
        others = [item for item in snapshot.holders if item.subject != fact.search.subject]
        return replace(snapshot, time=now, holders=(*others[1 - _ANSWERS_KEPT :], fact.search))
    if isinstance(fact, DetailSeen):
        rest = [item for item in snapshot.details if item.goid != fact.detail.goid]
        return replace(snapshot, time=now, details=(*rest[1 - _ANSWERS_KEPT :], fact.detail))
    return replace(snapshot, time=now)


def with_second_look(snapshot: Snapshot, fact: Fact, now: float, source: str) -> Snapshot:
    """*snapshot* with what a source beside the one that is asked first counts."""
    groups = fact.groups if isinstance(fact, GroupsSeen) else ()
    return replace(snapshot, time=now, also=_looked(snapshot.also, source, now, groups))


def _looked(
    looks: tuple[GroupsLook, ...], source: str, now: float, groups: tuple[GoroutineGroup, ...]
) -> tuple[GroupsLook, ...]:
    return (*(look for look in looks if look.source != source), GroupsLook(source, now, groups))


def source_after(
    engine: Engine, fact: Fact, snapshot: Snapshot, before: Source, older: Snapshot | None = None
) -> Source:
    """The engine's line after it delivered *fact*; *snapshot* has it folded in, *older* has not."""
    if isinstance(fact, Refused):
        return replace(before, state=SourceState.USED, detail=fact.reason, remedy=fact.remedy)
    pause_ms = before.pause_ms + _pause_of(fact, older)
    detail = before.detail
    if isinstance(fact, GroupsSeen):
        detail = f"{format_count(sum(group.count for group in fact.groups))} goroutines"
        if fact.torn is not None:
            detail += f", {format_count(fact.torn)} torn"
    elif isinstance(fact, FdsSeen):
        detail = f"{format_count(len(fact.fds))} fds"
    elif isinstance(fact, LedgerSeen):
        detail = _ledger_line(snapshot)
    elif before.state is not SourceState.USED:
        detail = ""
    return Source(engine.name, SourceState.USED, detail, pause_ms)


def _pause_of(fact: Fact, older: Snapshot | None) -> float:
    """Milliseconds that *fact* has cost the target beyond what *older* tells of."""
    if isinstance(fact, GoroutinesSeen):
        return fact.pause_ms
    if isinstance(fact, InspectionSeen):
        return fact.inspection.stop_ms
    if isinstance(fact, EvaluationSeen):
        return fact.evaluation.stop_ms
    if isinstance(fact, TracepointsSeen):
        known = older.tracepoints if older is not None else None
        counted = (
            known.stops_ms + known.attach_stop_ms
            if known is not None and known.began == fact.run.began
            else 0.0
        )
        return max(0.0, fact.run.stops_ms + fact.run.attach_stop_ms - counted)
    return 0.0


def _ledger_line(snapshot: Snapshot) -> str:
    """What the probes do, or why they do it no more."""
    armed = [item for item in snapshot.ledgers if item.armed]
    hits = sum(item.hits for item in snapshot.ledgers)
    dropped = sum(item.dropped for item in snapshot.ledgers)
    ended = "; ".join(item.ended for item in snapshot.ledgers if item.ended)
    seen = f"{format_count(hits)} hits, {format_count(dropped)} dropped"
    if armed:
        probes = sum(item.probes for item in armed)
        kinds = ", ".join(item.kind.value for item in armed)
        return f"{probes} armed ({kinds}), {seen}" + (f"; {ended}" if ended else "")
    return f"disarmed itself ({ended}), {seen}" if ended else f"disarmed, {seen}"
