"""Probes without BPF, on a real program: registers and chains are those of the hit, memory is read late."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import pytest

from leaktui.engines.probes.kernel.armed import Armed, arm
from leaktui.engines.probes.kernel.cpu_events import CpuEvents
from leaktui.engines.probes.recipe import Hit, Recipe, Register, Word
from leaktui.errors import EngineUnavailable
from tests.engines.probes.kernel.conftest import Calls
from tests.engines.probes.kernel.test_armed import ALL, NUMBER, byte_at, descriptors
from tests.go_target import GoProcess

pytestmark = [pytest.mark.go, pytest.mark.root]


def read_all(armed: Armed, count: int) -> list[Hit]:
    """Hits until there are *count* of them, and what else comes then."""
    deadline = time.monotonic() + 20
    hits: list[Hit] = []
    while len(hits) < count and time.monotonic() < deadline:
        hits += armed.read(0.5)
    return hits + armed.read(0.0)


def test_hits_are_counted_and_in_order(calls: Calls) -> None:
    sites = (calls.entry(NUMBER), *calls.returns(Recipe((Word("result", Register.RAX),))))
    with arm(calls.pid, sites, bpf=False) as armed:
        assert not armed.exact
        assert armed.probes == len(sites)
        began = time.monotonic_ns()
        calls.call(20, 20)
        calls.process.ask("threads 4 50", "called")
        hits = read_all(armed, 1200)
        assert armed.hits() == 1200
        assert armed.hits_by_site()[0] == 600
        assert armed.dropped() == 0
    entered = Counter(hit.words[0] for hit in hits if hit.site is sites[0])
    assert entered == Counter(range(1, 401)) + Counter(range(1, 201))
    times = [hit.time_ns for hit in hits]
    assert times == sorted(times)
    assert began < times[0] and times[-1] < time.monotonic_ns()


def test_words_and_texts(calls: Calls) -> None:
    with arm(calls.pid, [calls.entry(ALL)], bpf=False) as armed:
        calls.call(1, 1)
        calls.process.ask("wrong", "called")
        good, wrong = read_all(armed, 2)
    # The chain the program hands on stays where it is.
    assert good.words[:4] == (1, len("called"), calls.chain, 11)
    assert good.words[5:] == (12, 0, 0)
    assert good.texts == (b"called", b"fir", bytes(ord("a") + index % 26 for index in range(100)), b"")
    assert wrong.words == (7, 16, 0x10_0000_0000, 0, 0, 0, 0, 0)
    assert wrong.texts == (b"", b"", b"", b"")


@pytest.mark.parametrize("limit", [1, 20])
@pytest.mark.parametrize("depth", [0, 61])
def test_frames_are_those_of_runtime_callers(calls: Calls, limit: int, depth: int) -> None:
    recipe = Recipe(frames=limit)
    with arm(calls.pid, [calls.entry(recipe), *calls.returns(recipe)], bpf=False) as armed:
        truth = tuple(calls.process.ask(f"deep {depth}", "callers"))[1:]
        hits = read_all(armed, 2)
    assert len(hits) == 2
    for hit in hits:
        assert hit.frames == truth[:limit]
        assert hit.whole == (len(truth) < limit)


def test_what_is_too_small_is_counted_but_not_given(calls: Calls) -> None:
    with arm(
        calls.pid, [calls.entry(Recipe(NUMBER.words, only_if="number", at_least=8))], bpf=False
    ) as armed:
        calls.call(1, 10)
        assert [hit.words for hit in read_all(armed, 3)] == [(8,), (9,), (10,)]
        assert armed.hits() == 10


def test_what_finds_no_room_is_counted(calls: Calls) -> None:
    with arm(calls.pid, [calls.entry(Recipe(NUMBER.words, frames=20))], ring_bytes=0, bpf=False) as armed:
        calls.call(4, 2000)
        hits = read_all(armed, 100)
        assert armed.dropped() > 0
        assert armed.hits() == len(hits)
        assert armed.hits() + armed.dropped() == 8000


def test_a_buffer_that_goes_round(calls: Calls) -> None:
    site = calls.entry(Recipe(NUMBER.words, frames=20))
    with arm(calls.pid, [site], ring_bytes=0, bpf=False) as armed:
        for _ in range(40):
            calls.call(1, 100)
            assert [hit.words[0] for hit in read_all(armed, 100)] == list(range(1, 101))


def test_another_process_of_the_same_file_is_not_meant(calls: Calls) -> None:
    other = GoProcess([str(Path(f"/proc/{calls.pid}/exe").readlink())])
    try:
        with arm(calls.pid, [calls.entry(NUMBER)], bpf=False) as armed:
            other.ask("call 1 500", "called")
            calls.call(1, 3)
            hits = read_all(armed, 3)
            assert [hit.words for hit in hits] == [(1,), (2,), (3,)]
            assert armed.hits() == 3
    finally:
        other.stop()


def test_taken_out_nothing_is_left(calls: Calls) -> None:
    before = descriptors()
    sites = [calls.entry(NUMBER), *calls.returns()]
    armed = arm(calls.pid, sites, bpf=False)
    calls.call(2, 10)
    armed.disable()
    assert armed.probes == 0
    assert [byte_at(calls.pid, site) for site in sites] == [site.byte for site in sites]
    calls.call(2, 10)
    assert len(read_all(armed, 40)) == 40
    for _ in range(2):
        armed.close()
        assert armed.read(1.0) == []
        assert armed.hits() == 40
    assert descriptors() == before


def test_too_many_for_a_large_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leaktui.engines.probes.kernel.cpu_events._online", lambda: list(range(256)))
    with pytest.raises(EngineUnavailable, match="20 places on 256 CPUs take 5120 probes"):
        CpuEvents("/bin/true", [0] * 20, frames=0, ring_bytes=0)
