"""What the interface needs of the outside, as protocols: an investigation, and a list of processes.

Law: `leaktui.investigation.Investigation` has this shape, and so has the fake of the tests. Listeners are
called on background threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from leaktui.engines.protocol import Want
from leaktui.model.finding import Diagnosis
from leaktui.model.ledger import LedgerKind
from leaktui.model.process import GoProcess
from leaktui.model.tracepoint import TracepointPlan
from leaktui.session.watched import Watched, WatchedSession

Listener = Callable[[Any], None]
"""Takes SessionEvents and `Assessed` events; anything with an `assessment` is taken for the latter."""


class SessionLike(WatchedSession, Protocol):
    """The part of `session.Session` the interface uses."""

    allow_pauses: bool

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

    def cancel(self, wants: Iterable[Want] | None = None) -> None: ...

    def pause(self, paused: bool) -> None: ...


class InvestigationLike(Watched, Protocol):
    """A session with its analysis."""

    @property
    def session(self) -> SessionLike: ...

    def start(self) -> None: ...

    def armed(self, kind: LedgerKind) -> bool: ...

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
