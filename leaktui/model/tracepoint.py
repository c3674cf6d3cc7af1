"""Tracepoints: what is to be recorded as the target comes by, within which limits, and what was.

Law: a tracepoint records and never holds the target; it costs a stop of about a millisecond a hit nevertheless. So a
plan has a budget of hits and of seconds, and all of it is out of the target at the first that is reached.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from leaktui.model.frame import Stack


@dataclass(frozen=True, slots=True)
class Tracepoint:
    """Where and what to record.

    `function` is a Go symbol as Delve takes it (`runtime.mallocgc`, `net/http.(*bodyEOFSignal).Close`).
    `condition` is an expression over its arguments (`size >= 32768`, `req.URL.Host == "example.com"`); a hit for which
    it does not hold is not counted, but costs the target nearly as much. `expressions` are recorded with each hit,
    beside the arguments. `returns` records at the function's returns instead of its entry.
    """

    function: str
    condition: str = ""
    expressions: tuple[str, ...] = ()
    returns: bool = False


@dataclass(frozen=True, slots=True)
class TracepointPlan:
    """A burst of tracing: it ends after `most_hits` or `seconds`, whichever comes first.

    `most_stops_ms` bounds, in milliseconds, what all the stops together may take from the target.
    """

    tracepoints: tuple[Tracepoint, ...]
    seconds: float = 5.0
    most_hits: int = 500
    most_stops_ms: float = 2000.0
    stack_depth: int = 20


@dataclass(frozen=True, slots=True)
class TracepointHit:
    """One time the target came by. `time` is seconds since the burst began; `tracepoint` an index into the plan.

    `values` are (name, value) of arguments and expressions; `size` is the one called `size`, in bytes.
    """

    time: float
    tracepoint: int
    goid: int
    stack: Stack
    values: tuple[tuple[str, str], ...] = ()
    size: int | None = None


@dataclass(frozen=True, slots=True)
class TracepointRun:
    """What a burst recorded so far. `armed` is False once everything is out of the target again.

    `hits` are the first of them in order, bounded by the plan; `counts` is how many there were of each tracepoint.
    `stops_ms` is what the target stood still for in all, `longest_stop_ms` at most at once, without attaching
    (`attach_stop_ms`). `not_set` are (index, reason) of tracepoints that could not be set. `ended` says why it ended.
    """

    plan: TracepointPlan
    began: float
    time: float
    hits: tuple[TracepointHit, ...] = ()
    counts: tuple[int, ...] = ()
    armed: bool = True
    stops_ms: float = 0.0
    longest_stop_ms: float = 0.0
    attach_stop_ms: float = 0.0
    not_set: tuple[tuple[int, str], ...] = field(default=())
    ended: str = ""

    @property
    def seconds(self) -> float:
        """How long it has been recording."""
        return self.time - self.began
