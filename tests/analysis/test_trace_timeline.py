"""The trace in equal steps, its collections, who started whom, and who slept through it."""

from __future__ import annotations

import pytest

from leaktui.analysis import trace_collections, trace_goroutines, trace_timeline
from leaktui.analysis.trace_growth import live_heap_slope
from leaktui.analysis.trace_summary import summarize_trace
from leaktui.analysis.trace_timeline import Reading, TimelineRecorder
from leaktui.model.trace import TraceSummary
from leaktui.wire.trace import events as ev
from tests.wire.trace_bytes import TraceWriter, capture_names, read_capture

MS = 1_000_000


def summary_of(writer: TraceWriter) -> TraceSummary:
    return summarize_trace([writer.bytes()])


def reading(created: int, blocked: int = 0) -> Reading:
    return Reading(created, 0, blocked, 0, 0, 0)


def test_each_step_holds_what_happened_in_it() -> None:
    recorder = TimelineRecorder(0)
    assert recorder.edge_ns == MS
    recorder.close(reading(3, 1), MS + 5)
    recorder.close(reading(4, 2), 4 * MS)  # nothing in the two steps between
    timeline = recorder.timeline(reading(10, 0), 2, [(MS // 2, 2 * MS)], [(4 * MS, 4 * MS + 7)])
    assert timeline.step_ns == MS
    assert timeline.created == (3, 1, 0, 0, 6)
    assert timeline.blocked == (3, 4, 4, 4, 2)
    assert timeline.gc_ns == (MS // 2, MS, 0, 0, 0)
    assert timeline.stop_ns == (0, 0, 0, 0, 7)


def test_a_long_trace_gets_longer_steps_and_keeps_its_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace_timeline, "MAX_STEPS", 8)
    recorder = TimelineRecorder(0)
    for step in range(1, 101):
        recorder.close(reading(step), step * MS)
    timeline = recorder.timeline(reading(101), 0, [], [])
    assert timeline.step_ns == 16 * MS
    assert sum(timeline.created) == 101
    assert timeline.created[:6] == (16,) * 6
    assert len(timeline.created) <= 8


def test_a_clock_that_leaps_costs_nothing() -> None:
    recorder = TimelineRecorder(0)
    recorder.close(reading(1), 1 << 62)
    timeline = recorder.timeline(reading(2), 0, [], [])
    assert sum(timeline.created) == 2
    assert len(timeline.created) <= trace_timeline.MAX_STEPS
    recorder.close(reading(3), 5)  # and back
    assert sum(recorder.timeline(reading(4), 0, [], []).created) == 4


def test_blocked_counts_those_from_before_too() -> None:
    writer = TraceWriter()
    writer.status(1)
    writer.status(2, ev.WAITING, "runtime.selectgo", "main.idle")
    writer.status(3, ev.WAITING, "runtime.selectgo", "main.idle")
    writer.later(5)
    writer.block(1, "sleep", "main.main")
    writer.later(5)
    writer.unblock(1, 0)
    writer.unblock(2, 1, "main.main")
    writer.later(5)
    writer.destroy(2)
    summary = summary_of(writer)
    assert summary.timeline is not None
    blocked = summary.timeline.blocked
    assert (blocked[0], blocked[7], blocked[-1]) == (2, 3, 1)
    assert [(item.stack[1].function, item.count) for item in summary.sleepers] == [("main.idle", 1)]


def test_a_sleeper_that_woke_is_none_whatever_became_of_it() -> None:
    writer = TraceWriter()
    writer.status(1)
    for goid in (2, 3):
        writer.status(goid, ev.WAITING, "runtime.selectgo", "main.idle")
        writer.unblock(goid, 1, "main.main")
    writer.block(2, "select", "runtime.selectgo", "main.idle")
    writer.destroy(3)
    summary = summary_of(writer)
    assert summary.sleepers == ()
    assert summary.timeline is not None
    assert summary.timeline.blocked[-1] == 1


def collect(writer: TraceWriter, live: int, goal: int) -> None:
    """A collection of 5 ms that stops the world for 1 ms at its end."""
    writer.add(ev.GC_BEGIN, 1, 0)
    writer.later(4)
    writer.add(ev.STW_BEGIN, writer.string("GC mark termination"), 0)
    writer.later(1)
    writer.add(ev.HEAP_ALLOC, live)
    writer.add(ev.GC_END, 2)
    writer.add(ev.HEAP_GOAL, goal)
    writer.add(ev.STW_END)


def test_collections() -> None:
    writer = TraceWriter()
    writer.status(1)
    writer.add(ev.PROCS_CHANGE, 8, 0)
    for cycle in range(4):
        collect(writer, 1000 + 100 * cycle, 2000)
        writer.later(10)
    writer.add(ev.GC_BEGIN, 1, 0)
    writer.later(1)
    writer.add(ev.HEAP_ALLOC, 5000)
    summary = summary_of(writer)
    assert (summary.gc_cycles, len(summary.cycles), summary.stops, summary.procs) == (4, 5, 4, 8)
    assert [cycle.live_bytes for cycle in summary.cycles] == [1000, 1100, 1200, 1300, 0]
    assert [cycle.goal_bytes for cycle in summary.cycles] == [2000] * 4 + [0]
    for cycle in summary.cycles[:4]:
        assert cycle.end_ns is not None
        assert cycle.end_ns - cycle.begin_ns == pytest.approx(5 * MS, rel=0.01)
        assert cycle.pause_ns == pytest.approx(MS, rel=0.01)
    assert summary.cycles[4].end_ns is None
    assert summary.gc_ns == pytest.approx(20 * MS, rel=0.01)
    assert summary.stop_ns == pytest.approx(4 * MS, rel=0.01)
    timeline = summary.timeline
    assert timeline is not None
    assert sum(timeline.gc_ns) == pytest.approx(21 * MS, rel=0.02)
    assert timeline.heap_bytes[-1] == 5000
    slope = live_heap_slope(summary)
    assert slope is not None and slope.points == 4
    assert slope.per_minute == pytest.approx(100 / 0.015 * 60, rel=0.01)


def test_a_collection_that_ran_when_the_trace_began() -> None:
    writer = TraceWriter()
    writer.status(1)
    writer.later(3)
    writer.add(ev.GC_ACTIVE, 1)
    writer.add(ev.HEAP_ALLOC, 700)
    writer.add(ev.GC_END, 2)
    summary = summary_of(writer)
    (cycle,) = summary.cycles
    assert cycle.begin_ns == summary.start_ns
    assert cycle.live_bytes == 700


def test_more_collections_than_are_kept_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace_collections, "MAX_CYCLES", 2)
    writer = TraceWriter()
    writer.status(1)
    for _ in range(5):
        collect(writer, 1000, 2000)
    summary = summary_of(writer)
    assert (summary.gc_cycles, len(summary.cycles), summary.stops) == (5, 2, 5)
    assert summary.gc_ns == pytest.approx(25 * MS, rel=0.01)


def test_genealogy() -> None:
    writer = TraceWriter()
    writer.status(1)
    writer.create(2, 1, "main.worker:10", "main.start:5", "main.main:3")
    writer.create(3, 1, "main.worker:10", "main.start:5", "main.main:3")
    writer.create(4, 2, "main.child:20", "main.worker:12")
    writer.create(5, 3, "main.child:20", "main.worker:12")
    writer.block(4, "chan receive", "runtime.chanrecv1", "main.child:22")
    writer.destroy(5)
    worker, child = summary_of(writer).genealogy
    assert (worker.parent, worker.created, worker.ended, worker.parked) == (None, 2, 0, 0)
    assert worker.creation_stack[-1].function == "main.main"
    assert (child.parent, child.created, child.ended, child.parked) == (0, 2, 1, 1)
    assert child.parked_reason == "chan receive"
    assert child.start[0].function == "main.child"


def test_a_line_that_comes_back_to_itself_stays_short() -> None:
    writer = TraceWriter()
    writer.status(1)
    writer.create(2, 1, "main.step:10", "main.main:3")
    for goid in range(3, 60):
        writer.create(goid, goid - 1, "main.step:10", "main.step:12")
    first, again = summary_of(writer).genealogy
    assert (first.parent, first.created) == (None, 1)
    assert (again.parent, again.created) == (0, 57)


def test_more_lines_than_are_kept_stand_on_top(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace_goroutines, "MAX_DESCENTS", 3)
    writer = TraceWriter()
    writer.status(1)
    for goid in range(2, 12):
        writer.create(goid, goid - 1, f"main.step{goid}:10", f"main.step{goid - 1}:12")
    summary = summary_of(writer)
    assert sum(descent.created for descent in summary.genealogy) == 10
    assert [descent.parent for descent in summary.genealogy[:4]] == [None, 0, 1, None]


@pytest.mark.parametrize("name", capture_names())
def test_recorded_traces_add_up(name: str) -> None:
    summary = summarize_trace([read_capture(name)])
    timeline = summary.timeline
    assert timeline is not None
    lengths = {
        len(series)
        for series in (
            timeline.created,
            timeline.ended,
            timeline.blocked,
            timeline.open_bodies,
            timeline.gc_ns,
        )
    }
    assert len(lengths) == 1
    assert timeline.step_ns * (len(timeline.created) - 1) <= summary.duration_ns
    assert timeline.step_ns * len(timeline.created) > summary.duration_ns
    assert sum(timeline.created) == summary.created == sum(item.created for item in summary.genealogy)
    assert timeline.open_bodies[-1] == sum(item.released_ns is None for item in summary.handoffs)
    asleep = sum(item.parked for item in summary.blocks) + sum(item.count for item in summary.sleepers)
    assert abs(timeline.blocked[-1] - asleep) <= 2
    assert all(
        descent.parent is None or descent.parent < index for index, descent in enumerate(summary.genealogy)
    )
    assert len(summary.cycles) - summary.gc_cycles in (0, 1)


@pytest.mark.parametrize("name", [name for name in capture_names() if name.endswith("h1")])
def test_who_had_the_connection_opened_is_another_matter(name: str) -> None:
    """The dial stack of a body left open is a request all right, but not always the one that left it."""
    kept = [item for item in summarize_trace([read_capture(name)]).handoffs if item.released_ns is None]
    opened = [item for item in kept if item.connection_stack]
    assert opened
    for item in opened:
        assert any(frame.function.startswith("main.") for frame in item.connection_stack)
    assert all(item.connection_stack == () for item in kept if item.protocol != "HTTP/1")


@pytest.mark.parametrize("name", [name for name in capture_names() if name.endswith(("h1", "h2"))])
def test_reads_that_may_be_of_another_body_say_so(name: str) -> None:
    """Of these programs, no body of a `leak…` site is read by another function than the one that asked."""
    for item in summarize_trace([read_capture(name)]).handoffs:
        asker = next((frame.function for frame in item.stack if frame.function.startswith("main.")), "")
        if item.last_reader_goid == item.caller_goid and asker.startswith("main.leak"):
            reads = {frame.function for frame in item.last_read_stack}
            assert asker in reads or not item.last_read_sure
