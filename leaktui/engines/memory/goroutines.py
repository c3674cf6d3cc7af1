"""Every goroutine of a process, read while it runs.

Law: goroutines are read a batch at a time, each runtime.g before and after its stack. One that changed in
between, or whose stack does not end as stacks do, is read again by itself, g, stack, g; one that never holds
still is reported with the function it began with and counted as moving. No stack is guessed.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from typing import NamedTuple

from leaktui.engines.memory.allgs import SCAN_BIT, is_plausible, read_allgs
from leaktui.engines.memory.labels import read_labels
from leaktui.engines.memory.reader import MemoryReader
from leaktui.engines.memory.runtime_layout import GState, RuntimeLayout
from leaktui.engines.memory.unwind import End, Trace, Unwinder
from leaktui.errors import DecodeError
from leaktui.model.frame import Frame, Stack
from leaktui.model.goroutine import Goroutine, Labels

# runtime/runtime2.go; the words are those of gStatusStrings (runtime/traceback.go).
_RUNNABLE, _RUNNING, _SYSCALL, _WAITING, _COPYSTACK, _PREEMPTED, _LEAKED = 1, 2, 3, 4, 8, 9, 10
_STATUS_WORDS = {
    _RUNNABLE: "runnable",
    _RUNNING: "running",
    _SYSCALL: "syscall",
    _WAITING: "waiting",
    _COPYSTACK: "copystack",
    _PREEMPTED: "preempted",
    _LEAKED: "leaked",
}
"""Those a dump shows; idle, dead and spare goroutines it does not."""

_AT_REST = frozenset((_RUNNABLE, _SYSCALL, _WAITING, _PREEMPTED, _LEAKED))
_PARKED = frozenset((_WAITING, _LEAKED))

BATCH = 1024
"""Goroutines whose g's are read together: small, so that little time passes between g and stack."""

STACK_LIMIT = 1 << 20
"""Bytes read of one stack, from its innermost end."""

_GAP = 16 << 10
_RANGE_LIMIT = 4 << 20
_TRIES = 4
_NANOSECONDS_A_MINUTE = 60_000_000_000

# Goroutines of the runtime that a dump shows all the same (isSystemGoroutine), the second row only while
# they run code of the program.
_USERS = frozenset(("runtime.main", "runtime.corostart", "runtime.handleAsyncEvent"))
_SOMETIMES = frozenset(("runtime.runfinq", "runtime.runFinalizers", "runtime.runCleanups"))

_TORN = Trace((), End.TORN)


class _Owner(Enum):
    """Whose a goroutine is, by the function it began with."""

    PROGRAM = "program"
    RUNTIME = "runtime"
    EITHER = "either"
    """The runtime's, until it runs code of the program."""


class Seen(NamedTuple):
    """The goroutine whose runtime.g is at `address`. Where `trace` is torn, it was moving or running."""

    state: GState
    trace: Trace
    address: int

    @property
    def status(self) -> int:
        return self.state.status


class Tally:
    """What a reading of goroutines met: how many were parked, and how many of those stacks are not known."""

    def __init__(self) -> None:
        self.parked = 0
        self.torn = 0
        """Parked goroutines that could not be read whole, however often they were tried."""
        self.retried = 0
        """Goroutines that moved while they were read, and were read again by themselves."""
        self.running = 0


class GoroutineReader:
    """Reads the goroutines whose list is at *allgs*. Not thread-safe."""

    def __init__(self, memory: MemoryReader, layout: RuntimeLayout, unwinder: Unwinder, allgs: int) -> None:
        self._memory = memory
        self._layout = layout
        self._unwinder = unwinder
        self._allgs = allgs
        self._owners: dict[int, _Owner] = {}
        self._creators: dict[int, Frame | None] = {}
        self._labels: dict[int, Labels] = {}
        self._entries: dict[int, Stack] = {}

    def iter_seen(self, tally: Tally, cancel: threading.Event, *, sample: int = 0) -> Iterator[Seen]:
        """Every goroutine a dump would show, in no order; about *sample* of them, evenly, where it is given.

        Raises TargetGone, and DecodeError when the list itself cannot be read.
        """
        self._labels.clear()  # freed label sets may come back as others
        addresses: Sequence[int] = read_allgs(self._memory, self._allgs)
        if sample and len(addresses) > sample:
            addresses = addresses[:: len(addresses) // sample]
        addresses = sorted(address for address in addresses if address)
        for start in range(0, len(addresses), BATCH):
            if cancel.is_set():
                return
            yield from self._read_batch(addresses[start : start + BATCH], tally)

    # --- reading ---

    def _read_batch(self, addresses: Sequence[int], tally: Tally) -> Iterator[Seen]:
        wanted: list[tuple[int, bytes, GState]] = []
        for address, raw in self._read_raw(addresses).items():
            state = self._decode(raw)
            if self._shows(state):
                wanted.append((address, raw, state))
        traces = [self._read_trace(state) for _, _, state in wanted]
        after = self._read_raw([address for address, _, _ in wanted])
        for (address, raw, state), trace in zip(wanted, traces, strict=True):
            seen = Seen(state, trace, address)
            now = after.get(address)
            # The bytes we do not decode may change while it is parked.
            moved = now != raw and (now is None or self._decode(now) != state)
            if moved or trace.end is End.TORN:
                again = self._read_again(address, tally)
                if again is None:
                    continue
                seen = again
            if seen.status in _PARKED:
                tally.parked += 1
                tally.torn += seen.trace.end is End.TORN
            elif seen.trace.end is End.TORN:
                tally.running += 1
            if not self._hides(seen):
                yield seen

    def _read_again(self, address: int, tally: Tally) -> Seen | None:
        """The goroutine at *address* read by itself; None when it is gone."""
        tally.retried += 1
        last: Seen | None = None
        for _ in range(_TRIES):
            raw = self._read_raw([address]).get(address)
            state = None if raw is None else self._decode(raw)
            if state is None or not self._shows(state):
                return None
            trace = self._read_trace(state)
            if trace.end is not End.TORN:
                now = self._read_raw([address]).get(address)
                if now is not None and self._decode(now) == state:
                    return Seen(state, trace, address)
            last = Seen(state, _TORN, address)
        return last

    def _decode(self, raw: bytes) -> GState:
        """The g with the collector's bit cleared."""
        state = self._layout.g.decode(raw)
        return state._replace(status=state.status & ~SCAN_BIT) if state.status & SCAN_BIT else state

    def _read_raw(self, addresses: Sequence[int]) -> dict[int, bytes]:
        """The bytes of the g's at *addresses* (ascending) that can be read."""
        size = self._layout.g.size
        found: dict[int, bytes] = {}
        for start, end, members in _iter_ranges(addresses, size):
            try:
                data = self._memory.read(start, end - start)
            except DecodeError:
                if len(members) > 1:
                    for address in members:
                        found.update(self._read_raw([address]))
                continue
            for address in members:
                found[address] = data[address - start : address - start + size]
        return found

    def _read_trace(self, state: GState) -> Trace:
        """The stack as *state* says it is; torn where the goroutine runs."""
        if state.status not in _AT_REST:
            return _TORN
        in_syscall = state.syscall_sp != 0
        pc, sp = (state.syscall_pc, state.syscall_sp) if in_syscall else (state.pc, state.sp)
        size = state.high - sp
        if not state.low <= sp < state.high or sp % 8:
            return _TORN
        try:
            data = self._memory.read(sp, size if size <= STACK_LIMIT else STACK_LIMIT)
        except DecodeError:
            return _TORN
        trace = self._unwinder.unwind(pc, data, in_syscall=in_syscall, whole=size <= STACK_LIMIT)
        if trace.entry != state.start_pc and trace.entry and state.start_pc:
            return _TORN  # the outermost call is not the function it was started with
        return trace

    # --- what a dump shows ---

    def _shows(self, state: GState) -> bool:
        return (
            state.status in _STATUS_WORDS
            and is_plausible(state)
            and self._owner(state.start_pc) is not _Owner.RUNTIME
        )

    def _hides(self, seen: Seen) -> bool:
        """Whether the goroutine runs finalizers or cleanups and just waits for more of them."""
        if self._owner(seen.state.start_pc) is not _Owner.EITHER:
            return False
        return all(frame.function.startswith("runtime.") for frame in seen.trace.stack)

    def _owner(self, start_pc: int) -> _Owner:
        owner = self._owners.get(start_pc)
        if owner is None:
            name = self._unwinder.function_name(start_pc)
            if name in _SOMETIMES:
                owner = _Owner.EITHER
            else:
                mine = name.startswith("runtime.") and name not in _USERS
                owner = _Owner.RUNTIME if mine else _Owner.PROGRAM
            self._owners[start_pc] = owner
        return owner

    # --- facts ---

    def wait_reason(self, seen: Seen) -> str:
        """The words a dump has in brackets."""
        reasons = self._layout.wait_reasons
        if seen.status in _PARKED and 0 < seen.state.reason < len(reasons):
            return reasons[seen.state.reason]
        return _STATUS_WORDS[seen.status]

    def created_by(self, seen: Seen) -> Frame | None:
        """The frame of the go statement; None for the main goroutine and where the runtime did it."""
        if seen.state.goid == 1:
            return None
        pc = seen.state.creator_pc
        if pc not in self._creators:
            self._creators[pc] = self._unwinder.creator(pc) if pc else None
        return self._creators[pc]

    def labels(self, seen: Seen) -> Labels:
        """Its pprof labels, where they are kept in a form we read."""
        address = seen.state.labels
        if not address:
            return ()
        labels = self._labels.get(address)
        if labels is None:
            labels = self._labels[address] = read_labels(self._memory, address, self._layout.labels)
        return labels

    def stack(self, seen: Seen) -> Stack:
        """Its calls; of one that runs, the function it began with."""
        if seen.trace.end is not End.TORN:
            return seen.trace.stack
        start = seen.state.start_pc
        stack = self._entries.get(start)
        if stack is None:
            stack = self._entries[start] = self._unwinder.entry_frames(start) if start else ()
        return stack

    def wait_minutes(self, seen: Seen, now: int) -> int | None:
        """Whole minutes it has waited, as Go prints them; None under one. *now* is CLOCK_MONOTONIC in ns."""
        if not seen.state.since or seen.status not in (_WAITING, _SYSCALL):
            return None
        minutes = (now - seen.state.since) // _NANOSECONDS_A_MINUTE
        return minutes if minutes >= 1 else None

    def goroutine(self, seen: Seen, now: int) -> Goroutine:
        """*seen* as every engine reports a goroutine."""
        state = seen.state
        creator = self.created_by(seen)
        return Goroutine(
            state.goid,
            self.wait_reason(seen),
            self.stack(seen),
            self.wait_minutes(seen, now),
            creator,
            state.parent or None if creator else None,
            self.labels(seen),
            state.locked != 0,
            seen.status == _LEAKED,
            0 if seen.trace.end is End.TOP else -1,
        )


def _iter_ranges(addresses: Iterable[int], size: int) -> Iterator[tuple[int, int, list[int]]]:
    """(start, end, addresses in between): ascending *addresses* joined where they are near one another."""
    start = end = 0
    members: list[int] = []
    for address in addresses:
        if members and (address > end + _GAP or address + size > start + _RANGE_LIMIT):
            yield start, end, members
            members = []
        if not members:
            start = address
        members.append(address)
        end = address + size
    if members:
        yield start, end, members
