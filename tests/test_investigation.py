"""The investigation and the headless diagnosis on the shipped fake: orders, endings, what is said."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from leaktui.analysis.program import HandOver, ResponseStep, UnknownProgram
from leaktui.diagnose import Progress, diagnose
from leaktui.engines.fake import Delay, FakeEngine, Script
from leaktui.engines.fake_scenario import LEAKING_CALL, LeakingService
from leaktui.engines.protocol import GroupsSeen, HeapSeen, ProcessSeen, Want
from leaktui.errors import EndpointUnreachable, TargetGone
from leaktui.investigation import Assessed, Investigation, InvestigationEvent
from leaktui.model.capability import SourceState
from leaktui.model.finding import LeakKind, Verdict
from leaktui.model.frame import Stack
from leaktui.model.goroutine import GoroutineGroup
from leaktui.model.process import ProcessStat
from leaktui.model.profile import AllocSite, HeapProfile
from leaktui.model.target import Target

TARGET = Target(pid=4242)
SOME_GROUP = GoroutineGroup(3, ())
STAT = ProcessStat(1 << 20, 1 << 30, 8, 1.0, 12, 1024)


class NobodyHandsOver(UnknownProgram):
    def follow_response(self, stack: Stack, first: int) -> tuple[ResponseStep, ...]:
        return (ResponseStep(first, HandOver.NO),)


def wait_for(condition: Callable[[], object], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def test_a_leak_is_found_traced_and_settled() -> None:
    service = LeakingService()
    progress: list[Progress] = []
    result = diagnose(
        service.target(),
        (service.engine(60),),
        load_program=NobodyHandsOver,
        seconds=30,
        on_progress=progress.append,
    )
    assert result.verdict is Verdict.LEAK
    assert result.suspects[0].kind is LeakKind.HTTP_BODY
    location = result.suspects[0].location
    assert location is not None
    assert (location.function, location.line) == (LEAKING_CALL.function, LEAKING_CALL.line)
    assert result.elapsed_seconds < 25
    assert any("open bodies" in item.text for item in progress)


def test_a_healthy_service_is_watched_to_the_end_and_cleared() -> None:
    service = LeakingService(step=0)
    result = diagnose(service.target(), (service.engine(60),), load_program=NobodyHandsOver, seconds=12)
    assert (result.verdict, result.suspects) == (Verdict.CLEAN, ())


def test_told_to_stop_it_says_what_it_has() -> None:
    stop = threading.Event()
    threading.Timer(1.5, stop.set).start()
    began = time.monotonic()
    service = LeakingService()
    result = diagnose(service.target(), (service.engine(60),), seconds=60, stop=stop)
    assert time.monotonic() - began < 10
    assert result.verdict is Verdict.UNDECIDED


def test_when_every_source_fails_it_does_not_sit_out_the_time() -> None:
    script: Script = {Want.GROUPS: [[EndpointUnreachable("it hangs", remedy="look at it")]]}
    began = time.monotonic()
    result = diagnose(TARGET, (FakeEngine(script, name="pprof"),), seconds=60)
    assert time.monotonic() - began < 20
    assert result.verdict is Verdict.UNDECIDED
    assert result.sources[0].state is SourceState.FAILED
    assert any("goroutines and bodies" in note for note in result.notes)


def test_a_target_that_exits_leaves_what_was_seen() -> None:
    gone = TargetGone("process 4242 exited")
    script: Script = {
        Want.PROCESS: [[ProcessSeen(STAT)], [ProcessSeen(STAT)], [gone]],
        Want.GROUPS: [[GroupsSeen((SOME_GROUP,))]],
    }
    result = diagnose(TARGET, (FakeEngine(script),), seconds=30)
    assert result.verdict is Verdict.UNDECIDED
    assert "exited" in result.notes[0]


def test_it_orders_one_trace_by_itself_and_none_when_told_not_to() -> None:
    for automatic, expected in ((True, True), (False, False)):
        service = LeakingService()
        engine = service.engine(60)
        events: list[InvestigationEvent] = []
        watched = Investigation(
            service.target(), (engine,), events.append, load_program=NobodyHandsOver, automatic=automatic
        )
        watched.start()
        wait_for(lambda seen=events: sum(isinstance(event, Assessed) for event in seen) >= 4)
        watched.close()
        asked = any(Want.TRACE in request.wants for request in engine.asked)
        assert asked is expected
        assert all(not request.allow_pauses for request in engine.asked)


def test_a_defect_of_the_analysis_is_told_and_the_watching_goes_on() -> None:
    class Broken(UnknownProgram):
        def is_stdlib(self, function: str) -> bool:
            raise ZeroDivisionError("\x1bboom")

    service = LeakingService()
    watched = Investigation(service.target(), (service.engine(60),), load_program=Broken)
    watched.start()
    wait_for(lambda: watched.session.snapshot.groups is not None)
    time.sleep(2.5)
    notes = watched.diagnosis().notes
    watched.close()
    assert any("ZeroDivisionError" in note and "\x1b" not in note for note in notes)


def test_the_first_of_a_sort_is_judged_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    # Longer than the test waits: whatever is judged here was not waited for.
    monkeypatch.setattr("leaktui.investigation._PACE_SECONDS", 60.0)
    heap = HeapProfile((AllocSite((), 1, 512, 1, 512),), 512 << 10)
    script: Script = {
        Want.PROCESS: [[ProcessSeen(STAT)]],
        Want.GROUPS: [[GroupsSeen((SOME_GROUP,))]],
        Want.HEAP: [[Delay(20.0), HeapSeen(heap)], [HeapSeen(heap)]],
    }
    seen: list[tuple[int, int]] = []
    judged = threading.Event()

    def listen(event: InvestigationEvent) -> None:
        if isinstance(event, Assessed):
            seen.append((len(event.assessment.groups), len(event.assessment.sites)))
            judged.set()

    engine = FakeEngine(script, wait=lambda cancel, seconds: judged.wait(seconds) and None)
    watched = Investigation(TARGET, (engine,), listen)
    watched.start()
    try:
        wait_for(lambda: len(seen) == 2)
        wait_for(lambda: watched.session.snapshot.groups_time > watched.started + 2)
        assert seen == [(1, 0), (1, 1)], "once for each sort, and more of the same waits its turn"
    finally:
        watched.close()


@dataclass
class OpenProgram(UnknownProgram):
    """Counts how often it was closed; lets nobody through while *held*."""

    held: threading.Event | None = None
    entered: bool = False
    closed: int = 0

    def is_stdlib(self, function: str) -> bool:
        self.entered = True
        if self.held is not None:
            self.held.wait(30)
        return super().is_stdlib(function)

    def close(self) -> None:
        self.closed += 1


def test_the_program_is_closed_at_the_end() -> None:
    program = OpenProgram()
    service = LeakingService()
    diagnose(service.target(), (service.engine(60),), load_program=lambda: program, seconds=2)
    assert program.entered
    assert program.closed == 1


def test_the_program_is_not_closed_under_the_analysis() -> None:
    program = OpenProgram(held=threading.Event())
    assert program.held is not None
    service = LeakingService()
    watched = Investigation(service.target(), (service.engine(60),), load_program=lambda: program)
    watched.start()
    wait_for(lambda: program.entered)
    watched.close()
    assert program.closed == 0
    program.held.set()
    watched.close()
    assert program.closed == 1
