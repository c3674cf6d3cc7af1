"""Facts in the words of the walkthrough: places, amounts, names of things. Pure.

Law: what the target could have chosen passes `printable` or `masked_url` here, before it is in any sentence.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from urllib.parse import urlsplit

from leaktui.model.body import BodyHolder
from leaktui.model.capability import Impact
from leaktui.model.finding import Finding, LeakKind
from leaktui.model.frame import Frame
from leaktui.session.history import Metric
from leaktui.text import format_bytes, format_count, format_rate, masked_url, printable, short_function

KIND_WORDS = {
    LeakKind.HTTP_BODY: "response bodies that are never closed",
    LeakKind.GOROUTINE: "goroutines that never end",
    LeakKind.FD: "file descriptors that are never closed",
    LeakKind.HEAP: "memory that stays live",
}
UNITS = {
    LeakKind.HTTP_BODY: ("open body", "open bodies"),
    LeakKind.GOROUTINE: ("goroutine", "goroutines"),
    LeakKind.FD: ("descriptor", "descriptors"),
    LeakKind.HEAP: ("live object", "live objects"),
}
METRIC_WORDS = {
    Metric.OPEN_BODIES: "response bodies open that nobody reads",
    Metric.GOROUTINES: "goroutines",
    Metric.LIVE_HEAP: "live heap",
    Metric.FDS: "file descriptors",
    Metric.RSS: "memory of the process (RSS)",
}
SHORT_METRICS = {
    Metric.OPEN_BODIES: "open bodies",
    Metric.GOROUTINES: "goroutines",
    Metric.LIVE_HEAP: "live heap",
    Metric.FDS: "fds",
    Metric.RSS: "RSS",
}
COSTS = {
    Impact.NONE: "costs the process nothing",
    Impact.LIGHT: "costs it little, stops nothing",
    Impact.PAUSES: "stops it for moments: asked for first",
    Impact.WRITES: "writes into it: asked for first",
    Impact.BREAKPOINTS: "stops it: asked for first",
}
GIVES = {
    "process": "memory and cpu",
    "fds": "descriptors",
    "groups": "goroutines",
    "bodies": "response bodies",
    "heap": "allocation sites",
    "heap-census": "heap by type",
    "holders": "who holds what",
    "trace": "traces",
    "body-ledger": "bodies opened and closed",
    "fd-ledger": "descriptors opened and closed",
    "allocation-ledger": "large allocations",
    "inspection": "values in frames",
}


def place_of(frame: Frame | None) -> str:
    """`user.go:41`, empty where it is not known."""
    if frame is None or not frame.file:
        return ""
    name = printable(PurePosixPath(frame.file).name, 200)
    return f"{name}:{frame.line}" if frame.line else name


def name_of(function: str) -> str:
    """A Go function, short and safe."""
    return printable(short_function(function), 300) or "the place is not known"


def in_bytes(metric: Metric) -> bool:
    """Whether the values of *metric* are bytes."""
    return metric in (Metric.RSS, Metric.LIVE_HEAP)


def value_of(metric: Metric, value: float) -> str:
    """A value with its unit where it has one."""
    return format_bytes(value) if in_bytes(metric) else format_count(value)


def amount_of(finding: Finding) -> str:
    """`212 open bodies, +480/min`."""
    one, many = UNITS[finding.kind]
    held = f"{format_count(finding.count)} {one if finding.count == 1 else many}" if finding.count else ""
    if finding.growth_per_minute is None:
        return held
    rate = format_rate(finding.growth_per_minute, as_bytes=finding.kind is LeakKind.HEAP)
    return f"{held}, {rate}" if held else rate


def host_of(body: BodyHolder) -> str:
    """The host a body came from, or else the peer's address."""
    try:
        host = urlsplit(body.url).netloc.rpartition("@")[2]
    except ValueError:
        host = ""
    return printable(host or body.peer, 200)


def request_of(body: BodyHolder) -> str:
    """`GET http://users/v1/7 → 404`, its query masked."""
    parts = [printable(body.method, 20), masked_url(body.url)]
    text = " ".join(part for part in parts if part)
    return f"{text} → {body.status}" if body.status is not None and text else text
