"""What a pprof endpoint gives, on a real Go service."""

from __future__ import annotations

import threading
import time
import urllib.request
from collections.abc import Iterable

import pytest

from leaktui.engines.pprof import PprofEngine
from leaktui.engines.protocol import (
    DUMP_GATE,
    Fact,
    GoroutinesSeen,
    GroupsSeen,
    HeapSeen,
    LeakedSeen,
    Refused,
    Request,
    TraceProgress,
    TraceSeen,
    Want,
)
from leaktui.errors import UsageError
from leaktui.model.target import Target
from tests.engines.conftest import Running, Start
from tests.go_toolchain import Toolchain

pytestmark = pytest.mark.go


def capture(service: Running, wants: Iterable[Want], **options: object) -> list[Fact]:
    engine = PprofEngine(service.pid)
    try:
        return list(
            engine.capture(Request(frozenset(wants), **options), threading.Event())  # type: ignore[arg-type]
        )
    finally:
        engine.close()


def test_neither_pid_nor_url() -> None:
    with pytest.raises(UsageError, match="--pid"):
        PprofEngine()


def test_nothing_is_asked_for_wants_it_does_not_have() -> None:
    # The pid does not exist: looking would raise.
    engine = PprofEngine(2**22 - 1)
    assert list(engine.capture(Request(frozenset({Want.PROCESS, Want.FDS})), threading.Event())) == []


def test_groups_heap_and_dump(start: Start) -> None:
    service = start("-goroutines", "50", "-megabytes", "30")
    facts = capture(service, [Want.GROUPS, Want.HEAP, Want.GOROUTINES])
    groups, heap, dump = facts
    assert isinstance(groups, GroupsSeen)
    assert isinstance(heap, HeapSeen)
    assert isinstance(dump, GoroutinesSeen)
    (parked,) = [
        group for group in groups.groups if any(frame.function == "main.parkForever" for frame in group.stack)
    ]
    assert parked.count == 50
    assert parked.wait_reason == "chan receive"
    kept = [
        site
        for site in heap.heap.sites
        if site.stack and any(frame.function == "main.retain" for frame in site.stack)
    ]
    assert sum(site.inuse_bytes for site in kept) >= 1 << 20  # sampled, one in 512 kB
    assert not heap.after_gc
    parked_goroutines = [
        goroutine for goroutine in dump.goroutines if goroutine.stack[0].function == "main.parkForever"
    ]
    assert len(parked_goroutines) == 50
    assert not dump.truncated


def test_heap_after_gc_needs_leave(start: Start) -> None:
    service = start()
    (refused,) = capture(service, [Want.HEAP_AFTER_GC])
    assert isinstance(refused, Refused)
    assert "--allow pause" in refused.remedy
    (seen,) = capture(service, [Want.HEAP_AFTER_GC], allow_pauses=True)
    assert isinstance(seen, HeapSeen)
    assert seen.after_gc


@pytest.mark.parametrize("mount", ["default", "single"])
def test_dump_of_many_goroutines_needs_leave(start: Start, mount: str) -> None:
    service = start("-goroutines", str(DUMP_GATE + 1), "-depth", "0", "-mount", mount)
    (refused,) = capture(service, [Want.GOROUTINES])
    assert isinstance(refused, Refused)
    assert "would stop the program for about 0.2 s" in refused.reason
    (dump,) = capture(service, [Want.GOROUTINES], allow_pauses=True)
    assert isinstance(dump, GoroutinesSeen)
    assert len(dump.goroutines) > DUMP_GATE
    assert dump.pause_ms > 0


def test_leaked_goroutines_where_the_release_has_the_profile(start: Start, go_toolchain: Toolchain) -> None:
    service = start("-leaks", "5")
    engine = PprofEngine(service.pid)
    offered = "leaked" in engine.probe(Target(pid=service.pid)).gives
    engine.close()
    (fact,) = capture(service, [Want.LEAKED])
    if go_toolchain.release < (1, 26):
        assert not offered
    if offered:
        assert isinstance(fact, LeakedSeen)
        assert sum(group.count for group in fact.groups) == 5
    else:
        assert isinstance(fact, Refused)
        assert "Go 1.27" in fact.remedy


def test_single_routes_refuse_what_is_not_mounted(start: Start) -> None:
    service = start("-mount", "single")
    (refused,) = capture(service, [Want.TRACE], trace_seconds=0.1)
    assert isinstance(refused, Refused)
    assert refused.want is Want.TRACE


def leak_for(service: Running, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        urllib.request.urlopen(f"http://{service.tcp}/leak").close()
        time.sleep(0.01)


def test_trace_with_progress(start: Start) -> None:
    service = start()
    load = threading.Thread(target=leak_for, args=(service, 2.5))
    load.start()
    facts = capture(service, [Want.TRACE], trace_seconds=1.5)
    load.join()
    *progress, seen = facts
    assert progress
    assert all(isinstance(fact, TraceProgress) for fact in progress)
    assert isinstance(seen, TraceSeen)
    assert seen.trace.duration_ns > 1_000_000_000
    created = {
        frame.function: flow.created for flow in seen.trace.goroutines for frame in flow.creation_stack[:1]
    }
    assert created.get("main.leakOne", 0) > 10


def test_second_trace_at_once_is_refused_with_the_reason(start: Start) -> None:
    service = start()
    first: list[Fact] = []
    engine = PprofEngine(service.pid)
    request = Request(frozenset({Want.TRACE}), trace_seconds=2.0)
    under_way = threading.Event()

    def run_first() -> None:
        for fact in engine.capture(request, threading.Event()):
            first.append(fact)
            under_way.set()

    thread = threading.Thread(target=run_first)
    thread.start()
    assert under_way.wait(10)
    second = list(engine.capture(request, threading.Event()))
    # Other wants go on beside a trace.
    beside = list(engine.capture(Request(frozenset({Want.GROUPS})), threading.Event()))
    thread.join()
    engine.close()
    refused = [fact for fact in second if isinstance(fact, Refused)]
    assert len(refused) == 1
    assert "already" in refused[0].reason
    assert "wait" in refused[0].remedy
    assert isinstance(beside[0], GroupsSeen)
    assert isinstance(first[-1], TraceSeen)


def test_cancelled_trace_frees_the_tracer(start: Start) -> None:
    service = start()
    engine = PprofEngine(service.pid)
    cancel = threading.Event()
    request = Request(frozenset({Want.TRACE}), trace_seconds=60.0)
    for fact in engine.capture(request, cancel):
        assert isinstance(fact, TraceProgress)
        cancel.set()
    again = Request(frozenset({Want.TRACE}), trace_seconds=0.2)
    for _ in range(50):
        *_, last = engine.capture(again, threading.Event())
        if isinstance(last, TraceSeen):
            break
        time.sleep(0.1)  # the program needs a moment to notice that nobody listens any more
    engine.close()
    assert isinstance(last, TraceSeen)


def test_target_killed_during_a_trace(start: Start) -> None:
    service = start()
    engine = PprofEngine(service.pid)
    facts: list[Fact] = []
    with pytest.raises(Exception, match=f"process {service.pid}.* has exited"):
        for fact in engine.capture(Request(frozenset({Want.TRACE}), trace_seconds=30.0), threading.Event()):
            facts.append(fact)
            service.process.kill()
    engine.close()
    assert all(isinstance(fact, TraceProgress) for fact in facts)


def test_connection_is_kept_between_captures(start: Start) -> None:
    service = start()
    engine = PprofEngine(service.pid)
    seen: set[int] = set()
    for _ in range(5):
        (groups,) = engine.capture(Request(frozenset({Want.GROUPS})), threading.Event())
        assert isinstance(groups, GroupsSeen)
        serving = [
            group.count
            for group in groups.groups
            if any(frame.function == "net/http.(*conn).serve" for frame in group.stack)
        ]
        seen.add(sum(serving))
    engine.close()
    assert max(seen) == 1
