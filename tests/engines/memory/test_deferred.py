"""Deferred calls and panics as the source of the program that has them is marked."""

from __future__ import annotations

import re
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, cast

import pytest

from leaktui.engines.memory.attachment import Attachment, attach
from leaktui.engines.memory.deferred import DeferReader
from leaktui.engines.memory.goroutines import GoroutineReader, Seen, Tally
from leaktui.engines.memory.reader import ProcessMemory
from leaktui.model.wait import DeferredCall, Panic
from tests.engines.memory.attached import Altered
from tests.engines.memory.go_programs import PROGRAMS, build_program, run_program
from tests.go_toolchain import Toolchain

pytestmark = pytest.mark.go

_SOURCES = PROGRAMS / "defers"
_GOROUTINE = re.compile(r"goroutine (\w+)$")
_PENDING = re.compile(r"// pending (\d+) (\S+)(.*)")
_PANICS = re.compile(r"// panics (\d+) (\S+) (.*)")


class Pending(NamedTuple):
    """A deferred call as the source is marked; `line` is 0 where it cannot be known."""

    function: str
    file: str
    line: int
    open_coded: bool


@contextmanager
def attached(path: Path) -> Iterator[tuple[Attachment, dict[str, Seen]]]:
    """The program, once all it starts is parked: its goroutines by the functions on their stacks."""
    with run_program(path) as process:
        deadline = time.monotonic() + 10
        while True:
            attachment = attach(process.pid, threading.Event())
            seen = list(attachment.goroutines.iter_seen(Tally(), threading.Event()))
            named = {
                frame.function.removeprefix("main."): item
                for item in seen
                for frame in item.trace.stack
                if frame.function.startswith("main.")
            }
            if all(attachment.goroutines.wait_reason(item) != "runnable" for item in seen):
                break
            attachment.close()
            assert time.monotonic() < deadline
        try:
            yield attachment, named
        finally:
            attachment.close()


def expected(release: tuple[int, int]) -> tuple[dict[str, list[Pending]], dict[str, list[Panic]]]:
    """What the source is marked with, by goroutine."""
    pending: dict[str, dict[int, list[Pending]]] = {}
    panics: dict[str, dict[int, Panic]] = {}
    for name in ("main.go", "rangefunc.go") if release >= (1, 23) else ("main.go",):
        goroutine = ""
        for number, line in enumerate((_SOURCES / name).read_text().splitlines(), 1):
            if match := _GOROUTINE.search(line):
                goroutine = match[1]
                pending[goroutine], panics[goroutine] = {}, {}
            if match := _PENDING.search(line):
                words = match[3].split()
                times = next((int(word[1:]) for word in words if word.startswith("x")), 1)
                at = 0 if "unplaced" in words else number
                pending[goroutine][int(match[1])] = [
                    Pending(match[2], name, at, "record" not in words)
                ] * times
            if match := _PANICS.search(line):
                text = match[3].strip()
                recovered = text.endswith(" recovered")
                panics[goroutine][int(match[1])] = Panic(text.removesuffix(" recovered"), match[2], recovered)
    return (
        {
            name: [call for _, calls in sorted(all_calls.items()) for call in calls]
            for name, all_calls in pending.items()
        },
        {name: [panic for _, panic in sorted(found.items())] for name, found in panics.items()},
    )


def as_marked(call: DeferredCall) -> Pending:
    """*call* in the words of the marks."""
    statement = call.deferred_by
    assert statement is not None
    return Pending(call.function.function, Path(statement.file).name, statement.line, call.open_coded)


@pytest.mark.parametrize("flavour", ["plain", "stripped", "pie-stripped"])
def test_pending_calls_and_panics_are_as_the_source_says(matrix_toolchain: Toolchain, flavour: str) -> None:
    pending, panics = expected(matrix_toolchain.release)
    del pending["spins"]
    assert len(pending) >= 17
    with attached(build_program("defers", flavour, matrix_toolchain)) as (attachment, named):
        reader = DeferReader(attachment)
        for goroutine, calls in pending.items():
            assert [as_marked(call) for call in reader.deferred(named[goroutine])] == calls, goroutine
            assert list(reader.panics(named[goroutine])) == panics[goroutine], goroutine
        assert reader.torn == 0


def test_one_that_was_interrupted_has_its_open_coded_calls(matrix_toolchain: Toolchain) -> None:
    expected_calls = expected(matrix_toolchain.release)[0]["spins"]
    with run_program(build_program("defers", "stripped", matrix_toolchain), "spin") as process:
        attachment = attach(process.pid, threading.Event())
        reader = DeferReader(attachment)
        deadline = time.monotonic() + 30
        told = 0
        while told < 20:
            assert time.monotonic() < deadline
            for seen in attachment.goroutines.iter_seen(Tally(), threading.Event()):
                if any(frame.function == "main.spins" for frame in seen.trace.stack) and len(
                    seen.trace.stack
                ):
                    calls = reader.deferred(seen)  # it may have gone on meanwhile
                    if calls:
                        assert [as_marked(call) for call in calls] == expected_calls
                        told += 1
        attachment.close()


def alter(attachment: Attachment, change: Callable[[int, bytes], bytes]) -> DeferReader:
    """A reader of the process as *change* has its memory."""
    memory = Altered(attachment.memory, change)
    reader = GoroutineReader(memory, attachment.layout, attachment.unwinder, attachment.allgs)
    return DeferReader(replace(attachment, memory=cast(ProcessMemory, memory), goroutines=reader))


@pytest.fixture(scope="module")
def waiting(go_toolchain: Toolchain) -> Iterator[tuple[Attachment, dict[str, Seen]]]:
    with attached(build_program("defers", "stripped", go_toolchain)) as found:
        yield found


def word(place: int, value: int) -> Callable[[int, bytes], bytes]:
    """Memory that has *value* at *place*."""

    def change(address: int, data: bytes) -> bytes:
        offset = place - address
        if 0 <= offset <= len(data) - 8:
            return data[:offset] + struct.pack("<Q", value) + data[offset + 8 :]
        return data

    return change


@pytest.mark.parametrize("field", ["sp", "pc", "fn", "link"])
@pytest.mark.parametrize("value", [1, 8, 0xC000000000, (1 << 63) - 8, (1 << 64) - 8])
def test_a_record_that_makes_no_sense_is_not_told(
    waiting: tuple[Attachment, dict[str, Seen]], field: str, value: int
) -> None:
    attachment, named = waiting
    layout = attachment.layout.types.find_struct("runtime._defer", "runtime")
    assert layout is not None
    seen = named["nine"]
    reader = alter(attachment, word(seen.state.deferred + layout.fields[field].offset, value))
    assert reader.deferred(seen) == ()
    assert reader.torn == 1


def test_a_chain_that_bites_its_tail_is_not_told(waiting: tuple[Attachment, dict[str, Seen]]) -> None:
    attachment, named = waiting
    layout = attachment.layout.types.find_struct("runtime._defer", "runtime")
    assert layout is not None
    seen = named["nine"]
    reader = alter(attachment, word(seen.state.deferred + layout.fields["link"].offset, seen.state.deferred))
    assert reader.deferred(seen) == ()
    assert reader.torn == 1


@pytest.mark.parametrize("value", [8, 0xC000000000, (1 << 64) - 8])
def test_a_panic_elsewhere_than_on_the_stack_is_not_told(
    waiting: tuple[Attachment, dict[str, Seen]], value: int
) -> None:
    attachment, named = waiting
    layout = attachment.layout.types.find_struct("runtime._panic", "runtime")
    assert layout is not None
    seen = named["panicsTwice"]
    assert len(alter(attachment, lambda address, data: data).panics(seen)) == 2
    reader = alter(attachment, word(seen.state.panicking + layout.fields["link"].offset, value))
    assert reader.panics(seen) == ()
    assert reader.torn == 1


def test_a_panic_with_anything_is_told_by_its_type_or_not_at_all(
    waiting: tuple[Attachment, dict[str, Seen]],
) -> None:
    attachment, named = waiting
    layout = attachment.layout.types.find_struct("runtime._panic", "runtime")
    assert layout is not None
    seen = named["wrappedError"]
    place = seen.state.panicking + layout.fields["arg"].offset
    for data in (0, 8, 0xC000000001, (1 << 64) - 1):
        (panic,) = alter(attachment, word(place + 8, data)).panics(seen)
        assert panic.type_name == "*fmt.wrapError"
        assert panic.value == ("*fmt.wrapError" if data else "nil")
    (panic,) = alter(attachment, word(place, 8)).panics(seen)
    assert panic == Panic("")


def test_open_coded_bits_without_functions_are_not_told(waiting: tuple[Attachment, dict[str, Seen]]) -> None:
    attachment, named = waiting
    seen = named["leaving"]
    stack = attachment.goroutines.read_stack(seen.state)
    assert stack is not None
    told = alter(attachment, lambda address, data: data).deferred(seen)
    assert len(told) == 2
    # All of the frames is set but what the chain of calls rests on.
    chain = attachment.unwinder.chain(stack.pc, stack.data)
    places = {call.offset + call.size for call in chain.calls}
    filled = b"".join(
        stack.data[place : place + 8] if place in places else b"\xff" * 8
        for place in range(0, len(stack.data), 8)
    )
    reader = alter(attachment, lambda address, data: filled if data == stack.data else data)
    assert reader.deferred(seen) == ()
    assert reader.torn == 1


def test_a_goroutine_that_moves_is_not_told(waiting: tuple[Attachment, dict[str, Seen]]) -> None:
    attachment, named = waiting
    seen = named["openCoded"]
    looks = 0

    def move(address: int, data: bytes) -> bytes:
        nonlocal looks
        looks += address == seen.state.sp
        return data[:-8] + struct.pack("<Q", looks) if address == seen.state.sp else data

    reader = alter(attachment, move)
    assert reader.deferred(seen) == ()
    assert reader.torn == 1


def test_one_that_is_another_by_now_has_none(waiting: tuple[Attachment, dict[str, Seen]]) -> None:
    attachment, named = waiting
    seen = named["openCoded"]
    other = seen._replace(state=seen.state._replace(goid=seen.state.goid + 1))
    reader = DeferReader(attachment)
    assert reader.deferred(other) == ()
    assert reader.panics(other) == ()
