"""The Trace pane: its rows and words on recorded traces, and its keys."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest

from leaktui.analysis.trace_summary import summarize_trace
from leaktui.engines.protocol import Want
from leaktui.model.capability import Source, SourceState
from leaktui.model.trace import HeapPoint, TraceSummary
from leaktui.tui.facts import Facts
from leaktui.tui.panes.trace import BODIES, GENEALOGY, READERS, TraceRoot
from leaktui.tui.panes.trace_blocking import BEFORE, block_lines, block_rows, reason_rows
from leaktui.tui.panes.trace_bodies import body_lines, kept_bodies, readers, requests
from leaktui.tui.panes.trace_cycles import cycle_rows, moment_lines, timeline_lanes
from leaktui.tui.panes.trace_genealogy import Genealogy, family, kin_lines
from leaktui.tui.remembered import remembered
from leaktui.tui.trace_words import growth_lines, span_text, summary_line
from leaktui.tui.widgets.document import DocLine
from leaktui.tui.widgets.toned import line_text, line_width
from leaktui.wire.trace import events as ev
from tests.tui.driving import make_app, screen_text, wait_for, wait_for_facts, watch_screen
from tests.tui.fakes import FakeInvestigation, traced
from tests.tui.scene import SNAPSHOT
from tests.wire.trace_bytes import TraceWriter, read_capture, read_truth


@cache
def recorded(name: str = "go1.27-h1") -> TraceSummary:
    return summarize_trace([read_capture(name)])


def facts_with(trace: TraceSummary | None) -> Facts:
    return Facts(replace(SNAPSHOT, trace=trace))


def said(lines: list[DocLine]) -> str:
    return "\n".join(line_text(line.spans) for line in lines)


# -- rows ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["go1.22-h1", "go1.26-h1tls", "go1.27-h2"])
def test_requests_as_the_program_says(name: str) -> None:
    truth = read_truth(name)["sites"]
    seen = {row.name: row for row in requests(recorded(name))}
    for site, said_of in truth.items():
        if not said_of["open"] or site == "main.leakAnswered":
            continue
        row = seen[site]
        assert len(row.bodies) == said_of["open"], site
        assert row.reading == said_of["reading"] + said_of["handed"], site
        assert row.owner is not None and row.owner.line == said_of["line"]


def test_blocks_still_there_come_first_and_those_from_before_are_said_to_be() -> None:
    rows = block_rows(recorded())
    assert [row.parked for row in rows] == sorted((row.parked for row in rows), reverse=True)
    before = [row for row in rows if row.reason == BEFORE]
    assert sum(row.parked for row in before) == sum(item.count for item in recorded().sleepers) > 0
    text = said(block_lines(before[0], recorded()))
    assert "not in the trace: blocked when it began" in text
    by_reason = {row.reason: row for row in reason_rows(recorded())}
    for reason, row in by_reason.items():
        members = [item for item in rows if item.reason == reason]
        assert row.stacks == len(members)
        assert (row.count, row.parked) == (sum(m.count for m in members), sum(m.parked for m in members))


def test_a_block_in_full() -> None:
    row = next(row for row in block_rows(recorded()) if row.count > 10 and row.parked)
    text = said(block_lines(row, recorded()))
    for word in ("waits for", "still there", "mean", "p50, p99", "of the trace", "Stack"):
        assert word in text


def test_a_body_in_full() -> None:
    body = next(body for body in kept_bodies(recorded()) if body.handoff.connection_stack)
    text = said(body_lines(body))
    assert text.index("The request that left it") < text.index("Connection opened by")
    assert "this need not be who left the body" in text
    targets = [line.target for line in body_lines(body) if line.target is not None]
    assert body.owner in targets  # Enter shows its source


def test_who_reads_now_stands_first_and_a_guess_last() -> None:
    rows = readers(recorded())
    truth = read_truth("go1.27-h1")["sites"]
    now = [row for row in rows if row.now]
    assert len(now) == sum(site["reading"] + site["handed"] for site in truth.values())
    assert rows[: len(now)] == now
    sure = [row.body.handoff.last_read_sure for row in rows[len(now) :] if row.body is not None]
    assert sure == sorted(sure, reverse=True)


def test_the_family_adds_up() -> None:
    trace = recorded()

    def count(kin: object) -> int:
        return kin.created + sum(count(child) for child in kin.children)  # type: ignore[attr-defined]

    assert sum(count(kin) for kin in family(trace)) == trace.created
    genealogy = Genealogy()
    facts = facts_with(trace)
    rows = genealogy.rows(facts)
    top = rows[0]
    genealogy.fold(top, folded=True)
    assert len(genealogy.rows(facts)) < len(rows)
    genealogy.fold(top, folded=False)
    assert genealogy.rows(facts) == rows
    loops = [row for row in rows if row.name.endswith("readLoop")]
    text = "\n".join(said(kin_lines(loop, trace)) for loop in loops)
    assert "started by" in text and "Started at" in text
    left = {body.name for body in kept_bodies(trace) if body.handoff.connection_stack}
    assert left
    for name in left:  # each with the request that left it, whoever had the connection opened
        assert f"  {name}  main.go:" in text


def test_a_very_long_line_of_goroutines() -> None:
    writer = TraceWriter()
    writer.status(1)
    for goid in range(2, 1500):
        writer.create(goid, goid - 1, f"main.step{goid}:{goid}", f"main.step{goid - 1}:{9000 + goid}")
    trace = summarize_trace([writer.bytes()])
    rows = Genealogy().rows(facts_with(trace))
    assert len(rows) == 1499
    assert len(rows[-1].way) == 1499


def test_lanes_and_a_moment() -> None:
    trace = recorded()
    lanes = {lane.title: lane for lane in timeline_lanes(trace)}
    assert len({len(lane.values) for lane in lanes.values()}) == 1
    assert sum(lanes["go started"].values) == trace.created
    assert lanes["bodies open"].values[-1] == len(kept_bodies(trace))
    every = said(moment_lines(trace, 0, len(lanes["heap"].values)))
    assert f"Collections that ran then: {len(trace.cycles)}" in every
    assert f"Response bodies handed over then: {len(trace.handoffs)}" in every


def test_collections_one_by_one() -> None:
    rows = cycle_rows(recorded())
    assert len(rows) == len(recorded().cycles) > 2
    assert all(row.duration_ns and row.cycle.live_bytes for row in rows if row.cycle.end_ns is not None)


# -- words -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [(0, "0 ns"), (640, "640 ns"), (6_500, "6.5 µs"), (45_000, "45 µs"), (999_600, "1.0 ms"), (812e6, "812 ms"),
     (2.1e9, "2.1 s"), (185e9, "3m05s"), (-5, "0 ns")],
)  # fmt: skip
def test_times(nanoseconds: float, text: str) -> None:
    assert span_text(nanoseconds) == text


def test_growth_is_told_with_what_it_rests_on_and_never_as_a_cause() -> None:
    points = tuple(HeapPoint(second * 10**9, (100 + 10 * second) << 20) for second in range(8))
    trace = replace(recorded(), heap=points, gc_cycles=8)
    text = "\n".join(line_text(line) for line in growth_lines(trace))
    assert "+600 MB/min" in text and "n = 8 GC" in text and "95 %" in text
    assert "not because of it" in text
    assert all(line_width(line) <= 80 for line in growth_lines(trace))
    assert "three are needed" in line_text(growth_lines(replace(trace, heap=points[:2]))[0])


def test_a_trace_cut_short_says_so_first() -> None:
    assert line_text(summary_line(replace(recorded(), truncated=True))).startswith(" cut short:")


def test_an_answer_is_remembered_for_the_same_object_only() -> None:
    asked: list[list[int]] = []

    @remembered
    def total(values: list[int]) -> int:
        asked.append(values)
        return sum(values)

    one, equal = [1, 2], [1, 2]
    assert total(one) == total(one) == total(equal) == 3
    assert asked == [one, equal]


# -- keys ------------------------------------------------------------------------------------------


def top_of(app: object) -> TraceRoot:
    top = watch_screen(app).pane.top
    assert isinstance(top, TraceRoot)
    return top


async def test_g_goes_through_the_views_and_m_through_their_ways() -> None:
    app = make_app(traced())
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_for_facts(pilot)
        await pilot.press("5")
        await wait_for(pilot, lambda: "timeline · all of it" in screen_text(app))
        assert top_of(app).table is None
        await pilot.press("g")
        await wait_for(pilot, lambda: "blocking, by stack" in screen_text(app))
        assert "live heap" in screen_text(app)
        await pilot.press("m")
        await wait_for(pilot, lambda: "blocking, by reason" in screen_text(app))
        await pilot.press("g")
        await wait_for(pilot, lambda: "who started whom" in screen_text(app).split("\n")[6])
        await pilot.press("g")
        await wait_for(pilot, lambda: "bodies left open, by request" in screen_text(app))
        await pilot.press("m")
        await wait_for(pilot, lambda: "one by one" in screen_text(app).split("\n")[6])
        await pilot.press("g", "g")
        await wait_for(pilot, lambda: "collections" in screen_text(app).split("\n")[6])
        await pilot.press("g")
        await wait_for(pilot, lambda: "timeline · all of it" in screen_text(app))
        assert app.focused is top_of(app).chart


async def test_from_a_request_to_its_source_line() -> None:
    app = make_app(traced())
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_for_facts(pilot)
        await pilot.press("5", "g", "g", "g", "m")
        await wait_for(pilot, lambda: top_of(app).view == BODIES and len(top_of(app).table.rows) > 1)  # type: ignore[union-attr]
        await pilot.press("enter")
        await wait_for(pilot, lambda: "The request that left it" in screen_text(app))
        await pilot.press("enter")
        await wait_for(pilot, lambda: "The source is not on this machine" in screen_text(app))
        await pilot.press("escape", "escape")
        assert watch_screen(app).pane.depth == 1


async def test_arrows_fold_the_family() -> None:
    app = make_app(traced())
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_for_facts(pilot)
        await pilot.press("5", "g", "g")
        await wait_for(pilot, lambda: top_of(app).view == GENEALOGY and len(top_of(app).table.rows) > 2)  # type: ignore[union-attr]
        table = top_of(app).table
        assert table is not None
        before = len(table.rows)
        await pilot.press("left")
        await wait_for(pilot, lambda: len(table.rows) < before)
        await pilot.press("right")
        await wait_for(pilot, lambda: len(table.rows) == before)


async def test_m_hides_a_lane_and_says_so() -> None:
    app = make_app(traced())
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_for_facts(pilot)
        await pilot.press("5")
        await wait_for(pilot, lambda: "hide lane" in screen_text(app))
        await pilot.press("down", "m")
        await wait_for(pilot, lambda: "show lane" in screen_text(app))
        assert top_of(app).chart.hidden == {"world stops"}
        await pilot.press("plus", "enter")
        await wait_for(pilot, lambda: "and the next" in screen_text(app))


async def test_a_new_trace_replaces_the_old_one() -> None:
    investigation = traced()
    app = make_app(investigation, tick=0.0)
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_for_facts(pilot)
        await pilot.press("5")
        await wait_for(pilot, lambda: "format go1.26" in screen_text(app))
        investigation.move(trace=recorded("go1.22-h1"))
        await wait_for(pilot, lambda: "format go1.22" in screen_text(app))


@pytest.mark.parametrize(
    ("state", "words"),
    [("none", "t takes one of 5 s"), ("under way", "is being taken"), ("not offered", "they come from pprof"),
     ("failed", "the endpoint broke off")],
)  # fmt: skip
async def test_without_a_trace_it_says_what_to_do(state: str, words: str) -> None:
    investigation = FakeInvestigation()
    session = investigation.session
    if state == "under way":
        session.under_way.add(Want.TRACE)
    elif state == "not offered":
        session.capabilities = tuple(item for item in session.capabilities if "trace" not in item.gives)
    elif state == "failed":
        giving = next(item.engine for item in session.capabilities if "trace" in item.gives)
        failed = Source(giving, SourceState.FAILED, "the endpoint broke off")
        investigation.move(sources=tuple(failed if s.name == giving else s for s in session.snapshot.sources))
    app = make_app(investigation)
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_for_facts(pilot)
        await pilot.press("5")
        await wait_for(pilot, lambda: words in screen_text(app))
        await pilot.press("plus", "enter", "m", "g", "g", "m", "g", "m", "g", "g", "g")
        await wait_for(pilot, lambda: "timeline" in screen_text(app))


async def test_a_hostile_trace_reaches_no_terminal() -> None:
    writer = TraceWriter()
    writer.status(1)
    evil = "main.\x1b[2Jevil"
    writer.create(2, 1, f"{evil}:10", f"{evil}:3")
    writer.block(2, "\x1b]0;owned\x07", f"{evil}:4")
    writer.add(ev.GC_BEGIN, 1, 0)
    app = make_app(traced(summarize_trace([writer.bytes()])))
    async with app.run_test(size=(120, 40)) as pilot:
        await wait_for_facts(pilot)
        await pilot.press("5")
        for _ in range(7):
            await pilot.press("g")
            await pilot.pause(0.05)
            assert "\x1b" not in screen_text(app) and "\x07" not in screen_text(app)


def test_views_have_the_numbers_the_keys_think() -> None:
    root = TraceRoot()
    assert root.modes == 6
    assert root.next_view == "blocking"
    assert (BODIES, READERS) == (3, 4)
