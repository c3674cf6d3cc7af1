"""What the walkthrough is shown of a process, at one moment: one frozen value, replaced as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from leaktui.engines.protocol import DEBUGGING, LEDGERS, Want
from leaktui.model.assessment import EMPTY, Assessment
from leaktui.model.capability import Capability, SourceState
from leaktui.model.finding import Finding, LeakKind
from leaktui.model.ledger import LedgerKind
from leaktui.model.snapshot import Snapshot
from leaktui.session.history import Metric

Points = tuple[tuple[float, float], ...]
"""(seconds on the session's monotonic clock, value), oldest first."""

_ON_ORDER = frozenset(want.value for want in (*LEDGERS.values(), *DEBUGGING))

LEDGER_OF = {
    LeakKind.HTTP_BODY: LedgerKind.BODIES,
    LeakKind.FD: LedgerKind.FDS,
    LeakKind.HEAP: LedgerKind.ALLOCATIONS,
}
"""Which books tell of which kind of leak. Goroutines have none."""

_METRICS = {
    LeakKind.HTTP_BODY: Metric.OPEN_BODIES,
    LeakKind.GOROUTINE: Metric.GOROUTINES,
    LeakKind.FD: Metric.FDS,
    LeakKind.HEAP: Metric.LIVE_HEAP,
}


@dataclass(frozen=True, slots=True)
class Sight:
    """The newest facts. `under_way` are long looks that were ordered and have not ended, probes among them.

    `watched_seconds` is since the looking began; `exited` says in a sentence that the process is gone.
    """

    snapshot: Snapshot
    assessment: Assessment = EMPTY
    series: Mapping[Metric, Points] = field(default_factory=dict)
    capabilities: tuple[Capability, ...] = ()
    watched_seconds: float = 0.0
    under_way: frozenset[Want] = frozenset()
    exited: str | None = None

    def offers(self, want: Want) -> bool:
        """Whether some usable source gives *want*, and the process is still there."""
        return self.exited is None and any(
            item.usable and want.value in item.gives for item in self.capabilities
        )

    def capability(self, engine: str) -> Capability | None:
        """What *engine* said it can do; None before it has, or where it was left out."""
        return next((item for item in self.capabilities if item.engine == engine), None)

    @property
    def waiting(self) -> bool:
        """Whether a source that was asked has not answered yet; one that acts on order only was not."""
        on_order = {
            item.engine for item in self.capabilities if item.usable and _ON_ORDER.issuperset(item.gives)
        }
        return any(
            source.state is SourceState.WAITING and source.name not in on_order
            for source in self.snapshot.sources
        )

    @property
    def sees(self) -> bool:
        """Whether anything was seen that could name a line."""
        snapshot = self.snapshot
        parts = (snapshot.groups, snapshot.goroutines, snapshot.heap, snapshot.heap_census, snapshot.bodies)
        return any(part is not None for part in parts) or bool(snapshot.ledgers)

    @property
    def culprit(self) -> Finding | None:
        """The first suspect."""
        return next(iter(self.assessment.suspects), None)

    def metric_of(self, kind: LeakKind) -> Metric:
        """The number that shows a leak of *kind* best, of those that are seen."""
        metric = _METRICS[kind]
        return metric if self.series.get(metric) else Metric.RSS

    @property
    def url(self) -> str:
        """Base of the pprof pages, empty where none are known."""
        pprof = self.capability("pprof")
        if pprof is not None and pprof.usable and pprof.reason.startswith("at "):
            return pprof.reason[3:].split()[0].rstrip("/")
        return (self.snapshot.target.url or "").rstrip("/")
