"""Arming, reading and disarming probes, driven through the real application."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from leaktui.analysis.program import UnknownProgram
from leaktui.engines.fake_scenario import LEAKING_CALL, LeakingService
from leaktui.engines.protocol import LEDGERS, Want
from leaktui.investigation import Investigation
from leaktui.model.capability import Source, SourceState
from leaktui.model.finding import LeakKind
from leaktui.model.ledger import LedgerKind
from leaktui.sources import SourceRoot, Sources
from leaktui.tui.app import LeaktuiApp
from leaktui.tui.screens.probes import ProbesScreen
from leaktui.tui.screens.watch import WatchScreen
from leaktui.wire.profile import decode_profile
from tests.tui.driving import make_app, screen_text, wait_for, wait_for_facts, watch_screen
from tests.tui.fakes import FakeInvestigation, probing, read_from_memory
from tests.tui.scene import (
    BODY,
    BODY_LEDGER,
    PROBED,
    PROBES_REFUSED,
    PROBING_CAPABILITIES,
    PROBING_SOURCES,
    SUSPECT,
)

SMALL = (80, 24)
BODIES, FDS, ALLOCATIONS = LedgerKind.BODIES, LedgerKind.FDS, LedgerKind.ALLOCATIONS
LEDGER = ("4", "g", "g", "g")


async def test_a_asks_with_the_cost_and_y_arms_and_shows_the_ledger() -> None:
    investigation = probing()
    app = make_app(investigation)
    async with app.run_test(size=SMALL) as pilot:
        await wait_for_facts(pilot)
        assert "○ probes off" in screen_text(app)
        await pilot.press("4")
        assert "a arm " in screen_text(app)
        await pilot.press("a")
        text = screen_text(app)
        assert isinstance(app.screen, ProbesScreen)
        assert "[x] response bodies    about 25 µs a request" in text and "[ ] file descriptors" in text
        assert "never" in text and "30,000 hits a second" in text and "however it ends" in text
        assert investigation.session.under_way == set()
        await pilot.press("y")
        await wait_for(pilot, lambda: "3 owners · ledger of bodies" in screen_text(app))
        assert investigation.session.under_way == {Want.BODY_LEDGER}
        text = screen_text(app)
        assert "● armed 12 s · opened 436 · closed 319 · to end 16 · still open 99 · gone 2" in text
        assert "98      0    96  100 %   10 s main.loadUser" in text
        assert "● probes armed, 25 µs a request" in text and "a disarm" in text


async def test_a_again_disarms_at_once_and_the_books_stay() -> None:
    investigation = probing(BODIES, FDS)
    app = make_app(investigation)
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        await wait_for_facts(pilot)
        # The key works, and is shown, wherever one is.
        assert "a disarm" in screen_text(app)
        await pilot.press("a")
        assert isinstance(app.screen, WatchScreen)
        assert investigation.disarmed == [frozenset({BODIES, FDS})]
        await wait_for(pilot, lambda: "disarmed: response bodies, file" in screen_text(app))
        await pilot.press(*LEDGER)
        await wait_for(pilot, lambda: "○ disarmed after 12 s · opened 436" in screen_text(app))
        assert "3 owners" in screen_text(app) and "a arm " in screen_text(app)


async def test_enter_says_yes_and_anything_else_no() -> None:
    investigation = probing()
    app = make_app(investigation)
    async with app.run_test(size=SMALL) as pilot:
        await wait_for_facts(pilot)
        for answer in ("n", "escape", "q"):
            await pilot.press("a", answer)
            assert isinstance(app.screen, WatchScreen)
        # Nothing chosen is nothing armed.
        await pilot.press("a", "1", "enter")
        assert investigation.session.under_way == set() and investigation.disarmed == []
        await pilot.press("a", "enter")
        await wait_for(pilot, lambda: investigation.session.under_way == {Want.BODY_LEDGER})
        await wait_for(pilot, lambda: watch_screen(app).pane_index == 3)


async def test_each_kind_is_switched_by_itself_and_shown_by_m() -> None:
    investigation = probing()
    app = make_app(investigation)
    async with app.run_test(size=SMALL) as pilot:
        await wait_for_facts(pilot)
        await pilot.press("4", "a", "1", "2", "3")
        assert "[ ] response bodies" in screen_text(app) and "[x] large allocations" in screen_text(app)
        await pilot.press("y")
        await wait_for(pilot, lambda: "ledger of fds" in screen_text(app))
        assert investigation.session.under_way == {Want.FD_LEDGER, Want.ALLOCATION_LEDGER}
        assert "opened 121 · closed 4 · still open 95" in screen_text(app)
        assert "3 hits were lost" in screen_text(app) and "m allocations" in screen_text(app)
        await pilot.press("m")
        assert "ledger of allocations" in screen_text(app) and "freed 48" in screen_text(app)
        await pilot.press("m")
        assert "A arms probes for response bodies" in screen_text(app)
        # One more, and one less.
        await pilot.press("A")
        assert "Which probes shall be armed?" in screen_text(app) and "y change" in screen_text(app)
        await pilot.press("2", "y")
        await wait_for(pilot, lambda: "ledger of bodies" in screen_text(app))
        assert investigation.session.under_way == {Want.BODY_LEDGER, Want.ALLOCATION_LEDGER}
        assert investigation.disarmed == [frozenset({FDS})]
        await pilot.press("A", "1", "3")
        assert "y disarm" in screen_text(app)
        await pilot.press("y")
        assert investigation.session.under_way == set()


async def test_what_is_proposed_is_what_the_pane_is_about() -> None:
    app = make_app(probing())
    async with app.run_test(size=SMALL) as pilot:
        await wait_for_facts(pilot)
        await pilot.press("2", "a")
        assert isinstance(app.screen, ProbesScreen) and app.screen.chosen == {ALLOCATIONS}
        await pilot.press("escape", *LEDGER, "m", "a")
        assert isinstance(app.screen, ProbesScreen) and app.screen.chosen == {FDS}


@pytest.mark.parametrize(
    ("kind", "proposed"), [(LeakKind.FD, FDS), (LeakKind.HEAP, ALLOCATIONS), (LeakKind.GOROUTINE, BODIES)]
)
async def test_what_is_proposed_is_what_may_prove_the_first_suspect(
    kind: LeakKind, proposed: LedgerKind
) -> None:
    investigation = probing()
    investigation.assessment = replace(PROBED, suspects=(replace(SUSPECT, kind=kind),))
    app = make_app(investigation)
    async with app.run_test(size=SMALL) as pilot:
        await wait_for_facts(pilot)
        await pilot.press("a")
        assert isinstance(app.screen, ProbesScreen) and app.screen.chosen == {proposed}


async def test_the_ledger_has_the_focus_wherever_the_probes_were_armed() -> None:
    app = make_app(probing())
    async with app.run_test(size=SMALL) as pilot:
        await wait_for_facts(pilot)
        await pilot.press("2", "a", "y")
        await wait_for(pilot, lambda: "ledger of allocations" in screen_text(app))
        await pilot.press("enter")
        await wait_for(pilot, lambda: "14 still open" in screen_text(app))
        await pilot.press("enter")
        await wait_for(pilot, lambda: "128 kB · alive" in screen_text(app))


async def test_the_mouse_switches_and_answers() -> None:
    investigation = probing()
    app = make_app(investigation)
    async with app.run_test(size=SMALL) as pilot:
        await wait_for_facts(pilot)
        await pilot.press("a")
        assert isinstance(app.screen, ProbesScreen)
        await pilot.click(app.screen._switches[FDS], offset=(6, 0))
        assert app.screen.chosen == {BODIES, FDS}
        await pilot.click("#answers", offset=(2, 0))
        await wait_for(pilot, lambda: investigation.session.under_way == {Want.BODY_LEDGER, Want.FD_LEDGER})


async def test_down_from_an_owner_to_one_body_its_stack_and_its_source(sources: Path) -> None:
    investigation = probing(BODIES)
    app = make_app(investigation, sources=Sources([SourceRoot("/srv/shop/src", str(sources))]))
    async with app.run_test(size=SMALL) as pilot:
        await wait_for_facts(pilot)
        await pilot.press(*LEDGER, "enter")
        await wait_for(pilot, lambda: "96 still open · one by one" in screen_text(app))
        assert "Bodies › main.loadUser" in screen_text(app) and "h holders" in screen_text(app)
        first = next(line for line in screen_text(app).split("\n") if "GET " in line)
        assert "/v1/users/1000?token=…" in first and "503" in first
        assert "part read" in first and "2001" in first
        await pilot.press("enter")
        await wait_for(pilot, lambda: "part read · seen in memory" in screen_text(app))
        assert "Bodies › main.loadUser › GET /v1/users/1000" in screen_text(app)
        # Reader, opener, owner.
        await pilot.press("down", "down", "enter")
        await wait_for(pilot, lambda: "▶" in screen_text(app))
        assert "› user.go:41" in screen_text(app)
        await pilot.press("escape", "escape", "g")
        assert "2 chains · by chain of calls" in screen_text(app)
        assert "main.warmUp warm.go:19 ← main.main" in screen_text(app)
        await pilot.press("escape")
        assert watch_screen(app).pane.depth == 1 and "ledger of bodies" in screen_text(app)


async def test_holders_of_one_that_is_open() -> None:
    investigation = probing(BODIES)
    app = make_app(investigation)
    async with app.run_test(size=SMALL) as pilot:
        await wait_for_facts(pilot)
        await pilot.press(*LEDGER, "enter", "h")
        await wait_for(pilot, lambda: watch_screen(app).pane.depth == 3)
        assert investigation.session.subjects == [(Want.HOLDERS, BODY)]
        # Esc gives the search up, and leaves the probes alone.
        await pilot.press("escape")
        assert investigation.session.cancelled == 1
        assert investigation.session.under_way == {Want.BODY_LEDGER}


async def test_escape_does_not_take_probes_for_a_long_look() -> None:
    investigation = probing(BODIES)
    app = make_app(investigation)
    async with app.run_test(size=SMALL) as pilot:
        await wait_for_facts(pilot)
        await pilot.press("escape")
        assert investigation.session.cancelled == 0 and investigation.disarmed == []
        investigation.session.under_way |= {Want.LEAKED}
        watch_screen(app).orders.give_up()
        assert investigation.session.under_way == {Want.BODY_LEDGER}


async def test_a_body_that_is_closed_meanwhile_says_so_and_a_healthy_owner_leads_to_its_calls() -> None:
    investigation = probing(BODIES)
    app = make_app(investigation)
    async with app.run_test(size=SMALL) as pilot:
        await wait_for_facts(pilot)
        await pilot.press(*LEDGER, "enter", "enter")
        await wait_for(pilot, lambda: "part read" in screen_text(app))
        investigation.keep(replace(BODY_LEDGER, open=BODY_LEDGER.open[1:]))
        watch_screen(app).redraw()
        await wait_for(pilot, lambda: "no longer open: what was seen last" in screen_text(app))
        await pilot.press("escape", "escape", "end", "enter")
        await wait_for(pilot, lambda: "Bodies › main.(*health).ping   1 chains" in screen_text(app))
        await pilot.press("g")
        assert "Nothing of it is open" in screen_text(app)


async def test_filter_and_sort_work_on_the_ledger() -> None:
    app = make_app(probing(BODIES))
    async with app.run_test(size=SMALL) as pilot:
        await wait_for_facts(pilot)
        await pilot.press(*LEDGER, "s")
        table = watch_screen(app).table
        assert table is not None and table.sort_title == "opened ▾"
        assert [account.row.opened for account in table.rows] == [322, 98, 16]
        await pilot.press("slash", *"prices", "enter")
        assert [account.row.owner.function for account in table.rows] == ["main.(*prices).current"]


async def test_where_no_probes_are_permitted_it_says_why_and_what_to_do() -> None:
    investigation = probing()
    investigation.session.capabilities = (*PROBING_CAPABILITIES[:2], PROBES_REFUSED)
    unavailable = Source("probes", SourceState.UNAVAILABLE, PROBES_REFUSED.reason)
    investigation.move(sources=(*PROBING_SOURCES[:2], unavailable))
    app = make_app(investigation)
    async with app.run_test(size=SMALL) as pilot:
        await wait_for_facts(pilot)
        await pilot.press(*LEDGER)
        assert "No probes: the kernel lets only root place probes here" in screen_text(app)
        await pilot.press("a")
        assert isinstance(app.screen, ProbesScreen)
        assert "the kernel lets only root place probes here" in screen_text(app)
        assert "→ run leaktui with sudo" in screen_text(app) and "[ ]" not in screen_text(app)
        await pilot.press("1", "y")
        assert isinstance(app.screen, WatchScreen) and investigation.session.under_way == set()


async def test_read_only_is_a_reason_of_its_own() -> None:
    app = make_app(read_from_memory(), read_only=True)
    async with app.run_test(size=SMALL) as pilot:
        await wait_for_facts(pilot)
        await pilot.press("a")
        assert "--read-only forbids probes" in screen_text(app)


async def test_a_kind_that_cannot_be_probed_here_cannot_be_chosen() -> None:
    investigation = probing()
    only = replace(
        PROBING_CAPABILITIES[2], gives=("fd-ledger",), reason="bodies: the program has no HTTP client"
    )
    investigation.session.capabilities = (*PROBING_CAPABILITIES[:2], only)
    app = make_app(investigation)
    async with app.run_test(size=SMALL) as pilot:
        await wait_for_facts(pilot)
        await pilot.press("4", "a", "1")
        # What could be told of something else is proposed instead.
        assert isinstance(app.screen, ProbesScreen) and app.screen.chosen == {FDS}
        assert "response bodies    not on this process" in screen_text(app)
        assert "bodies: the program has no HTTP client" in screen_text(app)
        await pilot.press("escape", *LEDGER[1:])
        assert "No probes for response bodies here: bodies: the program has no HTTP" in screen_text(app)


async def test_an_order_that_comes_to_nothing_is_said_in_the_words_of_the_source() -> None:
    investigation = probing()
    investigation.refuses = True
    app = make_app(investigation)
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        await wait_for_facts(pilot)
        await pilot.press("4", "a", "y")
        await wait_for(pilot, lambda: "arming the probes…" in screen_text(app))
        investigation.session.under_way.clear()
        refused = Source(
            "probes", SourceState.USED, "process 4242 is traced by process 7 (dlv)", remedy="end it first"
        )
        investigation.move(sources=(*PROBING_SOURCES[:2], refused))
        watch_screen(app).redraw()
        await wait_for(pilot, lambda: "no probes for response bodies" in screen_text(app))
        text = " ".join(screen_text(app).replace("▌", "").split())
        assert "traced by process 7 (dlv)" in text and "end it first" in text
        assert "arming" not in text


async def test_nothing_is_armed_on_a_process_that_has_gone() -> None:
    investigation = probing()
    investigation.session.exited = "process 4242 exited"
    app = make_app(investigation)
    async with app.run_test(size=SMALL) as pilot:
        await wait_for_facts(pilot)
        await pilot.press("a")
        assert "the process has exited" in screen_text(app)
        await pilot.press("y")
        assert investigation.session.under_way == set()


async def test_export_of_the_ledger_masks_and_is_named_for_it(tmp_path: Path) -> None:
    app = make_app(probing(BODIES), directory=tmp_path)
    async with app.run_test(size=SMALL) as pilot:
        await wait_for_facts(pilot)
        await pilot.press(*LEDGER, "e")
        profile, path = sorted(tmp_path.iterdir(), key=lambda path: path.suffix)
        assert profile.name == path.name.replace(".tsv", ".pb.gz")
        columns = [item.name for item in decode_profile(profile.read_bytes()).value_types]
        assert columns == ["open", "opened", "closed", "bytes"]
        assert path.name.startswith("leaktui-4242-bodies-ledger-bodies-")
        header, first, *others = path.read_text().splitlines()
        assert header.split("\t")[:6] == ["opened", "closed", "to end", "open", "never", "oldest"]
        assert first.split("\t")[:8] == ["98", "0", "", "96", "1", "11.5", "main.loadUser", "user.go:41"]
        assert len(others) == 2
        path.unlink()
        profile.unlink()
        await pilot.press("enter", "e")
        (path,) = tmp_path.iterdir()
        assert "1000?token=…" in path.read_text() and "secret" not in path.read_text()
        assert len(path.read_text().splitlines()) == 97


async def test_the_probes_are_out_before_leaktui_is_stopped_and_who_comes_back_is_told() -> None:
    investigation = probing(BODIES)
    app = make_app(investigation)
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        await wait_for_facts(pilot)
        app._before_stop()
        assert investigation.disarmed == [frozenset({BODIES})] and not investigation.armed(BODIES)
        app._before_stop()
        assert len(investigation.disarmed) == 1
        app.app_resume_signal.publish(app)
        await wait_for(pilot, lambda: "disarmed before leaktui was stopped" in screen_text(app))


async def test_letting_go_of_the_target_disarms() -> None:
    investigation = probing(BODIES)
    app = make_app(investigation)
    async with app.run_test(size=SMALL) as pilot:
        await wait_for_facts(pilot)
        await pilot.press("q")
    app.close_target()
    assert not investigation.armed(BODIES) and investigation.closed


async def test_probes_of_a_real_investigation_are_armed_read_and_disarmed() -> None:
    service = LeakingService()
    made: list[Investigation] = []

    def open_target(listener: Callable[[Any], None]) -> Investigation:
        engines = [service.engine(name="memory"), service.probes(6)]
        made.append(
            Investigation(service.target(), engines, listener, load_program=UnknownProgram, automatic=False)
        )
        return made[0]

    app = LeaktuiApp(open_target, title="pid 4242", tick=0.05)
    try:
        async with app.run_test(size=(120, 40)) as pilot:
            await wait_for_facts(pilot)
            await wait_for(pilot, lambda: "probes off" in screen_text(app))
            await pilot.press("4", "a", "2", "y")
            await wait_for(
                pilot, lambda: "ledger of bodies" in screen_text(app) and "● armed" in screen_text(app)
            )
            await wait_for(pilot, lambda: "pricing.(*Client).Lookup" in screen_text(app))
            table = watch_screen(app).table
            assert table is not None and table.rows[0].row.owner == LEAKING_CALL
            assert {kind for kind in LEDGERS if made[0].armed(kind)} == {BODIES, FDS}
            await pilot.press("a")
            await wait_for(pilot, lambda: not any(made[0].armed(kind) for kind in LEDGERS))
            await wait_for(pilot, lambda: "○ disarmed after" in screen_text(app))
            assert all(not ledger.armed for ledger in made[0].session.snapshot.ledgers)
    finally:
        app.close_target()


async def test_a_ledger_that_changes_under_the_table_breaks_nothing() -> None:
    investigation: FakeInvestigation = probing(BODIES)
    app = make_app(investigation)
    async with app.run_test(size=SMALL) as pilot:
        await wait_for_facts(pilot)
        await pilot.press(*LEDGER, "enter")
        # Begun anew: the assessment still tells of the places of the old one.
        investigation.keep(replace(BODY_LEDGER, places=BODY_LEDGER.places[:1], open=BODY_LEDGER.open[:1]))
        watch_screen(app).redraw()
        await wait_for(pilot, lambda: "1 still open" in screen_text(app))
        investigation.assessment = replace(PROBED, ledger=())
        investigation.keep(replace(BODY_LEDGER, places=(), open=()))
        watch_screen(app).redraw()
        await wait_for(pilot, lambda: "0 still open" in screen_text(app))
        await pilot.press("g", "escape")
        await wait_for(pilot, lambda: "Nothing was opened since" in screen_text(app))
