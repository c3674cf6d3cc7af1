"""The flame graph of the Heap and Goroutines panes: in, out, round, measured otherwise."""

from __future__ import annotations

from leaktui.tui.panes.call_tree import Weighted, children_of, split_below
from leaktui.tui.panes.drill import SourceLevel
from leaktui.tui.panes.flame import Call, FlameLevel
from leaktui.tui.widgets.flame import HUES
from tests.tui.driving import make_app, screen_text, wait_for, wait_for_facts, watch_screen
from tests.tui.scene import frame


def stack(*functions: str) -> tuple[object, ...]:
    return tuple(frame(function) for function in functions)


STACKS: list[Weighted] = [
    (stack("main.main", "main.a", "main.leaf"), 60),  # type: ignore[list-item]
    (stack("main.main", "main.a"), 10),  # type: ignore[list-item]
    (stack("main.main", "net/http.(*T).b"), 30),  # type: ignore[list-item]
]


def whole() -> Call:
    return Call((), STACKS, 100, title="everything")


def test_the_parts_are_those_of_the_call_tree() -> None:
    (main,) = whole().parts()
    assert [(part.path, part.weight, part.own) for part in main.parts()] == [
        (node.path, node.value, node.own) for node in children_of(STACKS, ("main.main",), 100)
    ]
    assert main.own == 0 and main.frame is not None and main.frame.function == "main.main"


def test_split_below_leaves_out_what_ends_there() -> None:
    inside = [item for item in STACKS if item[0][1].function == "main.a"]
    assert {name: len(members) for name, members in split_below(inside, 2).items()} == {"main.leaf": 1}


def test_find_follows_a_path() -> None:
    found = whole().find(("main.main", "main.a", "main.leaf"))
    assert found is not None and found.weight == 60
    assert whole().find(("main.main", "gone")) is None
    assert whole().find(("main.main", "gone", "deeper")) is None
    assert found.find(("main.main",)) is None


def test_a_colour_for_a_package_and_the_quiet_one_for_gos_own() -> None:
    a, http = whole().parts()[0].parts()
    assert a.tone in HUES[1:]
    assert http.tone == HUES[0]
    assert a.tone == Call(("main.other",), (), 1).tone


async def test_heap_in_and_out_again() -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_for_facts(pilot)
        await pilot.press("2", "F")
        await wait_for(pilot, lambda: "flame graph" in screen_text(app) and "▏everything" in screen_text(app))
        level = watch_screen(app).pane.top
        assert isinstance(level, FlameLevel)
        await pilot.press("down", "down", "enter")
        await wait_for(pilot, lambda: level.zoomed)
        assert "▏everything" not in screen_text(app)
        zoomed = screen_text(app)
        watch_screen(app).redraw()  # a tick keeps what is zoomed
        await pilot.pause()
        assert screen_text(app).split("\n")[7:-3] == zoomed.split("\n")[7:-3]
        for _ in range(6):
            if level.zoomed:
                await pilot.press("escape")
        await wait_for(pilot, lambda: "▏everything" in screen_text(app))
        await pilot.press("m")
        await wait_for(pilot, lambda: "live objects" in screen_text(app))
        await pilot.press("g")
        await wait_for(pilot, lambda: "innermost on top" in screen_text(app))
        await pilot.press("escape")
        await wait_for(pilot, lambda: watch_screen(app).pane.depth == 1)


async def test_enter_on_a_leaf_shows_its_source() -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_for_facts(pilot)
        await pilot.press("3", "F")
        await wait_for(pilot, lambda: "▏everything" in screen_text(app))
        for _ in range(12):
            await pilot.press("down")
        await pilot.press("enter")
        await wait_for(pilot, lambda: isinstance(watch_screen(app).pane.top, SourceLevel))
        await pilot.press("escape")
        await wait_for(pilot, lambda: "▏everything" in screen_text(app))


async def test_nothing_to_draw() -> None:
    from leaktui.model.assessment import Assessment
    from leaktui.model.finding import Verdict
    from tests.tui.fakes import FakeInvestigation
    from tests.tui.scene import NOW

    app = make_app(FakeInvestigation(assessment=Assessment(NOW, Verdict.UNDECIDED)))
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_for_facts(pilot)
        await pilot.press("2", "F")
        await wait_for(pilot, lambda: "Nothing to draw yet" in screen_text(app))
        await pilot.press("down", "enter", "m", "g", "escape")
        await wait_for(pilot, lambda: watch_screen(app).pane.depth == 1)
