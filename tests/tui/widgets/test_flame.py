"""The flame graph: widths by weight, moving, and that nothing unseen is computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from textual.app import App, ComposeResult

from leaktui.tui.widgets.flame import FlameView
from leaktui.tui.widgets.toned import Tone, line_text


@dataclass
class Node:
    label: str
    weight: float
    inside: list[Node] = field(default_factory=list)
    asked: int = 0
    tone: Tone = "hue-0"

    @property
    def key(self) -> tuple[str, ...]:
        return (self.label,)

    def parts(self) -> Sequence[Node]:
        self.asked += 1
        return self.inside


class FlameApp(App[None]):
    def __init__(self) -> None:
        super().__init__()
        self.view = FlameView()
        self.chosen: list[str] = []

    def compose(self) -> ComposeResult:
        yield self.view

    def on_flame_view_chosen(self, message: FlameView.Chosen) -> None:
        self.chosen.append(message.node.label)


def tree() -> Node:
    return Node("root", 100, [Node("a", 60, [Node("aa", 30), Node("ab", 30)]), Node("b", 30), Node("c", 0.2)])


def painted(view: FlameView) -> list[str]:
    return [line_text(view.paint(y)[0]) for y in range(view.size.height)]


async def test_as_wide_as_they_weigh() -> None:
    app = FlameApp()
    async with app.run_test(size=(50, 6)) as pilot:
        app.view.set_root(tree())
        await pilot.pause()
        text = painted(app.view)
        assert text[0].startswith("▏root") and len(text[0]) == 50
        assert text[1].index("▏b") == 30 and len(text[1]) == 45  # c is too thin, ten in a hundred end in root
        assert (text[2].index("▏aa"), text[2].index("▏ab")) == (0, 15)
        assert [[cell.node.label for cell in row] for row in app.view.cells] == [
            ["root"],
            ["a", "b"],
            ["aa", "ab"],
        ]


async def test_keys_go_down_the_widest_and_aside() -> None:
    app = FlameApp()
    async with app.run_test(size=(50, 6)) as pilot:
        app.view.set_root(tree())
        app.view.focus()
        await pilot.press("down", "down", "right", "enter", "up", "right", "down", "enter", "home", "enter")
        assert app.chosen == ["ab", "b", "root"]
        await pilot.press("left", "up")
        assert app.view.selected.label == "root"


async def test_the_selection_stays_with_its_node() -> None:
    app = FlameApp()
    async with app.run_test(size=(50, 6)) as pilot:
        app.view.set_root(tree())
        app.view.focus()
        await pilot.press("down", "right")
        app.view.set_root(tree())
        assert app.view.selected.label == "b"
        app.view.set_root(Node("other", 1))
        assert app.view.selected.label == "other"
        app.view.set_root(None)
        assert app.view.selected is None
        await pilot.press("down", "up", "left", "enter")
        assert app.chosen == []


async def test_deep_stacks_scroll_and_what_is_not_seen_is_not_asked_for() -> None:
    app = FlameApp()
    nodes = [Node(f"n{depth}", 10) for depth in range(200)]
    for above, below in pairwise(nodes):
        above.inside = [below]
    thin = Node("thin", 0.001, [Node("thinner", 0.001)])
    nodes[0].inside.append(thin)
    async with app.run_test(size=(40, 6)) as pilot:
        app.view.set_root(nodes[0])
        app.view.focus()
        assert not any(node.asked for node in nodes[8:])
        assert not thin.asked
        for _ in range(20):
            await pilot.press("down")
        assert app.view.selected.label == "n20"
        assert painted(app.view)[-1].startswith("▏n20")
        assert not any(node.asked for node in nodes[30:])
        await pilot.press("home")
        assert painted(app.view)[0].startswith("▏n0")
