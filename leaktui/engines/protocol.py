"""What every engine looks like.

Law: `probe` is cheap and never touches the target's execution; `capture` blocks on purpose, runs in a
thread of its own, yields facts as they come and looks at `cancel` often; `close` may be called at any
time, more than once, from any thread, and leaves nothing behind.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from leaktui.model.capability import Capability
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
from leaktui.model.tracepoint import TracepointPlan, TracepointRun
from leaktui.model.wait import GoroutineDetail

DUMP_GATE = 10_000
"""Goroutines beyond which a full dump needs leave: it stops the world while it is written."""

STOP_SECONDS_PER_GOROUTINE = 20e-6
"""What a `debug=2` dump stops the target for: 0.04–0.3 s at 10,000 goroutines, 1.4–2.6 s at 100,000
(measured, amd64, Go 1.26: runtime.Stack holds the world, and is tried again with a doubled buffer)."""


class Want(Enum):
    """What to capture."""

    PROCESS = "process"
    FDS = "fds"
    GROUPS = "groups"
    GOROUTINES = "goroutines"
    LEAKED = "leaked"
    HEAP = "heap"
    HEAP_AFTER_GC = "heap-after-gc"
    TRACE = "trace"
    BODIES = "bodies"
    HEAP_CENSUS = "heap-census"
    HANDOFFS = "handoffs"
    HOLDERS = "holders"
    DETAIL = "goroutine-detail"
    BODY_LEDGER = "body-ledger"
    FD_LEDGER = "fd-ledger"
    ALLOCATION_LEDGER = "allocation-ledger"
    INSPECTION = "inspection"
    EVALUATION = "evaluation"
    TRACEPOINTS = "tracepoints"


LEDGERS = {
    LedgerKind.BODIES: Want.BODY_LEDGER,
    LedgerKind.FDS: Want.FD_LEDGER,
    LedgerKind.ALLOCATIONS: Want.ALLOCATION_LEDGER,
}
"""What to order to have the books of a kind kept. Such an order lasts `Request.trace_seconds`, or until it is
cancelled."""


STOPPING = frozenset({Want.GOROUTINES, Want.LEAKED, Want.HEAP_AFTER_GC, Want.INSPECTION, Want.EVALUATION})
"""What stops the target for a moment, unless the engine that gives it has no impact at all."""

DEBUGGING = frozenset({Want.INSPECTION, Want.EVALUATION, Want.TRACEPOINTS})
"""What takes a debugger: only ever done on an order, and refused without its consent."""


@dataclass(frozen=True, slots=True)
class ProcessSeen:
    stat: ProcessStat


@dataclass(frozen=True, slots=True)
class FdsSeen:
    fds: tuple[FdEntry, ...]


@dataclass(frozen=True, slots=True)
class GroupsSeen:
    """Goroutines by stack. `torn` of them would not hold still and count by the function they began with;
    None for a source that sees them all at once. `ended` is (entry function, at least so many that began with it
    ended since the first look); empty where that is not seen."""

    groups: tuple[GoroutineGroup, ...]
    torn: int | None = None
    ended: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class GoroutinesSeen:
    """A full dump. `pause_ms` is the estimated stop it cost the target, in milliseconds."""

    goroutines: tuple[Goroutine, ...]
    pause_ms: float = 0.0
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class LeakedSeen:
    """Goroutines that nothing live can wake: pprof's `goroutineleak` profile, or reachability in memory."""

    groups: tuple[GoroutineGroup, ...]


@dataclass(frozen=True, slots=True)
class HeapSeen:
    heap: HeapProfile
    after_gc: bool = False


@dataclass(frozen=True, slots=True)
class BodiesSeen:
    """The open response bodies, one by one."""

    census: BodyCensus


@dataclass(frozen=True, slots=True)
class HeapCensusSeen:
    census: HeapCensus


@dataclass(frozen=True, slots=True)
class HandoffsSeen:
    """What a while of watching who is handed response bodies showed (Want.HANDOFFS, `trace_seconds` long)."""

    watch: HandoffWatch


@dataclass(frozen=True, slots=True)
class HoldersSeen:
    """The search for what holds `Request.subject`, after each level and at its end."""

    search: HolderSearch


@dataclass(frozen=True, slots=True)
class DetailSeen:
    """The goroutine that is `Request.subject`, looked at closely."""

    detail: GoroutineDetail


@dataclass(frozen=True, slots=True)
class LedgerSeen:
    """What was opened and closed since the probes were armed; the last one of an order has them disarmed."""

    ledger: Ledger


@dataclass(frozen=True, slots=True)
class InspectionSeen:
    """The goroutine that is `Request.subject`, with the values in its frames."""

    inspection: Inspection


@dataclass(frozen=True, slots=True)
class EvaluationSeen:
    """What `Request.expression` gave."""

    evaluation: Evaluation


@dataclass(frozen=True, slots=True)
class TracepointsSeen:
    """What `Request.plan` recorded so far; the last one of an order has everything out of the target."""

    run: TracepointRun


@dataclass(frozen=True, slots=True)
class SearchProgress:
    """How far a long look at memory is: 0..1, None where its end is not known."""

    text: str
    fraction: float | None = None


@dataclass(frozen=True, slots=True)
class TraceProgress:
    """Bytes of the execution trace received so far."""

    received_bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class TraceSeen:
    trace: TraceSummary


@dataclass(frozen=True, slots=True)
class Refused:
    """A wanted thing that was not done, and why (too costly, not permitted, not offered)."""

    want: Want
    reason: str
    remedy: str = ""


Fact = (
    ProcessSeen
    | FdsSeen
    | GroupsSeen
    | GoroutinesSeen
    | LeakedSeen
    | HeapSeen
    | TraceProgress
    | TraceSeen
    | BodiesSeen
    | HeapCensusSeen
    | HandoffsSeen
    | HoldersSeen
    | DetailSeen
    | LedgerSeen
    | InspectionSeen
    | EvaluationSeen
    | TracepointsSeen
    | SearchProgress
    | Refused
)


@dataclass(frozen=True, slots=True)
class Request:
    """One capture order. `trace_seconds` is the length of an execution trace, of a watch for hand-offs or of a ledger;
    `subject` is the address whose holders, or the goid whose details or frames are wanted.

    `expression` is evaluated in frame `frame_index` of goroutine `subject`; `depth` is how many frames are inspected.
    `plan` is a burst of tracepoints, which `allow_breakpoints` consents to.
    """

    wants: frozenset[Want]
    trace_seconds: float = 5.0
    allow_pauses: bool = False
    subject: int = 0
    expression: str = ""
    frame_index: int = 0
    depth: int = 20
    plan: TracepointPlan | None = None
    allow_breakpoints: bool = False


class Engine(Protocol):
    """A source of facts about one target."""

    name: str

    def probe(self, target: Target) -> Capability:
        """Say what this engine can give on *target*; never raises for an ordinary refusal."""
        ...

    def capture(self, request: Request, cancel: threading.Event) -> Iterator[Fact]:
        """Yield facts for what of *request* this engine can see.

        Raises EngineError or DecodeError when the source fails, TargetGone when the process exits.
        """
        ...

    def close(self) -> None:
        """Let go of everything; safe to call again."""
        ...
