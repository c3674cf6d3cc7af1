"""Facts in words: the sentences and short forms the panes share. Pure."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import PurePosixPath

from leaktui.analysis.program import UnknownProgram
from leaktui.model.assessment import Slope
from leaktui.model.capability import Impact, SourceState
from leaktui.model.finding import Confidence, Finding, LeakKind
from leaktui.model.frame import Frame, Stack
from leaktui.text import format_count, format_rate, printable, short_function
from leaktui.tui.widgets.columns import UNKNOWN
from leaktui.tui.widgets.toned import Line, Span, Tone

KIND_NAMES: dict[LeakKind, str] = {
    LeakKind.HTTP_BODY: "response body never closed",
    LeakKind.GOROUTINE: "goroutines that never end",
    LeakKind.FD: "file descriptors never closed",
    LeakKind.HEAP: "memory that stays live",
}
KIND_UNITS: dict[LeakKind, str] = {
    LeakKind.HTTP_BODY: "open",
    LeakKind.GOROUTINE: "goroutines",
    LeakKind.FD: "fds",
    LeakKind.HEAP: "objects",
}
CONFIDENCE_TONES: dict[Confidence, Tone] = {
    Confidence.PROVEN: "danger",
    Confidence.LIKELY: "warning",
    Confidence.POSSIBLE: "muted",
}
IMPACT_WORDS: dict[Impact, str] = {
    Impact.NONE: "no impact",
    Impact.LIGHT: "light",
    Impact.PAUSES: "pauses",
    Impact.WRITES: "writes",
    Impact.BREAKPOINTS: "breakpoints",
}
STATE_MARKS: dict[SourceState, Span] = {
    SourceState.USED: ("●", "success"),
    SourceState.WAITING: ("○", "muted"),
    SourceState.UNAVAILABLE: ("✕", "muted"),
    SourceState.FAILED: ("✕", "danger"),
    SourceState.SKIPPED: ("–", "muted"),
}


_IMPORT_PATH = re.compile(r"(?:[\w.~%+-]+/)+(?=[\w.%-]+\.)")


def function_name(function: str) -> str:
    """A Go symbol short and safe to draw; one of no name is unknown."""
    return printable(short_function(function), 400) or UNKNOWN


def type_name(name: str) -> str:
    """A Go type short and safe to draw: `[]*example.com/shop/catalog.item` → `[]*catalog.item`."""
    return printable(_IMPORT_PATH.sub("", name[:1000]), 400) or UNKNOWN


def frame_place(frame: Frame | None) -> str:
    """`user.go:41`; the line is left out where unknown."""
    if frame is None or not frame.file:
        return UNKNOWN
    name = printable(PurePosixPath(frame.file).name, 200)
    return f"{name}:{frame.line}" if frame.line else name


def frame_path(frame: Frame) -> str:
    """`/src/app/user.go:41`."""
    path = printable(frame.file, 1000)
    return f"{path}:{frame.line}" if frame.line else path


@lru_cache(maxsize=8192)
def is_stdlib(function: str) -> bool:
    """Whether *function* looks like Go's own, for toning it down: decided from its import path."""
    return UnknownProgram().is_stdlib(function)


def owner_of(stack: Stack) -> Frame | None:
    """The innermost frame outside Go's library, else the innermost one."""
    return next((frame for frame in stack if not is_stdlib(frame.function)), stack[0] if stack else None)


def slope_text(slope: Slope | None, *, as_bytes: bool = False) -> Span:
    """A slope for a table cell; warning when it rises for sure."""
    if slope is None:
        return UNKNOWN, "muted"
    text = format_rate(slope.per_minute, as_bytes=as_bytes)
    return text, "warning" if slope.rising else "muted"


def delta_text(delta: int, text: str) -> Span:
    """A difference to the baseline; *text* formats its amount."""
    if delta == 0:
        return "0", "muted"
    return (f"+{text}", "plain") if delta > 0 else (f"−{text.lstrip('-−')}", "success")


def minutes_text(minutes: float | None) -> str:
    """A wait in whole minutes as Go reports it."""
    if minutes is None:
        return UNKNOWN
    if minutes < 100:
        return f"{minutes:.0f} min"
    hours = int(minutes // 60)
    return f"{hours} h" if hours < 48 else f"{hours // 24} d"


def age_text(seconds: float) -> str:
    """An age for a list, in steps coarse enough not to redraw the list each second."""
    if seconds < 60:
        return f"{int(seconds // 5) * 5} s"
    return minutes_text(seconds // 60)


def finding_amount(finding: Finding) -> str:
    """`212 open, +480/min`."""
    parts = [f"{format_count(finding.count)} {KIND_UNITS[finding.kind]}"] if finding.count else []
    if finding.growth_per_minute is not None:
        as_bytes = finding.kind is LeakKind.HEAP
        parts.append(format_rate(finding.growth_per_minute, as_bytes=as_bytes))
    return ", ".join(parts)


def finding_key(finding: Finding) -> tuple[str, str, str, int]:
    """What names a suspect for good while its figures change."""
    location = finding.location
    return (
        finding.kind.value,
        finding.function,
        location.file if location is not None else "",
        location.line if location is not None else 0,
    )


def source_root_hint(file: str) -> str:
    """The option that would say where a copy of *file* lies."""
    directory = printable(file.rpartition("/")[0], 1000) or "."
    return f"--source-root {directory}=DIR" if file.startswith("/") else "--source-root =DIR"


def heading(text: str) -> Line:
    """A section's title in a document."""
    return ((text, "accent"),)
