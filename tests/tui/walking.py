"""Driving the walkthrough on the screen: a clock that a test moves, and the steps it goes through."""

from __future__ import annotations

from typing import Any

from textual.pilot import Pilot

from leaktui.guide import Name, State
from leaktui.tui.app import LeaktuiApp
from leaktui.tui.screens.walkthrough import WalkthroughScreen
from leaktui.tui.screens.watch import WatchScreen
from leaktui.tui.walk_orders import Walking
from tests.tui.driving import make_app, wait_for
from tests.tui.fakes import FakeInvestigation


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.time = 5_000.0

    def __call__(self) -> float:
        return self.time


def make_walk(investigation: FakeInvestigation, clock: Clock, **options: Any) -> LeaktuiApp:
    """The application that begins with the walkthrough."""
    chosen = {"at_once": True, **options.pop("walking", {})}
    return make_app(investigation, walking=Walking(clock=clock, **chosen), **options)


def state_of(app: Any) -> State:
    return watch_below(app).walk.state


def watch_below(app: Any) -> WatchScreen:
    """The watch screen, whatever lies over it."""
    found = next(screen for screen in app.screen_stack if isinstance(screen, WatchScreen))
    assert isinstance(found, WatchScreen)
    return found


async def go_to_step(pilot: Pilot[None], clock: Clock, name: Name, *, over: bool = True) -> None:
    """Let time pass until step *name* is shown, and over."""
    await wait_for(pilot, lambda: watch_below(pilot.app).investigation is not None)

    def there() -> bool:
        state = state_of(pilot.app)
        return state.current.step.name is name and (state.current.over or not over)

    for _ in range(200):
        screen = pilot.app.screen
        assert isinstance(screen, WalkthroughScreen)
        screen.look()
        await pilot.pause()
        if there():
            return
        clock.time += 1.5
    raise AssertionError(f"still at {state_of(pilot.app).current.step.name}")
