"""Bursts, values and expressions, driven through the real application."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from leaktui.analysis.tracepoint_bodies import pair_bodies
from leaktui.engines.fake_delve import bodies_burst, burst, evaluation, inspection
from leaktui.engines.protocol import Want
from leaktui.model.capability import SourceState
from leaktui.model.ledger import LedgerKind
from leaktui.tui.screens.burst import BurstScreen
from leaktui.tui.screens.consent import ConsentScreen
from leaktui.tui.screens.expression import ExpressionScreen
from leaktui.tui.screens.watch import PANES, WatchScreen
from tests.tui.driving import make_app, screen_text, wait_for, wait_for_facts, watch_screen
from tests.tui.fakes import DELVE, NO_DELVE, FakeInvestigation, attached, debugging, probing
from tests.tui.scene import NOW, PROBING_CAPABILITIES

SMALL = (80, 24)
PANE = str([name for name, _ in PANES].index("Delve") + 1)
GOROUTINES = ("3", "g", "g", "g", "g")


def answer(investigation: FakeInvestigation, want: Want, **changes: object) -> None:
    """What the engine says to the order under way."""
    investigation.session.under_way.discard(want)
    attached(investigation)
    investigation.move(**changes)


async def test_a_burst_is_asked_for_each_time_with_its_cost() -> None:
    investigation = debugging()
    app = make_app(investigation)
    async with app.run_test(size=SMALL) as pilot:
        await wait_for_facts(pilot)
        await pilot.press(PANE)
        assert "T records a burst of tracepoints" in screen_text(app) and "T burst" in screen_text(app)
        await pilot.press("T")
        assert isinstance(app.screen, BurstScreen)
        text = " ".join(screen_text(app).replace("│", " ").split())
        assert "Each hit stops the target for about 1 to 4 ms" in text and "condition does not hold" in text
        assert "0.3 to 1.3 s" in text and "kill -9" in text and "all but stands still" not in text
        await pilot.press("1")
        text = " ".join(screen_text(app).replace("│", " ").split())
        assert "all but stands still" in text and "y record" in text, "the answer fits the screen"
        assert investigation.session.debugged == []
        await pilot.press("y")
        await wait_for(pilot, lambda: isinstance(app.screen, WatchScreen))
        (order,) = investigation.session.debugged
        assert order.plan is not None and order.allow_breakpoints and order.allow_pauses
        assert [point.function for point in order.plan.tracepoints] == ["runtime.mallocgc", "runtime.gcStart"]
        await wait_for(pilot, lambda: "on its way" in screen_text(app))
        answer(investigation, Want.TRACEPOINTS, tracepoints=burst(NOW - 5))
        await wait_for(pilot, lambda: "39 hits · in order" in screen_text(app))
        text = screen_text(app)
        assert "○ recorded 3.0 s · 39 hits · stopped it 55 ms in all, 2.3 ms at once" in text
        assert "0.083 runtime.mallocgc" in text and "64.0 kB catalog.render thumb.go:61" in text
        # The next one is asked for again, and proposes the same.
        await pilot.press("T")
        assert isinstance(app.screen, BurstScreen) and app.screen.choice.presets == {"alloc", "gc"}
        await pilot.press("n")
        assert len(investigation.session.debugged) == 1


async def test_numbers_functions_and_budget_make_the_plan() -> None:
    investigation = debugging()
    app = make_app(investigation)
    async with app.run_test(size=SMALL) as pilot:
        await wait_for_facts(pilot)
        await pilot.press("T", "2")
        assert "nothing is chosen" in screen_text(app) and "y record" not in screen_text(app)
        await pilot.press("y")
        assert isinstance(app.screen, BurstScreen), "there is nothing to say yes to"
        await pilot.press(
            "f", *"main.load:n>3K", "enter", "h", "backspace", "backspace", "backspace", "2", "0", "enter"
        )
        await pilot.press("s", "backspace", "9", "escape")
        assert isinstance(app.screen, BurstScreen), "Esc leaves the field first"
        await pilot.press("y")
        await wait_for(pilot, lambda: bool(investigation.session.debugged))
        plan = investigation.session.debugged[0].plan
        assert plan is not None and (plan.most_hits, plan.seconds) == (20, 9.0)
        assert [(point.function, point.condition) for point in plan.tracepoints] == [("main.load", "n>3072")]


async def test_t_again_ends_the_burst_without_a_question() -> None:
    investigation = debugging()
    app = make_app(investigation)
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        await wait_for_facts(pilot)
        await pilot.press("T", "y")
        await wait_for(pilot, lambda: investigation.session.is_under_way(Want.TRACEPOINTS))
        investigation.move(tracepoints=burst(NOW - 1, seconds=1.0, armed=True))
        await wait_for(pilot, lambda: "● recording 1.0 s of 5.0 s · 13 of 500 hits" in screen_text(app))
        assert "T end burst" in screen_text(app)
        await pilot.press("1")
        assert "T end burst" in screen_text(app), "wherever one is"
        await pilot.press("T")
        assert isinstance(app.screen, WatchScreen) and not investigation.session.is_under_way(
            Want.TRACEPOINTS
        )


async def test_groups_lead_to_stack_hits_and_source() -> None:
    investigation = debugging()
    investigation.session.snapshot = replace(investigation.session.snapshot, tracepoints=burst(NOW - 5))
    app = make_app(investigation)
    async with app.run_test(size=SMALL) as pilot:
        await wait_for_facts(pilot)
        await pilot.press(PANE, "g")
        await wait_for(pilot, lambda: "3 groups · by stack" in screen_text(app))
        assert "24      8.0   1.5 MB" in screen_text(app)
        await pilot.press("enter")
        assert "Delve › catalog.render thumb.go:61" in screen_text(app) and "▶ catalog.render" in screen_text(
            app
        )
        await pilot.press("end")
        assert "goroutine 42  64.0 kB" in screen_text(app)
        await pilot.press("home", "enter")
        await wait_for(pilot, lambda: "thumb.go:61" in screen_text(app) and "source" in screen_text(app))
        await pilot.press("escape", "escape", "g")
        assert "by function" in screen_text(app)
        await pilot.press("g")
        assert "This burst paired no bodies" in screen_text(app)
        await pilot.press("g", "enter")
        assert "asked for" not in screen_text(app) and "after the burst began" in screen_text(app)


async def test_bodies_are_paired_by_owner() -> None:
    investigation = debugging()
    run = bodies_burst(NOW - 8)
    investigation.session.snapshot = replace(investigation.session.snapshot, tracepoints=run)
    investigation.assessment = replace(investigation.assessment, pairs=pair_bodies(run))
    app = make_app(investigation)
    async with app.run_test(size=SMALL) as pilot:
        await wait_for_facts(pilot)
        await pilot.press(PANE, "g", "g", "g")
        await wait_for(pilot, lambda: "2 owners · bodies by owner" in screen_text(app))
        rows = screen_text(app).splitlines()
        guilty = next(line for line in rows if "pricing.(*Client).Lookup" in line)
        assert guilty.split()[:3] == ["16", "10", "5"] and "likely" in guilty
        await pilot.press("enter")
        assert "5 left open, 1 in use or young" in screen_text(
            app
        ) and "read to the end without Close" in screen_text(app)


async def test_the_table_is_exported(tmp_path: Path) -> None:
    investigation = debugging()
    investigation.session.snapshot = replace(investigation.session.snapshot, tracepoints=burst(NOW - 5))
    app = make_app(investigation, directory=tmp_path)
    async with app.run_test(size=SMALL) as pilot:
        await wait_for_facts(pilot)
        await pilot.press(PANE, "g", "e")
        await wait_for(pilot, lambda: bool(list(tmp_path.iterdir())))
    (path,) = tmp_path.iterdir()
    assert path.name.startswith("leaktui-4242-delve-stacks-")
    rows = path.read_text().splitlines()
    assert rows[0].startswith("hits\ta second\tbytes") and rows[1].startswith("24\t8\t1572864")


async def test_values_are_shown_after_one_yes_a_session() -> None:
    investigation = debugging()
    app = make_app(investigation)
    async with app.run_test(size=SMALL) as pilot:
        await wait_for_facts(pilot)
        await pilot.press(*GOROUTINES, "enter")
        await wait_for(pilot, lambda: "v values" in screen_text(app))
        await pilot.press("v")
        assert isinstance(app.screen, ConsentScreen) and "0.3 to 1.3 s" in screen_text(app)
        await pilot.press("n", "v", "y")
        await wait_for(pilot, lambda: "› values" in screen_text(app))
        (order,) = investigation.session.debugged
        assert order.wants == {Want.INSPECTION} and order.allow_pauses and not order.allow_breakpoints
        answer(investigation, Want.INSPECTION, inspections=(inspection(order.subject, NOW),))
        await wait_for(pilot, lambda: "▾  1 pricing.(*Client).Lookup" in screen_text(app))
        # Enter unfolds and folds; the next look asks no more.
        await pilot.press("down", "down", "enter")
        assert 'base string = "http://pricing.internal"' in screen_text(app)
        await pilot.press("enter")
        assert 'base string = "http://pricing.internal"' not in screen_text(app)
        await pilot.press("v")
        assert isinstance(app.screen, WatchScreen) and len(investigation.session.debugged) == 2
        assert watch_screen(app).pane.depth == 3, "it looks again, and goes no deeper"


async def test_an_expression_is_evaluated_in_the_frame_under_the_cursor() -> None:
    investigation = debugging()
    investigation.session.allow_pauses = True
    app = make_app(investigation)
    async with app.run_test(size=SMALL) as pilot:
        await wait_for_facts(pilot)
        await pilot.press(*GOROUTINES, "v")
        await wait_for(pilot, lambda: bool(investigation.session.debugged))
        goid = investigation.session.debugged[0].subject
        answer(investigation, Want.INSPECTION, inspections=(inspection(goid, NOW),))
        await wait_for(pilot, lambda: "▾  1" in screen_text(app))
        await pilot.press("x")
        assert isinstance(app.screen, ExpressionScreen) and "in frame 1" in screen_text(app)
        await pilot.press(*"(n", "enter")
        assert isinstance(app.screen, ExpressionScreen) and "is not paired" in screen_text(app)
        await pilot.press("backspace", "backspace", *"*queue.buf", "enter")
        await wait_for(pilot, lambda: len(investigation.session.debugged) == 2)
        order = investigation.session.debugged[1]
        assert (order.expression, order.subject, order.frame_index) == ("*queue.buf", goid, 1)
        assert "evaluating…" in screen_text(app)
        answer(investigation, Want.EVALUATION, evaluations=(evaluation("*queue.buf", goid, 1, NOW),))
        await wait_for(pilot, lambda: '{SKU: "A-1007", Cents: 950}' in screen_text(app))


async def test_a_body_offers_what_is_worth_asking() -> None:
    investigation = debugging()
    investigation.session.allow_pauses = True
    body = replace(investigation.assessment.bodies[0], request=0xC000123000)
    investigation.assessment = replace(investigation.assessment, bodies=(body,))
    app = make_app(investigation)
    async with app.run_test(size=SMALL) as pilot:
        await wait_for_facts(pilot)
        await pilot.press("4", "enter", "v")
        await wait_for(pilot, lambda: "Worth asking" in screen_text(app))
        assert investigation.session.debugged[0].subject == body.goid
        await pilot.press("enter")
        await wait_for(pilot, lambda: len(investigation.session.debugged) == 2)
        assert investigation.session.debugged[1].expression == '(*(*"net/http.Request")(0xc000123000)).Method'


async def test_a_burst_is_over_before_leaktui_is_stopped() -> None:
    investigation = debugging()
    app = make_app(investigation)
    async with app.run_test(size=SMALL) as pilot:
        await wait_for_facts(pilot)
        await pilot.press("T", "y")
        await wait_for(pilot, lambda: investigation.session.is_under_way(Want.TRACEPOINTS))
        app._before_stop()
        assert not investigation.session.is_under_way(Want.TRACEPOINTS)


@pytest.mark.parametrize("key", ["T", "v", "x"])
async def test_without_dlv_it_says_how_to_get_it(key: str) -> None:
    app = make_app(debugging(NO_DELVE))
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        await wait_for_facts(pilot)
        await pilot.press(PANE)
        text = screen_text(app)
        assert (
            "✕ dlv is not on PATH → go install github.com/go-delve" in text and "No tracepoints here" in text
        )
        await pilot.press(*GOROUTINES, key)
        await wait_for(pilot, lambda: "dlv is not on PATH" in screen_text(app))
        assert "go install" in screen_text(app)


async def test_somebody_elses_server_is_only_looked_at() -> None:
    looking_only = replace(DELVE, gives=(Want.INSPECTION.value, Want.EVALUATION.value))
    investigation = debugging(looking_only)
    investigation.session.allow_pauses = True
    app = make_app(investigation)
    async with app.run_test(size=SMALL) as pilot:
        await wait_for_facts(pilot)
        await pilot.press("T")
        assert "somebody else's server" in screen_text(app)
        await pilot.press("y", "escape", *GOROUTINES, "v")
        await wait_for(
            pilot, lambda: [item.wants for item in investigation.session.debugged] == [{Want.INSPECTION}]
        )


@pytest.mark.parametrize("key", ["T", "v"])
async def test_read_only_forbids(key: str) -> None:
    investigation = debugging()
    app = make_app(investigation, read_only=True)
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        await wait_for_facts(pilot)
        await pilot.press(*GOROUTINES, key)
        await wait_for(pilot, lambda: "--read-only forbids" in screen_text(app))
        await pilot.press("y")
        assert investigation.session.debugged == []


async def test_delve_is_never_used_beside_armed_probes() -> None:
    investigation = probing(LedgerKind.BODIES)
    delve = debugging().session.capabilities[-1]
    investigation.session.capabilities = (*PROBING_CAPABILITIES, delve)
    app = make_app(investigation)
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        await wait_for_facts(pilot)
        await pilot.press("T")
        assert "probes are armed" in screen_text(app) and "→ a disarms them" in screen_text(app)
        await pilot.press("y", "escape", *GOROUTINES, "v")
        await wait_for(pilot, lambda: "a disarms them" in screen_text(app))
        assert investigation.session.debugged == []


async def test_a_burst_that_came_to_nothing_is_told_with_its_reason() -> None:
    investigation = debugging()
    app = make_app(investigation)
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        await wait_for_facts(pilot)
        await pilot.press("T", "y")
        await wait_for(pilot, lambda: investigation.session.is_under_way(Want.TRACEPOINTS))
        sources = tuple(
            replace(item, state=SourceState.USED, detail="gdb traces it", remedy="end gdb first")
            if item.name == "delve"
            else item
            for item in investigation.session.snapshot.sources
        )
        investigation.session.under_way.clear()
        investigation.move(sources=sources)
        await wait_for(pilot, lambda: "no tracepoints: gdb traces it" in screen_text(app))
