"""Leaked goroutines by reachability: none that lives is called leaked, and nearly all that are leaked are found."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import cast

import pytest

from leaktui.engines.memory.attachment import Attachment, attach
from leaktui.engines.memory.goroutines import Seen, Tally
from leaktui.engines.memory.heap_map import HeapMap
from leaktui.engines.memory.marking import Cancelled, Marking, select_words
from leaktui.engines.memory.reachability import LeakedGoroutines, LeakFinder
from leaktui.engines.memory.reader import ProcessMemory, Unreadable
from leaktui.engines.protocol import SearchProgress
from tests.engines.memory.go_programs import build_program, run_program
from tests.go_target import Peer, run_target
from tests.go_toolchain import PROGRAMS, Toolchain, build

pytestmark = pytest.mark.go

HEALTHY = sorted(path.parent.name for path in (PROGRAMS / "healthy").glob("*/main.go"))
LEAKING = ("condwait", "nilchannel", "sendaftertimeout", "waitgroup", "workerpool")
"""Those whose goroutines nobody can reach any more: in the others what they wait on is still held somewhere."""


def find(attachment: Attachment, **options: float) -> LeakedGoroutines:
    facts = list(LeakFinder(attachment, **options).find(threading.Event()))  # type: ignore[arg-type]
    assert all(isinstance(fact, SearchProgress) for fact in facts[:-1])
    assert isinstance(facts[-1], LeakedGoroutines)
    return facts[-1]


def function_of(seen: Seen) -> str:
    ours = [frame.function for frame in seen.trace.stack if frame.function.startswith("main.")]
    return ours[0].removeprefix("main.") if ours else ""


@pytest.mark.parametrize("flavour", ["stripped", "pie-stripped", "cgo-stripped"])
def test_leaked_goroutines_are_proven_and_living_ones_are_not(
    matrix_toolchain: Toolchain, flavour: str
) -> None:
    with run_program(build_program("waits", flavour, matrix_toolchain)) as process:
        attachment = attach(process.pid, threading.Event())
        found = find(attachment)
        names = Counter(map(function_of, attachment.goroutines.iter_seen(Tally(), threading.Event())))
        attachment.close()
    assert (found.refusal, found.doubt) == ("", "")
    proven = Counter(map(function_of, found.proven))
    assert [name for name in proven if not name.startswith("leaked")] == []
    assert found.suspected == ()
    leaked = sum(count for name, count in names.items() if name.startswith("leaked"))
    assert leaked == 38
    # What is left on the stack of one that runs may hold a few all the same: nearly always none.
    assert proven.total() >= 0.7 * leaked
    assert found.scanned_bytes > 0


def test_what_moves_all_the_time_is_not_leaked(matrix_toolchain: Toolchain) -> None:
    with run_program(
        build_program("moving", "stripped", matrix_toolchain), "-mb", "8", "-pause", "500us"
    ) as process:
        attachment = attach(process.pid, threading.Event())
        for _ in range(2):
            found = find(attachment, markings=1, apart=0)
            assert found.proven == found.suspected == ()
        attachment.close()


@pytest.mark.matrix
@pytest.mark.parametrize("program", HEALTHY)
def test_a_healthy_program_has_no_leaked_goroutine(
    matrix_toolchain: Toolchain, peer: Peer, program: str
) -> None:
    with run_target(build(program, matrix_toolchain, stripped=True), peer, rate=40) as target:
        time.sleep(2)
        attachment = attach(target.pid, threading.Event())
        found = find(attachment)
        attachment.close()
    assert (found.proven, found.refusal) == ((), "")


@pytest.mark.parametrize("program", LEAKING)
def test_a_leaking_program_has_leaked_goroutines_of_the_guilty_line(
    matrix_toolchain: Toolchain, peer: Peer, program: str
) -> None:
    with run_target(build(program, matrix_toolchain, stripped=True), peer, rate=100) as target:
        time.sleep(1.5)
        before = target.leaked()
        attachment = attach(target.pid, threading.Event())
        found = find(attachment)
        attachment.close()
        after = target.leaked()
    assert found.refusal == ""
    assert 0.9 * before <= len(found.proven) + len(found.suspected) <= after
    assert len({function_of(seen) for seen in found.proven}) == 1


@pytest.fixture(scope="module")
def waits(go_toolchain: Toolchain) -> Iterator[Attachment]:
    with run_program(build_program("waits", "stripped", go_toolchain)) as process:
        attachment = attach(process.pid, threading.Event())
        yield attachment
        attachment.close()


def test_a_heap_too_large_is_refused_with_the_reason(waits: Attachment) -> None:
    found = find(waits, scan_limit=1000)
    assert found.proven == found.suspected == ()
    assert "marking is for up to" in found.refusal


def test_running_out_of_time_is_said(waits: Attachment) -> None:
    assert "took more than" in find(waits, seconds=-1).refusal


def test_cancelling_ends_it_without_a_result(waits: Attachment) -> None:
    cancel = threading.Event()
    facts = []
    for fact in LeakFinder(waits).find(cancel):
        facts.append(fact)
        cancel.set()
    assert not any(isinstance(fact, LeakedGoroutines) for fact in facts)


def test_memory_that_cannot_be_read_makes_leaks_suspected(waits: Attachment) -> None:
    """A span of the heap that fails is somewhere a pointer may be that nobody saw."""
    heap = HeapMap.read(waits, threading.Event())
    roots = {span.start for span in heap.iter_spans() if span.scannable and span.element_size in (48, 64, 96)}

    class Holes:
        def read(self, address: int, size: int) -> bytes:
            if address in roots:
                raise Unreadable("a hole")
            return waits.memory.read(address, size)

    found = find(replace(waits, memory=cast(ProcessMemory, Holes())))
    assert found.doubt or found.refusal
    # Waits on a nil channel or in an empty select need no heap to be proven.
    assert {function_of(seen) for seen in found.proven} <= {
        "leakedNilReceive",
        "leakedNilSend",
        "leakedEmptySelect",
    }


def marked(waits: Attachment) -> Marking:
    heap = HeapMap.read(waits, threading.Event())
    return Marking(waits.memory, heap, threading.Event(), seconds=20, limit=1 << 30)


def channels(waits: Attachment) -> list[int]:
    """Objects that are there for good: what goroutines wait with."""
    states = [seen.state for seen in waits.goroutines.iter_seen(Tally(), threading.Event())]
    return sorted({state.waiting for state in states if state.waiting})


def test_watched_objects_report_that_they_were_reached(waits: Attachment) -> None:
    one, other, *_ = channels(waits)
    marking = marked(waits)
    assert marking.watch(one, 7)
    assert marking.watch(other, 8)
    marking.mark_words((one + 8, 0, 1 << 63))
    assert marking.woken == [7]
    assert marking.is_marked(one)
    assert not marking.is_marked(other)
    assert marking.watch(one, 9)  # too late: it is reached already
    assert marking.woken == [7, 9]
    assert not marking.watch(64, 10)


def test_hidden_objects_are_not_looked_into_until_shown(waits: Attachment) -> None:
    one, *_ = channels(waits)
    marking = marked(waits)
    marking.hide(one)
    marking.mark_words((one,))
    marking.drain(lambda: None)
    assert marking.scanned == 0
    assert not marking.is_marked(one)
    marking.show(one)
    marking.drain(lambda: None)
    assert marking.scanned > 0
    assert marking.is_marked(one)


def test_words_near_the_heap_that_are_in_no_span_are_kept(waits: Attachment) -> None:
    marking = marked(waits)
    beyond = marking.high - 8
    marking.mark_words((beyond, marking.high))
    assert marking.unknown == {beyond}


def test_a_marking_stops_when_told(waits: Attachment) -> None:
    cancel = threading.Event()
    heap = HeapMap.read(waits, threading.Event())
    marking = Marking(waits.memory, heap, cancel, seconds=20, limit=1 << 30)
    marking.mark_words(span.start for span in heap.iter_spans())
    cancel.set()
    with pytest.raises(Cancelled):
        marking.drain(lambda: None)
    assert marking.scanned == 0


def test_a_mask_selects_words_by_its_bits() -> None:
    data = b"".join(number.to_bytes(8, "little") for number in range(16))
    assert list(select_words(data, bytes((0b10000001, 0b00000110)))) == [0, 7, 9, 10]
    assert list(select_words(data + b"rest", b"\xff")) == list(range(8))
