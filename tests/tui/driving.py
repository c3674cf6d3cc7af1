"""Driving the application in tests: build it on the scene, wait for it, read its screen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from textual.pilot import Pilot

from leaktui.tui.app import LeaktuiApp
from leaktui.tui.screens.watch import WatchScreen
from tests.tui.fakes import FakeInvestigation, FakeScan
from tests.tui.scene import NOW, PROCESSES, WALL


def make_app(investigation: FakeInvestigation | None = None, **options: Any) -> LeaktuiApp:
    """The application watching *investigation*, its clocks standing still."""
    investigation = investigation or FakeInvestigation()
    options.setdefault("directory", Path("/nonexistent"))
    return LeaktuiApp(
        investigation.open, title="pid 4242", clock=lambda: NOW, wall_clock=lambda: WALL, **options
    )


def make_picker(scan: Callable[[], Any] = lambda: FakeScan(PROCESSES, 212), **options: Any) -> LeaktuiApp:
    """The application choosing among *scan*."""
    return LeaktuiApp(
        picker=scan,
        open_pid=lambda pid: FakeInvestigation().open,
        clock=lambda: NOW,
        wall_clock=lambda: WALL,
        **options,
    )


async def wait_for(pilot: Pilot[None], condition: Callable[[], bool]) -> None:
    """Until *condition* holds; fails after ten seconds."""
    for _ in range(500):
        if condition():
            await pilot.pause()
            return
        await pilot.pause(0.02)
    raise AssertionError("it did not happen within ten seconds")


async def wait_for_facts(pilot: Pilot[None]) -> None:
    """Until the investigation is open and drawn."""
    await wait_for(
        pilot, lambda: isinstance(pilot.app.screen, WatchScreen) and pilot.app.screen.facts is not None
    )


def watch_screen(app: Any) -> WatchScreen:
    screen = app.screen
    assert isinstance(screen, WatchScreen)
    return screen


def screen_text(app: Any) -> str:
    """What the terminal shows, without colours."""
    height = app.size.height
    lines = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip).rstrip() for strip in lines[:height])
