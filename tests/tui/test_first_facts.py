"""What is seen for the first time is drawn without waiting for the next tick."""

from __future__ import annotations

from leaktui.tui.screens.watch import WatchScreen
from tests.tui.driving import make_app, screen_text, wait_for, wait_for_facts, watch_screen
from tests.tui.fakes import looking
from tests.tui.scene import LEAKING, SNAPSHOT


def goroutines_drawn(screen: WatchScreen) -> int | None:
    return screen.facts.snapshot.goroutine_count if screen.facts is not None else None


async def test_each_sort_of_facts_is_drawn_at_once_and_once() -> None:
    investigation = looking()
    app = make_app(investigation, tick=3600.0)
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_for_facts(pilot)
        screen = watch_screen(app)
        assert goroutines_drawn(screen) is None
        investigation.move(groups=SNAPSHOT.groups)
        await wait_for(pilot, lambda: goroutines_drawn(screen) == SNAPSHOT.goroutine_count)
        investigation.move(assessment=LEAKING)
        await wait_for(pilot, lambda: "LEAK  response body never closed" in screen_text(app))
        # From now on they are no news: they come with the tick.
        investigation.move(groups=())
        for _ in range(10):
            await pilot.pause(0.02)
        assert goroutines_drawn(screen) == SNAPSHOT.goroutine_count
