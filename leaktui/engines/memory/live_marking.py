"""One marking of all that lives in a process, goroutines parked for ever left out.

Law: whoever is in doubt lives. A goroutine that cannot be read, moves, or waits for anything else than what can be
for ever is a root with its whole stack; one that changes while the heap is marked becomes a root at that moment.
What makes the whole marking doubtful is said in `Verdict.doubt`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

from leaktui.engines.memory.attachment import Attachment
from leaktui.engines.memory.confirmation import Confirmation
from leaktui.engines.memory.heap_map import HeapMap
from leaktui.engines.memory.live_frames import LiveFrames
from leaktui.engines.memory.mark_roots import MarkRoots
from leaktui.engines.memory.marking import Marking
from leaktui.engines.memory.parked import GONE, Candidate, ParkedReader, Stop, is_same_wait
from leaktui.engines.memory.waits import PARKED
from leaktui.errors import DecodeError

_RUNNING = 2
_MOVING = frozenset((_RUNNING, 8))
"""_Grunning and _Gcopystack: the saved stack pointer says nothing (runtime/runtime2.go)."""
_TRIES = 4
_STACK_CHUNK = 4 << 20
_LOOK_AGAIN = 0.05
"""Seconds of marking after which stacks that changed are looked at again, or ten times what that takes."""

_SLICE = 0.2
"""Seconds between two reports of progress."""

_STACK_LIMIT = 1 << 30
_CHECK_EVERY = 256
_MAPS_SECONDS = 4.0
"""Of one marking, in which stacks are looked at by their maps; then every word counts, which is quicker."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The candidates *left* over by their g's addresses."""

    left: dict[int, Candidate]
    scanned_bytes: int
    doubt: str = ""


class LiveMarking:
    """Marks once. Not thread-safe."""

    def __init__(
        self,
        attachment: Attachment,
        roots: MarkRoots,
        parked: ParkedReader,
        cancel: threading.Event,
        *,
        seconds: float,
        limit: int,
    ) -> None:
        """Reads the map of the heap. Raises EngineUnavailable, DecodeError, TargetGone."""
        self._attachment = attachment
        self._memory = attachment.memory
        self._g_size = attachment.layout.g.size
        self._roots = roots
        self._parked = parked
        self._cancel = cancel
        self._limit = limit
        self._heap = HeapMap.read(attachment, cancel)
        self._scannable = sum(span.size for span in self._heap.iter_spans() if span.scannable)
        self._marking = Marking(self._memory, self._heap, cancel, seconds=seconds, limit=2 * limit)
        self._asleep: dict[int, Candidate] = {}
        self._alive: dict[int, Stop] = {}
        """How each living goroutine was when its stack was last looked at."""
        self._unread: set[int] = set()
        self._looked = 0.0
        self._cost = 0.0
        self._doubt = ""
        self._frames = LiveFrames(attachment)
        self._maps_end = time.monotonic() + _MAPS_SECONDS

    def refusal(self) -> str:
        """Why the heap is not to be marked, empty for no reason."""
        if self._scannable > self._limit:
            have, most = self._scannable >> 20, self._limit >> 20
            return f"{have} MB of the heap may hold pointers, and marking is for up to {most} MB"
        return ""

    def mark(self, only: dict[int, Candidate] | None) -> Iterator[float | Verdict]:
        """Yield shares of the work done, then the verdict; *only* goroutines a marking before left can be left.

        Raises Cancelled, DecodeError, TargetGone.
        """
        marking = self._marking
        self._parked.begin()
        everyone = self._parked.read_all()
        alive = self._choose(everyone, only)
        self._roots.mark_variables(marking)
        self._roots.mark_queues(marking)
        self._roots.mark_specials(marking, self._heap, self._cancel)
        for number, (address, stop) in enumerate(alive.items()):
            if not number % _CHECK_EVERY:
                marking.check()
            self._mark_goroutine(address, stop)
        self._looked = time.monotonic()
        while not self._settle(_SLICE):
            yield 0.8 * min(1.0, marking.scanned / (self._scannable or 1))
        yield 0.8
        confirmation = Confirmation(self._memory, marking)
        confirmation.confirm(self._iter_waited_on, self._read_heap, self._catch_up)
        self._doubt = confirmation.doubt
        yield Verdict(dict(self._asleep), marking.scanned + confirmation.scanned, self._find_doubt())

    def _iter_waited_on(self) -> Iterator[int]:
        for candidate in self._asleep.values():
            yield from candidate.objects

    def _catch_up(self) -> None:
        """Look at all but the heap once more, and mark until nothing more is reached."""
        self._look_again()
        self._roots.mark_variables(self._marking)
        self._roots.mark_queues(self._marking)
        self._settle()

    def _read_heap(self) -> HeapMap:
        """The map of the heap as it is now; what pointed to where there was no object then is marked."""
        self._heap = HeapMap.read(self._attachment, self._cancel)
        self._marking.retry_unknown(self._heap)
        self._roots.mark_specials(self._marking, self._heap, self._cancel)
        return self._heap

    # --- goroutines ---

    def _choose(self, everyone: dict[int, Stop], only: dict[int, Candidate] | None) -> dict[int, Stop]:
        """Put to sleep who may be leaked; returns the others."""
        alive: dict[int, Stop] = {}
        for number, (address, stop) in enumerate(everyone.items()):
            if not number % _CHECK_EVERY:
                self._marking.check()
            before = only.get(address) if only is not None else None
            candidate = None
            if only is None or (before is not None and is_same_wait(before.stop, stop)):
                candidate = self._parked.read_candidate(address, stop)
            if candidate is None or not self._watch(candidate):
                alive[address] = stop
            else:
                self._asleep[address] = candidate
        # The list of all goroutines holds every g, so it must not count; those of the living are looked at one by one.
        for address in self._parked.addresses:
            self._marking.hide(address)
        for candidate in self._asleep.values():
            for sudog in candidate.sudogs:
                self._marking.hide(sudog)
        return alive

    def _watch(self, candidate: Candidate) -> bool:
        """Watch what it waits on; False where that is nothing that can be reached by marking, so it lives."""
        return all(self._marking.watch(address, candidate.address) for address in candidate.objects)

    def _mark_goroutine(self, address: int, stop: Stop) -> None:
        """Mark what a living goroutine has: its g and its stack."""
        for number in range(_TRIES):
            try:
                data = self._memory.read(address, self._g_size)
                stop = self._parked.decode(data)
                self._marking.mark_bytes(data)
                if stop.state.status in GONE:
                    self._alive.pop(address, None)
                    return
                # Of one that runs all of the stack counts, what is left of earlier calls included.
                moves = stop.state.status in _MOVING or number > 1
                self._mark_stack(address, stop, whole=moves)
                now = self._parked.read_one(address)
            except DecodeError:
                continue
            if now == stop or (moves and _has_same_stack(now, stop)):
                self._alive[address] = now
                self._unread.discard(address)
                return
        # One that never holds still is looked at again, later.
        self._alive[address] = stop._replace(runs=-1)
        self._unread.add(address)

    def _mark_stack(self, address: int, stop: Stop, *, whole: bool) -> None:
        """Mark what is on the stack of a goroutine, below its stack pointer, too, if the *whole* counts."""
        state = stop.state
        start = state.low if whole else min(state.sp, state.syscall_sp or state.sp)
        if not state.low <= start < state.high or state.high - state.low > _STACK_LIMIT:
            start = state.low
        marking = self._marking
        for place in range(start & ~7, state.high, _STACK_CHUNK):
            data = self._memory.read(place, min(_STACK_CHUNK, state.high - place))
            marking.scanned += len(data)
            low, high = marking.low, marking.high
            words = [word for word in memoryview(data).cast("Q") if low <= word < high]
            # Only of stacks with something new on them it matters which words are dead.
            if not whole and state.status in PARKED and self._maps_end > time.monotonic():
                words = list(marking.iter_unmarked(words))
                if words:
                    live = self._find_live(address)
                    if live is not None:
                        marking.mark_words(live)
                        return
            marking.mark(words)

    def _find_live(self, address: int) -> list[int] | None:
        """What the frames of a parked goroutine hold, as its stack maps say; None where they do not say it all."""
        unknown = self._frames.unknown
        found = self._frames.look(address)
        if found is None or self._frames.unknown != unknown:
            return None
        return [pointer.value for pointer in found[1]]

    def _wake(self) -> None:
        """Look at the goroutines whose channel or lock was reached."""
        marking = self._marking
        for number in count():
            if not marking.woken:
                return
            if not number % _CHECK_EVERY:
                marking.check()
            candidate = self._asleep.pop(marking.woken.pop(), None)
            if candidate is None:
                continue
            for sudog in candidate.sudogs:
                marking.show(sudog)
            try:
                stop = self._parked.read_one(candidate.address)
            except DecodeError:
                stop = candidate.stop
            self._mark_goroutine(candidate.address, stop)

    def _settle(self, seconds: float = 1 << 30) -> bool:
        """Mark until nothing more is reached, or for *seconds*; whether nothing is left."""
        while self._marking.drain(self._pause, seconds):
            if not self._marking.woken:
                return True
            self._wake()
        return False

    def _pause(self) -> None:
        began = time.monotonic()
        if began - self._looked < max(_LOOK_AGAIN, 10 * self._cost):
            return
        self._look_again()
        self._looked = time.monotonic()
        self._cost = self._looked - began

    def _look_again(self) -> None:
        """Look at the stacks of goroutines that ran since, run, or are new; wake those that woke."""
        everyone = self._parked.read_all()
        for address, stop in everyone.items():
            candidate = self._asleep.get(address)
            if candidate is not None:
                if not is_same_wait(candidate.stop, stop):
                    self._marking.woken.append(address)
                continue
            if stop.state.status == _RUNNING or self._alive.get(address) != stop:
                self._mark_goroutine(address, stop)
        for address in self._asleep.keys() - everyone.keys():
            self._marking.woken.append(address)
        self._unread &= everyone.keys()

    def _find_doubt(self) -> str:
        if self._heap.torn:
            return f"{self._heap.torn} spans of the heap changed whenever they were read"
        if self._marking.torn:
            return f"{self._marking.torn} parts of the heap could not be read"
        if self._marking.lost_unknown:
            return "the heap grew too fast"
        if self._doubt:
            return self._doubt
        if self._unread:
            return f"the stacks of {len(self._unread)} goroutines changed whenever they were read"
        return ""


def _has_same_stack(now: Stop, before: Stop) -> bool:
    return now.state.low == before.state.low and now.state.high == before.state.high
