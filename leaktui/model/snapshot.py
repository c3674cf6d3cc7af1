"""Everything known of the target at one moment."""

from __future__ import annotations

from dataclasses import dataclass

from leaktui.model.capability import Source
from leaktui.model.goroutine import Goroutine, GoroutineGroup
from leaktui.model.handoff_watch import HandoffWatch
from leaktui.model.heap_census import HeapCensus
from leaktui.model.holder import HolderSearch
from leaktui.model.inspection import Evaluation, Inspection
from leaktui.model.ledger import Ledger, LedgerKind
from leaktui.model.open_body import BodyCensus
from leaktui.model.process import FdEntry, ProcessStat
from leaktui.model.profile import HeapProfile
from leaktui.model.target import Target
from leaktui.model.trace import TraceSummary
from leaktui.model.tracepoint import TracepointRun
from leaktui.model.wait import GoroutineDetail


@dataclass(frozen=True, slots=True)
class GroupsLook:
    """Goroutines by stack as one more source saw them, at `time`."""

    source: str
    time: float
    groups: tuple[GoroutineGroup, ...]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The newest fact of each kind; None means no source has delivered it yet.

    `time` is seconds on a monotonic clock, comparable within a session; `*_time` say when that part
    was seen (the parts arrive at different rates), `*_from` names its source. `also` are the goroutines by
    stack as sources beside `groups_from` count them, `leaked` those that nothing can wake, by source.
    `holders`, `details`, `inspections` and `evaluations` answer what was asked last, newest last. `ledgers` are the
    newest of each kind, `tracepoints` the newest burst. `ended` is (entry function, at least so many goroutines that
    began with it ended since the first look).
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
    ended: tuple[tuple[str, int], ...] = ()
    goroutines: tuple[Goroutine, ...] | None = None
    goroutines_time: float = 0.0
    goroutines_from: str = "pprof"
    also: tuple[GroupsLook, ...] = ()
    leaked: tuple[GroupsLook, ...] = ()
    heap: HeapProfile | None = None
    heap_time: float = 0.0
    heap_from: str = "pprof"
    heap_census: HeapCensus | None = None
    heap_census_time: float = 0.0
    bodies: BodyCensus | None = None
    bodies_time: float = 0.0
    handoffs: HandoffWatch | None = None
    handoffs_time: float = 0.0
    holders: tuple[HolderSearch, ...] = ()
    details: tuple[GoroutineDetail, ...] = ()
    trace: TraceSummary | None = None
    trace_time: float = 0.0
    ledgers: tuple[Ledger, ...] = ()
    inspections: tuple[Inspection, ...] = ()
    evaluations: tuple[Evaluation, ...] = ()
    tracepoints: TracepointRun | None = None

    def ledger(self, kind: LedgerKind) -> Ledger | None:
        """The newest ledger of *kind*; None where none was ever kept."""
        return next((item for item in self.ledgers if item.kind is kind), None)

    @property
    def goroutine_count(self) -> int | None:
        """Number of goroutines, from the profile's groups or else the dump."""
        if self.groups is not None:
            return sum(group.count for group in self.groups)
        return len(self.goroutines) if self.goroutines is not None else None
