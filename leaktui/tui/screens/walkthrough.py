"""The guided walkthrough on the screen: a clock, the rail of steps, and the step one is at.

Law: nothing is decided here. Keys become events, and what is drawn is the guide's state.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.screen import Screen

from leaktui.guide import State
from leaktui.guide.events import AutoTurned, BackAsked, NextAsked, SkipAsked
from leaktui.text import printable
from leaktui.tui.actions import Place, bindings_of, iter_actions
from leaktui.tui.guide_lines import question_lines, rail_line, rail_lines, step_lines, title_line
from leaktui.tui.links import SubjectLink
from leaktui.tui.widgets.document import Document
from leaktui.tui.widgets.key_bar import KeyBar, KeyHint
from leaktui.tui.widgets.line_view import Lines

if TYPE_CHECKING:
    from leaktui.tui.app import LeaktuiApp
    from leaktui.tui.walk_orders import WalkOrders

WIDE_WIDTH = 120
_RAIL_WIDTH = 44


class WalkthroughScreen(Screen[None]):
    """Draws the walkthrough of *orders*, and gives it its keys."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings_of(Place.GUIDE),
        # The document scrolls by Space; here it means to go on.
        Binding("space", "next", "Next", show=False, priority=True),
        *(Binding(str(index + 1), f"pane({index})", "Pane", show=False) for index in range(4)),
    ]
    AUTO_FOCUS = None

    def __init__(self, orders: WalkOrders) -> None:
        super().__init__()
        self._orders = orders
        self._shown = -1

    def compose(self) -> ComposeResult:
        yield Lines(((),), id="walk-title")
        yield Lines(((),), id="walk-rail")
        with Container(id="walk-parts"):
            yield Lines((), id="walk-steps")
            yield Document(id="walk-step")
        yield Lines((), id="walk-question")
        yield KeyBar(id="keys")

    def on_mount(self) -> None:
        self.query_one(Document).focus()
        self.set_interval(max(0.5, self.leaktui.tick), self.look)
        self.call_after_refresh(self.look)

    def on_resize(self) -> None:
        self.set_class(self.app.size.width >= WIDE_WIDTH, "-wide")
        self.call_after_refresh(self.draw)

    @property
    def leaktui(self) -> LeaktuiApp:
        from leaktui.tui.app import LeaktuiApp

        assert isinstance(self.app, LeaktuiApp)
        return self.app

    # -- drawing -------------------------------------------------------------------------------

    def look(self) -> None:
        """Show the guide the newest facts, and draw what it makes of them."""
        if self._orders.opened:
            self._orders.look()
            self.draw()

    def draw(self) -> None:
        """Draw the state as it is."""
        if not self.is_attached:
            return
        state, width = self._orders.state, self.app.size.width
        self.query_one("#walk-title", Lines).set_lines((title_line(state, _name_of(state), width),))
        self.query_one("#walk-rail", Lines).set_lines((rail_line(state, width),))
        self.query_one("#walk-steps", Lines).set_lines(rail_lines(state, _RAIL_WIDTH))
        document = self.query_one(Document)
        lines = step_lines(state, document.size.width or width, self._orders.source_of_culprit())
        document.set_lines(lines)
        if state.shown != self._shown:
            self._shown = state.shown
            document.scroll_to(y=0, animate=False, immediate=True, force=True)
        question = self.query_one("#walk-question", Lines)
        asked = question_lines(state.question, state, width - 1)
        question.set_class(bool(asked), "-shown")
        question.set_lines(asked)
        self.query_one("#keys", KeyBar).set_hints(_hints(state))

    # -- keys ----------------------------------------------------------------------------------

    @on(KeyBar.Pressed)
    async def key_pressed(self, message: KeyBar.Pressed) -> None:
        await self.run_action(message.name)

    def action_next(self) -> None:
        if self._orders.state.question is not None:
            self._orders.answer(yes=False)
        else:
            self._orders.press(NextAsked)
        self.draw()

    def action_before(self) -> None:
        self._orders.press(BackAsked)
        self.draw()

    def action_skip(self) -> None:
        self._orders.press(SkipAsked)
        self.draw()

    def action_auto(self) -> None:
        self._orders.press(AutoTurned)
        self.draw()

    def action_say_yes(self) -> None:
        self._orders.answer(yes=True)
        self.draw()

    def action_open(self) -> None:
        self.query_one(Document).action_choose()

    @on(Document.Chosen)
    async def chosen(self, message: Document.Chosen) -> None:
        message.stop()
        if isinstance(message.target, SubjectLink):
            await self._orders.go_to(message.target.subject)

    def action_leave(self) -> None:
        self._orders.leave()

    async def action_pane(self, index: int) -> None:
        await self._orders.go_to_pane(index)

    def action_edit(self) -> None:
        self.leaktui.edit_frame(self._orders.frame, None)

    def action_help(self) -> None:
        self.leaktui.show_help(Place.GUIDE)

    def action_suspend(self) -> None:
        self.app.action_suspend_process()

    def action_quit(self) -> None:
        self.app.exit()


def _name_of(state: State) -> str:
    """Who is looked at, in a few words."""
    if state.sight is None:
        return "opening…"
    target = state.sight.snapshot.target
    name = printable(PurePosixPath(target.exe).name or target.url or "", 40)
    parts = [name, f"pid {target.pid}" if target.pid is not None else "", printable(target.go_version, 20)]
    return " · ".join(part for part in parts if part)


def _hints(state: State) -> list[KeyHint]:
    """The keys that do something now."""
    hints = []
    for action in iter_actions(Place.GUIDE):
        if action.rank is None or (action.name in ("next", "skip", "auto") and state.finished):
            continue
        label = action.label
        if action.name == "auto":
            label = "auto off" if state.auto else "auto on"
        elif action.name == "next" and state.question is not None:
            label = "no"
        hints.append(KeyHint(action.shown_key, label, action.name, rank=action.rank))
    ranked = sorted((hint for hint in hints if hint.rank), key=lambda hint: hint.rank)
    return [*ranked, *(hint for hint in hints if not hint.rank)]
