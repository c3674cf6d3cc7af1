"""The Trace pane: one execution trace as a timeline, and as lists of who waited, who started whom, who holds what.

`g` goes through the views, `m` through the ways to show one. A trace is whole when it arrives: nothing here moves
until the next one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from textual import events
from textual.app import ComposeResult

from leaktui.engines.protocol import Want
from leaktui.model.capability import SourceState
from leaktui.model.frame import Frame
from leaktui.model.trace import TraceSummary
from leaktui.text import printable
from leaktui.tui.facts import Facts
from leaktui.tui.panes.level import Listing, TableLevel
from leaktui.tui.panes.trace_blocking import blocking_listing, reasons_listing
from leaktui.tui.panes.trace_bodies import bodies_listing, readers_listing, requests_listing
from leaktui.tui.panes.trace_cycles import cycles_listing, moment_level, timeline_lanes
from leaktui.tui.panes.trace_genealogy import Genealogy
from leaktui.tui.trace_words import growth_lines, summary_line, truncation_line
from leaktui.tui.widgets.lane_chart import LaneChart
from leaktui.tui.widgets.line_table import LineTable
from leaktui.tui.widgets.line_view import Lines
from leaktui.tui.widgets.toned import Line, fit_line

_NO_TRACE = "No execution trace yet: t takes one of 5 s."
TIMELINE, BLOCKING, GENEALOGY, BODIES, READERS, CYCLES = range(6)
_VIEWS = ("timeline", "blocking", "who started whom", "bodies", "readers", "collections")


class TraceRoot(TableLevel):
    """The first level of the pane."""

    def __init__(self) -> None:
        self._genealogy = Genealogy()
        self._by_reason = False
        self._one_by_one = False
        self._chart = LaneChart(classes="main")
        self._sums = Lines(classes="sums")
        self._drawn: TraceSummary | None = None
        super().__init__("Trace", self._all_listings())

    def _all_listings(self) -> Sequence[Listing[Any]]:
        cycles = cycles_listing(_NO_TRACE)
        return (
            cycles,  # stands behind the chart, unseen
            reasons_listing(_NO_TRACE) if self._by_reason else blocking_listing(_NO_TRACE),
            self._genealogy.listing(_NO_TRACE),
            bodies_listing(_NO_TRACE) if self._one_by_one else requests_listing(_NO_TRACE),
            readers_listing(_NO_TRACE),
            cycles,
        )

    def compose(self) -> ComposeResult:
        yield self._sums
        yield self._chart
        yield from super().compose()

    def on_mount(self) -> None:
        super().on_mount()
        self._show_part()

    # -- which view ----------------------------------------------------------------------------

    @property
    def view(self) -> int:
        """TIMELINE, BLOCKING, …"""
        return self._mode

    @property
    def next_view(self) -> str:
        """What `g` goes to."""
        return _VIEWS[(self._mode + 1) % len(_VIEWS)]

    @property
    def chart(self) -> LaneChart:
        return self._chart

    @property
    def variants(self) -> int:
        """In how many ways the view can be shown; for the timeline, what `m` does to a lane."""
        if self._mode == TIMELINE:
            return 2 if self._chart.lanes else 1
        return 2 if self._mode in (BLOCKING, BODIES) else 1

    @property
    def variant_label(self) -> str:
        """What `m` would do."""
        if self._mode == TIMELINE:
            lane = self._chart.selected
            return "show lane" if lane is not None and lane.title in self._chart.hidden else "hide lane"
        if self._mode == BLOCKING:
            return "by stack" if self._by_reason else "by reason"
        return "by request" if self._one_by_one else "one by one"

    def next_variant(self) -> None:
        """The other way to show the view; in the timeline, fold the lane under the cursor."""
        if self._mode == TIMELINE:
            self._chart.action_fold()
            return
        if self._mode == BLOCKING:
            self._by_reason = not self._by_reason
        elif self._mode == BODIES:
            self._one_by_one = not self._one_by_one
        else:
            return
        self._listings = tuple(self._all_listings())
        self.change_mode(self._mode)

    def change_mode(self, mode: int) -> None:
        focused = self._table.has_focus or self._chart.has_focus
        super().change_mode(mode)
        self._show_part()
        if focused:
            self.focus_first()

    def _show_part(self) -> None:
        """The chart or the table."""
        charted = self._mode == TIMELINE
        self._chart.display = charted
        self._table.display = not charted
        self.set_class(charted, "-charted")

    def focus_first(self) -> None:
        (self._chart if self._mode == TIMELINE else self._table).focus()

    @property
    def table(self) -> LineTable[Any] | None:  # type: ignore[override]
        return None if self._mode == TIMELINE else self._table

    @property
    def frame(self) -> Frame | None:
        return None if self._mode == TIMELINE else super().frame

    @property
    def export_suffix(self) -> str:
        return "-" + _VIEWS[self._mode].replace(" ", "-")

    def caption(self) -> Line:
        if self._mode != TIMELINE:
            return super().caption()
        trace = self._drawn
        if trace is None:
            return (("timeline", "muted"),)
        start, length = self._chart.window
        part = (
            "all of it"
            if length * 1e9 >= trace.duration_ns * 0.99
            else f"{start:.2f} s to {start + length:.2f} s"
        )
        return ((f"timeline · {part} · +/− zoom, ←→ move, ↑↓ lane", "muted"),)

    # -- drawing -------------------------------------------------------------------------------

    def show(self, facts: Facts) -> None:
        super().show(facts)
        trace = facts.snapshot.trace
        self._chart.set_empty(_say_no_trace(facts))
        self._table.set_empty(self.listing.empty(facts) if trace is not None else _say_no_trace(facts))
        if trace is not None and trace is not self._drawn:
            step = trace.timeline.step_ns / 1e9 if trace.timeline is not None else 1.0
            self._drawn = trace
            self._chart.set_lanes(timeline_lanes(trace), step, fresh=True)
        self._draw_sums(trace)

    def on_resize(self) -> None:
        super().on_resize()
        self._draw_sums(self._drawn)

    def _draw_sums(self, trace: TraceSummary | None) -> None:
        if trace is None:
            self._sums.set_lines(())
            return
        lines: list[Line] = [summary_line(trace)]
        if (cut := truncation_line(trace)) is not None:
            lines.append(cut)
        if self._mode == BLOCKING:
            lines += growth_lines(trace)
        width = max(20, self.size.width)
        self._sums.set_lines(tuple(fit_line(line, width) for line in lines))

    # -- moving --------------------------------------------------------------------------------

    def on_lane_chart_chosen(self, message: LaneChart.Chosen) -> None:
        message.stop()
        if self._drawn is not None:
            self.post_message(self.Descended(moment_level(self._drawn, message.first, message.last)))

    def on_key(self, event: events.Key) -> None:
        """← and → fold the tree."""
        kin = self._table.cursor_row
        if self._mode != GENEALOGY or kin is None or event.key not in ("left", "right"):
            return
        event.stop()
        self._genealogy.fold(kin, folded=event.key == "left")
        if self.facts is not None:
            self._table.set_rows(self._genealogy.rows(self.facts))


def _say_no_trace(facts: Facts) -> str:
    if Want.TRACE in facts.under_way:
        return "An execution trace is being taken."
    giving = {item.engine for item in facts.capabilities if Want.TRACE.value in item.gives}
    failed = (
        item for item in facts.snapshot.sources if item.name in giving and item.state is SourceState.FAILED
    )
    if (source := next(failed, None)) is not None:
        return f"No execution trace: {printable(source.detail, 200)}"
    if facts.offers(Want.TRACE):
        return _NO_TRACE
    return (
        "No source here gives execution traces: they come from pprof (Suspects, 1, says which sources work)."
    )
