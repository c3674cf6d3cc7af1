"""The conductor: facts folded, one engine's failure kept to itself, the target's end said once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from leaktui.engines.protocol import (
    Fact,
    GoroutinesSeen,
    GroupsSeen,
    HeapSeen,
    HoldersSeen,
    LeakedSeen,
    ProcessSeen,
    Request,
    TraceSeen,
    Want,
)
from leaktui.errors import EndpointUnreachable, TargetGone
from leaktui.model.capability import Capability, Impact, SourceState
from leaktui.model.goroutine import GoroutineGroup
from leaktui.model.holder import HolderSearch
from leaktui.model.process import ProcessStat
from leaktui.model.profile import HeapProfile
from leaktui.model.target import Target
from leaktui.model.trace import TraceSummary
from leaktui.session import Session, SessionEvent, SnapshotTaken, TargetExited
from leaktui.session.lane import Lane

STAT = ProcessStat(1, 1, 1, 0.0, 1, 1)


class Scripted:
    """An engine whose answers are functions."""

    def __init__(
        self,
        name: str,
        answers: dict[Want, Callable[[], Fact]],
        *,
        usable: bool = True,
        impact: Impact = Impact.NONE,
    ) -> None:
        self.name = name
        self.impact = impact
        self.answers = answers
        self.usable = usable
        self.closed = 0
        self.requests: list[Request] = []

    def probe(self, target: Target) -> Capability:
        gives = tuple(want.value for want in self.answers)
        return Capability(self.name, self.usable, self.impact, gives, reason="as scripted")

    def capture(self, request: Request, cancel: threading.Event) -> Iterator[Fact]:
        self.requests.append(request)
        for want in request.wants:
            if want in self.answers:
                yield self.answers[want]()

    def close(self) -> None:
        self.closed += 1


def fail(error: Exception) -> Callable[[], Fact]:
    def answer() -> Fact:
        raise error

    return answer


def wait_for(condition: Callable[[], object], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


PROC = {Want.PROCESS: lambda: ProcessSeen(STAT)}
GROUPS = {Want.GROUPS: lambda: GroupsSeen((GoroutineGroup(7, ()),))}


@pytest.fixture
def events() -> list[SessionEvent]:
    return []


def session(events: list[SessionEvent], *engines: Scripted) -> Session:
    return Session(Target(pid=1), engines, events.append)


def test_facts_of_several_engines_become_one_picture(events: list[SessionEvent]) -> None:
    watched = session(events, Scripted("proc", {**PROC}), Scripted("pprof", {**GROUPS}))
    watched.start()
    wait_for(lambda: watched.snapshot.process and watched.snapshot.groups)
    watched.close()
    assert watched.snapshot.goroutine_count == 7
    assert {source.state for source in watched.snapshot.sources} == {SourceState.USED}
    assert any(isinstance(event, SnapshotTaken) for event in events)


def test_a_failing_engine_leaves_the_others_and_its_own_facts_alone(events: list[SessionEvent]) -> None:
    broken = Scripted(
        "pprof", {**GROUPS, Want.HEAP: fail(EndpointUnreachable("it hangs", remedy="look at it"))}
    )
    watched = session(events, Scripted("proc", {**PROC}), broken)
    watched.start()
    wait_for(lambda: watched.snapshot.sources[1].state is SourceState.FAILED)
    wait_for(lambda: watched.snapshot.process and watched.snapshot.groups)
    watched.close()
    assert watched.snapshot.goroutine_count == 7


def test_a_defect_in_an_engine_is_reported_not_raised(events: list[SessionEvent]) -> None:
    watched = session(events, Scripted("pprof", {Want.GROUPS: fail(ZeroDivisionError("\x1b[31mred"))}))
    watched.start()
    wait_for(lambda: watched.snapshot.sources[0].state is SourceState.FAILED)
    watched.close()
    assert "ZeroDivisionError" in watched.snapshot.sources[0].detail
    assert "\x1b" not in watched.snapshot.sources[0].detail


def test_the_targets_end_is_said_once_and_the_picture_stays(events: list[SessionEvent]) -> None:
    gone = fail(TargetGone("process 1 exited"))
    heap = Scripted("pprof", {Want.HEAP: lambda: HeapSeen(HeapProfile(()))})
    watched = session(events, heap, Scripted("proc", {Want.PROCESS: gone, Want.FDS: gone}))
    watched.start()
    wait_for(lambda: watched.exited)
    watched.close()
    assert sum(isinstance(event, TargetExited) for event in events) == 1
    assert watched.exited == "process 1 exited"


def test_an_unusable_engine_is_never_asked(events: list[SessionEvent]) -> None:
    missing = Scripted("pprof", {**GROUPS}, usable=False)
    watched = session(events, missing)
    watched.start()
    wait_for(lambda: watched.snapshot.sources[0].state is SourceState.UNAVAILABLE)
    assert not watched.order({Want.GROUPS})
    assert not watched.offers(Want.GROUPS)
    watched.close()
    assert missing.requests == []


def test_a_long_capture_does_not_hold_up_the_short_ones(events: list[SessionEvent]) -> None:
    release = threading.Event()
    counted: list[float] = []

    def groups() -> Fact:
        counted.append(time.monotonic())
        return GroupsSeen((GoroutineGroup(len(counted), ()),))

    def trace() -> Fact:
        assert release.wait(10)
        return TraceSeen(TraceSummary("go1.26", 1, 1))

    engine = Scripted("pprof", {Want.GROUPS: groups, Want.TRACE: trace})
    watched = Session(Target(pid=1), (engine,), events.append, cadence={Want.GROUPS: 0.02})
    watched.start()
    wait_for(lambda: watched.offers(Want.TRACE) and watched.order({Want.TRACE}))
    before = len(counted)
    wait_for(lambda: len(counted) > before + 3)
    assert watched.is_under_way(Want.TRACE)
    release.set()
    wait_for(lambda: not watched.is_under_way(Want.TRACE))
    watched.close()
    assert watched.snapshot.trace is not None


def test_paused_it_asks_nothing_but_carries_out_orders(events: list[SessionEvent]) -> None:
    engine = Scripted("pprof", {**GROUPS})
    watched = Session(Target(pid=1), (engine,), events.append, cadence={Want.GROUPS: 0.01})
    watched.start()
    wait_for(lambda: len(engine.requests) > 2)
    watched.pause(True)
    time.sleep(0.1)
    asked = len(engine.requests)
    time.sleep(0.2)
    assert len(engine.requests) == asked
    watched.order({Want.GROUPS})
    wait_for(lambda: len(engine.requests) == asked + 1)
    watched.pause(False)
    wait_for(lambda: len(engine.requests) > asked + 2)
    watched.close()


def test_closing_ends_the_threads_and_the_engines(events: list[SessionEvent]) -> None:
    engine = Scripted("pprof", {**GROUPS})
    watched = session(events, engine)
    watched.start()
    wait_for(lambda: watched.snapshot.groups)
    watched.close()
    watched.close()
    assert engine.closed >= 1
    wait_for(lambda: not any(thread.name == "leaktui-pprof" for thread in threading.enumerate()))


def owned(events: list[SessionEvent], *engines: Scripted, pace: float = 0.02) -> Session:
    cadence = {Want.GROUPS: pace, Want.GOROUTINES: pace}
    return Session(Target(pid=1), engines, events.append, cadence=cadence, dumps=False)


def test_the_first_source_that_works_is_asked_and_the_second_confirms(events: list[SessionEvent]) -> None:
    memory = Scripted("memory", {Want.GROUPS: lambda: GroupsSeen((GoroutineGroup(7, ()),), torn=0)})
    pprof = Scripted("pprof", {Want.GROUPS: lambda: GroupsSeen((GoroutineGroup(8, ()),))})
    watched = owned(events, memory, pprof)
    watched.start()
    wait_for(lambda: len(memory.requests) > 20)
    watched.close()
    snapshot = watched.snapshot
    assert (snapshot.groups_from, snapshot.goroutine_count) == ("memory", 7)
    assert len(pprof.requests) <= 2
    assert [(look.source, look.groups[0].count) for look in snapshot.also] in ([], [("pprof", 8)])
    assert snapshot.sources[0].detail == "7 goroutines, 0 torn"


def test_where_the_first_source_fails_the_next_takes_over(events: list[SessionEvent]) -> None:
    broken = Scripted("memory", {Want.GROUPS: fail(EndpointUnreachable("it moved"))})
    pprof = Scripted("pprof", {Want.GROUPS: lambda: GroupsSeen((GoroutineGroup(8, ()),))})
    watched = owned(events, broken, pprof)
    watched.start()
    wait_for(lambda: watched.snapshot.sources[0].state is SourceState.FAILED and len(pprof.requests) > 10)
    assert (watched.snapshot.groups_from, watched.snapshot.goroutine_count) == ("pprof", 8)
    broken.answers[Want.GROUPS] = lambda: GroupsSeen((GoroutineGroup(7, ()),))
    wait_for(lambda: watched.snapshot.groups_from == "memory")
    watched.close()


def test_dumps_that_stop_the_target_are_not_taken_by_themselves(events: list[SessionEvent]) -> None:
    dump = {**GROUPS, Want.GOROUTINES: lambda: GoroutinesSeen(())}
    free, light = Scripted("memory", dump), Scripted("pprof", dump, impact=Impact.LIGHT)
    for engine, taken in ((free, True), (light, False)):
        watched = owned(events, engine)
        watched.start()
        wait_for(lambda engine=engine: len(engine.requests) > 20)
        watched.close()
        assert any(Want.GOROUTINES in request.wants for request in engine.requests) is taken


def test_leaked_goroutines_are_asked_for_where_it_costs_nothing(events: list[SessionEvent]) -> None:
    leaked = {Want.LEAKED: lambda: LeakedSeen((GoroutineGroup(3, ()),))}
    memory, pprof = Scripted("memory", leaked), Scripted("pprof", leaked, impact=Impact.LIGHT)
    watched = owned(events, memory, pprof)
    watched.start()
    wait_for(lambda: not watched.probing)
    assert watched.order({Want.LEAKED})
    wait_for(lambda: [look.source for look in watched.snapshot.leaked] == ["memory"])
    assert not pprof.requests
    assert watched.order({Want.LEAKED}, allow_pauses=True)
    wait_for(lambda: len(watched.snapshot.leaked) == 2 and not watched.is_under_way(Want.LEAKED))
    watched.close()


def test_one_of_two_orders_of_the_same_kind_is_still_under_way(events: list[SessionEvent]) -> None:
    released = threading.Semaphore(0)

    def answer() -> Fact:
        assert released.acquire(timeout=5)
        return HoldersSeen(HolderSearch(1, 8))

    watched = owned(events, Scripted("memory", {Want.HOLDERS: answer}))
    watched.start()
    wait_for(lambda: not watched.probing)
    watched.order({Want.HOLDERS}, subject=1)
    watched.order({Want.HOLDERS}, subject=2)
    released.release()
    wait_for(lambda: watched.snapshot.holders)
    assert watched.is_under_way(Want.HOLDERS)
    released.release()
    wait_for(lambda: not watched.is_under_way(Want.HOLDERS))
    watched.close()


def test_answers_are_kept_by_what_was_asked(events: list[SessionEvent]) -> None:
    memory = Scripted("memory", {Want.HOLDERS: lambda: HoldersSeen(HolderSearch(next(subjects), 8))})
    subjects = iter((1, 2, 1, *range(10, 30)))
    watched = owned(events, memory)
    watched.start()
    wait_for(lambda: not watched.probing)
    for count in range(3):
        watched.order({Want.HOLDERS}, subject=7)
        wait_for(lambda count=count: len(memory.requests) > count and not watched.is_under_way(Want.HOLDERS))
    assert [item.subject for item in watched.snapshot.holders] == [2, 1]
    assert memory.requests[0].subject == 7
    for _ in range(20):
        watched.order({Want.HOLDERS})
    wait_for(lambda: len(memory.requests) == 23 and watched.snapshot.holders[-1].subject == 29)
    watched.close()
    assert len(watched.snapshot.holders) == 8


def test_what_is_wanted_more_often_is_asked_for_at_once(events: list[SessionEvent]) -> None:
    engine = Scripted("pprof", {Want.GROUPS: lambda: GroupsSeen(())})
    lane = Lane(engine, {Want.GROUPS: 60.0}, lambda *_: None, lambda *_: None)
    lane.start()
    wait_for(lambda: len(engine.requests) == 1)
    lane.set_cadence({Want.GROUPS: 0.01})
    wait_for(lambda: len(engine.requests) > 3)
    lane.stop()
