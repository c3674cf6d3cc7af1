"""A fake of `leaktui.investigation.Investigation` for the interface; tests move it on by hand."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from leaktui.analysis.trace_summary import summarize_trace
from leaktui.engines.protocol import DEBUGGING, LEDGERS, Request, Want
from leaktui.model.assessment import Assessment
from leaktui.model.capability import Capability, Impact, Source, SourceState
from leaktui.model.finding import Diagnosis, Finding, Verdict
from leaktui.model.ledger import Ledger, LedgerKind
from leaktui.model.process import GoProcess
from leaktui.model.snapshot import Snapshot
from leaktui.model.trace import TraceSummary
from leaktui.model.tracepoint import TracepointPlan
from leaktui.model.verification import Measurement
from leaktui.session.history import Metric, Point
from tests.tui.scene import (
    ALLOCATION_LEDGER,
    BODY_LEDGER,
    CAPABILITIES,
    FD_LEDGER,
    GROUPS,
    IN_MEMORY,
    LEAKING,
    LEVEL_SERIES,
    MEMORY_CAPABILITIES,
    MEMORY_SNAPSHOT,
    NOW,
    PROBED,
    PROBING_CAPABILITIES,
    PROBING_SOURCES,
    RISING_SERIES,
    SITES,
    SNAPSHOT,
    SOURCES,
    STARTED,
    TARGET,
)
from tests.wire.trace_bytes import read_capture


@dataclass
class FakeHistory:
    points: dict[Metric, tuple[Point, ...]] = field(default_factory=dict)

    def series(self, metric: Metric) -> tuple[Point, ...]:
        return self.points.get(metric, ())


@dataclass
class FakeSession:
    snapshot: Snapshot = SNAPSHOT
    history: FakeHistory = field(default_factory=lambda: FakeHistory(RISING_SERIES))
    capabilities: tuple[Capability, ...] = CAPABILITIES
    exited: str | None = None
    allow_pauses: bool = False
    offered: frozenset[Want] = frozenset(Want)
    orders: list[tuple[frozenset[Want], bool]] = field(default_factory=list)
    pauses: list[bool] = field(default_factory=list)
    cancelled: int = 0
    subjects: list[tuple[Want, int]] = field(default_factory=list)
    under_way: set[Want] = field(default_factory=set)
    debugged: list[Request] = field(default_factory=list)

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
    ) -> bool:
        wants = frozenset(wants)
        if wants & DEBUGGING:
            self.debugged.append(
                Request(
                    wants,
                    allow_pauses=bool(allow_pauses),
                    subject=subject,
                    expression=expression,
                    frame_index=frame_index,
                    plan=plan,
                    allow_breakpoints=allow_breakpoints,
                )
            )
            self.under_way |= wants
            return bool(wants & self.offered)
        if subject:
            self.subjects += [(want, subject) for want in wants]
            self.under_way |= wants
        else:
            self.orders.append((wants, self.allow_pauses if allow_pauses is None else allow_pauses))
        return True

    def is_under_way(self, want: Want) -> bool:
        return want in self.under_way

    def offers(self, want: Want) -> bool:
        return want in self.offered

    def cancel(self, wants: Iterable[Want] | None = None) -> None:
        self.cancelled += 1
        self.under_way -= set(self.under_way if wants is None else wants)

    def pause(self, paused: bool) -> None:
        self.pauses.append(paused)


@dataclass
class FakeInvestigation:
    """Has the shape of `leaktui.investigation.Investigation`; the test moves it on by hand."""

    session: FakeSession = field(default_factory=FakeSession)
    assessment: Assessment = LEAKING
    started: float = STARTED
    listener: Callable[[Any], None] = lambda event: None
    baselines: int = 0
    traces: list[float] = field(default_factory=list)
    closed: bool = False
    books: dict[LedgerKind, Ledger] = field(default_factory=dict)
    refuses: bool = False
    disarmed: list[frozenset[LedgerKind]] = field(default_factory=list)
    measured: list[Finding | None] = field(default_factory=list)

    def start(self) -> None:
        self.listener("started")

    def set_baseline(self) -> None:
        self.baselines += 1

    def take_trace(self, seconds: float = 5.0) -> bool:
        self.traces.append(seconds)
        return True

    def armed(self, kind: LedgerKind) -> bool:
        return LEDGERS[kind] in self.session.under_way

    def arm(self, kinds: Iterable[LedgerKind]) -> bool:
        """As the engine: first the books, and more of them as the test goes on."""
        kinds = [kind for kind in kinds if self.session.offers(LEDGERS[kind])]
        self.session.under_way |= {LEDGERS[kind] for kind in kinds}
        if not self.refuses:
            for kind in kinds:
                if kind in self.books:
                    self.keep(self.books[kind])
        return bool(kinds)

    def disarm(self, kinds: Iterable[LedgerKind] = tuple(LedgerKind)) -> None:
        self.disarmed.append(frozenset(kinds))
        for kind in self.disarmed[-1]:
            self.session.under_way.discard(LEDGERS[kind])
            ledger = self.session.snapshot.ledger(kind)
            if ledger is not None:
                self.keep(replace(ledger, armed=False))

    def keep(self, ledger: Ledger) -> None:
        """The newest books of a kind."""
        others = tuple(item for item in self.session.snapshot.ledgers if item.kind is not ledger.kind)
        self.move(ledgers=(*others, ledger))

    def measure(self, *, of: Finding | None = None, seconds: float = math.inf) -> Measurement:
        self.measured.append(of)
        return Measurement(self.session.snapshot.target, 15.0, ())

    def close(self) -> None:
        self.closed = True

    def diagnosis(self) -> Diagnosis:
        return Diagnosis(TARGET, SOURCES, self.assessment.verdict, self.assessment.suspects, 84.0)

    def open(self, listener: Callable[[Any], None]) -> FakeInvestigation:
        """What the application is given to call."""
        self.listener = listener
        return self

    def move(self, assessment: Assessment | None = None, **snapshot_changes: Any) -> None:
        """Go on to other facts, and say so as the investigation's threads would."""
        if assessment is not None:
            self.assessment = assessment
        self.session.snapshot = replace(self.session.snapshot, **snapshot_changes)
        self.listener("moved")


def read_from_memory() -> FakeInvestigation:
    """The same service stripped and without pprof: everything comes from its memory."""
    session = FakeSession(MEMORY_SNAPSHOT, capabilities=MEMORY_CAPABILITIES)
    session.offered = frozenset(Want(name) for item in MEMORY_CAPABILITIES for name in item.gives)
    return FakeInvestigation(session, IN_MEMORY)


def probing(*armed: LedgerKind) -> FakeInvestigation:
    """The same where probes are permitted; those for *armed* are in."""
    investigation = read_from_memory()
    session = investigation.session
    session.capabilities = PROBING_CAPABILITIES
    session.offered |= {*LEDGERS.values()}
    session.snapshot = replace(session.snapshot, sources=PROBING_SOURCES)
    investigation.books = {item.kind: item for item in (BODY_LEDGER, FD_LEDGER, ALLOCATION_LEDGER)}
    investigation.assessment = PROBED
    if armed:
        investigation.arm(armed)
    return investigation


DELVE = Capability("delve", True, Impact.BREAKPOINTS, tuple(want.value for want in Want if want in DEBUGGING))
NO_DELVE = replace(
    DELVE,
    usable=False,
    reason="dlv is not on PATH",
    remedy="go install github.com/go-delve/delve/cmd/dlv@latest",
)


def debugging(capability: Capability = DELVE) -> FakeInvestigation:
    """The same where Delve is there, or why it is not."""
    investigation = read_from_memory()
    session = investigation.session
    session.capabilities = (*session.capabilities, capability)
    state = SourceState.WAITING if capability.usable else SourceState.UNAVAILABLE
    source = Source("delve", state, capability.reason, remedy=capability.remedy)
    session.snapshot = replace(session.snapshot, sources=(*session.snapshot.sources, source))
    if capability.usable:
        session.offered |= DEBUGGING
    return investigation


def attached(investigation: FakeInvestigation, pause_ms: float = 640.0) -> None:
    """Delve has been used."""
    sources = tuple(
        replace(item, state=SourceState.USED, detail="", pause_ms=pause_ms) if item.name == "delve" else item
        for item in investigation.session.snapshot.sources
    )
    investigation.move(sources=sources)


def traced(trace: TraceSummary | None = None) -> FakeInvestigation:
    """The same with an execution trace; a recorded one where none is given."""
    if trace is None:
        trace = summarize_trace([read_capture("go1.27-h1")])
    investigation = FakeInvestigation()
    investigation.session.snapshot = replace(SNAPSHOT, trace=trace)
    return investigation


def looking() -> FakeInvestigation:
    """Nothing found yet, one source still being tried."""
    sources = (SOURCES[0], Source("pprof", SourceState.WAITING), SOURCES[2])
    snapshot = replace(SNAPSHOT, sources=sources, groups=None, goroutines=None, heap=None)
    series = {metric: LEVEL_SERIES[metric] for metric in (Metric.RSS, Metric.FDS)}
    session = FakeSession(snapshot, FakeHistory(series))
    return FakeInvestigation(session, Assessment(NOW, Verdict.UNDECIDED))


def clean() -> FakeInvestigation:
    """Watched long enough; nothing grows."""
    session = FakeSession(history=FakeHistory(LEVEL_SERIES))
    assessment = replace(
        LEAKING,
        verdict=Verdict.CLEAN,
        suspects=(),
        bodies=(),
        open_bodies=0,
        groups=GROUPS[2:],
        sites=SITES[1:3],
    )
    return FakeInvestigation(session, assessment)


@dataclass(frozen=True)
class FakeScan:
    processes: tuple[GoProcess, ...]
    unreadable: int = 0
