"""The lanes of the timeline, and the collections of a trace one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from leaktui.model.frame import Frame
from leaktui.model.trace import GcCycle, TraceSummary, TraceTimeline
from leaktui.text import format_bytes, format_count
from leaktui.tui.details import field
from leaktui.tui.facts import Facts
from leaktui.tui.panes.level import DocumentLevel, Level, Listing
from leaktui.tui.remembered import remembered
from leaktui.tui.trace_words import moment_text, span_text
from leaktui.tui.widgets.columns import Column, number_column
from leaktui.tui.widgets.document import DocLine
from leaktui.tui.widgets.lane_chart import ChartLane
from leaktui.tui.widgets.toned import Span
from leaktui.tui.wording import delta_text, frame_place, function_name, heading, owner_of

_MOST_OPENED = 40


def _per_second(value: float) -> str:
    return f"{format_count(value)}/s"


def _bytes_or_unseen(value: float) -> str:
    return format_bytes(value) if value else "–"


def _share(seconds_a_second: float) -> str:
    return f"{100 * min(1.0, seconds_a_second):.0f} %"


def timeline_lanes(trace: TraceSummary) -> list[ChartLane]:
    """The lanes, from the top: the collector and its heap, goroutines, bodies."""
    timeline = trace.timeline
    if timeline is None:
        return []
    return [
        ChartLane("GC runs", _seconds(timeline.gc_ns), _share, rate=True, tone="accent"),
        ChartLane("world stops", _seconds(timeline.stop_ns), _share, rate=True, tone="warning"),
        ChartLane("heap", timeline.heap_bytes, _bytes_or_unseen, weight=2),
        ChartLane("live heap", _live_after_gc(trace, timeline), _bytes_or_unseen),
        ChartLane("heap goal", timeline.goal_bytes, _bytes_or_unseen),
        ChartLane("go started", timeline.created, _per_second, rate=True, weight=2, tone="number"),
        ChartLane("go ended", timeline.ended, _per_second, rate=True, tone="number"),
        ChartLane("blocked", timeline.blocked, format_count, weight=2, tone="keyword"),
        ChartLane("bodies open", timeline.open_bodies, format_count, tone="string"),
    ]


def _seconds(nanoseconds: Sequence[int]) -> list[float]:
    return [value / 1e9 for value in nanoseconds]


def _live_after_gc(trace: TraceSummary, timeline: TraceTimeline) -> list[int]:
    """What the newest collection had left alive, at the end of each step; 0 before the first."""
    points = trace.heap
    values: list[int] = []
    newest = seen = 0
    for index in range(len(timeline.heap_bytes)):
        edge = timeline.start_ns + (index + 1) * timeline.step_ns
        while seen < len(points) and points[seen].time_ns < edge:
            newest = points[seen].live_bytes
            seen += 1
        values.append(newest)
    return values


def moment_level(trace: TraceSummary, first: int, last: int) -> Level:
    """What went on in the steps from *first* up to *last* of the timeline."""
    timeline = trace.timeline
    begin = trace.start_ns + first * (timeline.step_ns if timeline is not None else 0)
    lines = moment_lines(trace, first, last)
    return DocumentLevel(moment_text(trace, begin), lambda facts: lines)


def moment_lines(trace: TraceSummary, first: int, last: int) -> list[DocLine]:
    """The figures of those steps, the collections that ran in them, and the bodies handed over."""
    timeline = trace.timeline
    if timeline is None:
        return []
    begin = timeline.start_ns + first * timeline.step_ns
    end = timeline.start_ns + last * timeline.step_ns
    lines = [field("time", f"{moment_text(trace, begin)} and the next {span_text(end - begin)}")]
    seconds = (last - first) * timeline.step_ns / 1e9
    for lane in timeline_lanes(trace):
        part = lane.values[first:last]
        if part:
            lines.append(field(lane.title[:11], lane.show(sum(part) / seconds if lane.rate else max(part))))
    cycles = [
        cycle
        for cycle in trace.cycles
        if cycle.begin_ns < end and (cycle.end_ns is None or cycle.end_ns >= begin)
    ]
    if cycles:
        lines += [DocLine(), DocLine(heading(f"Collections that ran then: {len(cycles)}"))]
        lines += [_cycle_line(trace, cycle) for cycle in cycles[:_MOST_OPENED]]
    opened = [handoff for handoff in trace.handoffs if begin <= handoff.opened_ns < end]
    if opened:
        lines += [DocLine(), DocLine(heading(f"Response bodies handed over then: {len(opened)}"))]
        for handoff in opened[:_MOST_OPENED]:
            owner = owner_of(handoff.stack)
            name = function_name(owner.function) if owner is not None else "asked before the trace"
            kept = "still open at the end" if handoff.released_ns is None else "let go"
            lines.append(
                DocLine(
                    ((f"  {name}", "plain"), (f"  {frame_place(owner)}", "accent"), (f"  {kept}", "muted")),
                    owner,
                    wrap=False,
                )
            )
        if len(opened) > _MOST_OPENED:
            lines.append(DocLine(((f"  … {len(opened) - _MOST_OPENED} more", "muted"),)))
    return lines


def _cycle_line(trace: TraceSummary, cycle: GcCycle) -> DocLine:
    lasted = span_text(cycle.end_ns - cycle.begin_ns) if cycle.end_ns is not None else "not ended"
    live = f", {format_bytes(cycle.live_bytes)} live after it" if cycle.live_bytes else ""
    return DocLine(((f"  from {moment_text(trace, cycle.begin_ns)}, {lasted}{live}", "plain"),), wrap=False)


@dataclass(frozen=True, slots=True)
class CycleRow:
    """A collection, with what the one before it left alive."""

    number: int
    trace: TraceSummary
    cycle: GcCycle
    live_before: int

    @property
    def duration_ns(self) -> int | None:
        return self.cycle.end_ns - self.cycle.begin_ns if self.cycle.end_ns is not None else None


@remembered
def cycle_rows(trace: TraceSummary | None) -> list[CycleRow]:
    """The collections, oldest first."""
    if trace is None:
        return []
    before = [0, *(cycle.live_bytes for cycle in trace.cycles)]
    return [
        CycleRow(index, trace, cycle, before[index - 1]) for index, cycle in enumerate(trace.cycles, start=1)
    ]


def _began(row: CycleRow) -> str:
    return moment_text(row.trace, row.cycle.begin_ns)


def _change(row: CycleRow) -> int | None:
    return row.cycle.live_bytes - row.live_before if row.live_before and row.cycle.live_bytes else None


def _change_cell(row: CycleRow) -> Span:
    change = _change(row)
    return ("–", "muted") if change is None else delta_text(change, format_bytes(abs(change)))


_COLUMNS: tuple[Column[CycleRow], ...] = (
    Column("GC", lambda row: (str(row.number), "muted"), lambda row: row.number, 6, align="right"),
    Column("began", lambda row: (_began(row), "plain"), lambda row: row.cycle.begin_ns, 9, align="right"),
    number_column("took", lambda row: row.duration_ns, span_text, 8, tone="strong"),
    number_column("stopped", lambda row: row.cycle.pause_ns, span_text, 8),
    number_column("live after", lambda row: row.cycle.live_bytes or None, format_bytes, 10, tone="strong"),
    Column("change", _change_cell, _change, 10, align="right", descending=True),
    number_column("goal", lambda row: row.cycle.goal_bytes or None, format_bytes, 10, tone="muted"),
)  # fmt: skip


def _describe(row: CycleRow, facts: Facts) -> Sequence[DocLine]:
    cycle, trace = row.cycle, row.trace
    lasted = (
        span_text(row.duration_ns) if row.duration_ns is not None else "still ran at the end of the trace"
    )
    return [
        field("began", moment_text(trace, cycle.begin_ns)),
        field("took", lasted),
        field("stopped", f"{span_text(cycle.pause_ns)} in all, the world stood still"),
        field("live after", _bytes_or_unseen(cycle.live_bytes)),
        field("goal", f"{_bytes_or_unseen(cycle.goal_bytes)}, at which the next one is to end"),
    ]


def _no_frame(row: CycleRow) -> Frame | None:
    return None


def cycles_listing(empty: str) -> Listing[CycleRow]:
    """The collections one by one."""
    return Listing(
        "", "collections", _COLUMNS, lambda facts: cycle_rows(facts.snapshot.trace),
        lambda row: row.number, _began, _describe,
        lambda row: DocumentLevel(f"GC {row.number}", lambda facts: _describe(row, facts)),
        _no_frame, sort=None, empty=lambda facts: "No collection in this trace." if facts.snapshot.trace else empty,
    )  # fmt: skip
