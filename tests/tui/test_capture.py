"""The screens on a capture: what it says it is, and what cannot be asked of it."""

from __future__ import annotations

from typing import Any

import pytest

from leaktui.engines.protocol import Want
from leaktui.sources import Sources
from leaktui.tui.actions import ACTIONS, NEEDS_PROCESS
from tests.tui.driving import make_app, screen_text, wait_for, wait_for_facts, watch_screen
from tests.tui.fakes import FakeInvestigation, read_from_memory

SMALL = (80, 24)
WHEN = "capture of 2026-07-01 12:00"


def make_capture(investigation: FakeInvestigation | None = None, **options: Any) -> Any:
    return make_app(investigation, capture=WHEN, **options)


async def test_the_header_says_what_it_is_and_of_when() -> None:
    app = make_capture()
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        await wait_for_facts(pilot)
        top = screen_text(app).split("\n")[0]
        assert WHEN in top and "recorded" in top and "watching" not in top
        keys = screen_text(app).split("\n")[-1]
        assert "pause" not in keys and "refresh" not in keys and "filter" in keys


def test_what_needs_a_process_is_in_the_table_of_actions() -> None:
    assert {action.name for action in ACTIONS} >= NEEDS_PROCESS


@pytest.mark.parametrize("key", ["r", "t", "G", "p", "a", "A"])
async def test_a_key_that_needs_the_process_says_so(key: str) -> None:
    investigation = FakeInvestigation()
    app = make_capture(investigation)
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        await wait_for_facts(pilot)
        await pilot.press(key)
        await wait_for(pilot, lambda: "this is a capture" in screen_text(app))
        session = investigation.session
        assert not (session.orders or session.pauses or investigation.traces or session.under_way)
        assert watch_screen(app).is_current


@pytest.mark.parametrize("known", [True, False])
async def test_holders_are_shown_where_they_were_recorded(known: bool) -> None:
    investigation = read_from_memory()
    investigation.knows = lambda want, subject: known  # type: ignore[attr-defined]
    app = make_capture(investigation)
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        await wait_for_facts(pilot)
        await pilot.press("4", "enter", "h")
        if known:
            await wait_for(pilot, lambda: bool(investigation.session.subjects))
            assert investigation.session.subjects[-1][0] is Want.HOLDERS
        else:
            # Toasts break their lines as they like.
            await wait_for(pilot, lambda: "this is a capture" in screen_text(app))
            assert not [want for want, _ in investigation.session.subjects if want is Want.HOLDERS]


async def test_what_is_missing_at_its_end_stands_in_the_banner() -> None:
    investigation = FakeInvestigation()
    investigation.shortfall = "the capture ends early, after 7 s"  # type: ignore[attr-defined]
    app = make_capture(investigation, notice="this is a recording")
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        await wait_for_facts(pilot)
        await wait_for(pilot, lambda: "the capture ends early, after 7 s" in screen_text(app))
        assert "this is a recording" in screen_text(app)


def test_the_source_it_holds_goes_before_what_lies_here() -> None:
    kept = {3: "func f() {", 4: "    g()", 9: "}"}
    sources = Sources(kept=lambda file: kept if file == "/src/main.go" else {})
    found = sources.read("/src/main.go")
    assert found is not None
    assert found.lines[2:4] == ("func f() {", "    g()") and found.lines[8] == "}"
    assert [number for number, line in enumerate(found.lines, 1) if "not in the capture" in line] == [
        1,
        5,
        10,
    ]
    assert sources.read("/src/other.go") is None
