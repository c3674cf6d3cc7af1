"""The headless verification: a process measured as its baseline was, and the two compared.

Law: the same sources, as long, and the same books and traces ordered as for the baseline; what leaked is looked for on
purpose, so that a process that does it without leaking is seen to do it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from leaktui.analysis.measurement import measure
from leaktui.analysis.program import Program, UnknownProgram
from leaktui.analysis.verification import compare
from leaktui.engines.protocol import Engine, Want
from leaktui.errors import TargetGone
from leaktui.investigation import Investigation
from leaktui.model.finding import LeakKind
from leaktui.model.ledger import LedgerKind
from leaktui.model.target import Target
from leaktui.model.verification import Measurement, Verification

_TICK_SECONDS = 0.2
_SETTLING_SECONDS = 1.5
_TRACE_SECONDS = 5.0
_TRACE_EVERY_SECONDS = 12.0
_HANDOFF_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Baseline:
    """What there is to be held against: the measurement, the books that were kept and whether traces were taken."""

    measurement: Measurement
    books: frozenset[LedgerKind] = frozenset()
    traced: bool = False


@dataclass(frozen=True, slots=True)
class VerifyProgress:
    """How far the measuring is."""

    elapsed_seconds: float
    deadline_seconds: float


def baseline_of(investigation: Investigation) -> Baseline:
    """The baseline that a judged investigation (of a capture, or live) makes."""
    snapshots = investigation.session.history.snapshots
    if not snapshots:
        raise TargetGone("nothing was seen in the baseline", remedy="record one that is longer")
    measurement = measure(snapshots, investigation.assessment, investigation.program)
    return Baseline(
        measurement,
        frozenset(ledger.kind for ledger in snapshots[-1].ledgers),
        any(snapshot.trace is not None for snapshot in snapshots),
    )


def verify(
    baseline: Baseline,
    target: Target,
    engines: Sequence[Engine],
    *,
    load_program: Callable[[], Program] = UnknownProgram,
    seconds: float,
    allow_pauses: bool = False,
    on_progress: Callable[[VerifyProgress], None] = lambda progress: None,
    stop: threading.Event | None = None,
) -> Verification:
    """Measure *target* for *seconds* (or until *stop*) and compare it with *baseline*.

    Raises TargetGone when the target exits meanwhile.
    """
    stop = stop or threading.Event()
    investigation = Investigation(
        target,
        engines,
        load_program=load_program,
        allow_pauses=allow_pauses,
        dumps=False,
        probes=True,
        deadline_seconds=seconds,
    )
    investigation.start()
    try:
        deadline = time.monotonic() + seconds
        asker = _Asker(investigation, baseline)
        while time.monotonic() < deadline and not stop.wait(_TICK_SECONDS):
            if investigation.session.exited is not None:
                break
            asker.ask(deadline - time.monotonic())
            on_progress(VerifyProgress(investigation.elapsed_seconds, seconds))
        exited = investigation.session.exited
        if exited is not None:
            raise TargetGone(exited, remedy="verify the process that took its place")
        investigation.conclude()
        snapshots = investigation.session.history.snapshots
        if not snapshots:
            raise TargetGone("nothing could be seen of the process", remedy="see `leaktui doctor`")
        after = measure(
            snapshots,
            investigation.assessment,
            investigation.program,
            of=baseline.measurement.suspect,
        )
        return compare(baseline.measurement, after)
    finally:
        investigation.close()


class _Asker:
    """Orders what shows that the new process does what leaked."""

    def __init__(self, investigation: Investigation, baseline: Baseline) -> None:
        self._investigation = investigation
        self._books = set(baseline.books)
        suspect = baseline.measurement.suspect
        self._kind = suspect[0] if suspect is not None else None
        self._traces = baseline.traced or self._kind is LeakKind.GOROUTINE
        self._traced = -_TRACE_EVERY_SECONDS

    def ask(self, remaining: float) -> None:
        """Order what is due."""
        investigation = self._investigation
        session = investigation.session
        elapsed = investigation.elapsed_seconds
        for kind in tuple(self._books):
            if investigation.armed(kind) or investigation.arm({kind}):
                self._books.discard(kind)
        if elapsed < _SETTLING_SECONDS:
            return
        if self._kind is LeakKind.HTTP_BODY and not investigation.armed(LedgerKind.BODIES):
            watching = session.is_under_way(Want.HANDOFFS)
            if session.offers(Want.HANDOFFS) and not watching and remaining > _HANDOFF_SECONDS:
                session.order({Want.HANDOFFS}, trace_seconds=_HANDOFF_SECONDS)
        due = elapsed - self._traced > _TRACE_EVERY_SECONDS and remaining > _TRACE_SECONDS + 1
        if self._traces and due and investigation.take_trace(_TRACE_SECONDS):
            self._traced = elapsed
