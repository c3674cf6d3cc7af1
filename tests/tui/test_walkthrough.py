"""The walkthrough on the screen: its keys, where its lines lead, what it orders; and pictures of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from leaktui.guide import Name, Outcome
from leaktui.model.finding import Confidence
from leaktui.model.ledger import LedgerKind
from leaktui.session.history import Metric, Point
from leaktui.sources import SourceRoot, Sources
from leaktui.tui.panes.suspects import finding_key
from leaktui.tui.screens.walkthrough import WalkthroughScreen
from leaktui.tui.screens.watch import WatchScreen
from leaktui.tui.widgets.document import Document
from tests.tui.driving import screen_text, wait_for
from tests.tui.fakes import FakeInvestigation, clean, looking, probing, read_from_memory
from tests.tui.scene import IN_MEMORY, LEVEL_SERIES, NOW, ORPHANED_BODY, OWNER, SUSPECT, TARGET
from tests.tui.walking import Clock, go_to_step, make_walk, state_of, watch_below

SMALL, WIDE = (80, 24), (140, 44)
Compare = Callable[..., bool]
PROVEN = replace(SUSPECT, confidence=Confidence.PROVEN)


def proven() -> FakeInvestigation:
    """The shop read from memory, its bodies proven to be nobody's."""
    investigation = read_from_memory()
    body = replace(ORPHANED_BODY, owner=OWNER)
    investigation.assessment = replace(
        IN_MEMORY, suspects=(PROVEN,), bodies=(body, *IN_MEMORY.bodies), settled=True
    )
    return investigation


async def test_w_opens_it_and_escape_goes_back_to_the_panes() -> None:
    clock = Clock()
    app = make_walk(proven(), clock, walking={"at_once": False})
    async with app.run_test(size=SMALL) as pilot:
        await wait_for(pilot, lambda: watch_below(app).facts is not None)
        await pilot.press("3", "w")
        assert isinstance(app.screen, WalkthroughScreen)
        await go_to_step(pilot, clock, Name.GROW)
        seconds = state_of(app).seconds
        await pilot.press("escape")
        assert isinstance(app.screen, WatchScreen) and app.screen.pane_index == 2
        clock.time += 300
        await pilot.press("w")
        await pilot.pause()
        assert state_of(app).seconds == seconds, "the clock stands while one looks around"
        assert state_of(app).current.step.name is Name.GROW


async def test_it_goes_to_the_end_by_itself(sources: Path) -> None:
    clock = Clock()
    app = make_walk(proven(), clock, sources=Sources([SourceRoot("/srv/shop/src", str(sources))]))
    async with app.run_test(size=SMALL) as pilot:
        seen = []
        for name in list(Name)[:-1]:
            await go_to_step(pilot, clock, name)
            seen.append(screen_text(app))
        assert "main.loadUser  user.go:41" in seen[5] and "▶" in seen[5]
        assert "u.client.Get(u.url(id))" in seen[5], "the code is on the first page"
        assert "returns here without Close" in seen[7], "why is on the first page"
        assert "LEAK, in" in screen_text(app)
        assert state_of(app).outcome is Outcome.LEAK
        assert all(len(line) <= 80 for text in seen for line in text.splitlines())


@pytest.mark.parametrize(
    ("name", "pane"), [(Name.LINE, 0), (Name.CONFIRM, 3), (Name.WHO, 3)], ids=["suspect", "body", "host"]
)
async def test_enter_leads_to_the_row(name: Name, pane: int) -> None:
    clock = Clock()
    app = make_walk(proven(), clock)
    async with app.run_test(size=SMALL) as pilot:
        await go_to_step(pilot, clock, name)
        subject = app.screen.query_one(Document).cursor_target.subject
        await pilot.press("enter")
        await wait_for(pilot, lambda: isinstance(app.screen, WatchScreen) and app.screen.pane_index == pane)
        table = watch_below(app).table
        assert table is not None
        if pane == 0:
            assert finding_key(table.cursor_row) == finding_key(subject)
        else:
            assert table.cursor_row == subject


async def test_back_next_skip_and_auto() -> None:
    clock = Clock()
    app = make_walk(proven(), clock)
    async with app.run_test(size=SMALL) as pilot:
        await go_to_step(pilot, clock, Name.KIND)
        await pilot.press("b")
        assert state_of(app).looked_at.step.name is Name.GROW
        assert "key by key" in screen_text(app)
        await pilot.press("space", "n")
        assert state_of(app).looked_at.step.name is Name.WHO
        await pilot.press("a")
        assert "● auto" in screen_text(app)
        await pilot.press("s")
        assert state_of(app).at >= 5


async def test_a_question_is_answered_by_y_and_n() -> None:
    for key, arms in (("n", False), ("y", True)):
        clock = Clock()
        investigation = probing()
        investigation.assessment = replace(investigation.assessment, suspects=(SUSPECT,), settled=True)
        app = make_walk(investigation, clock)
        async with app.run_test(size=SMALL) as pilot:
            await go_to_step(pilot, clock, Name.LINE, over=False)
            assert "Arm kernel probes" in screen_text(app)
            await pilot.press(key)
            assert investigation.armed(LedgerKind.BODIES) is arms
            assert "Arm kernel probes" not in screen_text(app)


async def test_the_report_is_written_on_a_yes(tmp_path: Path) -> None:
    clock = Clock()
    app = make_walk(proven(), clock, directory=tmp_path, write_report=lambda diagnosis: "# Leak\n")
    async with app.run_test(size=SMALL) as pilot:
        await go_to_step(pilot, clock, Name.REPORT)
        app.screen.look()  # type: ignore[attr-defined]
        await wait_for(pilot, lambda: "Write the report" in screen_text(app))
        assert list(tmp_path.iterdir()) == []
        await pilot.press("y")
        await wait_for(pilot, lambda: bool(state_of(app).written))
        (path,) = tmp_path.iterdir()
        assert path.read_text() == "# Leak\n" and path.stat().st_mode & 0o777 == 0o600
        app.screen.draw()  # type: ignore[attr-defined]
        await pilot.pause()
        assert "written:" in screen_text(app)


async def test_the_screen_follows_to_the_repaired_build() -> None:
    clock = Clock()
    leaking, mended = proven(), clean()
    mended.session.snapshot = replace(
        mended.session.snapshot, target=replace(TARGET, pid=4343), time=NOW + 100
    )
    later = {
        metric: tuple(Point(point.time + 100, point.value) for point in points)
        for metric, points in LEVEL_SERIES.items()
    }
    mended.session.history.points = {**later, Metric.OPEN_BODIES: (Point(NOW + 90, 3), Point(NOW + 110, 3))}
    app = make_walk(leaking, clock, walking={"swap": lambda: (4343, mended.open)})
    async with app.run_test(size=SMALL) as pilot:
        await go_to_step(pilot, clock, Name.VERIFY, over=False)
        await wait_for(pilot, lambda: watch_below(app).investigation is mended)
        await wait_for(pilot, lambda: leaking.closed)
        await go_to_step(pilot, clock, Name.VERIFY, over=False)
        await wait_for(pilot, lambda: (app.screen.look(), state_of(app).verified)[1])  # type: ignore[attr-defined]
        assert leaking.measured == [PROVEN] and mended.measured == [PROVEN]
        text = screen_text(app)
        assert "pid 4343" in text.splitlines()[0]
        assert "┆" in text and "after the fix" in text
        await pilot.press("escape")
        await wait_for(pilot, lambda: "pid 4343" in screen_text(app))


async def test_a_target_that_cannot_be_opened_ends_it() -> None:
    from leaktui.errors import TargetGone

    def refuse(listener: Any) -> Any:
        raise TargetGone("process 4242 is not there")

    clock = Clock()
    app = make_walk(proven(), clock)
    app._target = refuse
    async with app.run_test(size=SMALL) as pilot:
        await wait_for(pilot, lambda: app.failure is not None)


# -- pictures ------------------------------------------------------------------------------------


def at_step(clock: Clock, name: Name, *keys: str, over: bool = True) -> Callable[[Pilot[None]], Any]:
    async def drive(pilot: Pilot[None]) -> None:
        await go_to_step(pilot, clock, name, over=over)
        for key in keys:
            await pilot.press(key)
        await pilot.app.workers.wait_for_complete()
        pilot.app.screen.look()  # type: ignore[attr-defined]
        await pilot.pause()

    return drive


@pytest.mark.parametrize("size", [SMALL, WIDE], ids=["80", "140"])
@pytest.mark.parametrize("name", [Name.ATTACH, Name.GROW, Name.WHO, Name.LINE, Name.FIX])
def test_step(snap_compare: Compare, name: Name, size: tuple[int, int], sources: Path) -> None:
    clock = Clock()
    app = make_walk(proven(), clock, sources=Sources([SourceRoot("/srv/shop/src", str(sources))]))
    assert snap_compare(app, terminal_size=size, run_before=at_step(clock, name))


def test_nothing_leaks(snap_compare: Compare) -> None:
    clock = Clock()
    assert snap_compare(
        make_walk(clean(), clock), terminal_size=SMALL, run_before=at_step(clock, Name.REPORT)
    )


def test_still_looking(snap_compare: Compare) -> None:
    clock = Clock()
    run = at_step(clock, Name.ATTACH, over=False)
    assert snap_compare(make_walk(looking(), clock), terminal_size=SMALL, run_before=run)


def test_question(snap_compare: Compare) -> None:
    clock = Clock()
    investigation = probing()
    investigation.assessment = replace(investigation.assessment, suspects=(SUSPECT,), settled=True)
    run = at_step(clock, Name.LINE, over=False)
    assert snap_compare(make_walk(investigation, clock), terminal_size=SMALL, run_before=run)


def test_help(snap_compare: Compare) -> None:
    clock = Clock()

    async def drive(pilot: Pilot[None]) -> None:
        await go_to_step(pilot, clock, Name.GROW)
        await pilot.press("question_mark")
        await pilot.pause()

    assert snap_compare(make_walk(proven(), clock), terminal_size=SMALL, run_before=drive)
