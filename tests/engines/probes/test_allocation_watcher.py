"""Large objects, kept and dropped at different lines, beside what the program and the heap's own spans say."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from leaktui.engines.memory.attachment import Attachment, attach
from leaktui.engines.memory.heap_map import HeapMap
from leaktui.engines.probes import allocation_sites
from leaktui.engines.probes.allocation_sites import LARGE, AllocationEvent
from leaktui.engines.probes.allocation_watcher import AllocationWatcher
from leaktui.engines.probes.kernel.armed import Armed, arm
from leaktui.model.ledger import Ledger, LedgerPlace
from tests.engines.probes import allocation_matrix
from tests.engines.probes.fd_programs import PROGRAMS, CommandedProgram, build_program, run_program
from tests.go_target import Peer
from tests.go_toolchain import Toolchain, build_programs

pytestmark = [pytest.mark.go, pytest.mark.usefixtures("probes_permitted")]

SOURCE = (PROGRAMS / "large/main.go").read_text().splitlines()
KEPT, DROPPED, LINKED, GROWN, CHURNED = (
    next(number for number, line in enumerate(SOURCE, 1) if line.endswith(f"// {mark}"))
    for mark in ("KEPT", "DROPPED", "LINKED", "GROWN", "CHURNED")
)
LINKED_BYTES = 8 * 9001


@dataclass
class Watch:
    """A program whose large allocations are watched."""

    program: CommandedProgram
    attachment: Attachment
    watcher: AllocationWatcher
    armed: Armed
    began: float

    def books(self) -> Ledger:
        while hits := self.armed.read(0.001):
            for hit in hits:
                self.watcher.handle(hit)
        return self.watcher.ledger(self.began, time.monotonic())

    def by_line(self) -> dict[int, LedgerPlace]:
        """The books by the line that allocates."""
        places = {}
        for place in self.books().places:
            assert place.whole
            assert place.stack[0].file.endswith("large/main.go"), "the runtime's own frames are not shown"
            assert place.stack[0].line not in places
            assert place.stack[-1].function in ("main.main", "main.churn.func1")
            places[place.stack[0].line] = place
        return places

    def survivors(self) -> dict[int, tuple[int, int]]:
        """(count, bytes) by line, of those that lived through two collections."""
        return {
            line: (place.survivors, place.surviving_bytes)
            for line, place in self.by_line().items()
            if place.survivors
        }


@contextmanager
def watched(binary: Path, *, least: int = LARGE) -> Iterator[Watch]:
    with run_program(binary) as program:
        attachment = attach(program.pid, threading.Event())
        try:
            watcher = AllocationWatcher(attachment, least=least)
            with arm(program.pid, watcher.sites()) as armed:
                yield Watch(program, attachment, watcher, armed, time.monotonic())
        finally:
            attachment.close()


@pytest.mark.parametrize("flavour", ["plain", "stripped"])
def test_what_is_kept_survives_and_what_is_dropped_does_not(
    flavour: str, matrix_toolchain: Toolchain
) -> None:
    with watched(build_program("large", flavour, matrix_toolchain)) as watch:
        program = watch.program
        program.do("keep", 10, 100_001)
        program.do("drop", 10, 50_001)
        program.do("link", 3)
        lines = watch.by_line()
        assert {line: (place.opened, place.open) for line, place in lines.items()} == {
            KEPT: (10, 10),
            DROPPED: (10, 10),
            LINKED: (3, 3),
        }
        assert lines[KEPT].bytes == 10 * 100_001
        assert lines[LINKED].bytes == 3 * LINKED_BYTES
        assert watch.survivors() == {}
        cycles = program.do("collect")["cycles"]
        # The last one that was dropped is still in a variable.
        assert watch.survivors() == {
            KEPT: (10, 1_000_010),
            DROPPED: (1, 50_001),
            LINKED: (3, 3 * LINKED_BYTES),
        }
        assert watch.watcher.cycles == cycles
        lines = watch.by_line()
        assert (lines[DROPPED].collected, lines[DROPPED].open) == (9, 1)
        program.do("release")
        program.do("collect")
        ledger = watch.books()
        assert ledger.still_open == 0
        assert ledger.open == ()
        assert sum(place.collected for place in ledger.places) == ledger.opened == 23


def test_a_slice_that_grows_leaves_its_former_selves(go_toolchain: Toolchain) -> None:
    with watched(build_program("large", "stripped", go_toolchain)) as watch:
        watch.program.do("grow", 1, 300_000)
        watch.program.do("collect")
        place = watch.by_line()[GROWN]
        assert place.open == 1
        assert place.collected == place.opened - 1 > 3
        (item,) = watch.books().open
        assert item.size >= 300_000
        assert item.goid == 1


def test_where_the_last_call_was_inlined_the_return_is_probed(
    go_toolchain: Toolchain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(allocation_sites, "_LAST_CALL", "runtime.inlinedEverywhere")
    with watched(build_program("large", "plain", go_toolchain)) as watch:
        assert {site.event for site in watch.watcher.sites()} == {AllocationEvent.RETURN.value}
        watch.program.do("keep", 5, 100_001)
        place = watch.by_line()[KEPT]
        assert (place.opened, place.bytes) == (5, 500_005)
        assert place.stack[-1].function == "main.main"


def test_one_collection_does_not_make_a_survivor(go_toolchain: Toolchain) -> None:
    with watched(build_program("large", "plain", go_toolchain)) as watch:
        watch.program.do("keep", 2, 40_000)
        watch.program.do("collectOnce")
        assert watch.by_line()[KEPT].open == 2
        assert watch.survivors() == {}
        watch.program.do("collectOnce")
        assert watch.survivors() == {KEPT: (2, 80_000)}


def test_only_those_large_enough_are_recorded(go_toolchain: Toolchain) -> None:
    with watched(build_program("large", "plain", go_toolchain), least=1 << 20) as watch:
        watch.program.do("keep", 5, 200_000)
        watch.program.do("keep", 5, 20_000)
        assert watch.books().opened == 0
        watch.program.do("keep", 2, 1 << 20)
        assert watch.by_line()[KEPT].opened == 2


def test_books_of_a_busy_heap_are_what_its_spans_say(matrix_toolchain: Toolchain) -> None:
    with watched(build_program("large", "stripped", matrix_toolchain)) as watch:
        with ThreadPoolExecutor(1) as pool:
            churned = pool.submit(watch.program.do, "churn", 2000)
            while not churned.done():
                watch.books()
            churned.result()
        answer = watch.program.do("collect")
        ledger = watch.books()
        assert watch.armed.dropped() == 0
        assert ledger.opened == 8000
        assert answer["cycles"] > 10
        assert len(ledger.open) == answer["kept"] == 64
        assert sum(item.size for item in ledger.open) == answer["bytes"]
        heap = HeapMap.read(watch.attachment, threading.Event())
        large = {
            span.start
            for span in heap.iter_spans()
            if span.large and heap.is_allocated(heap.object_at(span, 0))
        }
        assert {item.key for item in ledger.open} == large
        assert set(watch.survivors()) == {CHURNED}


@pytest.mark.parametrize("program", ["cachegrowth", "gcchurn"])
def test_programs_are_told_apart_by_what_survives(program: str, go_toolchain: Toolchain, peer: Peer) -> None:
    binary = build_programs([program], go_toolchain, stripped=True)[program]
    right, said = allocation_matrix.watch(program, binary, peer, 4.0)
    assert right, said


def test_books_stay_when_the_process_goes(go_toolchain: Toolchain) -> None:
    with watched(build_program("large", "plain", go_toolchain)) as watch:
        watch.program.do("keep", 2, 40_000)
        assert watch.books().still_open == 2
    assert watch.watcher.ledger(watch.began, time.monotonic()).still_open == 2
