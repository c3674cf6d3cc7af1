"""An execution trace in words: times, and the sentences over its lists. Pure.

Law: what rises together is set side by side and no more: no sentence here says that one thing made another.
"""

from __future__ import annotations

from leaktui.analysis.trace_growth import live_heap_slope
from leaktui.model.frame import Frame, Stack
from leaktui.model.trace import TraceSummary
from leaktui.text import format_count, format_duration, format_rate, printable
from leaktui.tui.widgets.toned import Line, Span
from leaktui.tui.wording import is_stdlib

_PLUMBING = (
    "runtime.",
    "internal/",
    "sync.",
    "time.",
    "net.",
    "io.",
    "bufio.",
    "crypto/tls.",
    "syscall.",
    "os.",
)
"""What only carries out a wait that somebody else asked for."""


def span_text(nanoseconds: float) -> str:
    """`640 ns`, `45 µs`, `1.2 ms`, `812 ms`, `2.1 s`, `3m05s`."""
    if nanoseconds < 1000:
        return f"{max(0, nanoseconds):.0f} ns"
    for unit in ("µs", "ms"):
        nanoseconds /= 1000
        if nanoseconds < 999.5:
            return f"{nanoseconds:.1f} {unit}" if nanoseconds < 9.95 else f"{nanoseconds:.0f} {unit}"
    return format_duration(nanoseconds / 1000)


def moment_text(trace: TraceSummary, time_ns: int) -> str:
    """A moment as seconds since the trace began: `2.314 s`."""
    return f"{max(0, time_ns - trace.start_ns) / 1e9:.3f} s"


def named_by(stack: Stack) -> Frame | None:
    """The frame a stack is named by: the innermost of the user, else the innermost that is not mere plumbing."""
    own = next((frame for frame in stack if not is_stdlib(frame.function)), None)
    if own is not None:
        return own
    telling = (frame for frame in stack if not frame.function.startswith(_PLUMBING))
    return next(telling, stack[0] if stack else None)


def summary_line(trace: TraceSummary) -> Line:
    """What the trace is, in one line."""
    parts = [
        f"{span_text(trace.duration_ns)} of format {printable(trace.go_version, 20)}",
        f"{format_count(trace.events)} events",
    ]
    if trace.procs:
        parts.append(f"GOMAXPROCS {trace.procs}")
    share = 100 * trace.gc_ns / trace.duration_ns if trace.duration_ns else 0.0
    parts.append(f"{trace.gc_cycles} GC, {share:.0f} % of the time" if trace.gc_cycles else "no GC")
    spans: list[Span] = [(" " + " · ".join(parts), "muted")]
    if trace.truncated:
        spans.insert(0, (" cut short:", "warning"))
    return tuple(spans)


def truncation_line(trace: TraceSummary) -> Line | None:
    """That the end of the trace is missing, if it is."""
    if not trace.truncated:
        return None
    return (
        (" The end of this trace is missing: all below is as of the last whole second of it.", "warning"),
    )


def growth_lines(trace: TraceSummary) -> tuple[Line, ...]:
    """How the live heap moved over the same time, and what that does not say."""
    slope = live_heap_slope(trace)
    observed = len(trace.heap)
    label: Span = (" live heap ", "muted")
    if slope is None:
        text = f"no slope from {observed} of {trace.gc_cycles} GC: three are needed"
        return ((label, (text, "plain")),)
    low, high = (format_rate(bound, as_bytes=True) for bound in (slope.low, slope.high))
    bounds = f"95 %: {low.removesuffix('/min')} to {high.removesuffix('/min')}"
    return (
        (
            label,
            (format_rate(slope.per_minute, as_bytes=True), "warning" if slope.rising else "strong"),
            (f" ({bounds}), n = {observed} GC, {format_duration(slope.seconds)}", "muted"),
        ),
        ((" Beside it, not because of it: whatever rises at once looks alike, cause or not.", "muted"),),
    )
