"""Books that are kept for as long as they are ordered: armed, disarmed, armed anew."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from leaktui.engines.protocol import LEDGERS, Fact, LedgerSeen, ProcessSeen, Request, Want
from leaktui.investigation import Investigation
from leaktui.model.capability import Capability, Impact, SourceState
from leaktui.model.ledger import Ledger, LedgerKind
from leaktui.model.process import ProcessStat
from leaktui.model.snapshot import Snapshot
from leaktui.model.target import Target
from leaktui.session.history import History

STAT = ProcessStat(1, 1, 1, 0.0, 1, 1)


class Books:
    """An engine that keeps empty books until it is told to stop."""

    name = "probes"

    def __init__(self) -> None:
        self.armed = 0

    def probe(self, target: Target) -> Capability:
        gives = (Want.PROCESS, Want.BODY_LEDGER, Want.FD_LEDGER)
        return Capability(self.name, True, Impact.LIGHT, tuple(want.value for want in gives))

    def capture(self, request: Request, cancel: threading.Event) -> Iterator[Fact]:
        if Want.PROCESS in request.wants:
            yield ProcessSeen(STAT)
            return
        (kind,) = (kind for kind, want in LEDGERS.items() if want in request.wants)
        self.armed += 1
        ledger = Ledger(kind, 0.0, 0.0, probes=3)
        yield LedgerSeen(ledger)
        cancel.wait(min(20.0, request.trace_seconds))
        self.armed -= 1
        yield LedgerSeen(replace(ledger, armed=False, hits=9, ended="it got too much"))

    def close(self) -> None:
        pass


def wait_for(condition: Callable[[], object], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def test_armed_until_disarmed_and_armed_again() -> None:
    engine = Books()
    watched = Investigation(Target(pid=1), [engine], automatic=False)
    watched.start()
    wait_for(lambda: watched.arm({LedgerKind.BODIES}))
    assert not watched.arm({LedgerKind.BODIES}), "it is armed already"
    assert not watched.arm({LedgerKind.ALLOCATIONS}), "nobody offers it"
    wait_for(lambda: watched.session.snapshot.ledger(LedgerKind.BODIES))
    assert watched.armed(LedgerKind.BODIES) and not watched.armed(LedgerKind.FDS)
    (source,) = watched.session.snapshot.sources
    assert (source.state, source.detail) == (SourceState.USED, "3 armed (bodies), 0 hits, 0 dropped")
    watched.disarm()
    wait_for(lambda: not watched.armed(LedgerKind.BODIES))
    assert engine.armed == 0
    (source,) = watched.session.snapshot.sources
    assert source.detail == "disarmed itself (it got too much), 9 hits, 0 dropped"
    assert watched.arm({LedgerKind.BODIES, LedgerKind.FDS})
    wait_for(lambda: engine.armed == 2)
    watched.close()
    wait_for(lambda: engine.armed == 0)


def test_disarmed_before_it_was_armed() -> None:
    engine = Books()
    watched = Investigation(Target(pid=1), [engine], automatic=False)
    watched.start()
    wait_for(lambda: watched.offers_probes(LedgerKind.BODIES) and watched.arm({LedgerKind.BODIES}))
    for _ in range(50):
        watched.disarm()
        watched.arm({LedgerKind.BODIES})
    watched.disarm()
    wait_for(lambda: not watched.armed(LedgerKind.BODIES))
    assert engine.armed == 0
    watched.close()


def test_by_itself_bodies_are_armed_where_probes_may_be() -> None:
    for probes in (True, False):
        engine = Books()
        watched = Investigation(Target(pid=1), [engine], probes=probes)
        watched.start()
        wait_for(lambda watched=watched: watched.session.snapshot.process)
        if probes:
            wait_for(lambda watched=watched: watched.armed(LedgerKind.BODIES))
        time.sleep(1.2)
        assert watched.armed(LedgerKind.BODIES) is probes
        assert not watched.armed(LedgerKind.FDS), "nothing rises"
        watched.close()


def test_only_the_newest_snapshot_keeps_the_books() -> None:
    history = History()
    for second in range(4):
        ledger = Ledger(LedgerKind.BODIES, 0.0, float(second))
        history.add(Snapshot(time=float(second), target=Target(pid=1), ledgers=(ledger,)))
    assert [len(snapshot.ledgers) for snapshot in history.snapshots] == [0, 0, 0, 1]
