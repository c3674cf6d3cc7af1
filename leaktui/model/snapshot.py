"""Everything known of the target at one moment."""

from __future__ import annotations

from dataclasses import dataclass

from leaktui.model.capability import Source
from leaktui.model.goroutine import Goroutine, GoroutineGroup
from leaktui.model.process import FdEntry, ProcessStat
from leaktui.model.profile import HeapProfile
from leaktui.model.target import Target
from leaktui.model.trace import TraceSummary


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The newest fact of each kind; None means no source has delivered it yet.

    `time` is seconds on a monotonic clock, comparable within a session; `*_time` say when that part
    was seen (the parts arrive at different rates), `groups_from` names the source of the goroutines.
    """

    time: float
    target: Target
    sources: tuple[Source, ...] = ()
    process: ProcessStat | None = None
    process_time: float = 0.0
    fds: tuple[FdEntry, ...] | None = None
    fds_time: float = 0.0
    groups: tuple[GoroutineGroup, ...] | None = None
    groups_time: float = 0.0
    groups_from: str = "pprof"
    goroutines: tuple[Goroutine, ...] | None = None
    goroutines_time: float = 0.0
    leaked_groups: tuple[GoroutineGroup, ...] | None = None
    leaked_groups_time: float = 0.0
    heap: HeapProfile | None = None
    heap_time: float = 0.0
    trace: TraceSummary | None = None
    trace_time: float = 0.0

    @property
    def goroutine_count(self) -> int | None:
        """Number of goroutines, from the profile's groups or else the dump."""
        if self.groups is not None:
            return sum(group.count for group in self.groups)
        return len(self.goroutines) if self.goroutines is not None else None
