"""Goroutines that move while they are read, and memory that is not what it claims: never a guess, never a loop."""

from __future__ import annotations

import random
import struct
import threading
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leaktui.engines.memory.allgs import find_allgs, read_allgs
from leaktui.engines.memory.goroutines import STACK_LIMIT, Seen, Tally
from leaktui.engines.memory.reader import FakeMemory, Unreadable
from leaktui.engines.memory.unwind import DEPTH_LIMIT, End, Unwinder
from leaktui.errors import DecodeError, EngineUnavailable
from tests.engines.memory.attached import Altered
from tests.engines.memory.go_programs import build_program, run_program
from tests.engines.memory.recording import Recording, record
from tests.go_toolchain import Toolchain

pytestmark = pytest.mark.go

FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def recording(go_toolchain: Toolchain) -> Iterator[Recording]:
    path = build_program("variety", "stripped", go_toolchain)
    with run_program(path) as process:
        taken = record(process.pid, path)
    yield taken
    taken.executable.close()


@pytest.fixture
def parked(recording: Recording) -> Seen:
    """A goroutine deep in a recursion, parked, its stack read to the end."""
    whole = [seen for seen in recording.seen.values() if seen.trace.end is End.TOP]
    return max(whole, key=lambda seen: len(seen.trace.stack))


def test_a_replay_gives_the_same_goroutines(recording: Recording) -> None:
    seen, tally = recording.read(recording.memory())
    assert seen == recording.seen
    assert tally.torn == tally.retried == 0
    assert tally.parked > 30


def move(recording: Recording, parked: Seen, times: int) -> Altered:
    """Memory in which *parked* has another stack pointer the first *times* its g is read for the second time."""
    address = recording.address_of(parked)
    old, new = struct.pack("<Q", parked.state.sp), struct.pack("<Q", parked.state.sp + 64)
    looks = 0

    def alter(start: int, data: bytes) -> bytes:
        nonlocal looks
        place = address - start
        if 0 <= place < len(data) and old in data[place : place + recording.layout.g.size]:
            looks += 1
            if looks % 2 == 0 and looks <= 2 * times:
                end = place + recording.layout.g.size
                return data[:place] + data[place:end].replace(old, new) + data[end:]
        return data

    return Altered(recording.memory(), alter)


def test_a_goroutine_that_moved_is_read_again(recording: Recording, parked: Seen) -> None:
    seen, tally = recording.read(move(recording, parked, times=2))
    assert seen == recording.seen
    assert (tally.retried, tally.torn) == (1, 0)


def test_one_that_never_holds_still_is_counted_and_its_stack_not_guessed(
    recording: Recording, parked: Seen
) -> None:
    memory = move(recording, parked, times=1000)
    seen, tally = recording.read(memory)
    assert tally.torn == 1
    moving = seen.pop(parked.state.goid)
    assert moving.trace.end is End.TORN
    assert moving.trace.stack == ()
    reader = recording.reader(memory)
    shown = reader.goroutine(moving, now=0)
    assert len(shown.stack) == 1
    assert shown.stack[0].function.startswith("main.main.gowrap")
    assert shown.elided == -1
    assert seen == {goid: one for goid, one in recording.seen.items() if goid != parked.state.goid}


def test_a_stack_whose_return_addresses_are_overwritten_is_torn(recording: Recording, parked: Seen) -> None:
    def alter(start: int, data: bytes) -> bytes:
        return data[:-200] + bytes(200) if start == parked.state.sp else data

    seen, tally = recording.read(Altered(recording.memory(), alter))
    assert seen[parked.state.goid].trace.end is End.TORN
    assert tally.torn == 1


def test_a_whole_stack_of_another_goroutine_is_not_believed(recording: Recording) -> None:
    """The chain ends as it should, but not at the function this goroutine was started with."""
    by_entry = {seen.state.start_pc: seen for seen in recording.seen.values() if seen.trace.end is End.TOP}
    one, other = list(by_entry.values())[:2]
    address = recording.address_of(one)
    raw = recording.memory().read(address, recording.layout.g.size)
    for ours, theirs in zip(one.state[:4], other.state[:4], strict=True):
        raw = raw.replace(struct.pack("<Q", ours), struct.pack("<Q", theirs))

    def alter(start: int, data: bytes) -> bytes:
        place = address - start
        return data[:place] + raw + data[place + len(raw) :] if 0 <= place < len(data) else data

    seen, _ = recording.read(Altered(recording.memory(), alter))
    assert seen[one.state.goid].trace.end is End.TORN


@FEW
@given(seed=st.integers(0, 1 << 32), share=st.sampled_from([1, 8, 64, 1024]))
def test_damaged_memory_never_crashes_or_loops(recording: Recording, seed: int, share: int) -> None:
    """Words of whatever is read turn into others: small, large, code addresses, stack addresses."""
    randomness = random.Random(seed)
    interesting = [
        0,
        8,
        1 << 63,
        (1 << 64) - 1,
        recording.layout.data[0],
        recording.executable.pc_lines.text_start + randomness.randrange(1 << 20),
        *(seen.state.sp for seen in recording.seen.values()),
    ]

    def alter(start: int, data: bytes) -> bytes:
        if start == recording.allgs:
            return data
        damaged = bytearray(data)
        for _ in range(len(data) // 8 // share):
            place = randomness.randrange(len(data) // 8) * 8
            struct.pack_into("<Q", damaged, place, randomness.choice(interesting))
        return bytes(damaged)

    memory = Altered(recording.memory(), alter)
    reader = recording.reader(memory)
    tally = Tally()
    for seen in reader.iter_seen(tally, threading.Event()):
        goroutine = reader.goroutine(seen, now=1 << 62)
        assert goroutine.wait_reason


@FEW
@given(data=st.binary(max_size=4096), pc=st.integers(0, 1 << 64))
def test_random_stacks_end(recording: Recording, data: bytes, pc: int) -> None:
    unwinder = Unwinder(recording.executable, recording.layout.bias)
    assert unwinder.unwind(pc, data).end is End.TORN
    text = recording.executable.pc_lines.text_start
    for number in range(50):
        unwinder.unwind(text + pc * number % (1 << 21), data)


def test_a_known_shape_gives_what_a_walk_gives(recording: Recording) -> None:
    memory = recording.memory()
    warm = Unwinder(recording.executable, recording.layout.bias)
    for _ in range(2):
        for seen in recording.seen.values():
            if seen.state.syscall_sp:
                continue
            size = seen.state.high - seen.state.sp
            data = memory.read(seen.state.sp, min(size, STACK_LIMIT))
            cold = Unwinder(recording.executable, recording.layout.bias)
            for unwinder in (warm, cold):
                assert unwinder.unwind(seen.state.pc, data, whole=size <= STACK_LIMIT) == seen.trace


def test_a_stack_deeper_than_we_read_is_cut_and_says_so(recording: Recording) -> None:
    cut = [seen for seen in recording.seen.values() if seen.trace.end is End.CUT]
    assert len(cut) == 2
    reader = recording.reader(recording.memory())
    for seen in cut:
        assert 100 < len(seen.trace.stack) <= DEPTH_LIMIT
        assert reader.goroutine(seen, now=0).elided == -1


def test_waits_are_whole_minutes_and_unknown_under_one(recording: Recording) -> None:
    reader = recording.reader(recording.memory())
    waiting = [seen for seen in recording.seen.values() if seen.state.since and seen.trace.end is End.TOP]
    assert waiting  # since the last collection
    minute = 60_000_000_000
    for seen in waiting:
        since = seen.state.since
        found = [reader.wait_minutes(seen, since + ns) for ns in (-minute, 0, minute - 1, minute, 7 * minute)]
        expected = [None, None, None, 1, 7] if seen.state.status in (3, 4) else [None] * 5
        assert found == expected
    never = waiting[0]._replace(state=waiting[0].state._replace(since=0))
    assert reader.wait_minutes(never, 1 << 62) is None


def test_a_list_that_makes_no_sense_is_an_error() -> None:
    for header in ((0, 1, 1), (64, 2, 1), (64, 1 << 60, 1 << 61)):
        with pytest.raises(DecodeError):
            read_allgs(FakeMemory({4096: struct.pack("<QQQ", *header)}), 4096)


def test_a_list_that_always_moves_is_an_error() -> None:
    class Moving:
        def __init__(self) -> None:
            self.number = 0

        def read(self, address: int, size: int) -> bytes:
            self.number += 8
            return struct.pack("<QQQ", 4096 + self.number, 1, 1)[:size]

    with pytest.raises(DecodeError, match="moved"):
        read_allgs(Moving(), 4096)


def test_the_list_is_found_by_looking_where_the_code_does_not_tell(
    recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without allgadd: the slice of goroutines among all of the runtime's variables."""
    start, end = recording.layout.data
    around = recording.allgs - 4096
    window = bytearray(min(8192, end - around))
    struct.pack_into(
        "<QQQ", window, 4096, *struct.unpack("<QQQ", recording.memory().read(recording.allgs, 24))
    )
    struct.pack_into("<QQQ", window, 512, end + 4096, 5000, 5000)  # a longer slice, of nothing

    class Variables(FakeMemory):
        def read(self, address: int, size: int) -> bytes:
            if start <= address < end:
                data = bytearray(size)
                first, last = max(address, around), min(address + size, around + len(window))
                data[first - address : last - address] = window[first - around : last - around]
                return bytes(data)
            return super().read(address, size)

    monkeypatch.setattr(recording.executable, "find_function", lambda name: None)
    memory = Variables(recording.regions)
    assert find_allgs(recording.executable, memory, recording.layout) == recording.allgs
    monkeypatch.undo()


def test_no_list_is_said_to_be_missing(recording: Recording) -> None:
    class Empty:
        def read(self, address: int, size: int) -> bytes:
            raise Unreadable("nothing here")

    with pytest.raises(EngineUnavailable, match="allgs"):
        find_allgs(recording.executable, Empty(), recording.layout)
