"""The trace in equal steps, for drawing it on one axis of time.

Law: what is kept is a bounded number of samples, one at the end of each step; a trace that outgrows them gets
steps twice as long. Counters are kept as they run, so that half of the samples tell the same with half of the
detail.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from leaktui.model.trace import TraceTimeline

MAX_STEPS = 2048
_FIRST_STEP_NS = 1_000_000


class Reading(NamedTuple):
    """Counters (`created` and `ended`, which only grow) and levels at one moment."""

    created: int
    ended: int
    blocked: int
    open_bodies: int
    heap_bytes: int
    goal_bytes: int


_NOTHING = Reading(0, 0, 0, 0, 0, 0)

Spans = Sequence[tuple[int, int]]
"""Stretches of time, each from its first nanosecond up to where it ended."""


class TimelineRecorder:
    """Readings at the end of each step. `edge_ns` is where the present step ends: read the counters there."""

    def __init__(self, start_ns: int) -> None:
        self.edge_ns = start_ns + _FIRST_STEP_NS
        self._start_ns = start_ns
        self._step_ns = _FIRST_STEP_NS
        self._readings: list[Reading] = []

    def close(self, reading: Reading, next_ns: int) -> None:
        """The step ended with *reading*; the next event comes at *next_ns*, so do those in between."""
        elapsed = next_ns - self._start_ns
        while elapsed // self._step_ns >= MAX_STEPS:
            self._coarsen()
        # Not below what coarser steps hold already.
        steps = max(elapsed // self._step_ns, len(self._readings))
        self._readings += [reading] * (steps - len(self._readings))
        self.edge_ns = self._start_ns + (steps + 1) * self._step_ns

    def _coarsen(self) -> None:
        # The last one, if it stands alone, belongs to a step that goes on.
        self._readings = self._readings[1::2]
        self._step_ns *= 2

    def timeline(self, last: Reading, blocked_before: int, gc: Spans, stops: Spans) -> TraceTimeline:
        """The whole; *last* is read at the end, *blocked_before* goroutines were blocked when it began."""
        readings = [*self._readings, last]
        before = [_NOTHING, *readings[:-1]]
        pairs = list(zip(before, readings, strict=True))
        return TraceTimeline(
            start_ns=self._start_ns,
            step_ns=self._step_ns,
            created=tuple(new.created - old.created for old, new in pairs),
            ended=tuple(new.ended - old.ended for old, new in pairs),
            blocked=tuple(max(0, new.blocked + blocked_before) for new in readings),
            open_bodies=tuple(new.open_bodies for new in readings),
            heap_bytes=tuple(new.heap_bytes for new in readings),
            goal_bytes=tuple(new.goal_bytes for new in readings),
            gc_ns=self._covered(gc, len(readings)),
            stop_ns=self._covered(stops, len(readings)),
        )

    def _covered(self, spans: Spans, steps: int) -> tuple[int, ...]:
        """How much of each step *spans* cover."""
        covered = [0] * steps
        for begin, end in spans:
            first = max(0, (begin - self._start_ns) // self._step_ns)
            for index in range(first, min(steps, (end - self._start_ns) // self._step_ns + 1)):
                edge = self._start_ns + index * self._step_ns
                covered[index] += max(0, min(end, edge + self._step_ns) - max(begin, edge))
        return tuple(covered)
