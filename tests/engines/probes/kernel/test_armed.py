"""Probes on a real program: every hit counted, everything read as the program says it was."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from leaktui.engines.memory.reader import ProcessMemory
from leaktui.engines.probes.kernel import armed as armed_module
from leaktui.engines.probes.kernel import trial
from leaktui.engines.probes.kernel.armed import Armed, arm
from leaktui.engines.probes.recipe import Hit, Recipe, Register, Site, Text, Word
from leaktui.errors import EngineUnavailable, TargetGone
from tests.command_line import environment
from tests.engines.probes.kernel.conftest import Calls

pytestmark = [pytest.mark.go, pytest.mark.root]

NUMBER = Recipe((Word("number", Register.RAX),))
ALL = Recipe(
    (
        Word("number", Register.RAX),
        Word("length", Register.RCX),
        Word("at", Register.RDI),
        Word("at_number", "at", 16),
        Word("next", "at", 24),
        Word("next_number", "next", 16),
        Word("behind", "next", 24),
        Word("nothing", "behind", 16),
    ),
    (
        Text("name", Register.RBX, None, 16, "length"),
        Text("first", "at", 0, 3),
        Text("second", "next", 0, 300),
        Text("none", "behind", 0, 8),
    ),
    frames=8,
)


@pytest.fixture(params=["linked", "events"])
def linked(request: pytest.FixtureRequest, probes_permitted: None, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Arm with one link, or with an event for each site as on older kernels."""
    wanted = bool(request.param == "linked")
    if wanted and not armed_module.check():
        pytest.skip("this kernel has no links of uprobes")
    monkeypatch.setattr(armed_module, "check", lambda: wanted)
    return wanted


def read_all(armed: Armed, count: int, seconds: float = 20.0) -> list[Hit]:
    """Hits until there are *count* of them, and what else comes then."""
    deadline = time.monotonic() + seconds
    hits: list[Hit] = []
    while len(hits) < count and time.monotonic() < deadline:
        hits += armed.read(0.5)
    return hits + armed.read(0.0)


def byte_at(pid: int, site: Site) -> int:
    memory = ProcessMemory(pid)
    try:
        return memory.read(site.address, 1)[0]
    finally:
        memory.close()


def descriptors() -> int:
    """How many are open, but for those of trials that are over."""
    trial.wait()
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.usefixtures("linked")
def test_each_hit_is_counted_and_read_once(calls: Calls) -> None:
    sites = (calls.entry(NUMBER), *calls.returns(Recipe((Word("result", Register.RAX),))))
    with arm(calls.pid, sites) as armed:
        assert armed.exact
        assert armed.probes == len(sites)
        began = time.monotonic_ns()
        assert calls.call(40, 50) == 2000
        hits = read_all(armed, 4000)
        assert armed.hits() == 4000
        assert sum(armed.hits_by_site()[1:]) == armed.hits_by_site()[0] == 2000
        assert armed.dropped() == 0
    entered = Counter(hit.words[0] for hit in hits if hit.site is sites[0])
    assert entered == Counter(range(1, 2001))
    # The result: twice the number, the name's length, and 1 for the odd number in the chain.
    returned = Counter(hit.words[0] for hit in hits if hit.site is not sites[0])
    assert returned == Counter(2 * number + len("called") + 1 for number in range(1, 2001))
    assert all(began < hit.time_ns < time.monotonic_ns() for hit in hits)
    for tid in {hit.tid for hit in hits}:
        times = [hit.time_ns for hit in hits if hit.tid == tid]
        assert times == sorted(times)


@pytest.mark.usefixtures("linked")
def test_threads_born_later_are_seen(calls: Calls) -> None:
    with arm(calls.pid, [calls.entry(NUMBER)]) as armed:
        calls.process.ask("threads 12 100", "called")
        hits = read_all(armed, 1200)
    assert Counter(hit.words[0] for hit in hits) == Counter(range(1, 1201))
    assert len({hit.tid for hit in hits}) > 2


def test_words_and_texts_are_what_the_program_has(calls: Calls) -> None:
    with arm(calls.pid, [calls.entry(ALL)]) as armed:
        calls.call(1, 1)
        (hit,) = read_all(armed, 1)
    number, length, at, at_number, following, next_number, behind, nothing = hit.words
    assert (number, length, at, at_number) == (1, len("called"), calls.chain, 11)
    assert (next_number, behind, nothing) == (12, 0, 0)
    assert following > 4096
    long = bytes(ord("a") + index % 26 for index in range(100))
    assert hit.texts == (b"called", b"fir", long, b"")


def test_what_cannot_be_read_is_nothing(calls: Calls) -> None:
    with arm(calls.pid, [calls.entry(ALL)]) as armed:
        calls.process.ask("wrong", "called")
        (hit,) = read_all(armed, 1)
    assert hit.words == (7, 16, 0x10_0000_0000, 0, 0, 0, 0, 0)
    assert hit.texts == (b"", b"", b"", b"")


def test_what_was_in_the_ring_before_does_not_show(calls: Calls) -> None:
    with arm(calls.pid, [calls.entry(ALL)], ring_bytes=4096) as armed:
        for _ in range(20):  # a record is some 500 bytes: round and round
            calls.call(1, 5)
            assert all(hit.frames and hit.whole for hit in read_all(armed, 5))
        for _ in range(20):
            calls.process.ask("wrong", "called")
            (hit,) = read_all(armed, 1)
            assert hit.words == (7, 16, 0x10_0000_0000, 0, 0, 0, 0, 0)
            assert hit.texts == (b"", b"", b"", b"")
            assert len(hit.frames) == 3
    with arm(calls.pid, [calls.entry(ALL), *calls.returns()], ring_bytes=4096) as armed:
        for _ in range(20):
            calls.call(1, 4)
            hits = read_all(armed, 8)
            assert len(hits) == 8
            assert all(hit.frames == () for hit in hits if hit.site.event == "returned")


@pytest.mark.usefixtures("linked")
def test_each_of_many_sites_is_told_from_the_others(calls: Calls) -> None:
    here = Word("here", Register.RIP)
    recipes = [Recipe((here,)), Recipe((here, Word("a", Register.RAX))), Recipe((here,), frames=3)]
    sites = [*calls.entries(recipes, 60), *calls.returns(recipes[0])]
    with arm(calls.pid, sites) as armed:
        calls.process.ask("deep 5", "callers")
        calls.call(2, 10)
        armed.disable()  # what prints the answer goes on after it
        hits = read_all(armed, armed.hits())
        counted = armed.hits_by_site()
        assert armed.dropped() == 0
    by_function = Counter(
        {site.function: count for site, count in zip(sites, counted, strict=True) if site.byte == 0x55}
    )
    assert (by_function["main.deep"], by_function["main.probed"], by_function["main.timed"]) == (6, 21, 0)
    assert len([count for count in counted if count]) > 5  # those that print the answer
    assert all(hit.words[0] == hit.site.address for hit in hits)
    seen = Counter(hit.site for hit in hits)
    assert tuple(seen[site] for site in sites) == counted


@pytest.mark.usefixtures("linked")
@pytest.mark.parametrize("limit", [1, 20, 64])
@pytest.mark.parametrize("depth", [0, 17, 61])
def test_frames_are_those_of_runtime_callers(calls: Calls, limit: int, depth: int) -> None:
    recipe = Recipe(frames=limit)
    with arm(calls.pid, [calls.entry(recipe), *calls.returns(recipe)]) as armed:
        # The first is where `probed` itself calls runtime.Callers.
        truth = tuple(calls.process.ask(f"deep {depth}", "callers"))[1:]
        hits = read_all(armed, 2)
    assert len(truth) == depth + 3  # `deep`, again `depth` times, the goroutine's function, goexit
    for hit in hits:
        assert hit.frames == truth[:limit]
        assert hit.whole == (len(truth) <= limit)
    assert len(hits) == 2


@pytest.mark.usefixtures("linked")
def test_what_is_too_small_is_counted_but_not_recorded(calls: Calls) -> None:
    far = Recipe(
        (*NUMBER.words, Word("at", Register.RDI), Word("next", "at", 24)), only_if="number", at_least=91
    )
    with arm(calls.pid, [calls.entry(far)]) as armed:
        calls.call(10, 10)
        hits = read_all(armed, 10)
        assert armed.hits() == 100
        assert armed.dropped() == 0
    assert sorted(hit.words[0] for hit in hits) == list(range(91, 101))
    assert all(hit.words[1] == calls.chain and hit.words[2] > 4096 for hit in hits)


@pytest.mark.usefixtures("linked")
def test_what_finds_no_room_is_counted(calls: Calls) -> None:
    with arm(calls.pid, [calls.entry(Recipe(frames=48))], ring_bytes=4096) as armed:
        calls.call(4, 500)
        hits = read_all(armed, 1)
        assert armed.hits() == 2000
        assert 0 < len(hits) < 20
        assert len(hits) + armed.dropped() == 2000
        # Room again.
        calls.call(1, 1)
        assert len(read_all(armed, 1)) == 1


@pytest.mark.usefixtures("linked")
def test_taken_out_nothing_is_left(calls: Calls) -> None:
    before = descriptors()
    sites = [calls.entry(NUMBER), *calls.returns()]
    armed = arm(calls.pid, sites)
    assert [byte_at(calls.pid, site) for site in sites] == [0xCC] * len(sites)
    calls.call(2, 10)
    armed.disable()
    assert armed.probes == 0
    assert [byte_at(calls.pid, site) for site in sites] == [site.byte for site in sites]
    calls.call(2, 10)
    assert len(read_all(armed, 40)) == 40  # those from before
    armed.disable()
    for _ in range(2):
        armed.close()
        assert armed.hits() == 40
        assert armed.hits_by_site()[0] == 20
        assert armed.read(1.0) == []
    assert armed.dropped() == 0
    assert descriptors() == before


def test_close_ends_a_read_that_waits(calls: Calls) -> None:
    armed = arm(calls.pid, [calls.entry(NUMBER)])
    reader = threading.Thread(target=armed.read, args=(60.0,))
    reader.start()
    armed.close()
    reader.join(20)
    assert not reader.is_alive()


@pytest.mark.usefixtures("linked")
def test_two_may_watch_the_same_place(calls: Calls) -> None:
    with arm(calls.pid, [calls.entry(NUMBER)]) as first:
        with arm(calls.pid, [calls.entry(NUMBER)]) as second:
            calls.call(1, 5)
            assert len(read_all(second, 5)) == 5
        calls.call(1, 5)
        assert len(read_all(first, 10)) == 10
        assert second.hits() == 5
    with arm(calls.pid, [calls.entry(NUMBER)]):
        pass


def test_another_byte_in_the_file_is_refused(calls: Calls) -> None:
    before = descriptors()
    entry = calls.entry()
    wrong = [replace(entry, byte=0xC3), replace(entry, file_offset=entry.file_offset + 1)]
    for site in (*wrong, replace(entry, file_offset=1 << 40)):
        with pytest.raises(EngineUnavailable, match=r"in the executable at function main\.probed"):
            arm(calls.pid, [*calls.returns(), site])
    assert descriptors() == before


def test_another_byte_in_memory_is_refused(calls: Calls) -> None:
    entry = calls.entry()
    with pytest.raises(EngineUnavailable, match=r"unexpected byte 0x.. in memory at function main\.probed"):
        arm(calls.pid, [replace(entry, address=entry.address + 1)])
    with pytest.raises(EngineUnavailable, match="no memory at"):
        arm(calls.pid, [replace(entry, address=4096)])


def test_all_or_none(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last of three is put into the file but is nowhere in the process: none stays."""
    before = descriptors()
    monkeypatch.setattr(armed_module, "check", lambda: False)
    sites = [calls.entry(), *calls.returns()]
    monkeypatch.setattr("leaktui.engines.probes.kernel.site_proof.BREAKPOINT", 0x90)
    with pytest.raises(EngineUnavailable, match="did not put it into process"):
        arm(calls.pid, sites)
    assert [byte_at(calls.pid, site) for site in sites] == [site.byte for site in sites]
    assert descriptors() == before
    monkeypatch.undo()
    with arm(calls.pid, sites) as armed:
        assert armed.probes == len(sites)


def test_no_sites_and_too_many(calls: Calls) -> None:
    with pytest.raises(EngineUnavailable, match="0 places to probe"):
        arm(calls.pid, [])
    with pytest.raises(EngineUnavailable, match="257 places to probe"):
        arm(calls.pid, [calls.entry()] * 257)


def test_a_process_that_is_gone(calls: Calls) -> None:
    gone = subprocess.Popen(["/bin/true"])
    gone.wait()
    with pytest.raises(TargetGone):
        arm(gone.pid, [calls.entry()])


# --- other processes ---

_TRACE = """
import ctypes, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)
assert libc.ptrace(0x4206, int(sys.argv[1]), None, None) == 0, ctypes.get_errno()  # PTRACE_SEIZE
print("ready", flush=True)
sys.stdin.read()
"""

_ARM = """
import sys
from leaktui.engines.probes.kernel.armed import arm
from leaktui.engines.probes.recipe import Recipe, Site
pid, address, offset, byte = map(int, sys.argv[1:])
armed = arm(pid, [Site("entered", "main.probed", address, offset, byte, Recipe(frames=20))])
print("ready", flush=True)
while True:
    armed.read(0.1)
"""


@contextmanager
def python(program: str, *arguments: int) -> Iterator[subprocess.Popen[str]]:
    """Another Python that runs *program*, once it is ready."""
    process = subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def test_a_traced_process_is_refused(calls: Calls) -> None:
    with python(_TRACE, calls.pid) as tracer:
        with pytest.raises(EngineUnavailable, match=rf"is traced by process {tracer.pid} \(python"):
            arm(calls.pid, [calls.entry()])
        # It ends on its own, so that it lets go of the program as a debugger would.
        assert tracer.stdin is not None
        tracer.stdin.close()
        tracer.wait()
    with arm(calls.pid, [calls.entry(NUMBER)]) as armed:
        calls.call(1, 3)
        assert len(read_all(armed, 3)) == 3


def test_a_breakpoint_of_somebody_else_is_refused(calls: Calls) -> None:
    site = calls.entry()
    with arm(calls.pid, [site]):
        pass
    with python(_ARM, calls.pid, site.address, site.file_offset, site.byte):
        with pytest.raises(EngineUnavailable, match="there is a breakpoint at function") as caught:
            arm(calls.pid, [site])
        assert caught.value.remedy


def test_killed_nothing_of_ours_is_left_and_the_program_lives(calls: Calls) -> None:
    site = calls.entry()
    done = threading.Event()

    def work() -> None:
        while not done.is_set():
            assert calls.call(4, 2000) == 8000

    worker = threading.Thread(target=work)
    worker.start()
    try:
        for _ in range(5):
            with python(_ARM, calls.pid, site.address, site.file_offset, site.byte) as other:
                assert byte_at(calls.pid, site) == 0xCC
                other.send_signal(signal.SIGKILL)
                other.wait()
            deadline = time.monotonic() + 20
            while byte_at(calls.pid, site) != site.byte and time.monotonic() < deadline:
                time.sleep(0.01)
            assert byte_at(calls.pid, site) == site.byte
    finally:
        done.set()
        worker.join(60)
    assert not worker.is_alive()
