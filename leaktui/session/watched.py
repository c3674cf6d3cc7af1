"""What others need of a session and of its analysis, as protocols: for the walkthrough and the screens.

Law: types alone; `session.Session` and `leaktui.investigation.Investigation` have these shapes, and so have fakes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Protocol

from leaktui.engines.protocol import Want
from leaktui.model.assessment import Assessment
from leaktui.model.capability import Capability
from leaktui.model.finding import Finding
from leaktui.model.ledger import LedgerKind
from leaktui.model.snapshot import Snapshot
from leaktui.model.verification import Measurement
from leaktui.session.history import Metric, Point


class Series(Protocol):
    """Where the curves come from: `session.history`."""

    def series(self, metric: Metric) -> tuple[Point, ...]: ...


class WatchedSession(Protocol):
    """What a walkthrough needs of a `session.Session`."""

    @property
    def history(self) -> Series: ...

    @property
    def snapshot(self) -> Snapshot: ...

    @property
    def capabilities(self) -> tuple[Capability, ...]: ...

    @property
    def exited(self) -> str | None: ...

    def order(
        self,
        wants: Iterable[Want],
        *,
        trace_seconds: float = 5.0,
        allow_pauses: bool | None = None,
        subject: int = 0,
    ) -> bool: ...

    def is_under_way(self, want: Want) -> bool: ...

    def offers(self, want: Want) -> bool: ...


class Watched(Protocol):
    """What a walkthrough needs of an investigation; `leaktui.investigation.Investigation` has it."""

    @property
    def session(self) -> WatchedSession: ...

    @property
    def assessment(self) -> Assessment: ...

    @property
    def started(self) -> float: ...

    def set_baseline(self) -> None: ...

    def take_trace(self, seconds: float = 5.0) -> bool: ...

    def arm(self, kinds: Iterable[LedgerKind]) -> bool: ...

    def disarm(self, kinds: Iterable[LedgerKind] = ...) -> None: ...

    def measure(self, *, of: Finding | None = None, seconds: float = math.inf) -> Measurement: ...
