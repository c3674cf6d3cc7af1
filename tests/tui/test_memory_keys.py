"""What the keys do where the target's memory is read, driven through the real application."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from leaktui.analysis.program import UnknownProgram
from leaktui.engines.fake import FakeEngine
from leaktui.engines.protocol import DetailSeen, GroupsSeen, HoldersSeen, Want
from leaktui.investigation import Investigation
from leaktui.model.capability import Capability, Impact, SourceState
from leaktui.model.goroutine import GoroutineGroup
from leaktui.session.events import ProgressMade
from leaktui.tui.panes.drill import GoroutineLevel, ObjectLevel, holder_level
from leaktui.tui.screens.consent import ConsentScreen
from leaktui.tui.screens.watch import WatchScreen
from tests.tui.driving import make_app, screen_text, wait_for, wait_for_facts, watch_screen
from tests.tui.fakes import FakeInvestigation, read_from_memory
from tests.tui.scene import (
    BODY,
    BODY_HOLDERS,
    DETAIL,
    HELD_BY_MAP,
    HELD_BY_OBJECT,
    MEMORY_CAPABILITIES,
    MEMORY_SOURCES,
    ORPHANED_BODY,
    SECOND,
    TARGET,
)

SMALL = (80, 24)


def end_search(investigation: FakeInvestigation, **facts: Any) -> None:
    """As a session does: the facts, then the end of what was under way."""
    investigation.session.under_way.clear()
    investigation.move(**facts)
    investigation.listener(ProgressMade("", "", 1.0))


async def test_h_looks_for_holders_and_each_of_them_leads_to_its_own() -> None:
    investigation = read_from_memory()
    app = make_app(investigation)
    async with app.run_test(size=SMALL) as pilot:
        await wait_for_facts(pilot)
        await pilot.press("4", "h")
        await wait_for(pilot, lambda: "looking at level 1 … Esc gives it up" in screen_text(app))
        assert investigation.session.subjects == [(Want.HOLDERS, BODY)]
        end_search(investigation, holders=(BODY_HOLDERS,))
        await wait_for(pilot, lambda: "global example.com/shop/users.pending  3 steps" in screen_text(app))
        # The owner, the reader, and then the nearest holder.
        await pilot.press("down", "down", "enter")
        await wait_for(pilot, lambda: isinstance(watch_screen(app).pane.top, ObjectLevel))
        await wait_for(pilot, lambda: "looking at level 1" in screen_text(app))
        assert "Bodies › main.loadUser › http.Response" in screen_text(app)
        assert investigation.session.subjects[-1] == (Want.HOLDERS, HELD_BY_OBJECT.object)


async def test_escape_gives_up_a_search_before_it_goes_back() -> None:
    investigation = read_from_memory()
    app = make_app(investigation)
    async with app.run_test(size=SMALL) as pilot:
        await wait_for_facts(pilot)
        await pilot.press("4", "enter", "h")
        await wait_for(pilot, lambda: "looking at level 1" in screen_text(app))
        await pilot.press("escape")
        assert investigation.session.cancelled == 1
        assert watch_screen(app).pane.depth == 2
        end_search(investigation, holders=())
        await wait_for(pilot, lambda: "look again (h)" in screen_text(app))
        await pilot.press("escape")
        assert watch_screen(app).pane.depth == 1
        assert investigation.session.cancelled == 1


async def test_what_is_watched_all_the_time_is_no_news_and_not_given_up() -> None:
    investigation = read_from_memory()
    investigation.session.under_way = {Want.HANDOFFS}
    app = make_app(investigation)
    async with app.run_test(size=SMALL) as pilot:
        await wait_for_facts(pilot)
        investigation.listener(ProgressMade("memory", "12 callers seen", 0.4))
        await wait_for(pilot, lambda: bool(watch_screen(app)._progress))
        assert "callers seen" not in screen_text(app) and "watching 84 s" in screen_text(app)
        await pilot.press("escape")
        assert investigation.session.cancelled == 0
        investigation.session.under_way = {Want.HANDOFFS, Want.LEAKED}
        investigation.listener(ProgressMade("memory", "reachability", 0.4))
        await wait_for(pilot, lambda: "reachability" in screen_text(app))
        await pilot.press("escape")
        assert investigation.session.cancelled == 1


async def test_one_search_at_a_time() -> None:
    investigation = read_from_memory()
    app = make_app(investigation)
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        await wait_for_facts(pilot)
        await pilot.press("4", "h", "h")
        await wait_for(pilot, lambda: "a search is under way" in screen_text(app))
        assert investigation.session.subjects == [(Want.HOLDERS, BODY)]


async def test_a_search_of_the_investigation_does_not_keep_one_from_searching() -> None:
    investigation = read_from_memory()
    investigation.session.under_way = {Want.HOLDERS}
    app = make_app(investigation)
    async with app.run_test(size=SMALL) as pilot:
        await wait_for_facts(pilot)
        await pilot.press("4", "h")
        await wait_for(pilot, lambda: "looking at level 1" in screen_text(app))
        assert investigation.session.subjects == [(Want.HOLDERS, BODY)]
        # It is answered, and another search goes on.
        investigation.move(holders=(BODY_HOLDERS,))
        await wait_for(pilot, lambda: "3 steps away" in screen_text(app))
        assert "looking" not in screen_text(app)
        await pilot.press("escape")
        assert investigation.session.cancelled == 0
        assert watch_screen(app).pane.depth == 1


async def test_enter_on_the_line_that_offers_a_search_begins_it() -> None:
    investigation = read_from_memory()
    app = make_app(investigation)
    async with app.run_test(size=SMALL) as pilot:
        await wait_for_facts(pilot)
        await pilot.press("4", "down", "enter", "enter")
        assert investigation.session.subjects == [(Want.HOLDERS, ORPHANED_BODY.connection)]


async def test_no_search_where_memory_is_not_read_or_there_is_nothing_to_search() -> None:
    investigation = FakeInvestigation()
    app = make_app(investigation)
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        await wait_for_facts(pilot)
        await pilot.press("4")
        assert "h holders" not in screen_text(app)
        await pilot.press("1", "h")
        await wait_for(pilot, lambda: "holders are looked for from" in screen_text(app))
        assert investigation.session.subjects == []


async def test_a_goroutine_that_is_opened_is_looked_at_closely() -> None:
    investigation = read_from_memory()
    app = make_app(investigation)
    async with app.run_test(size=(80, 40)) as pilot:
        await wait_for_facts(pilot)
        await pilot.press("3", "g", "g", "g", "g")
        await wait_for(pilot, lambda: "one by one" in screen_text(app))
        await pilot.press("enter")
        await wait_for(pilot, lambda: investigation.session.subjects == [(Want.DETAIL, 18)])
        end_search(investigation, details=(DETAIL,))
        await wait_for(pilot, lambda: "receive from chan main.job" in screen_text(app))
        assert "deferred at thumbs.go:72" in screen_text(app)
        # The same dump: nothing to ask again. Past parent and creator to the first peer.
        assert len(investigation.session.subjects) == 1
        await pilot.press("down", "down", "enter")
        await wait_for(pilot, lambda: "Goroutines › goroutine 18 › goroutine 19" in screen_text(app))
        assert investigation.session.subjects[-1] == (Want.DETAIL, 19)


async def test_a_goroutine_no_dump_has_says_so() -> None:
    app = make_app(read_from_memory())
    async with app.run_test(size=SMALL) as pilot:
        await wait_for_facts(pilot)
        watch_screen(app).pane.post_message(GoroutineLevel.Descended(GoroutineLevel(77)))
        await wait_for(pilot, lambda: "Goroutine 77 is not in the newest dump" in screen_text(app))


async def test_the_heap_without_a_profile_begins_with_its_size_classes() -> None:
    app = make_app(read_from_memory())
    async with app.run_test(size=SMALL) as pilot:
        await wait_for_facts(pilot)
        await pilot.press("2")
        assert "5 size classes · by size class · 36.8 MB live" in screen_text(app)
        assert "m measure" not in screen_text(app)
        await pilot.press("m", "g")
        assert "2 types · by type · known of 13 %" in screen_text(app)
        await pilot.press("g")
        assert "This program keeps no heap profile; g shows its heap" in screen_text(app)
        await pilot.press("g", "g", "g", "enter")
        await wait_for(pilot, lambda: "Heap › 48 B objects" in screen_text(app))


async def test_a_sample_of_a_size_class_leads_to_its_holders() -> None:
    investigation = read_from_memory()
    app = make_app(investigation)
    async with app.run_test(size=SMALL) as pilot:
        await wait_for_facts(pilot)
        await pilot.press("2", "enter")
        await wait_for(pilot, lambda: "object at 0xc0000a4040" in screen_text(app))
        await pilot.press("enter")
        await wait_for(pilot, lambda: "Heap › 48 B objects › object 0xc0000a4040" in screen_text(app))
        assert investigation.session.subjects == [(Want.HOLDERS, BODY)]
        end_search(investigation, holders=(BODY_HOLDERS,))
        await wait_for(pilot, lambda: "type        net/http.bodyEOFSignal" in screen_text(app))


async def test_the_heap_with_a_profile_begins_with_its_sites() -> None:
    investigation = FakeInvestigation()
    investigation.move(heap_census=read_from_memory().session.snapshot.heap_census)
    app = make_app(investigation)
    async with app.run_test(size=SMALL) as pilot:
        await wait_for_facts(pilot)
        await pilot.press("2")
        assert "4 sites · by site" in screen_text(app)
        await pilot.press("g", "g", "g")
        assert "5 size classes" in screen_text(app)


@pytest.mark.parametrize("failed", [False, True])
async def test_a_dump_that_costs_nothing_needs_no_leave(failed: bool) -> None:
    investigation = read_from_memory()
    pprof = Capability("pprof", True, Impact.LIGHT, ("groups", "goroutines"))
    investigation.session.capabilities = (*MEMORY_CAPABILITIES[:2], pprof)
    sources = list(MEMORY_SOURCES)
    if failed:
        sources[1] = type(sources[1])("memory", SourceState.FAILED, "no longer permitted")
    investigation.move(groups=(GoroutineGroup(50_000, SECOND.stack),), sources=tuple(sources))
    app = make_app(investigation)
    async with app.run_test(size=SMALL) as pilot:
        await wait_for_facts(pilot)
        await pilot.press("r")
        assert isinstance(app.screen, ConsentScreen if failed else WatchScreen)
        ((wants, allowed),) = investigation.session.orders
        assert (Want.GOROUTINES in wants) is not failed
        assert {Want.BODIES, Want.HEAP_CENSUS} <= wants and not allowed


async def test_answers_come_through_a_real_session() -> None:
    engine = FakeEngine(
        {
            Want.GROUPS: [[GroupsSeen((GoroutineGroup(4, SECOND.stack, wait_reason="chan receive"),))]],
            Want.HOLDERS: [[HoldersSeen(BODY_HOLDERS)]],
            Want.DETAIL: [[DetailSeen(DETAIL)]],
        },
        name="memory",
    )
    made: list[Investigation] = []

    def open_target(listener: Callable[[Any], None]) -> Investigation:
        made.append(Investigation(TARGET, [engine], listener, load_program=UnknownProgram, automatic=False))
        return made[0]

    from leaktui.tui.app import LeaktuiApp

    app = LeaktuiApp(open_target, title="pid 4242", tick=0.05)
    try:
        async with app.run_test(size=SMALL) as pilot:
            await wait_for_facts(pilot)
            screen = watch_screen(app)
            await wait_for(pilot, lambda: made[0].session.offers(Want.HOLDERS))
            await wait_for(pilot, lambda: screen.facts is not None and screen.facts.offers(Want.HOLDERS))
            screen.pane.post_message(ObjectLevel.Descended(holder_level(HELD_BY_MAP)))
            await wait_for(pilot, lambda: any(Want.HOLDERS in item.wants for item in engine.asked))
            asked = next(item for item in engine.asked if Want.HOLDERS in item.wants)
            assert asked.subject == HELD_BY_MAP.object
            await wait_for(pilot, lambda: screen.orders.searching == 0)
            # The answer is on the body, so this object has none: it is said, and nothing hangs.
            await wait_for(pilot, lambda: "nothing was found there" in screen_text(app))
            screen.pane.post_message(GoroutineLevel.Descended(GoroutineLevel(18)))
            await wait_for(pilot, lambda: "receive from chan main.job" in screen_text(app))
    finally:
        app.close_target()
