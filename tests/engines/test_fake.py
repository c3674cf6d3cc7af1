from __future__ import annotations

import threading

import pytest

from leaktui.engines.fake import Delay, FakeEngine, script_of, want_of
from leaktui.engines.fake_scenario import LEAKING_CALL, LeakingService
from leaktui.engines.protocol import (
    Engine,
    FdsSeen,
    GoroutinesSeen,
    GroupsSeen,
    HeapSeen,
    ProcessSeen,
    Refused,
    Request,
    TraceSeen,
    Want,
)
from leaktui.errors import EndpointUnreachable
from leaktui.model.capability import Capability, Impact
from leaktui.model.target import Target

EVERYTHING = Request(frozenset(Want))


def test_rounds_in_order_and_the_last_for_ever() -> None:
    one, two = GroupsSeen(()), Refused(Want.GROUPS, "enough")
    engine = FakeEngine({Want.GROUPS: [[one], [two]]})
    seen = [fact for _ in range(4) for fact in engine.capture(EVERYTHING, threading.Event())]
    assert seen == [one, two, two, two]
    assert engine.asked == [EVERYTHING] * 4


def test_only_what_is_wanted() -> None:
    engine = FakeEngine({Want.GROUPS: [[GroupsSeen(())]], Want.FDS: [[FdsSeen(())]]})
    assert engine.probe(Target(pid=1)).gives == ("fds", "groups")
    facts = list(engine.capture(Request(frozenset({Want.FDS})), threading.Event()))
    assert facts == [FdsSeen(())]


def test_errors_are_raised_where_they_stand() -> None:
    error = EndpointUnreachable("it broke", remedy="mend it")
    engine = FakeEngine({Want.GROUPS: [[GroupsSeen(()), error]]})
    capture = engine.capture(EVERYTHING, threading.Event())
    assert next(capture) == GroupsSeen(())
    with pytest.raises(EndpointUnreachable, match="it broke: mend it"):
        next(capture)


def test_delays_go_through_the_given_clock() -> None:
    waited: list[float] = []
    engine = FakeEngine(
        {Want.GROUPS: [[Delay(1.5), GroupsSeen(())]]}, wait=lambda cancel, seconds: waited.append(seconds)
    )
    assert len(list(engine.capture(EVERYTHING, threading.Event()))) == 1
    assert waited == [1.5]


def test_cancel_and_close_end_a_capture() -> None:
    cancel = threading.Event()
    engine = FakeEngine({Want.GROUPS: [[Delay(1), GroupsSeen(())]]}, wait=lambda event, seconds: event.set())
    assert list(engine.capture(EVERYTHING, cancel)) == []
    engine.close()
    assert list(engine.capture(EVERYTHING, threading.Event())) == []


def test_capability_can_be_given() -> None:
    refusal = Capability("pprof", usable=False, impact=Impact.LIGHT, reason="no")
    engine: Engine = FakeEngine({}, name="pprof", capability=refusal)
    assert engine.probe(Target(pid=1)) is refusal


def test_every_fact_has_its_want() -> None:
    service = LeakingService()
    wants = [want_of(fact) for fact in (*service.facts(0), TraceSeen(service.trace(0)))]
    assert wants == [Want.PROCESS, Want.FDS, Want.GROUPS, Want.HEAP, Want.GOROUTINES, Want.TRACE]
    assert want_of(HeapSeen(service.heap(0), after_gc=True)) is Want.HEAP_AFTER_GC
    assert set(script_of([service.facts(0), service.facts(1)])[Want.HEAP][1]) == {HeapSeen(service.heap(1))}


@pytest.mark.parametrize("step", [0, 4])
def test_scenario_is_consistent_at_every_moment(step: int) -> None:
    service = LeakingService(step=step)
    for moment in range(5):
        process, fds, groups, _, dump = service.facts(moment)
        assert isinstance(process, ProcessSeen)
        assert isinstance(fds, FdsSeen)
        assert isinstance(groups, GroupsSeen)
        assert isinstance(dump, GoroutinesSeen)
        assert process.stat.fd_count == len(fds.fds)
        assert sum(group.count for group in groups.groups) == len(dump.goroutines)
        assert len({goroutine.goid for goroutine in dump.goroutines}) == len(dump.goroutines)
        assert service.facts(moment) == service.facts(moment)
    grown = service.open_bodies(4) - service.open_bodies(0)
    assert grown == 4 * step


def test_scenario_trace_leaves_bodies_behind() -> None:
    trace = LeakingService().trace(0)
    left = [handoff for handoff in trace.handoffs if handoff.released_ns is None]
    assert len(left) == 4
    assert all(LEAKING_CALL in handoff.stack for handoff in left)
    assert LeakingService(step=0).trace(0).handoffs == ()


def test_scenario_engine_plays_its_moments() -> None:
    engine = LeakingService().engine(3)
    counts = []
    for _ in range(4):
        (fact,) = engine.capture(Request(frozenset({Want.GROUPS})), threading.Event())
        assert isinstance(fact, GroupsSeen)
        counts.append(sum(group.count for group in fact.groups))
    assert counts == [33, 41, 49, 49]
