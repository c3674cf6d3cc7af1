"""Every goroutine of a process, read while it runs.

Law: goroutines are read a batch at a time, each runtime.g before and after its stack. One that changed in
between, or whose stack does not end as stacks do, is read again by itself, g, stack, g; one that never holds
still is reported with the function it began with and counted as moving. No stack is guessed.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from typing import NamedTuple

from leaktui.engines.memory.allgs import SCAN_BIT, is_plausible, read_allgs
from leaktui.engines.memory.ancestors import AncestorReader
from leaktui.engines.memory.ended import DEAD, EndedGoroutines
from leaktui.engines.memory.labels import read_labels
from leaktui.engines.memory.near_structs import iter_structs
from leaktui.engines.memory.reader import MemoryReader
from leaktui.engines.memory.runtime_layout import GState, RuntimeLayout
from leaktui.engines.memory.unwind import End, Trace, Unwinder
from leaktui.errors import DecodeError
from leaktui.model.frame import Frame, Stack
from leaktui.model.goroutine import Ancestor, Goroutine, Labels

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

_TRIES = 4
_NANOSECONDS_A_MINUTE = 60_000_000_000

# Goroutines of the runtime that a dump shows all the same (isSystemGoroutine), the second row only while
# they run code of the program.
_USERS = frozenset(("runtime.main", "runtime.corostart", "runtime.handleAsyncEvent"))
_SOMETIMES = frozenset(("runtime.runfinq", "runtime.runFinalizers", "runtime.runCleanups"))

# Waits that only another goroutine of the same synctest bubble can end (isIdleInSynctest, Go 1.25 on); those whose
# words say `(durable)` themselves are left out.
_DURABLE = frozenset(
    (
        "chan receive (nil chan)",
        "chan send (nil chan)",
        "select (no cases)",
        "sleep",
        "sync.Cond.Wait",
        "coroutine",
        "synctest.Run",
        "synctest.Wait",
    )
)

_TORN = Trace((), End.TORN)


class _Owner(Enum):
    """Whose a goroutine is, by the function it began with."""

    PROGRAM = "program"
    RUNTIME = "runtime"
    EITHER = "either"
    """The runtime's, until it runs code of the program."""


class Seen(NamedTuple):
    """The goroutine whose runtime.g is at `address`. Where `trace` is torn, it was moving or running.

    `ancestors` is where a record of its ancestors is, `bubble` its synctest bubble; 0 for none. `labels` were
    read along with the stack, None where they were not read.
    """

    state: GState
    trace: Trace
    address: int
    ancestors: int = 0
    bubble: int = 0
    labels: Labels | None = None

    @property
    def status(self) -> int:
        return self.state.status


class StackBytes(NamedTuple):
    """A goroutine's stack from its stack pointer `sp` up, and the pc it stopped at.

    `in_syscall` says that both are those entersyscall saved; `whole` that `data` goes on to the outer end.
    """

    pc: int
    sp: int
    data: bytes
    in_syscall: bool
    whole: bool


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
        self._extras = _find_extras(layout)
        self._ancestors = AncestorReader(memory, layout, unwinder)
        self.ended = EndedGoroutines(unwinder.table, unwinder.bias)
        """Those that have ended since the first look at all of them."""

    def iter_seen(self, tally: Tally, cancel: threading.Event, *, sample: int = 0) -> Iterator[Seen]:
        """Every goroutine a dump would show, in no order; about *sample* of them, evenly, where it is given.

        Raises TargetGone, and DecodeError when the list itself cannot be read.
        """
        addresses: Sequence[int] = read_allgs(self._memory, self._allgs)
        if sample and len(addresses) > sample:
            addresses = addresses[:: len(addresses) // sample]
        else:
            self.ended.begin()
        addresses = sorted(address for address in addresses if address)
        for start in range(0, len(addresses), BATCH):
            if cancel.is_set():
                return
            yield from self._read_batch(addresses[start : start + BATCH], tally)

    def look(self, address: int) -> Seen | None:
        """The goroutine whose g is at *address*, read by itself: g, stack, g. None where a dump shows none.

        Its trace is torn where it runs, or moved whenever it was read. Raises TargetGone.
        """
        return self._read_again(address, Tally())

    def state_at(self, address: int) -> GState | None:
        """The runtime.g at *address* as it is now; None where it cannot be read."""
        raw = self._read_raw([address]).get(address)
        return None if raw is None else self._decode(raw)

    def read_stack(self, state: GState, limit: int = STACK_LIMIT) -> StackBytes | None:
        """The stack of a goroutine that does not run, as *state* has it; None where there is none to read."""
        if state.status not in _AT_REST:
            return None
        in_syscall = state.syscall_sp != 0
        pc, sp = (state.syscall_pc, state.syscall_sp) if in_syscall else (state.pc, state.sp)
        size = state.high - sp
        if not state.low <= sp < state.high or sp % 8:
            return None
        part = min(size, limit)
        try:
            data = self._memory.read(sp, part)
            # A short way out of a system call and into the next leaves no mark in g (exitsyscall, Go 1.26 on).
            if state.status == _SYSCALL and self._memory.read(sp, part) != data:
                return None
        except DecodeError:
            return None
        return StackBytes(pc, sp, data, in_syscall, size <= limit)

    # --- reading ---

    def _read_batch(self, addresses: Sequence[int], tally: Tally) -> Iterator[Seen]:
        wanted: list[tuple[int, bytes, GState]] = []
        for address, raw in self._read_raw(addresses).items():
            state = self._decode(raw)
            if self._shows(state):
                wanted.append((address, raw, state))
            elif state.status == DEAD:
                self.ended.note(address, state.goid, state.start_pc)
        traces = [self._read_trace(state) for _, _, state in wanted]
        self._labels.clear()  # freed label sets may come back as others
        labels = [self._read_labels(state.labels) for _, _, state in wanted]
        after = self._read_raw([address for address, _, _ in wanted])
        for (address, raw, state), trace, label in zip(wanted, traces, labels, strict=True):
            seen = self._seen(raw, state, trace, address, label)
            now = after.get(address)
            if now is None or not self._is_still(raw, now, state) or trace.end is End.TORN:
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
            if raw is None:
                return None
            state = self._decode(raw)
            if not self._shows(state):
                return None
            trace = self._read_trace(state)
            self._labels.clear()
            labels = self._read_labels(state.labels)
            if trace.end is not End.TORN:
                now = self._read_raw([address]).get(address)
                if now is not None and self._is_still(raw, now, state):
                    return self._seen(raw, state, trace, address, labels)
            last = self._seen(raw, state, _TORN, address, labels)
        return last

    def _is_still(self, before: bytes, after: bytes, state: GState) -> bool:
        """Whether the goroutine did not run between two readings of its g, of which *state* is the first.

        Bytes we do not decode may change while it is parked. One that ran and came back to its place, on
        another way, looks the same but for trackingSeq, which counts how often it stopped (casgstatus).
        """
        return before == after or self._decode(after) == state

    def _seen(self, raw: bytes, state: GState, trace: Trace, address: int, labels: Labels) -> Seen:
        ancestors, bubble = self._extras(raw)
        return Seen(state, trace, address, ancestors, bubble, labels)

    def _decode(self, raw: bytes) -> GState:
        """The g with the collector's bit cleared."""
        state = self._layout.g.decode(raw)
        return state._replace(status=state.status & ~SCAN_BIT) if state.status & SCAN_BIT else state

    def _read_raw(self, addresses: Sequence[int]) -> dict[int, bytes]:
        """The bytes of the g's at *addresses* (ascending) that can be read."""
        return dict(iter_structs(self._memory, addresses, self._layout.g.size))

    def _read_trace(self, state: GState) -> Trace:
        """The stack as *state* says it is; torn where the goroutine runs."""
        stack = self.read_stack(state)
        if stack is None:
            return _TORN
        trace = self._unwinder.unwind(stack.pc, stack.data, in_syscall=stack.in_syscall, whole=stack.whole)
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
            reason = reasons[seen.state.reason]
            return f"{reason} (durable)" if seen.bubble and reason in _DURABLE else reason
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
        return self._read_labels(seen.state.labels) if seen.labels is None else seen.labels

    def _read_labels(self, address: int) -> Labels:
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

    def ancestors(self, seen: Seen) -> tuple[Ancestor, ...]:
        """Who created it and its creators, as far as GODEBUG=tracebackancestors makes the runtime keep them."""
        return self._ancestors.read(seen.ancestors) if seen.ancestors else ()

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
            self.ancestors(seen),
        )


def _find_extras(layout: RuntimeLayout) -> Callable[[bytes], tuple[int, int]]:
    """What reads `ancestors` and `bubble` from the bytes of a runtime.g: 0 for what this release does not have."""
    found = layout.types.find_struct("runtime.g", "runtime")
    fields = {} if found is None else found.fields
    ancestors, bubble = fields.get("ancestors"), fields.get("bubble")
    if ancestors is None:
        return lambda raw: (0, 0)
    read = struct.Struct("<Q").unpack_from
    if bubble is None:
        return lambda raw: (read(raw, ancestors.offset)[0], 0)
    return lambda raw: (read(raw, ancestors.offset)[0], read(raw, bubble.offset)[0])
