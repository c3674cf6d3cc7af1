"""What parked goroutines wait on, beside what the program says of its own channels and locks."""

from __future__ import annotations

import random
import struct
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

import pytest

from leaktui.engines.memory.attachment import Attachment, attach
from leaktui.engines.memory.goroutines import Seen, Tally
from leaktui.engines.memory.reader import ProcessMemory
from leaktui.engines.memory.waits import WaitReader
from leaktui.model.wait import Wait
from tests.engines.memory.go_programs import build_program, run_program
from tests.go_toolchain import Toolchain

pytestmark = pytest.mark.go

OBJECT = 64
"""Bytes of a Mutex, RWMutex, WaitGroup or Cond: the word a goroutine is parked on is in there."""


def seen_by_function(attachment: Attachment) -> dict[str, list[Seen]]:
    """The goroutines by the function of the program they are in."""
    found: dict[str, list[Seen]] = {}
    for seen in attachment.goroutines.iter_seen(Tally(), threading.Event()):
        ours = [frame.function for frame in seen.trace.stack if frame.function.startswith("main.")]
        if ours:
            found.setdefault(ours[0].removeprefix("main."), []).append(seen)
    return found


@pytest.fixture(scope="module")
def waits(go_toolchain: Toolchain) -> Iterator[tuple[Attachment, dict[str, int]]]:
    with run_program(build_program("waits", "stripped", go_toolchain)) as process:
        attachment = attach(process.pid, threading.Event())
        yield attachment, addresses(process.ready)
        attachment.close()


def addresses(ready: dict[str, Any]) -> dict[str, int]:
    return {name: int(text, 16) for name, text in ready["facts"].items()}


@pytest.mark.parametrize("flavour", ["stripped", "pie-stripped"])
def test_waits_are_what_the_program_made_them(matrix_toolchain: Toolchain, flavour: str) -> None:
    with run_program(build_program("waits", flavour, matrix_toolchain)) as process:
        attachment = attach(process.pid, threading.Event())
        reader = WaitReader(attachment)
        known = addresses(process.ready)
        functions = seen_by_function(attachment)
        goids = {name: [seen.state.goid for seen in many] for name, many in functions.items()}
        read = {name: [reader.read(seen) for seen in many] for name, many in functions.items()}
        attachment.close()

    for wait in read["describedReceive"]:
        (channel,) = wait.channels
        assert channel.address == known["describedReceive"]
        assert (channel.sends, channel.type_name) == (False, "*main.payload")
        assert (channel.queued, channel.capacity, channel.closed) == (0, 3, False)
        assert channel.waiting == 4  # three of these, and the select
        assert sorted(channel.receivers) == sorted(goids["describedReceive"] + goids["describedSelect"])
        assert channel.senders == ()
    (wait,) = read["describedSend"]
    (channel,) = wait.channels
    assert (channel.address, channel.sends) == (known["describedSend"], True)
    assert (channel.type_name, channel.queued, channel.capacity) == ("main.payload", 2, 2)
    assert (list(channel.senders), channel.receivers) == (goids["describedSend"], ())
    (wait,) = read["describedSelect"]
    cases = {(channel.type_name, channel.sends) for channel in wait.channels}
    assert cases == {("int", True), ("[]string", False), ("*main.payload", False)}

    for name, count in {
        "describedMutexLock": 2,
        "describedRLock": 1,
        "describedGroupWait": 1,
        "describedCondWait": 4,
        "describedEmbeddedCond": 1,
    }.items():
        assert len(read[name]) == count
        for wait in read[name]:
            assert wait.channels == ()
            assert 0 <= wait.semaphore - known[name] < OBJECT, name
    # A Cond's waiters are on one list, behind its lock.
    assert {wait.semaphore - known["describedCondWait"] for wait in read["describedCondWait"]} == {16}


def test_every_wait_on_a_channel_or_a_lock_is_read(waits: tuple[Attachment, dict[str, int]]) -> None:
    attachment, _ = waits
    reader = WaitReader(attachment)
    empty = []
    for seen in attachment.goroutines.iter_seen(Tally(), threading.Event()):
        reason = attachment.goroutines.wait_reason(seen)
        wait = reader.read(seen)
        on_channel = reason in ("chan receive", "chan send", "select")
        on_lock = reason.startswith("sync.") or reason == "semacquire"
        assert bool(wait.semaphore) == on_lock, (reason, seen.trace.stack)
        if on_channel and not wait.channels:
            empty.append(seen)  # liveTicker: it may have been woken in between
        if not on_channel:
            assert wait.channels == ()
    assert len(empty) <= 1


def test_one_that_waits_for_nothing_has_nothing(waits: tuple[Attachment, dict[str, int]]) -> None:
    attachment, _ = waits
    functions = seen_by_function(attachment)
    reader = WaitReader(attachment)
    for name in ("leakedNilReceive", "leakedNilSend", "leakedEmptySelect"):
        (seen,) = functions[name]
        assert reader.read(seen) == Wait()


def test_one_that_moved_on_has_nothing(waits: tuple[Attachment, dict[str, int]]) -> None:
    attachment, _ = waits
    (seen,) = seen_by_function(attachment)["describedSend"]
    moved = seen._replace(state=seen.state._replace(sp=seen.state.sp - 64))
    assert WaitReader(attachment).read(moved) == Wait()


def test_another_goroutines_sudog_is_not_believed(waits: tuple[Attachment, dict[str, int]]) -> None:
    attachment, _ = waits
    functions = seen_by_function(attachment)
    (one,), (other,) = functions["describedSend"], functions["describedGroupWait"]

    class Swapped:
        """The g of the first names the sudog of another."""

        def read(self, address: int, size: int) -> bytes:
            data = attachment.memory.read(address, size)
            if address == one.address:
                return data.replace(struct.pack("<Q", one.state.waiting), struct.pack("<Q", stolen))
            return data

    (stolen,) = {seen.state.waiting for seen in functions["describedSelect"]}
    altered = replace(attachment, memory=cast(ProcessMemory, Swapped()))
    taken = one._replace(state=one.state._replace(waiting=stolen))
    assert WaitReader(altered).read(taken) == Wait()
    assert WaitReader(attachment).read(one) != Wait()
    assert WaitReader(attachment).read(other) != Wait()


@pytest.mark.parametrize("seed", range(12))
def test_damaged_queues_never_crash_or_loop(waits: tuple[Attachment, dict[str, int]], seed: int) -> None:
    attachment, _ = waits
    randomness = random.Random(seed)
    every = list(attachment.goroutines.iter_seen(Tally(), threading.Event()))
    interesting = [0, 8, 1 << 63, *(seen.state.waiting for seen in every), *(seen.address for seen in every)]

    class Damaged:
        def read(self, address: int, size: int) -> bytes:
            data = bytearray(attachment.memory.read(address, size))
            for _ in range(len(data) // 8 // 8 + 1):
                if len(data) >= 8 and randomness.random() < 0.5:
                    place = randomness.randrange(len(data) // 8) * 8
                    struct.pack_into("<Q", data, place, randomness.choice(interesting))
            return bytes(data)

    damaged = replace(attachment, memory=cast(ProcessMemory, Damaged()))
    reader = WaitReader(attachment)
    reader._memory = damaged.memory
    reader._semaphores._memory = damaged.memory
    for seen in every:
        wait = reader.read(seen)
        assert all(channel.queued <= channel.capacity for channel in wait.channels)
