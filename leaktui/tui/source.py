"""What the interface needs of the outside, as protocols: an investigation, and a list of processes.

Law: `leaktui.investigation.Investigation` has this shape, and so has the fake of the tests. Listeners are
called on background threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from leaktui.engines.protocol import Want
from leaktui.model.assessment import Assessment
from leaktui.model.capability import Capability
from leaktui.model.finding import Diagnosis, Finding
from leaktui.model.ledger import LedgerKind
from leaktui.model.process import GoProcess
from leaktui.model.snapshot import Snapshot
from leaktui.model.tracepoint import TracepointPlan
from leaktui.model.verification import Measurement
from leaktui.session.history import Metric, Point

Listener = Callable[[Any], None]
"""Takes SessionEvents and `Assessed` events; anything with an `assessment` is taken for the latter."""


class SeriesSource(Protocol):
    """Where the graphs come from: `session.history`."""

    def series(self, metric: Metric) -> tuple[Point, ...]: ...


class SessionLike(Protocol):
    """The part of `session.Session` the interface uses."""

    allow_pauses: bool

    @property
    def history(self) -> SeriesSource: ...

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
        expression: str = "",
        frame_index: int = 0,
        plan: TracepointPlan | None = None,
        allow_breakpoints: bool = False,
    ) -> bool: ...

    def offers(self, want: Want) -> bool: ...

    def is_under_way(self, want: Want) -> bool: ...

    def cancel(self, wants: Iterable[Want] | None = None) -> None: ...

    def pause(self, paused: bool) -> None: ...


class InvestigationLike(Protocol):
    """A session with its analysis."""

    @property
    def session(self) -> SessionLike: ...

    @property
    def assessment(self) -> Assessment: ...

    @property
    def started(self) -> float: ...

    def start(self) -> None: ...

    def set_baseline(self) -> None: ...

    def take_trace(self, seconds: float = 5.0) -> bool: ...

    def arm(self, kinds: Iterable[LedgerKind]) -> bool: ...

    def disarm(self, kinds: Iterable[LedgerKind] = ...) -> None: ...

    def armed(self, kind: LedgerKind) -> bool: ...

    def measure(self, *, of: Finding | None = None, seconds: float = ...) -> Measurement: ...

    def close(self) -> None: ...

    def diagnosis(self) -> Diagnosis: ...


OpenTarget = Callable[[Listener], InvestigationLike]
"""Builds an investigation; may take its time and import what it likes; raises LeaktuiError."""


class ProcessScan(Protocol):
    """The Go processes of this machine at one moment, and how many processes could not be read."""

    @property
    def processes(self) -> Sequence[GoProcess]: ...

    @property
    def unreadable(self) -> int: ...


ReportWriter = Callable[[Diagnosis], str]
"""A diagnosis as Markdown."""

PageWriter = Callable[[Diagnosis, SessionLike], str]
"""A diagnosis, with the graphs of its session's history, as a page of HTML."""
