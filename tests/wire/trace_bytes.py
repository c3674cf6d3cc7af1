"""Execution traces made by hand, and the recorded ones.

Law: a trace written here goes through the same bytes as a real one: batches, tables, varints.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

from leaktui.wire.trace import events as ev

CAPTURES = Path(__file__).parent.parent / "captures" / "trace"
TICKS_PER_SECOND = 15_625_000  # 64 ns, as on Linux
NO_THREAD = (1 << 64) - 1


def capture_names(suffix: str = "") -> list[str]:
    """Names of the recorded traces, e.g. `go1.27-h1`."""
    return sorted(path.name.removesuffix(".trace.gz") for path in CAPTURES.glob(f"*{suffix}.trace.gz"))


def read_capture(name: str) -> bytes:
    return gzip.decompress((CAPTURES / f"{name}.trace.gz").read_bytes())


def read_truth(name: str) -> dict[str, Any]:
    """What the recorded program and Go's own reader said."""
    truth: dict[str, Any] = json.loads((CAPTURES / f"{name}.json").read_text())
    return truth


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def varints(*values: int) -> bytes:
    return b"".join(map(varint, values))


def header(minor: int = 26) -> bytes:
    return f"go 1.{minor} trace".encode().ljust(16, b"\x00")


def batch(generation: int, thread: int, tick: int, data: bytes) -> bytes:
    return varints(ev.EVENT_BATCH, generation, thread, tick, len(data)) + data


class TraceWriter:
    """One generation after the other; events in the order they are added, one tick apart by default."""

    def __init__(self, minor: int = 26, ticks_per_second: int = TICKS_PER_SECOND) -> None:
        self.minor = minor
        self.ticks_per_second = ticks_per_second
        self.tick = 1000
        self._done = [header(minor)]
        self._generation = 1
        self._begin()

    def _begin(self) -> None:
        self._strings: dict[str, int] = {}
        self._stacks: dict[tuple[str, ...], int] = {}
        self._threads: dict[int, list[tuple[int, bytes]]] = {}

    def string(self, text: str) -> int:
        return self._strings.setdefault(text, len(self._strings) + 1) if text else 0

    def stack(self, *functions: str) -> int:
        """A stack of these functions, innermost first; `f:12` gives the line."""
        return self._stacks.setdefault(functions, len(self._stacks) + 1) if functions else 0

    def add(self, kind: int, *arguments: int, thread: int = 1, tick: int | None = None) -> None:
        """One event; *arguments* without the time delta."""
        self.tick = tick if tick is not None else self.tick + 1
        events = self._threads.setdefault(thread, [])
        before = events[-1][0] if events else self.tick - 1
        events.append((self.tick, varints(kind, self.tick - before, *arguments)))

    # What a goroutine does, each on a thread of its own.

    def status(self, goid: int, status: int = ev.RUNNING, *stack: str, thread: int = 0) -> None:
        if stack:
            arguments = (goid, thread or goid, status, self.stack(*stack))
            self.add(ev.GO_STATUS_STACK, *arguments, thread=thread or goid)
        else:
            self.add(ev.GO_STATUS, goid, thread or goid, status, thread=thread or goid)

    def run(self, goid: int) -> None:
        self.add(ev.GO_START, goid, 1, thread=goid)

    def block(self, goid: int, reason: str, *stack: str) -> None:
        self.add(ev.GO_BLOCK, self.string(reason), self.stack(*stack), thread=goid)

    def unblock(self, goid: int, by: int, *stack: str) -> None:
        """*goid* is woken by *by* (0: by no goroutine) and runs."""
        self.add(ev.GO_UNBLOCK, goid, 1, self.stack(*stack), thread=by or 999)
        self.run(goid)

    def create(self, goid: int, by: int, start: str, *stack: str) -> None:
        self.add(ev.GO_CREATE, goid, self.stack(start), self.stack(*stack), thread=by)
        self.run(goid)

    def destroy(self, goid: int) -> None:
        self.add(ev.GO_DESTROY, thread=goid)

    def call(self, goid: int, *stack: str) -> None:
        """A system call, there and back."""
        self.add(ev.GO_SYSCALL_BEGIN, 1, self.stack(*stack), thread=goid)
        self.add(ev.GO_SYSCALL_END, thread=goid)

    def later(self, milliseconds: float) -> None:
        self.tick += int(milliseconds * self.ticks_per_second / 1000)

    def end_generation(self) -> None:
        number = self._generation
        self._done.append(self._clock(number))
        for thread, events in self._threads.items():
            first = events[0][0] - 1
            self._done.append(batch(number, thread, first, b"".join(data for _, data in events)))
        stacks = bytearray([ev.STACKS])
        for functions, stack_id in self._stacks.items():
            stacks += varints(ev.STACK, stack_id, len(functions))
            for function in functions:
                name, _, line = function.partition(":")
                pc = 0x400000 + sum(name.encode()) * 64 + int(line or 1)
                stacks += varints(pc, self.string(name), self.string("main.go"), int(line or 1))
        strings = bytearray([ev.STRINGS])
        for text, number_of in self._strings.items():
            strings += varints(ev.STRING, number_of, len(text.encode())) + text.encode()
        self._done.append(batch(number, NO_THREAD, 0, bytes(stacks)))
        self._done.append(batch(number, NO_THREAD, 0, bytes(strings)))
        if self.minor >= 26:
            self._done.append(bytes([ev.END_OF_GENERATION]))
        self._generation += 1
        self._begin()

    def _clock(self, number: int) -> bytes:
        frequency = varints(ev.FREQUENCY, self.ticks_per_second)
        if self.minor < 25:
            return batch(number, NO_THREAD, 0, frequency)
        clock = varints(ev.CLOCK_SNAPSHOT, 1, 1, 1, 1)
        return batch(number, NO_THREAD, 0, bytes([ev.SYNC]) + frequency + clock)

    def bytes(self) -> bytes:
        """The trace, its open generation ended."""
        if self._threads:
            self.end_generation()
        return b"".join(self._done)
