"""The memory engine on running Go programs: what it says equals what they say of themselves."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from leaktui.engines.memory import MemoryEngine
from leaktui.engines.memory.captures import Captures
from leaktui.engines.memory.reader import ProcessMemory
from leaktui.engines.proc import read_target
from leaktui.engines.protocol import (
    BodiesSeen,
    Fact,
    GroupsSeen,
    HeapCensusSeen,
    LeakedSeen,
    Refused,
    Request,
    SearchProgress,
    Want,
)
from leaktui.errors import DecodeError, EngineUnavailable, LeaktuiError, TargetGone
from leaktui.model.capability import Impact
from leaktui.model.target import Target
from tests.conftest import TargetFactory
from tests.engines.conftest import as_nobody
from tests.engines.memory.attached import attached
from tests.engines.memory.comparison import capture, compare_repeatedly
from tests.engines.memory.go_programs import FLAVOURS, build_program, pprof_base, run_program
from tests.go_target import GoProcess, Peer, run_target
from tests.go_toolchain import Toolchain, build

pytestmark = pytest.mark.go

TARGETS = ("earlyreturn", "workerpool", "sse", "subscriber")


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_every_kind_of_wait_is_as_the_program_dumps_it(matrix_toolchain: Toolchain, flavour: str) -> None:
    with run_program(build_program("variety", flavour, matrix_toolchain), "spin") as process:
        found, stubborn = compare_repeatedly(process.pid, pprof_base(process))
    assert not stubborn
    assert len(found.compared) > 35
    assert sum(item.elided == -1 for item in found.compared) == 2  # the two that recurse deepest
    reasons = {item.wait_reason for item in found.compared}
    assert {
        "select",
        "select (no cases)",
        "chan receive",
        "chan receive (nil chan)",
        "chan send",
        "chan send (nil chan)",
        "IO wait",
        "sleep",
        "sync.Mutex.Lock",
        "sync.RWMutex.RLock",
        "sync.Cond.Wait",
        "syscall",
    } <= reasons
    # All are there but the dump's own connection and what cannot be read because it runs.
    missing = [
        item for goid, item in found.dump.items() if goid not in {seen.goid for seen in found.compared}
    ]
    assert len(missing) <= 4, missing


@pytest.mark.parametrize("stripped", [True, False], ids=["stripped", "symbols"])
@pytest.mark.parametrize("program", TARGETS)
def test_stacks_equal_the_dump_of_a_working_program(
    matrix_toolchain: Toolchain, peer: Peer, program: str, stripped: bool
) -> None:
    with run_target(build(program, matrix_toolchain, stripped=stripped), peer, rate=40) as target:
        time.sleep(1)
        assert target.pprof_url is not None
        found, stubborn = compare_repeatedly(target.pid, target.pprof_url)
    assert len(found.compared) > 20
    assert not stubborn


def test_a_program_without_pprof_gives_its_goroutines(target_factory: TargetFactory) -> None:
    with target_factory("workerpool", stripped=True, tags="nopprof", pprof=False, rate=40) as target:
        engine = MemoryEngine(target.pid)
        capability = engine.probe(read_target(target.pid))
        assert capability.usable
        assert capability.impact is Impact.NONE
        time.sleep(0.5)
        goroutines, groups = capture(engine)
        engine.close()
    assert sum(group.count for group in groups) == len(goroutines) > 10
    largest = groups[0]
    assert largest.wait_reason.startswith("chan")
    assert largest.created_by is not None
    assert largest.created_by.function.startswith("main.")
    assert largest.stack[-1].line > 0


def test_labels_are_read(matrix_toolchain: Toolchain) -> None:
    with run_program(build_program("variety", "stripped", matrix_toolchain)) as process:
        engine = MemoryEngine(process.pid)
        goroutines, _ = capture(engine)
        engine.close()
    labelled = [item.labels for item in goroutines if item.labels]
    assert labelled == [(("shard", "7"), ("tenant", "blue"))] * 2


def test_a_running_goroutine_shows_where_it_began_and_no_more(go_toolchain: Toolchain) -> None:
    with run_program(build_program("variety", "stripped", go_toolchain), "spin") as process:
        engine = MemoryEngine(process.pid)
        goroutines, _ = capture(engine)
        running = [item for item in goroutines if item.wait_reason == "running"]
        assert [item.elided for item in running] == [-1]
        assert len(running[0].stack) == 1
        assert running[0].stack[0].function.startswith("main.main.func")
        assert engine.last.running == 1
        assert engine.last.torn == 0
        engine.close()


def test_the_target_is_not_traced_and_its_threads_not_stopped(go_toolchain: Toolchain) -> None:
    with run_program(build_program("variety", "stripped", go_toolchain)) as process:
        engine = MemoryEngine(process.pid)
        capture(engine)
        status = Path(f"/proc/{process.pid}/status").read_text()
        assert "TracerPid:\t0\n" in status
        assert "t (tracing stop)" not in status
        engine.close()


def test_a_process_that_exits_is_gone(go_toolchain: Toolchain) -> None:
    process = GoProcess([str(build_program("parked", "stripped", go_toolchain))])
    engine = MemoryEngine(process.pid)
    try:
        assert engine.probe(read_target(process.pid)).usable
    finally:
        process.stop()
    with pytest.raises(TargetGone):
        capture(engine)
    engine.close()
    assert not MemoryEngine(process.pid).probe(Target(pid=process.pid)).usable


def test_close_ends_it_from_another_thread_and_twice(go_toolchain: Toolchain) -> None:
    with run_program(build_program("parked", "stripped", go_toolchain), "-n", "20000") as process:
        engine = MemoryEngine(process.pid)
        ended = threading.Event()

        def look() -> None:
            request = Request(frozenset({Want.GROUPS}))
            while list(engine.capture(request, threading.Event())):
                pass
            ended.set()

        thread = threading.Thread(target=look, daemon=True)
        thread.start()
        time.sleep(0.1)
        engine.close()
        engine.close()
        assert ended.wait(10)
        assert list(engine.capture(Request(frozenset({Want.GROUPS})), threading.Event())) == []


def test_a_cancelled_reading_gives_nothing(go_toolchain: Toolchain) -> None:
    with run_program(build_program("parked", "stripped", go_toolchain)) as process:
        engine = MemoryEngine(process.pid)
        cancel = threading.Event()
        cancel.set()
        assert list(engine.capture(Request(frozenset({Want.GOROUTINES})), cancel)) == []
        engine.close()


@pytest.mark.parametrize("error", [DecodeError, EngineUnavailable])
@pytest.mark.parametrize(
    ("want", "look"),
    [(Want.BODIES, "bodies"), (Want.HEAP_CENSUS, "heap_census"), (Want.LEAKED, "leaked")],
)
def test_a_look_that_fails_is_refused_and_the_rest_goes_on(
    go_toolchain: Toolchain,
    monkeypatch: pytest.MonkeyPatch,
    error: type[LeaktuiError],
    want: Want,
    look: str,
) -> None:
    def fail(self: Captures, *arguments: object) -> Iterator[Fact]:
        yield SearchProgress("looking")
        raise error("what is there makes no sense", remedy="look again")

    wants = frozenset({Want.GROUPS, Want.BODIES, Want.HEAP_CENSUS, Want.LEAKED})
    given = [GroupsSeen, BodiesSeen, HeapCensusSeen, LeakedSeen]
    with run_program(build_program("parked", "stripped", go_toolchain)) as process:
        engine = MemoryEngine(process.pid)
        with monkeypatch.context() as patch:
            patch.setattr(Captures, look, fail)
            facts = list(engine.capture(Request(wants), threading.Event()))
        refused = Refused(want, "what is there makes no sense", "look again")
        assert facts[facts.index(refused) - 1] == SearchProgress("looking")
        kinds = [type(fact) for fact in facts if not isinstance(fact, SearchProgress)]
        place = [Want.GROUPS, Want.BODIES, Want.HEAP_CENSUS, Want.LEAKED].index(want)
        assert kinds == [*given[:place], Refused, *given[place + 1 :]]
        after = list(engine.capture(Request(wants), threading.Event()))
        assert [type(fact) for fact in after if not isinstance(fact, SearchProgress)] == given
        engine.close()


@pytest.mark.parametrize("want", [Want.GROUPS, Want.GOROUTINES])
def test_without_goroutines_the_engine_has_failed(
    go_toolchain: Toolchain, monkeypatch: pytest.MonkeyPatch, want: Want
) -> None:
    with run_program(build_program("parked", "stripped", go_toolchain)) as process:
        engine = MemoryEngine(process.pid)
        assert engine.probe(read_target(process.pid)).usable
        with attached(process.pid) as attachment:
            allgs = attachment.allgs
        read = ProcessMemory.read
        monkeypatch.setattr(
            ProcessMemory,
            "read",
            lambda self, address, size: bytes(size) if address == allgs else read(self, address, size),
        )
        facts = engine.capture(Request(frozenset({want, Want.HEAP_CENSUS})), threading.Event())
        with pytest.raises(DecodeError, match="list of goroutines makes no sense"):
            next(facts)
        engine.close()


def test_what_is_not_wanted_is_not_read() -> None:
    engine = MemoryEngine(os.getpid())
    assert list(engine.capture(Request(frozenset({Want.TRACE, Want.FDS})), threading.Event())) == []


def test_a_url_alone_is_refused_with_the_remedy() -> None:
    capability = MemoryEngine(None).probe(Target(pid=None, url="http://127.0.0.1:1/"))
    assert not capability.usable
    assert "--pid" in capability.remedy


def test_another_users_process_is_refused_with_the_remedy(go_toolchain: Toolchain) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can look as somebody else")
    with run_program(build_program("parked", "stripped", go_toolchain)) as process:
        with as_nobody():
            capability = MemoryEngine(process.pid).probe(Target(pid=process.pid))
        assert not capability.usable
        assert "not yours" in capability.reason
        assert "sudo" in capability.remedy


def test_a_process_that_is_not_go_is_refused() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        capability = MemoryEngine(process.pid).probe(Target(pid=process.pid))
        process.kill()
    assert not capability.usable
    assert "not built by the Go toolchain" in capability.reason


def test_goroutines_of_a_group_are_counted_once(go_toolchain: Toolchain) -> None:
    with run_program(build_program("parked", "stripped", go_toolchain), "-n", "1200") as process:
        engine = MemoryEngine(process.pid)
        goroutines, groups = capture(engine)
        engine.close()
    assert [group.count for group in groups[:12]] == [100] * 12
    assert {len(group.stack) for group in groups[:12]} == set(range(2, 14))
    assert len({item.goid for item in goroutines}) == len(goroutines) >= 1200
