"""The lines of the strip on top: who the target is, what goes on now, five graphs, the engines. Pure.

Law: a figure no source has seen is a dash; a growth is coloured only when it rises for sure.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from leaktui.analysis.growth import theil_sen
from leaktui.model.assessment import Slope
from leaktui.model.capability import Source, SourceState
from leaktui.session.history import Metric
from leaktui.text import format_bytes, format_count, format_duration, format_rate, printable
from leaktui.tui.facts import DELVE, PROBES, Facts
from leaktui.tui.probe_words import probes_state
from leaktui.tui.widgets.columns import UNKNOWN
from leaktui.tui.widgets.sparkline import draw_bar, draw_sparkline
from leaktui.tui.widgets.toned import Line, Span, fit_text, join, line_width, spread
from leaktui.tui.wording import IMPACT_WORDS, STATE_MARKS

# Growth is told for the recent past only, so that a leak that was stopped is seen to have stopped.
_GROWTH_WINDOW_SECONDS = 180.0
_TREMBLE = 0.02
_URGENT_SECONDS = 3600.0
# An fd table that takes longer than this to fill is not worth a warning.
_WORTH_SAYING_SECONDS = 48 * 3600.0


@dataclass(frozen=True, slots=True)
class Progress:
    """A long capture under way. `fraction` is 0..1, None when its end is not known."""

    text: str
    fraction: float | None


def draw_title(facts: Facts) -> Line:
    """Name, pid, Go version, age and module of the target."""
    target = facts.snapshot.target
    name = PurePosixPath(target.exe).name or target.url or "target"
    parts: list[str] = [facts.capture] if facts.capture else []
    if target.pid is not None:
        parts.append(f"pid {target.pid}")
    if target.go_version:
        parts.append(target.go_version)
    if facts.uptime_seconds is not None and facts.exited is None:
        parts.append(f"up {_whole_duration(facts.uptime_seconds)}")
    if target.module:
        parts.append(target.module)
    return (
        (f" {printable(name, 60)}", "strong"),
        ("  " + " · ".join(printable(part, 120) for part in parts), "muted"),
    )


def _whole_duration(seconds: float) -> str:
    """A duration without tenths, which would only flicker."""
    return f"{seconds:.0f} s" if seconds < 10 else format_duration(seconds)


def draw_status(facts: Facts, progress: Progress | None = None, *, roomy: bool = False) -> Line:
    """What is going on now."""
    watched = _whole_duration(facts.watched_seconds)
    if facts.exited is not None:
        return (("■ exited", "danger"),)
    if progress is not None:
        bar = f"{draw_bar(progress.fraction, 10 if roomy else 6)} " if progress.fraction is not None else "… "
        hint = " · Esc stops it" if roomy else ""
        return ((bar, "graph"), (printable(progress.text, 40), "accent"), (hint, "muted"))
    if facts.capture:
        return (("▪ ", "accent"), (f"{watched} recorded", "muted"))
    if facts.paused:
        return (("‖ paused", "warning"),)
    if facts.finding_sources:
        return (("… finding sources", "accent"),)
    return (("● ", "success"), (f"watching {watched}", "muted"))


def draw_metric(metric: Metric, facts: Facts, width: int) -> tuple[Line, Line, Line]:
    """Label and value, graph, growth: three lines of *width* columns."""
    points = facts.points(metric)
    label = _LABELS[metric]
    if not points:
        blank: Line = ((" " * width, "plain"),)
        unseen: Line = ((fit_text("not seen yet", width), "muted"),)
        return _pair((label, "muted"), (UNKNOWN, "muted"), width), blank, unseen
    value = points[-1][1]
    text = format_bytes(value) if metric in _IN_BYTES else format_count(value)
    process = facts.snapshot.process
    if metric is Metric.FDS and process is not None and process.fd_limit:
        limited = f"{text}/{format_count(process.fd_limit)}"
        text = limited if len(label) + len(limited) < width else text
    if metric is Metric.OPEN_BODIES and facts.assessment.open_bodies is not None:
        text = format_count(facts.assessment.open_bodies)
    slope = recent_slope(points)
    growth = _draw_growth(metric, facts, slope, width)
    graph: Line = (
        (draw_sparkline(points, width), "warning" if slope is not None and slope.rising else "graph"),
    )
    return _pair((label, "muted"), (text, "strong"), width), graph, growth


def recent_slope(points: list[tuple[float, float]]) -> Slope | None:
    """The trend of the last three minutes."""
    if not points:
        return None
    since = points[-1][0] - _GROWTH_WINDOW_SECONDS
    return theil_sen([point for point in points if point[0] >= since])


def _draw_growth(metric: Metric, facts: Facts, slope: Slope | None, width: int) -> Line:
    if slope is None:
        return ((" " * width, "muted"),)
    rate = format_rate(slope.per_minute, as_bytes=metric in _IN_BYTES)
    if not slope.rising:
        # A standing value trembles: what is next to nothing of it is told as nothing.
        value = facts.points(metric)[-1][1]
        rate = "±0/min" if abs(slope.per_minute) < value * _TREMBLE else rate
        return ((fit_text(rate, width), "muted"),)
    process = facts.snapshot.process
    if metric is Metric.FDS and process is not None and process.fd_limit and slope.per_minute > 0:
        left = (process.fd_limit - (process.fd_count or 0)) / slope.per_minute * 60
        if left < _WORTH_SAYING_SECONDS:
            full = f"full in {format_duration(max(0.0, left))}"
            both = f"{rate}, {full}"
            return (
                (
                    fit_text(both if len(both) <= width else full, width),
                    "danger" if left < _URGENT_SECONDS else "warning",
                ),
            )
    return ((fit_text(rate, width), "warning"),)


def _pair(left: Span, right: Span, width: int) -> Line:
    room = max(1, width - len(right[0]))
    return ((fit_text(left[0], room), left[1]), (fit_text(right[0], width - room), right[1]))


def draw_engines(facts: Facts, width: int) -> Line:
    """Each engine with its state and impact, and how long the target was stopped in all."""
    impacts = {item.engine: IMPACT_WORDS[item.impact] for item in facts.capabilities}
    pause_ms = sum(source.pause_ms for source in facts.snapshot.sources)
    paused: Line = ((f"target paused {_pause_text(pause_ms)} ", "muted"),)
    if pause_ms < 0.5:
        paused = (("target never paused ", "muted"),)
    for words, gap in ((2, 3), (1, 3), (0, 2)):
        parts = [
            _engine_part(source, facts, impacts.get(source.name, ""), words)
            for source in facts.snapshot.sources
        ]
        line: Line = ((" ", "plain"), *join(parts, (" " * gap, "plain")))
        if line_width(line) + line_width(paused) < width:
            break
    return spread(line, paused, width)


def _engine_part(source: Source, facts: Facts, impact: str, words: int) -> Line:
    """An engine of the row, with *words* for every state (2), for what is used (1), or for probes alone (0)."""
    name: Span = (f" {printable(source.name, 20)}", "plain")
    if (
        source.name == PROBES
        and source.state in (SourceState.USED, SourceState.WAITING)
        and facts.offers_probes
    ):
        mark, (text, tone) = probes_state(facts, wordy=words == 2)
        return mark, name, (f" {text}", tone)
    if source.name == DELVE and source.state is SourceState.WAITING and facts.offers_debugger:
        return STATE_MARKS[source.state], name, (" off" if words else "", "muted")
    used = source.state is SourceState.USED
    word = impact if used else source.state.value
    tone = "danger" if source.state is SourceState.FAILED else "muted"
    return STATE_MARKS[source.state], name, (f" {word}" if word and words > (0 if used else 1) else "", tone)


def _pause_text(milliseconds: float) -> str:
    return f"{milliseconds:.0f} ms" if milliseconds < 1000 else format_duration(milliseconds / 1000)


_LABELS: dict[Metric, str] = {
    Metric.RSS: "RSS",
    Metric.LIVE_HEAP: "heap",
    Metric.GOROUTINES: "goroutines",
    Metric.FDS: "fds",
    Metric.OPEN_BODIES: "bodies",
}
_IN_BYTES = frozenset({Metric.RSS, Metric.LIVE_HEAP})
