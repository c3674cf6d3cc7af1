"""Pictures of every screen at 80×24 and wide. `pytest --snapshot-update` makes them anew."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from leaktui.analysis.tracepoint_bodies import pair_bodies
from leaktui.engines.fake_delve import bodies_burst, burst, evaluation, inspection
from leaktui.model.capability import Source, SourceState
from leaktui.model.ledger import LedgerKind
from leaktui.session.events import ProgressMade
from leaktui.sources import SourceRoot, Sources
from leaktui.tui.screens.watch import PANES
from tests.tui.driving import make_app, make_picker, screen_text, wait_for, wait_for_facts, watch_screen
from tests.tui.fakes import (
    NO_DELVE,
    FakeInvestigation,
    attached,
    clean,
    debugging,
    looking,
    probing,
    read_from_memory,
    traced,
)
from tests.tui.scene import (
    BODY_HOLDERS,
    BODY_LEDGER,
    DETAIL,
    NOW,
    PROBES_REFUSED,
    PROBING_CAPABILITIES,
    PROBING_SOURCES,
)

DELVE_KEY = str([name for name, _ in PANES].index("Delve") + 1)
SMALL, MIDDLE, WIDE = (80, 24), (120, 40), (200, 50)
Compare = Callable[..., bool]


def after_facts(*keys: str) -> Callable[[Pilot[None]], Any]:
    async def drive(pilot: Pilot[None]) -> None:
        await wait_for_facts(pilot)
        for key in keys:
            await pilot.press(key)
            await pilot.pause()
        await pilot.app.workers.wait_for_complete()
        await settle(pilot)

    return drive


async def settle(pilot: Pilot[None]) -> None:
    """Until nothing on the screen changes any more: on a busy machine the last lines come late."""
    same, before = 0, ""
    for _ in range(80):
        await pilot.pause(0.05)
        now = screen_text(pilot.app)
        same, before = (same + 1 if now == before else 0), now
        if same >= 6:
            return
    raise AssertionError("the screen never came to rest")


@pytest.mark.parametrize("size", [SMALL, WIDE], ids=["80", "200"])
@pytest.mark.parametrize("pane", ["suspects", "heap", "goroutines", "bodies"])
def test_pane(snap_compare: Compare, pane: str, size: tuple[int, int]) -> None:
    number = str(["suspects", "heap", "goroutines", "bodies"].index(pane) + 1)
    assert snap_compare(make_app(), terminal_size=size, run_before=after_facts(number))


def test_preview_below_the_table(snap_compare: Compare) -> None:
    assert snap_compare(make_app(), terminal_size=MIDDLE, run_before=after_facts("3"))


@pytest.mark.parametrize("scene", [looking, clean], ids=["looking", "clean"])
def test_without_suspects(snap_compare: Compare, scene: Callable[[], FakeInvestigation]) -> None:
    assert snap_compare(make_app(scene()), terminal_size=SMALL, run_before=after_facts())


def test_evidence_of_a_suspect(snap_compare: Compare) -> None:
    assert snap_compare(make_app(), terminal_size=SMALL, run_before=after_facts("enter"))


@pytest.mark.parametrize("size", [SMALL, MIDDLE], ids=["80", "120"])
def test_why_and_fix(snap_compare: Compare, sources: Path, size: tuple[int, int]) -> None:
    app = make_app(sources=Sources([SourceRoot("/srv/shop/src", str(sources))]))
    assert snap_compare(app, terminal_size=size, run_before=after_facts("f"))


def test_why_and_fix_among_the_evidence(snap_compare: Compare, sources: Path) -> None:
    app = make_app(sources=Sources([SourceRoot("/srv/shop/src", str(sources))]))
    assert snap_compare(app, terminal_size=MIDDLE, run_before=after_facts("enter"))


def test_why_without_colour(snap_compare: Compare, sources: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = make_app(sources=Sources([SourceRoot("/srv/shop/src", str(sources))]))
    assert snap_compare(app, terminal_size=SMALL, run_before=after_facts("f"))


def test_source_line(snap_compare: Compare, sources: Path) -> None:
    app = make_app(sources=Sources([SourceRoot("/srv/shop/src", str(sources))]))
    assert snap_compare(app, terminal_size=SMALL, run_before=after_facts("enter", "enter"))


def test_source_not_here(snap_compare: Compare) -> None:
    assert snap_compare(make_app(), terminal_size=SMALL, run_before=after_facts("enter", "enter"))


def test_goroutine_group(snap_compare: Compare) -> None:
    keys = ("3", "down", "down", "down", "enter")
    assert snap_compare(make_app(), terminal_size=SMALL, run_before=after_facts(*keys))


def test_bodies_by_owner(snap_compare: Compare) -> None:
    assert snap_compare(make_app(), terminal_size=SMALL, run_before=after_facts("4", "g"))


@pytest.mark.parametrize("size", [SMALL, WIDE], ids=["80", "200"])
@pytest.mark.parametrize("pane", ["heap", "goroutines", "bodies"])
def test_pane_from_memory(snap_compare: Compare, pane: str, size: tuple[int, int]) -> None:
    number = str(["suspects", "heap", "goroutines", "bodies"].index(pane) + 1)
    assert snap_compare(make_app(read_from_memory()), terminal_size=size, run_before=after_facts(number))


def test_heap_by_type(snap_compare: Compare) -> None:
    app = make_app(read_from_memory())
    assert snap_compare(app, terminal_size=SMALL, run_before=after_facts("2", "g"))


def test_who_holds_a_body(snap_compare: Compare) -> None:
    investigation = read_from_memory()
    investigation.move(holders=(BODY_HOLDERS,))
    assert snap_compare(
        make_app(investigation), terminal_size=SMALL, run_before=after_facts("4", "enter", "down", "down")
    )


def test_search_under_way(snap_compare: Compare) -> None:
    investigation = read_from_memory()

    async def drive(pilot: Pilot[None]) -> None:
        await after_facts("4", "h")(pilot)
        investigation.listener(ProgressMade("memory", "level 2: 412 MB of the heap", 0.4))
        await wait_for(pilot, lambda: "level 2" in screen_text(pilot.app).split("\n")[0])
        await settle(pilot)

    assert snap_compare(make_app(investigation), terminal_size=SMALL, run_before=drive)


def test_orphaned_body(snap_compare: Compare) -> None:
    app = make_app(read_from_memory())
    assert snap_compare(app, terminal_size=SMALL, run_before=after_facts("4", "down", "enter"))


def test_goroutine_looked_at_closely(snap_compare: Compare) -> None:
    investigation = read_from_memory()
    investigation.move(details=(DETAIL,))
    keys = ("3", "g", "g", "g", "g", "enter")
    assert snap_compare(make_app(investigation), terminal_size=MIDDLE, run_before=after_facts(*keys))


def test_heap_objects_by_package(snap_compare: Compare) -> None:
    assert snap_compare(make_app(), terminal_size=SMALL, run_before=after_facts("2", "g", "g", "m"))


def test_call_tree(snap_compare: Compare) -> None:
    assert snap_compare(make_app(), terminal_size=SMALL, run_before=after_facts("2", "c"))


TRACE_VIEWS = ["timeline", "blocking", "family", "bodies", "readers", "collections"]


@pytest.mark.parametrize("size", [SMALL, WIDE], ids=["80", "200"])
@pytest.mark.parametrize("view", TRACE_VIEWS)
def test_trace(snap_compare: Compare, view: str, size: tuple[int, int]) -> None:
    keys = ("5", *["g"] * TRACE_VIEWS.index(view))
    assert snap_compare(make_app(traced()), terminal_size=size, run_before=after_facts(*keys))


def test_trace_zoomed_with_a_lane_hidden(snap_compare: Compare) -> None:
    keys = ("5", "plus", "plus", "shift+right", "right", "down", "m", "down")
    assert snap_compare(make_app(traced()), terminal_size=SMALL, run_before=after_facts(*keys))


def test_body_a_trace_saw_left_open(snap_compare: Compare) -> None:
    keys = ("5", "g", "g", "g", "m", "enter")
    assert snap_compare(make_app(traced()), terminal_size=SMALL, run_before=after_facts(*keys))


def test_no_trace_yet(snap_compare: Compare) -> None:
    assert snap_compare(make_app(), terminal_size=SMALL, run_before=after_facts("5"))


@pytest.mark.parametrize("size", [SMALL, WIDE], ids=["80", "200"])
@pytest.mark.parametrize("pane", ["2", "3"], ids=["heap", "goroutines"])
def test_flame_graph(snap_compare: Compare, pane: str, size: tuple[int, int]) -> None:
    keys = (pane, "F", "down", "down")
    assert snap_compare(make_app(), terminal_size=size, run_before=after_facts(*keys))


def test_flame_graph_without_colour(snap_compare: Compare, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert snap_compare(make_app(), terminal_size=SMALL, run_before=after_facts("2", "F", "down"))


def test_filter(snap_compare: Compare) -> None:
    assert snap_compare(make_app(), terminal_size=SMALL, run_before=after_facts("3", "slash", *"thumb"))


def test_help(snap_compare: Compare) -> None:
    assert snap_compare(make_app(), terminal_size=SMALL, run_before=after_facts("question_mark"))


@pytest.mark.parametrize("size", [SMALL, WIDE], ids=["80", "200"])
def test_picker(snap_compare: Compare, size: tuple[int, int]) -> None:
    async def drive(pilot: Pilot[None]) -> None:
        await wait_for(pilot, lambda: bool(pilot.app.screen.query_one("LineTable").rows))  # type: ignore[attr-defined]

    assert snap_compare(make_picker(), terminal_size=size, run_before=drive)


def test_exited(snap_compare: Compare) -> None:
    investigation = FakeInvestigation()
    investigation.session.exited = "process 4242 exited"
    assert snap_compare(make_app(investigation), terminal_size=SMALL, run_before=after_facts())


LEDGER = ("4", "g", "g", "g")


@pytest.mark.parametrize("size", [SMALL, MIDDLE, WIDE], ids=["80", "120", "200"])
def test_ledger(snap_compare: Compare, size: tuple[int, int]) -> None:
    assert snap_compare(
        make_app(probing(LedgerKind.BODIES)), terminal_size=size, run_before=after_facts(*LEDGER)
    )


@pytest.mark.parametrize("kind", [LedgerKind.FDS, LedgerKind.ALLOCATIONS], ids=["fds", "allocations"])
def test_ledger_of_other_things(snap_compare: Compare, kind: LedgerKind) -> None:
    keys = (*LEDGER, *["m"] * list(LedgerKind).index(kind))
    assert snap_compare(make_app(probing(*LedgerKind)), terminal_size=SMALL, run_before=after_facts(*keys))


def test_bodies_beside_a_ledger(snap_compare: Compare) -> None:
    app = make_app(probing(LedgerKind.BODIES))
    assert snap_compare(app, terminal_size=SMALL, run_before=after_facts("4"))


def test_open_bodies_of_an_owner(snap_compare: Compare) -> None:
    app = make_app(probing(LedgerKind.BODIES))
    assert snap_compare(app, terminal_size=SMALL, run_before=after_facts(*LEDGER, "enter"))


def test_open_body_of_a_ledger(snap_compare: Compare) -> None:
    app = make_app(probing(LedgerKind.BODIES))
    assert snap_compare(app, terminal_size=SMALL, run_before=after_facts(*LEDGER, "enter", "enter"))


def test_question_before_probes(snap_compare: Compare) -> None:
    assert snap_compare(make_app(probing()), terminal_size=SMALL, run_before=after_facts("4", "a", "2"))


def test_no_probes_here(snap_compare: Compare) -> None:
    investigation = probing()
    investigation.session.capabilities = (*PROBING_CAPABILITIES[:2], PROBES_REFUSED)
    unavailable = Source(
        "probes", SourceState.UNAVAILABLE, PROBES_REFUSED.reason, remedy=PROBES_REFUSED.remedy
    )
    investigation.move(sources=(*PROBING_SOURCES[:2], unavailable))
    assert snap_compare(make_app(investigation), terminal_size=SMALL, run_before=after_facts("4", "a"))


def test_probes_that_took_themselves_out(snap_compare: Compare) -> None:
    investigation = probing()
    why = "the probes took themselves out: 41.2k hits a second are more than the 30.0k allowed"
    investigation.keep(replace(BODY_LEDGER, armed=False, ended=why))
    assert snap_compare(make_app(investigation), terminal_size=SMALL, run_before=after_facts(*LEDGER))


def test_question_before_a_pause(snap_compare: Compare) -> None:
    assert snap_compare(make_app(), terminal_size=SMALL, run_before=after_facts("G"))


def test_trace_under_way(snap_compare: Compare) -> None:
    investigation = FakeInvestigation()

    async def drive(pilot: Pilot[None]) -> None:
        await wait_for_facts(pilot)
        investigation.listener(ProgressMade("pprof", "execution trace: 298 kB", 0.6))
        await wait_for(pilot, lambda: bool(watch_screen(pilot.app)._progress))

    assert snap_compare(make_app(investigation), terminal_size=SMALL, run_before=drive)


@pytest.mark.parametrize("pane", ["1", "3"])
def test_without_colour(snap_compare: Compare, monkeypatch: pytest.MonkeyPatch, pane: str) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert snap_compare(make_app(), terminal_size=SMALL, run_before=after_facts(pane))


def test_lean(snap_compare: Compare) -> None:
    assert snap_compare(make_app(lean=True), terminal_size=SMALL, run_before=after_facts())


def test_delve_pane_before_anything(snap_compare: Compare) -> None:
    assert snap_compare(make_app(debugging()), terminal_size=SMALL, run_before=after_facts(DELVE_KEY))


def test_delve_pane_without_dlv(snap_compare: Compare) -> None:
    assert snap_compare(make_app(debugging(NO_DELVE)), terminal_size=SMALL, run_before=after_facts(DELVE_KEY))


@pytest.mark.parametrize("size", [SMALL, WIDE], ids=["80", "200"])
@pytest.mark.parametrize("mode", [0, 1, 3], ids=["hits", "stacks", "bodies"])
def test_delve_pane(snap_compare: Compare, mode: int, size: tuple[int, int]) -> None:
    investigation = debugging()
    run = bodies_burst(NOW - 8) if mode == 3 else burst(NOW - 5)
    attached(investigation)
    investigation.move(tracepoints=run, assessment=replace(investigation.assessment, pairs=pair_bodies(run)))
    app = make_app(investigation)
    assert snap_compare(app, terminal_size=size, run_before=after_facts(DELVE_KEY, *"g" * mode))


def test_a_burst_is_asked_for(snap_compare: Compare) -> None:
    app = make_app(debugging())
    assert snap_compare(app, terminal_size=SMALL, run_before=after_facts(DELVE_KEY, "T", "1"))


@pytest.mark.parametrize("size", [SMALL, WIDE], ids=["80", "200"])
def test_values_of_a_goroutine(snap_compare: Compare, size: tuple[int, int]) -> None:
    investigation = debugging()
    investigation.session.allow_pauses = True
    attached(investigation)

    async def drive(pilot: Pilot[None]) -> None:
        await after_facts("3", "g", "g", "g", "g", "v")(pilot)
        goid = investigation.session.debugged[0].subject
        investigation.session.under_way.clear()
        investigation.move(
            inspections=(inspection(goid, NOW),), evaluations=(evaluation("*queue.buf", goid, 1, NOW),)
        )
        await wait_for(pilot, lambda: "pricing.(*Client).Lookup" in screen_text(pilot.app))
        await settle(pilot)

    assert snap_compare(make_app(investigation), terminal_size=size, run_before=drive)
