"""The main screen: the strip, the panes, and the keys, on one target.

Law: events of the investigation come as messages; the screen is redrawn from one frozen Facts at most
once a tick, and at once when the first of a sort of facts arrive.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container
from textual.widgets import Input

from leaktui.engines.protocol import LEDGERS, Want
from leaktui.errors import LeaktuiError
from leaktui.model.ledger import LedgerKind
from leaktui.session.events import ProgressMade, TargetExited
from leaktui.text import printable
from leaktui.tui.actions import Place, bindings_of
from leaktui.tui.delve_orders import DelveOrders
from leaktui.tui.facts import Facts
from leaktui.tui.messages import ExitArrived, FactsArrived, OpeningFailed, ProgressArrived, TargetOpened
from leaktui.tui.orders import Orders
from leaktui.tui.panes.bodies import BodiesRoot
from leaktui.tui.panes.delve import DelveRoot
from leaktui.tui.panes.goroutines import goroutines_root
from leaktui.tui.panes.heap import HeapRoot
from leaktui.tui.panes.level import Level
from leaktui.tui.panes.pane import Pane
from leaktui.tui.panes.suspects import SuspectsRoot
from leaktui.tui.probe_orders import ProbeOrders
from leaktui.tui.screens.chrome import draw_caption, key_hints, tab_hints
from leaktui.tui.screens.reading import count_sorts, long_looks, read_facts
from leaktui.tui.screens.strip_view import ROOMY_WIDTH, StripView
from leaktui.tui.screens.watch_keys import WatchKeys
from leaktui.tui.source import InvestigationLike, OpenTarget
from leaktui.tui.strip import Progress
from leaktui.tui.walk_orders import Walking, WalkMoved, WalkOrders
from leaktui.tui.widgets.document import Document
from leaktui.tui.widgets.key_bar import KeyBar
from leaktui.tui.widgets.line_table import LineTable
from leaktui.tui.widgets.line_view import Lines

PANES: tuple[tuple[str, Callable[[], Level]], ...] = (
    ("Suspects", SuspectsRoot),
    ("Heap", HeapRoot),
    ("Goroutines", goroutines_root),
    ("Bodies", BodiesRoot),
    ("Delve", DelveRoot),
)

_BODIES = 3
_DELVE = len(PANES) - 1

_QUIET = frozenset({Want.HANDOFFS, Want.DETAIL, *LEDGERS.values()})
"""Watched or asked for all the time: that is no news, and nobody wants to give it up."""


class WatchScreen(WatchKeys):
    """Watches one target. *opening* names it until its facts do."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings_of(Place.WATCH)]
    AUTO_FOCUS = None

    def __init__(
        self,
        open_target: OpenTarget,
        opening: str,
        *,
        tick: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        on_failure: Callable[[LeaktuiError], None],
        walking: Walking | None = None,
    ) -> None:
        super().__init__()
        self._open_target = open_target
        self._opening = opening
        self._tick = tick
        self._clock = clock
        self._wall_clock = wall_clock
        self._on_failure = on_failure
        self.investigation: InvestigationLike | None = None
        self.facts: Facts | None = None
        self.paused = False
        self._progress: dict[str, Progress] = {}
        self._baseline_at: float | None = None
        self._drawn_at = float("-inf")
        self._redraw_due = False
        self._shown_sorts = 0
        self._pane_index = 0
        self._let_go = False
        self.orders = Orders(self)
        self.probes = ProbeOrders(self)
        self._walking = walking or Walking()
        self.walk = WalkOrders(self, self._walking)
        self.delve = DelveOrders(self)

    # -- life ----------------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        yield StripView(self._opening)
        yield Lines(((),), id="banner")
        yield KeyBar(id="tabs")
        yield Lines(((),), id="caption")
        field = Input(placeholder="filter: words that must occur", id="filter", compact=True)
        field.cursor_blink = False
        yield field
        with Container(id="stage"):
            yield Pane(PANES[0][1](), id="pane-0")
        yield KeyBar(id="keys")

    def on_mount(self) -> None:
        self._draw_frame()
        self.pane.top.focus_first()
        # The first picture goes out before the engines' imports compete for the interpreter.
        self.call_after_refresh(self._begin_opening)
        self.set_interval(max(1.0, self._tick), self._redraw_when_quiet)
        if self._walking.at_once:
            self.walk.open()

    def _begin_opening(self) -> None:
        threading.Thread(target=self._open, name="leaktui-open", daemon=True).start()

    def _open(self) -> None:
        try:
            investigation = self._open_target(self._listen)
        except LeaktuiError as error:
            self.post_message(OpeningFailed(error))
            return
        if self._let_go or not self.post_message(TargetOpened(investigation)):
            investigation.close()

    def _listen(self, event: Any) -> None:
        """Called on the investigation's threads."""
        if isinstance(event, ProgressMade):
            self.post_message(ProgressArrived(event.source, event.text, event.fraction))
        elif isinstance(event, TargetExited):
            self.post_message(ExitArrived(event.message))
        else:
            self.post_message(FactsArrived())

    def on_target_opened(self, message: TargetOpened) -> None:
        self.investigation = message.investigation
        self.investigation.start()
        self.redraw()

    def follow(self, open_target: OpenTarget, opening: str) -> None:
        """Let go of the target and look at the one that took its place."""
        before, self.investigation = self.investigation, None
        if before is not None:
            before.disarm()
            self.run_worker(before.close, thread=True, group="closing")
        self._open_target, self._opening = open_target, opening
        self.facts, self._baseline_at, self._shown_sorts = None, None, 0
        self._progress.clear()
        for pane in self.query(Pane):
            pane.go_to_root()
        self._begin_opening()

    def on_walk_moved(self, message: WalkMoved) -> None:
        self.walk.moved(message.event)

    def on_opening_failed(self, message: OpeningFailed) -> None:
        self._on_failure(message.error)

    def close_target(self) -> None:
        """Let go of the target; may wait for its threads a moment."""
        self._let_go = True
        if self.investigation is not None:
            self.investigation.disarm()
            self.investigation.close()

    # -- news ----------------------------------------------------------------------------------

    def on_facts_arrived(self, message: FactsArrived) -> None:
        if self.investigation is None:
            return
        # A capture is played faster than its clock: there it is the real one that paces the drawing.
        wait = self._drawn_at + self._tick - self._pace_clock()
        if wait <= 0 or count_sorts(self.investigation) > self._shown_sorts:
            self.redraw()
        elif not self._redraw_due:
            self._redraw_due = True
            self.set_timer(wait, self.redraw)

    def on_progress_arrived(self, message: ProgressArrived) -> None:
        if message.fraction is not None and message.fraction >= 1.0:
            # The end of all long captures comes without a source's name.
            if message.source:
                self._progress.pop(message.source, None)
            else:
                self._progress.clear()
            self.post_message(FactsArrived())  # what was under way is so no longer
        else:
            self._progress[message.source] = Progress(message.text, message.fraction)
        self._draw_strip()

    @on(Level.HoldersWanted)
    def holders_wanted(self, message: Level.HoldersWanted) -> None:
        self.orders.find_holders(message.address)
        self.redraw()

    @on(Level.DetailWanted)
    def detail_wanted(self, message: Level.DetailWanted) -> None:
        self.orders.look_closely(message.goid)

    @on(Level.EvaluationWanted)
    def evaluation_wanted(self, message: Level.EvaluationWanted) -> None:
        self.delve.evaluate(message.link)

    def on_exit_arrived(self, message: ExitArrived) -> None:
        self._progress.clear()
        self.redraw()

    def _redraw_when_quiet(self) -> None:
        """Keep the clocks going when no news come; with news they go by themselves."""
        if self._pace_clock() - self._drawn_at >= self._tick * 1.5:
            self.redraw()

    def redraw(self) -> None:
        """Read the newest facts and draw what shows them."""
        self._redraw_due = False
        if self.investigation is None or self._let_go or not self.is_attached:
            return
        self._drawn_at = self._pace_clock()
        self._shown_sorts = max(self._shown_sorts, count_sorts(self.investigation))
        self.facts = read_facts(
            self.investigation,
            self.orders,
            now=self._clock(),
            wall_time=self._wall_clock(),
            paused=self.paused,
            baseline_at=self._baseline_at,
            capture=self.leaktui.capture,
        )
        self._draw_frame()
        self.pane.show(self.facts)
        self.probes.settle(self.facts)
        self.delve.settle(self.facts)

    def _pace_clock(self) -> float:
        return time.monotonic() if self.leaktui.capture else self._clock()

    # -- drawing -------------------------------------------------------------------------------

    def _draw_frame(self) -> None:
        self._draw_strip()
        self._draw_banner()
        self._draw_tabs()
        self.draw_caption()
        self.draw_keys()

    def _draw_strip(self) -> None:
        self.query_one(StripView).show(self.facts, self._shown_progress())

    def _shown_progress(self) -> Progress | None:
        """How far the long look is that somebody waits for, if any."""
        under_way = long_looks(self.investigation)
        if under_way and under_way <= _QUIET:
            return None
        return next(iter(self._progress.values()), None)

    def _draw_banner(self) -> None:
        banner = self.query_one("#banner", Lines)
        exited = self.facts.exited if self.facts is not None else None
        shortfall = self.facts.shortfall if self.facts is not None else ""
        banner.set_class(exited is not None or bool(shortfall), "-shown")
        if exited is not None or shortfall:
            text = (
                f" {printable(exited, 200)}; what was seen stays" if exited is not None else f" {shortfall}"
            )
            banner.set_lines((((text, "strong"),),))

    def _draw_tabs(self) -> None:
        names = [name for name, _ in PANES]
        self.query_one("#tabs", KeyBar).set_hints(tab_hints(names, self._pane_index, self.facts))

    def draw_caption(self) -> None:
        """The line over the pane: where one is, and how the table is filtered and sorted."""
        line = draw_caption(self.pane, self.facts, self.app.size.width)
        self.query_one("#caption", Lines).set_lines((line,))

    def draw_keys(self) -> None:
        """The keys that make sense on what is shown."""
        self.query_one("#keys", KeyBar).set_hints(key_hints(self.pane, self.facts, paused=self.paused))

    def on_resize(self) -> None:
        self.set_class(self.app.size.width >= ROOMY_WIDTH, "-roomy")
        self.call_after_refresh(self._draw_frame)

    # -- panes ---------------------------------------------------------------------------------

    @property
    def pane(self) -> Pane:
        return self.query_one(f"#pane-{self._pane_index}", Pane)

    @property
    def pane_index(self) -> int:
        return self._pane_index

    async def action_show_pane(self, index: int) -> None:
        """Show a pane; pressed again, its first level."""
        if index == self._pane_index:
            self.pane.go_to_root()
        self.hide_filter()
        before = self.pane
        stage = self.query_one("#stage")
        if not self.query(f"#pane-{index}"):
            await stage.mount(Pane(PANES[index][1](), id=f"pane-{index}"))
        self._pane_index = index
        if before is not self.pane:
            before.display = False
        self.pane.display = True
        if self.facts is not None:
            self.pane.show(self.facts)
        self.pane.top.focus_first()
        self._draw_frame()

    @on(Pane.Moved)
    def pane_moved(self) -> None:
        self.hide_filter()
        self.draw_caption()
        self.draw_keys()

    @on(LineTable.Rearranged)
    def table_rearranged(self) -> None:
        self.draw_caption()

    @on(KeyBar.Pressed)
    async def key_pressed(self, message: KeyBar.Pressed) -> None:
        await self.run_action(message.name)

    async def action_open(self) -> None:
        focused = self.focused
        if isinstance(focused, LineTable | Document):
            focused.action_choose()

    async def action_back(self) -> None:
        filter_input = self.query_one("#filter", Input)
        if filter_input.has_class("-shown"):
            self.end_filter(keep=False)
        elif self.pane.depth == 1 and self.table is not None and self.table.needle:
            self.table.set_filter("")
        elif self._is_searching_here() or (not self.pane.go_back() and self._shown_progress() is not None):
            self.orders.give_up()
            self.redraw()

    def _is_searching_here(self) -> bool:
        """Whether what is shown is being looked for."""
        address = self.orders.searching
        return address != 0 and self.pane.top.held == address

    async def show_ledger(self, kind: LedgerKind) -> None:
        """Show what probes see of *kind*."""
        await self.action_show_pane(_BODIES)
        self.pane.go_to_root()
        top = self.pane.top
        if isinstance(top, BodiesRoot):
            top.show_ledger(kind)
            top.table.focus()
        self._draw_frame()

    async def show_delve(self, pairs: bool = False) -> None:
        """Show what Delve records; *pairs*: the bodies by owner."""
        await self.action_show_pane(_DELVE)
        self.pane.go_to_root()
        top = self.pane.top
        if isinstance(top, DelveRoot):
            if pairs:
                top.show_pairs()
            top.table.focus()
        self._draw_frame()

    # -- orders --------------------------------------------------------------------------------

    def action_baseline(self) -> None:
        if self.investigation is not None:
            self.investigation.set_baseline()
            self._baseline_at = self._clock()
            self.notify("differences count from now on", markup=False)
            self.redraw()

    def action_pause(self) -> None:
        if self.refuse_on_capture():
            return
        if self.investigation is not None and self.facts is not None and self.facts.exited is None:
            self.paused = not self.paused
            self.investigation.session.pause(self.paused)
            self.redraw()

    def action_export(self) -> None:
        self.leaktui.export_pane(self)
