"""What is asked of Delve: the keys T, v and x, and what is said of it.

Law: tracepoints are asked for each time, with their cost; a look or an expression once a session, like all that
stops the target for a moment. What ends a burst never asks.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from leaktui.engines.protocol import Want
from leaktui.model.body import BodyHolder
from leaktui.model.capability import SourceState
from leaktui.model.tracepoint import TracepointRun
from leaktui.text import printable
from leaktui.tui.delve_words import EVALUATING, INSPECTING, refusal, refusal_text, said_of
from leaktui.tui.facts import DELVE, Facts
from leaktui.tui.links import ExpressionLink
from leaktui.tui.panes.bodies import BodyLevel
from leaktui.tui.panes.level import Level, TableLevel
from leaktui.tui.panes.values import ValuesLevel, body_values
from leaktui.tui.screens.burst import BurstChoice
from leaktui.tui.source import InvestigationLike

if TYPE_CHECKING:
    from leaktui.tui.screens.watch import WatchScreen

_ENDING_SECONDS = 2.0


class DelveOrders:
    """Carries out the keys T, v and x of a watch screen."""

    def __init__(self, screen: WatchScreen) -> None:
        self._screen = screen
        self._choice = BurstChoice()
        # A burst that was ordered and has shown nothing yet, with the one of the time before.
        self._ordered: tuple[TracepointRun | None] | None = None

    # -- tracepoints ---------------------------------------------------------------------------

    def toggle_burst(self) -> None:
        """End the burst under way, or ask which shall be recorded."""
        ready = self._ready()
        if ready is None:
            return
        investigation, facts = ready
        if investigation.session.is_under_way(Want.TRACEPOINTS):
            investigation.session.cancel({Want.TRACEPOINTS})
            self._screen.notify("the burst ends; what it recorded stays", markup=False, timeout=3)
            self._screen.redraw()
            return
        from leaktui.tui.screens.burst import BurstScreen

        refused = refusal(facts, Want.TRACEPOINTS, read_only=self._screen.leaktui.read_only)
        dialog = BurstScreen(
            self._choice,
            go_version=facts.snapshot.target.go_version,
            attached=_is_attached(facts),
            refusal=refused,
        )
        self._screen.app.push_screen(dialog, self._record)

    def _record(self, choice: BurstChoice | None) -> None:
        ready = self._ready()
        if choice is None or ready is None:
            return
        investigation, facts = ready
        self._choice = choice
        plan = choice.plan(facts.snapshot.target.go_version)
        # The yes is to this burst alone.
        if not investigation.session.order(
            {Want.TRACEPOINTS}, plan=plan, allow_pauses=True, allow_breakpoints=True
        ):
            self._screen.notify("no source here sets tracepoints", markup=False, severity="warning")
            return
        self._ordered = (facts.snapshot.tracepoints,)
        self._screen.redraw()
        self._screen.call_later(self._screen.show_delve, "bodies" in choice.presets)

    def settle(self, facts: Facts) -> None:
        """Say so when a burst that was ordered came to nothing."""
        if self._ordered is None:
            return
        (before,) = self._ordered
        if facts.snapshot.tracepoints is not before:
            self._ordered = None
        elif Want.TRACEPOINTS not in facts.under_way:
            self._ordered = None
            source = next((item for item in facts.snapshot.sources if item.name == DELVE), None)
            words = "no tracepoints"
            if source is not None and source.detail:
                words += f": {said_of(source)}"
            self._screen.notify(words, markup=False, severity="error", timeout=10)

    def take_out(self) -> None:
        """End a burst and wait until it is over, a moment at most. Safe to call from any thread."""
        investigation = self._screen.investigation
        if investigation is None or not investigation.session.is_under_way(Want.TRACEPOINTS):
            return
        investigation.session.cancel({Want.TRACEPOINTS})
        deadline = time.monotonic() + _ENDING_SECONDS
        while investigation.session.is_under_way(Want.TRACEPOINTS) and time.monotonic() < deadline:
            time.sleep(0.01)

    # -- values --------------------------------------------------------------------------------

    def show_values(self, top: Level) -> None:
        """Look at the goroutine that *top* is about, with its values."""
        goid = top.inspected
        body = top.body if isinstance(top, BodyLevel) else _body_of(top)
        if body is not None and not goid:
            self._descend(body_values(body))  # nobody waits for it: expressions alone
            return
        if not goid:
            self._screen.notify("values are shown of a goroutine or a response body", markup=False)
            return
        if self._refused(Want.INSPECTION):
            return

        def look() -> None:
            investigation = self._screen.investigation
            if investigation is None:
                return
            if investigation.session.order({Want.INSPECTION}, subject=goid, allow_pauses=True):
                if not isinstance(top, ValuesLevel):
                    self._descend(body_values(body) if body is not None else ValuesLevel(goid))
                self._screen.redraw()
            else:
                self._screen.notify("no source here shows values", markup=False, severity="warning")

        self._screen.orders.with_consent(f"Look at goroutine {goid} with its values?", INSPECTING, look)

    def ask_expression(self, top: Level) -> None:
        """Ask for an expression, and evaluate it in the frame under the cursor."""
        if self._refused(Want.EVALUATION):
            return
        goid, index = (top.inspected or 0, 0) if not isinstance(top, TableLevel) else (0, 0)
        where = "anywhere: a package's variable, a type at an address"
        if isinstance(top, ValuesLevel):
            index = top.frame_index
            frame = top.frame
            if goid:
                name = printable(frame.function, 60) if frame is not None else ""
                where = f"in frame {index} {name} of goroutine {goid}"
        elif goid:
            where = f"in goroutine {goid}"
        from leaktui.tui.screens.expression import ExpressionScreen

        def answered(expression: str | None) -> None:
            if expression is None:
                return
            if not isinstance(top, ValuesLevel):
                self._descend(ValuesLevel(goid, "expressions"))
            self.evaluate(ExpressionLink(expression, goid, index))

        self._screen.app.push_screen(ExpressionScreen(where), answered)

    def evaluate(self, link: ExpressionLink) -> None:
        """Have an expression evaluated."""
        if self._refused(Want.EVALUATION):
            return

        def order() -> None:
            investigation = self._screen.investigation
            if investigation is None:
                return
            investigation.session.order(
                {Want.EVALUATION},
                subject=link.goid,
                expression=link.expression,
                frame_index=link.frame_index,
                allow_pauses=True,
            )
            self._screen.redraw()

        what = f"Evaluate {printable(link.expression, 120)}?"
        self._screen.orders.with_consent(what, EVALUATING, order)

    def _descend(self, level: Level) -> None:
        self._screen.pane.post_message(Level.Descended(level))

    def _refused(self, want: Want) -> bool:
        """Whether *want* cannot be had here; says so, with the remedy."""
        ready = self._ready()
        if ready is None:
            return True
        _, facts = ready
        refused = refusal(facts, want, read_only=self._screen.leaktui.read_only)
        if refused is None and facts.under_way & {Want.TRACEPOINTS}:
            self._screen.notify("a burst is being recorded: T ends it", markup=False)
            return True
        if refused is not None:
            self._screen.notify(refusal_text(refused), markup=False, severity="warning", timeout=10)
        return refused is not None

    def _ready(self) -> tuple[InvestigationLike, Facts] | None:
        investigation, facts = self._screen.investigation, self._screen.facts
        return (investigation, facts) if investigation is not None and facts is not None else None


def _body_of(top: Level) -> BodyHolder | None:
    """The body of the row under the cursor, if it is one."""
    row = top.table.cursor_row if isinstance(top, TableLevel) else None
    return row if isinstance(row, BodyHolder) else None


def _is_attached(facts: Facts) -> bool:
    """Whether Delve has been used: it stays attached, or at least has its symbols read."""
    return any(
        item.name == DELVE and item.state is SourceState.USED and item.pause_ms
        for item in facts.snapshot.sources
    )
