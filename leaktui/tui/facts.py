"""Everything the screens draw from, at one moment: one frozen value, replaced as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from leaktui.engines.protocol import DEBUGGING, LEDGERS, Want
from leaktui.model.assessment import EMPTY, Assessment
from leaktui.model.capability import Capability, SourceState
from leaktui.model.snapshot import Snapshot
from leaktui.session.history import Metric, Point

PROBES = "probes"
"""The engine that keeps ledgers."""

DELVE = "delve"
"""The engine that inspects, evaluates and sets tracepoints."""

_ON_ORDER = frozenset(want.value for want in (*LEDGERS.values(), *DEBUGGING))


@dataclass(frozen=True, slots=True)
class Facts:
    """`watched_seconds` is since the investigation started; `uptime_seconds` the target's own age.

    `baseline_seconds` is the age of a baseline set by hand, None for the one of the start. `searching` is the
    address whose holders are being looked for, 0 for none; `searched` are those that were asked for at all.
    `under_way` are the long captures that were ordered and have not ended. `capture` says of a capture what it is,
    `shortfall` what is missing at its end; both are empty for a process.
    """

    snapshot: Snapshot
    assessment: Assessment = EMPTY
    series: Mapping[Metric, tuple[Point, ...]] = field(default_factory=dict)
    capabilities: tuple[Capability, ...] = ()
    watched_seconds: float = 0.0
    uptime_seconds: float | None = None
    baseline_seconds: float | None = None
    paused: bool = False
    exited: str | None = None
    searching: int = 0
    searched: frozenset[int] = frozenset()
    under_way: frozenset[Want] = frozenset()
    capture: str = ""
    shortfall: str = ""

    def offers(self, want: Want) -> bool:
        """Whether some usable source gives *want*, and the target is still there."""
        return self.exited is None and any(
            item.usable and want.value in item.gives for item in self.capabilities
        )

    @property
    def offers_probes(self) -> bool:
        """Whether anything can be probed here."""
        return any(self.offers(want) for want in LEDGERS.values())

    @property
    def offers_debugger(self) -> bool:
        """Whether Delve can be used here."""
        return any(self.offers(want) for want in DEBUGGING)

    @property
    def finding_sources(self) -> bool:
        """Whether a source that was asked has not answered yet; one that acts on order only was not."""
        on_order = {
            item.engine for item in self.capabilities if item.usable and _ON_ORDER.issuperset(item.gives)
        }
        return any(
            source.state is SourceState.WAITING and source.name not in on_order
            for source in self.snapshot.sources
        )

    def points(self, metric: Metric) -> list[tuple[float, float]]:
        """The series of *metric* as (seconds, value)."""
        return [(point.time, point.value) for point in self.series.get(metric, ())]
