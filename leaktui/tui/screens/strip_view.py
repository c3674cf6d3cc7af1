"""The strip on top of a watch screen.

Law: each figure is a widget of its own. Textual rewrites a line from the left edge of the widget that
changed, so this is what keeps a second of watching below a kilobyte.
"""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Container

from leaktui.session.history import Metric
from leaktui.text import printable
from leaktui.tui.facts import Facts
from leaktui.tui.strip import Progress, draw_engines, draw_metric, draw_status, draw_title
from leaktui.tui.widgets.line_view import Lines
from leaktui.tui.widgets.toned import Line, fit_line, line_width

ROOMY_WIDTH = 100


class StripView(Container):
    """Title and status, five graphs, the engines: five lines. *opening* names the target at first."""

    def __init__(self, opening: str) -> None:
        super().__init__(id="strip")
        self._opening = opening
        self._title = Lines(((),), id="strip-title")
        self._status = Lines(((),), id="strip-status")
        self._metrics = {metric: Lines(((), (), ())) for metric in Metric}
        self._engines = Lines(((),), id="strip-engines")

    def compose(self) -> ComposeResult:
        with Container(id="strip-head"):
            yield self._title
            yield self._status
        with Container(id="strip-metrics"):
            yield from self._metrics.values()
        yield self._engines

    def show(self, facts: Facts | None, progress: Progress | None) -> None:
        """Draw what changed."""
        width = self.app.size.width
        status_width = self._status.size.width or 30
        if facts is None:
            self._set_title(((" leaktui", "strong"), (f"  {printable(self._opening, 200)}", "muted")))
            self._set_status((("opening…", "accent"),), status_width)
            return
        self._set_title(draw_title(facts))
        self._set_status(draw_status(facts, progress, roomy=width >= ROOMY_WIDTH), status_width)
        target = facts.snapshot.target
        self.set_class(
            target.pid is None and target.url is None, "-still"
        )  # a file has no process to measure
        for metric, lines in self._metrics.items():
            lines.set_lines(draw_metric(metric, facts, lines.size.width or width // 5 - 1))
        self._engines.set_lines((draw_engines(facts, width),))

    def _set_title(self, line: Line) -> None:
        width = self._title.size.width
        self._title.set_lines((fit_line(line, width) if width else line,))

    def _set_status(self, line: Line, width: int) -> None:
        line = fit_line(line, width - 1)
        pad = " " * (width - 1 - line_width(line))
        self._status.set_lines((((pad, "plain"), *line),))
