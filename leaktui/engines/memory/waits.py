"""What a parked goroutine waits on: channels, a semaphore's word, or nothing that can ever come.

Law: the goroutine is read before and after, and so is each channel around its queues; what changed is read again
and, if it never holds still, left out. A channel is believed only where the goroutine's own sudog is on one of
its queues (runtime/chan.go `hchan`, `waitq`; runtime/select.go).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from leaktui.binary.runtime_types import RuntimeTypes
from leaktui.engines.memory.allgs import SCAN_BIT
from leaktui.engines.memory.attachment import Attachment
from leaktui.engines.memory.goroutines import Seen
from leaktui.engines.memory.reader import MemoryReader
from leaktui.engines.memory.runtime_layout import GState
from leaktui.engines.memory.semaphores import SUDOGS_LIMIT, SemaphoreReader, Sudog, SudogLayout
from leaktui.errors import DecodeError, EngineUnavailable
from leaktui.model.wait import Channel, Wait
from leaktui.text import printable

CHANNEL_REASONS = frozenset(("chan receive", "chan send", "select"))
"""Wait reasons (runtime/runtime2.go waitReasonStrings) of goroutines queued on channels."""

COND_REASONS = frozenset(("sync.Cond.Wait",))

SEMAPHORE_REASONS = frozenset(
    ("semacquire", "sync.Mutex.Lock", "sync.RWMutex.RLock", "sync.RWMutex.Lock", "sync.WaitGroup.Wait")
)
"""Those parked by semacquire1; a WaitGroup's is `semacquire` up to Go 1.23."""

NEVER_REASONS = frozenset(("chan receive (nil chan)", "chan send (nil chan)", "select (no cases)"))
"""Nothing ends these waits."""

PARKED = frozenset((4, 10))
"""_Gwaiting and _Gleaked (runtime/runtime2.go)."""

_CASES_LIMIT = 1 << 16
_PEERS = 16
_TRIES = 4
_NOTHING = Wait()


@dataclass(frozen=True, slots=True)
class ChannelState:
    """A runtime.hchan: elements queued, room for them, the type of one, and who waits (first sudogs)."""

    queued: int
    capacity: int
    closed: int
    element_type: int
    first_receiver: int
    first_sender: int


class ChannelLayout:
    """Decodes runtime.hchan structs as this program has them."""

    def __init__(self, types: RuntimeTypes) -> None:
        """Raises EngineUnavailable when a field is missing."""
        layout = types.find_struct("runtime.hchan", "runtime")
        places = []
        for name, size in (
            ("qcount", 8),
            ("dataqsiz", 8),
            ("closed", 4),
            ("elemtype", 8),
            ("recvq", 16),
            ("sendq", 16),
        ):
            field = layout.fields.get(name) if layout is not None else None
            if field is None or field.size != size:
                raise EngineUnavailable(
                    f"runtime.hchan has no field {name} of {size} bytes (self-check: what goroutines wait on)",
                    remedy="report the Go release this program was built with",
                )
            places.append((field.offset, "<I" if size == 4 else "<Q"))
        assert layout is not None
        self.size = layout.size
        self._places = tuple(places)

    def decode(self, data: bytes) -> ChannelState:
        return ChannelState(*(struct.unpack_from(code, data, offset)[0] for offset, code in self._places))


class WaitReader:
    """Reads what parked goroutines of *attachment* wait on. Not thread-safe."""

    def __init__(self, attachment: Attachment) -> None:
        """Raises EngineUnavailable when the runtime's queues are not laid out as known."""
        layout = attachment.layout
        self._memory: MemoryReader = attachment.memory
        self._types = layout.types
        self._g = layout.g
        self._reasons = layout.wait_reasons
        self._goid_offset = _goid_offset(layout.types)
        self._sudogs = SudogLayout(layout.types)
        self._channels = ChannelLayout(layout.types)
        self._semaphores = SemaphoreReader(attachment.memory, layout.types)

    def read(self, seen: Seen) -> Wait:
        """What *seen* waits on; nothing where it does not wait, moved on, or waits for something else.

        Raises TargetGone.
        """
        state = seen.state
        if state.status not in PARKED or not 0 < state.reason < len(self._reasons):
            return _NOTHING
        reason = self._reasons[state.reason]
        for _ in range(_TRIES):
            if not self._is_still(seen):
                return _NOTHING
            wait = self._read_once(seen.address, state, reason)
            if wait is not None and self._is_still(seen):
                return wait
        return _NOTHING

    def _read_once(self, address: int, state: GState, reason: str) -> Wait | None:
        """None where something changed while it was read."""
        try:
            if reason in CHANNEL_REASONS:
                return self._read_channels(address, state)
            if reason in SEMAPHORE_REASONS or reason in COND_REASONS:
                self._semaphores.forget()
                parked = self._semaphores.read(address, state, is_cond=reason in COND_REASONS)
                return Wait(semaphore=parked.word) if parked is not None else None
        except (DecodeError, struct.error):
            return None
        return _NOTHING

    def _is_still(self, seen: Seen) -> bool:
        """Whether the goroutine is where it was; runtime.g of a wait differs in `since` once a cycle of GC ran."""
        try:
            now = self._g.decode(self._memory.read(seen.address, self._g.size))
        except DecodeError:
            return False
        return now._replace(status=now.status & ~SCAN_BIT, since=seen.state.since) == seen.state

    # --- channels ---

    def _read_channels(self, address: int, state: GState) -> Wait | None:
        channels = []
        known: set[int] = set()
        at = state.waiting
        while at:
            if at in known or len(known) >= _CASES_LIMIT:
                return None
            known.add(at)
            sudog = self._sudogs.read(self._memory, at)
            if sudog.g != address or not sudog.channel:
                return None
            channel = self._read_channel(sudog)
            if channel is None:
                return None
            channels.append(channel)
            at = sudog.waitlink
        return Wait(tuple(channels))

    def _read_channel(self, mine: Sudog) -> Channel | None:
        before = self._memory.read(mine.channel, self._channels.size)
        state = self._channels.decode(before)
        if state.queued > state.capacity:
            return None
        receivers = self._read_queue(state.first_receiver, mine.channel)
        senders = self._read_queue(state.first_sender, mine.channel)
        if receivers is None or senders is None:
            return None
        sends = any(sudog.address == mine.address for sudog in senders)
        if not sends and all(sudog.address != mine.address for sudog in receivers):
            return None
        if self._memory.read(mine.channel, self._channels.size) != before:
            return None
        element = self._types.at(state.element_type)
        return Channel(
            mine.channel,
            sends,
            printable(element.name) if element is not None else "",
            state.capacity,
            state.queued,
            state.closed != 0,
            self._goids(senders),
            self._goids(receivers),
            len(senders) + len(receivers),
        )

    def _read_queue(self, first: int, channel: int) -> list[Sudog] | None:
        """The sudogs of a waitq; None where it is not one of *channel*'s from end to end."""
        found: list[Sudog] = []
        known: set[int] = set()
        at = first
        while at:
            if at in known or len(found) >= SUDOGS_LIMIT:
                return None
            known.add(at)
            sudog = self._sudogs.read(self._memory, at)
            if sudog.channel != channel:
                return None
            found.append(sudog)
            at = sudog.next
        return found

    def _goids(self, queue: list[Sudog]) -> tuple[int, ...]:
        goids = []
        for sudog in queue[:_PEERS]:
            try:
                (goid,) = struct.unpack("<Q", self._memory.read(sudog.g + self._goid_offset, 8))
            except DecodeError:
                continue
            goids.append(goid)
        return tuple(goids)


def _goid_offset(types: RuntimeTypes) -> int:
    layout = types.find_struct("runtime.g", "runtime")
    if layout is None:  # not so where there is an Attachment
        raise EngineUnavailable("the runtime's type descriptors do not include runtime.g")
    return layout.fields["goid"].offset
