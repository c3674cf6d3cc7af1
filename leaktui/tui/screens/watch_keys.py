"""What the keys of a watch screen do with what is shown, and what they order.

Law: nothing is drawn here and nothing is known of how facts arrive; the screen itself is `watch.WatchScreen`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual import on
from textual.screen import Screen
from textual.widgets import Input

from leaktui.model.finding import LeakKind
from leaktui.model.ledger import LedgerKind
from leaktui.tui.actions import Place
from leaktui.tui.delve_orders import DelveOrders
from leaktui.tui.facts import Facts
from leaktui.tui.orders import Orders
from leaktui.tui.panes.bodies import BodiesRoot
from leaktui.tui.panes.call_tree import CallTreeLevel
from leaktui.tui.panes.flame import FlameLevel
from leaktui.tui.panes.goroutines import GoroutinesRoot
from leaktui.tui.panes.heap import HeapRoot
from leaktui.tui.panes.level import Level, TableLevel
from leaktui.tui.panes.pane import Pane
from leaktui.tui.panes.suspects import SuspectsRoot
from leaktui.tui.panes.trace import TraceRoot
from leaktui.tui.probe_orders import ProbeOrders
from leaktui.tui.walk_orders import WalkOrders
from leaktui.tui.widgets.line_table import LineTable

if TYPE_CHECKING:
    from leaktui.tui.app import LeaktuiApp

_HEAP = 1
_LEDGER_OF = {LeakKind.FD: LedgerKind.FDS, LeakKind.HEAP: LedgerKind.ALLOCATIONS}


class WatchKeys(Screen[None]):
    """The part of a watch screen that keys act on."""

    facts: Facts | None
    orders: Orders
    probes: ProbeOrders
    walk: WalkOrders
    delve: DelveOrders

    @property
    def pane(self) -> Pane:
        """The pane that is shown."""
        raise NotImplementedError

    @property
    def pane_index(self) -> int:
        raise NotImplementedError

    def redraw(self) -> None:
        """Read the newest facts and draw what shows them."""
        raise NotImplementedError

    def draw_caption(self) -> None:
        """The line over the pane."""
        raise NotImplementedError

    def draw_keys(self) -> None:
        """The keys that make sense on what is shown."""
        raise NotImplementedError

    @property
    def table(self) -> LineTable[Any] | None:
        return self.pane.top.table

    @property
    def leaktui(self) -> LeaktuiApp:
        from leaktui.tui.app import LeaktuiApp

        assert isinstance(self.app, LeaktuiApp)
        return self.app

    def refuse_on_capture(self, what: str = "") -> bool:
        """Whether a capture is shown, where there is nobody to ask; then it is said so."""
        if self.leaktui.capture:
            text = "this is a capture, and the process is not here to be asked"
            self.notify(f"{text}: {what}" if what else text, markup=False, timeout=4)
        return bool(self.leaktui.capture)

    # -- filter and sort -----------------------------------------------------------------------

    def action_filter(self) -> None:
        table = self.table
        if table is None or not table.display:
            self.notify("there is no table here to filter", markup=False)
            return
        table.prepare_filter()
        field = self.query_one("#filter", Input)
        field.value = table.needle
        field.add_class("-shown")
        field.focus()

    @on(Input.Changed, "#filter")
    def filter_changed(self, message: Input.Changed) -> None:
        if self.table is not None and message.input.has_class("-shown"):
            self.table.set_filter(message.value)

    @on(Input.Submitted, "#filter")
    def filter_submitted(self) -> None:
        self.end_filter(keep=True)

    def end_filter(self, *, keep: bool) -> None:
        """Back to the table; unless *keep*, with all of its rows."""
        if not keep and self.table is not None:
            self.table.set_filter("")
        self.hide_filter()
        self.pane.top.focus_first()

    def hide_filter(self) -> None:
        """Take the field away; what it said stays in force."""
        self.query_one("#filter", Input).remove_class("-shown")

    def action_sort(self) -> None:
        if self.table is not None:
            self.table.cycle_sort()

    def action_reverse(self) -> None:
        if self.table is not None:
            self.table.reverse_sort()

    def action_group(self) -> None:
        top = self.pane.top
        if isinstance(top, CallTreeLevel | FlameLevel):
            top.turn_round()
        elif isinstance(top, TableLevel) and top.modes > 1:
            top.next_mode()
        else:
            self.notify("these rows can be grouped in one way only", markup=False)
        self.draw_caption()
        self.draw_keys()

    def action_mode(self) -> None:
        top = self.pane.top
        if isinstance(top, HeapRoot) and top.by_site:
            top.next_measure()
            self.draw_caption()
        elif isinstance(top, BodiesRoot) and top.in_ledger:
            top.next_kind()
            self.draw_caption()
            self.draw_keys()
        elif isinstance(top, FlameLevel) and top.measures > 1:
            top.next_measure()
            self.draw_caption()
        elif isinstance(top, TraceRoot):
            top.next_variant()
            self.draw_caption()
            self.draw_keys()

    def action_flame(self) -> None:
        top = self.pane.top
        if (isinstance(top, HeapRoot) and top.by_site) or isinstance(top, GoroutinesRoot):
            self.pane.post_message(Level.Descended(top.flame()))

    def action_fix(self) -> None:
        top = self.pane.top
        if isinstance(top, SuspectsRoot) and top.table.cursor_row is not None:
            top.open_fix()
        else:
            self.notify("a fix is shown for a suspect (1)", markup=False)

    def action_calls(self) -> None:
        top = self.pane.top
        if isinstance(top, HeapRoot):
            self.pane.post_message(Level.Descended(top.call_tree()))

    # -- orders --------------------------------------------------------------------------------

    def action_refresh(self) -> None:
        self.orders.refresh()

    def action_trace(self) -> None:
        self.orders.trace()

    def action_holders(self) -> None:
        """Look for what holds the object that is shown, or that of the row under the cursor."""
        top = self.pane.top
        if top.held is None:
            self.notify("holders are looked for from a response body or a heap object", markup=False)
            return
        address = top.held
        if isinstance(top, TableLevel):
            top.open_row()
        self.orders.find_holders(address)
        self.redraw()

    def action_probes(self) -> None:
        self.probes.toggle(self._probed_here)

    def action_choose_probes(self) -> None:
        self.probes.choose(self._probed_here)

    @property
    def _probed_here(self) -> LedgerKind:
        """What probes would tell most about what is shown."""
        top = self.pane.top
        if isinstance(top, BodiesRoot):
            return top.kind
        if self.pane_index == _HEAP:
            return LedgerKind.ALLOCATIONS
        suspects = self.facts.assessment.suspects if self.facts is not None else ()
        return _LEDGER_OF.get(suspects[0].kind, LedgerKind.BODIES) if suspects else LedgerKind.BODIES

    def action_burst(self) -> None:
        self.delve.toggle_burst()

    def action_values(self) -> None:
        self.delve.show_values(self.pane.top)

    def action_evaluate(self) -> None:
        self.delve.ask_expression(self.pane.top)

    def action_collect(self) -> None:
        self.orders.collect()

    def action_edit(self) -> None:
        self.leaktui.edit_frame(self.pane.top.frame, self.facts)

    def action_processes(self) -> None:
        self.leaktui.show_picker()

    def action_walkthrough(self) -> None:
        self.walk.open()

    def action_help(self) -> None:
        self.leaktui.show_help(Place.WATCH)

    def action_suspend(self) -> None:
        self.app.action_suspend_process()

    def action_quit(self) -> None:
        self.app.exit()
