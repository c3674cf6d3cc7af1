"""Collections, the heap around them, and the moments in which the world stood still.

Law: one record a collection, up to a bound; times and counts go on beyond it.
"""

from __future__ import annotations

from leaktui.model.trace import GcCycle, HeapPoint
from leaktui.wire.trace import events as ev

MAX_CYCLES = 100_000


class _Cycle:
    __slots__ = ("begin_ns", "end_ns", "goal_bytes", "live_bytes", "pause_ns")

    def __init__(self, begin_ns: int) -> None:
        self.begin_ns = begin_ns
        self.end_ns: int | None = None
        self.live_bytes = 0
        self.goal_bytes = 0
        self.pause_ns = 0


class Collections:
    """Takes the events of the collector, in order of time.

    `heap_bytes` is the newest HeapAlloc (set by who reads the events: there are many), `goal_bytes` the newest
    HeapGoal, `procs` the largest GOMAXPROCS. `stops` are the stretches during which the world stood still.
    """

    def __init__(self) -> None:
        self.heap_bytes = 0
        self.goal_bytes = 0
        self.procs = 0
        self.gc_ns = 0
        self.stop_ns = 0
        self.stops: list[tuple[int, int]] = []
        self._cycles: list[_Cycle] = []
        self._running: _Cycle | None = None
        self._ended: _Cycle | None = None
        self._stopped_ns: int | None = None
        self._stopped_in: _Cycle | None = None

    def take(self, kind: int, time: int, value: int, start_ns: int) -> None:
        """An event of *kind* with its first argument *value*; the trace began at *start_ns*."""
        if kind == ev.STW_BEGIN:
            self._stopped_ns, self._stopped_in = time, self._running
        elif kind == ev.STW_END:
            self._went_on(time)
        elif kind == ev.GC_BEGIN:
            self._begin(time)
        elif kind == ev.GC_ACTIVE:
            if self._running is None:
                self._begin(start_ns)
        elif kind == ev.GC_END:
            self._end(time)
        elif kind == ev.HEAP_GOAL:
            self.goal_bytes = value
            if self._ended is not None:
                self._ended.goal_bytes, self._ended = value, None
        elif kind == ev.PROCS_CHANGE:
            self.procs = max(self.procs, value)

    def _begin(self, time: int) -> None:
        self._running = _Cycle(time)
        if len(self._cycles) < MAX_CYCLES:
            self._cycles.append(self._running)

    def _end(self, time: int) -> None:
        cycle, self._running = self._running, None
        if cycle is None:
            return
        cycle.end_ns = time
        self.gc_ns += time - cycle.begin_ns
        # The newest HeapAlloc is the one of mark termination, with the world stopped: the bytes that were
        # marked (runtime.gcMark: gcController.resetLive). The first one after it counts new spans too.
        cycle.live_bytes = self.heap_bytes
        self._ended = cycle

    def _went_on(self, time: int) -> None:
        if self._stopped_ns is None:
            return
        began, self._stopped_ns = self._stopped_ns, None
        self.stop_ns += time - began
        if self._stopped_in is not None:
            # Both of a cycle's stops begin within it; the second ends right after it.
            self._stopped_in.pause_ns += time - began
        if len(self.stops) < 2 * MAX_CYCLES:
            self.stops.append((began, time))

    def cycles(self) -> tuple[GcCycle, ...]:
        """The collections, oldest first."""
        return tuple(
            GcCycle(cycle.begin_ns, cycle.end_ns, cycle.live_bytes, cycle.goal_bytes, cycle.pause_ns)
            for cycle in self._cycles
        )

    def live_heap(self) -> tuple[HeapPoint, ...]:
        """What each finished collection left alive."""
        return tuple(
            HeapPoint(cycle.end_ns, cycle.live_bytes)
            for cycle in self._cycles
            if cycle.end_ns is not None and cycle.live_bytes
        )
