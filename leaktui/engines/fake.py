"""An engine that plays a script: the substitute at the protocol, for tests and for showing screens.

Law: the same script gives the same facts in the same order, with no clock of its own: delays are waited
for by the function it is given. It obeys the protocol as strictly as the real ones (Refused, cancel,
close), so that what works on it works on them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from leaktui.engines.protocol import (
    LEDGERS,
    BodiesSeen,
    DetailSeen,
    EvaluationSeen,
    Fact,
    FdsSeen,
    GoroutinesSeen,
    GroupsSeen,
    HandoffsSeen,
    HeapCensusSeen,
    HeapSeen,
    HoldersSeen,
    InspectionSeen,
    LeakedSeen,
    LedgerSeen,
    ProcessSeen,
    Refused,
    Request,
    TracepointsSeen,
    TraceProgress,
    TraceSeen,
    Want,
)
from leaktui.errors import LeaktuiError
from leaktui.model.capability import Capability, Impact
from leaktui.model.target import Target


@dataclass(frozen=True, slots=True)
class Delay:
    """A step of a script that takes time, in seconds, before the next one."""

    seconds: float


Step = Fact | LeaktuiError | Delay
Script = Mapping[Want, Sequence[Sequence[Step]]]
"""For each want, what its first, second, … capture does; the last one is repeated for ever."""


def wait_for_event(cancel: threading.Event, seconds: float) -> None:
    """Wait in real time; the default of FakeEngine's *wait*."""
    cancel.wait(seconds)


class FakeEngine:
    """Yields the facts of *script*; `asked` lists the requests it was given.

    A step that is an exception is raised. `capability` is what `probe` answers; by default usable, and
    giving what the script has.
    """

    def __init__(
        self,
        script: Script,
        *,
        name: str = "fake",
        capability: Capability | None = None,
        wait: Callable[[threading.Event, float], None] = wait_for_event,
    ) -> None:
        self.name = name
        self.asked: list[Request] = []
        self.closed = False
        self._script = {want: tuple(tuple(steps) for steps in rounds) for want, rounds in script.items()}
        self._capability = capability or Capability(
            name, usable=True, impact=Impact.NONE, gives=tuple(want.value for want in Want if want in script)
        )
        self._wait = wait
        self._rounds = dict.fromkeys(self._script, 0)
        self._lock = threading.Lock()

    def probe(self, target: Target) -> Capability:
        """The capability it was made with."""
        return self._capability

    def capture(self, request: Request, cancel: threading.Event) -> Iterator[Fact]:
        """Play the next round of each want of *request*, in the order of Want.

        A ledger that is given up ends with its newest books disarmed, like any.
        """
        with self._lock:
            self.asked.append(request)
        for want in Want:
            if want not in request.wants or want not in self._script:
                continue
            armed: LedgerSeen | None = None
            for step in self._next_round(want):
                if cancel.is_set() or self.closed:
                    if armed is not None and not self.closed:
                        yield LedgerSeen(replace(armed.ledger, armed=False))
                    return
                if isinstance(step, Delay):
                    self._wait(cancel, step.seconds)
                elif isinstance(step, LeaktuiError):
                    raise step
                else:
                    if isinstance(step, LedgerSeen):
                        armed = step if step.ledger.armed else None
                    yield step

    def close(self) -> None:
        """End captures under way at their next step."""
        self.closed = True

    def _next_round(self, want: Want) -> Sequence[Step]:
        rounds = self._script[want]
        if not rounds:
            return ()
        with self._lock:
            index = self._rounds[want]
            self._rounds[want] = index + 1
        return rounds[min(index, len(rounds) - 1)]


def script_of(moments: Sequence[Sequence[Fact]]) -> Script:
    """A script from the facts of successive moments: each want gets its own, in order."""
    rounds: dict[Want, list[list[Step]]] = {}
    for facts in moments:
        by_want: dict[Want, list[Step]] = {}
        for fact in facts:
            by_want.setdefault(want_of(fact), []).append(fact)
        for want, steps in by_want.items():
            rounds.setdefault(want, []).append(steps)
    return rounds


def want_of(fact: Fact) -> Want:
    """The want that *fact* answers."""
    if isinstance(fact, Refused):
        return fact.want
    if isinstance(fact, LedgerSeen):
        return LEDGERS[fact.ledger.kind]
    if isinstance(fact, HeapSeen):
        return Want.HEAP_AFTER_GC if fact.after_gc else Want.HEAP
    for kind, want in _WANT_OF.items():
        if isinstance(fact, kind):
            return want
    raise TypeError(f"no want is answered by {type(fact).__name__}")


_WANT_OF: Mapping[type, Want] = {
    ProcessSeen: Want.PROCESS,
    FdsSeen: Want.FDS,
    GroupsSeen: Want.GROUPS,
    GoroutinesSeen: Want.GOROUTINES,
    LeakedSeen: Want.LEAKED,
    TraceProgress: Want.TRACE,
    TraceSeen: Want.TRACE,
    BodiesSeen: Want.BODIES,
    HeapCensusSeen: Want.HEAP_CENSUS,
    HandoffsSeen: Want.HANDOFFS,
    HoldersSeen: Want.HOLDERS,
    DetailSeen: Want.DETAIL,
    InspectionSeen: Want.INSPECTION,
    EvaluationSeen: Want.EVALUATION,
    TracepointsSeen: Want.TRACEPOINTS,
}
