"""The runtime.sudog a goroutine is queued with, and the word in a Mutex, WaitGroup or Cond it is queued for.

Law: a sudog is believed only if it names the goroutine as its owner and is in use. Up to Go 1.25 runtime.g points
at the sudogs of channels alone; that of a semaphore is taken from the frame of the function that parked the
goroutine, which needs it again when it goes on (runtime/sema.go `semacquire1`, `notifyListWait`). Go 1.26 and
later have it in g.waiting, and the notify list of a Cond in sudog.elem.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from leaktui.binary.runtime_types import Field, RuntimeTypes, StructLayout
from leaktui.engines.memory.reader import MemoryReader
from leaktui.engines.memory.runtime_layout import GState
from leaktui.errors import DecodeError, EngineUnavailable

SUDOGS_LIMIT = 1 << 16
"""Sudogs followed along one list."""

_FRAME_BYTES = 1024
"""Of a parked stack, from its innermost end: the frames of gopark, of what called it, and of sync."""
_NOTIFY_LIST = struct.Struct("<IIQQQ")
# From a word in the frames to the notify list: itself; its lock; the sync.Cond it is a field of
# (sync/cond.go: noCopy, L, notify), behind a word or not.
_TO_NOTIFY_LIST = (0, -8, 16, 8, 24)


class Sudog(NamedTuple):
    """A runtime.sudog at `address`. `element` is what is sent or where to receive to, or the semaphore."""

    address: int
    g: int
    next: int
    element: int
    waitlink: int
    channel: int
    is_select: bool


class SudogLayout:
    """Decodes runtime.sudog structs as this program has them."""

    def __init__(self, types: RuntimeTypes) -> None:
        """Raises EngineUnavailable when a field is missing."""
        layout = types.find_struct("runtime.sudog", "runtime")
        if layout is None:
            raise _unusable("runtime.sudog has no type descriptor")
        self.size = layout.size
        self._offsets = tuple(_place(types, layout, name) for name in ("g", "next", "elem", "waitlink", "c"))
        select = layout.fields.get("isSelect")
        if select is None or select.size != 1:
            raise _unusable("runtime.sudog has no field isSelect")
        self._select = select.offset

    def decode(self, address: int, data: bytes) -> Sudog:
        """The sudog whose bytes are *data*; raises struct.error when they are too few."""
        g, following, element, waitlink, channel = (
            struct.unpack_from("<Q", data, offset)[0] for offset in self._offsets
        )
        return Sudog(address, g, following, element, waitlink, channel, data[self._select] != 0)

    def read(self, memory: MemoryReader, address: int) -> Sudog:
        """The sudog at *address*; raises DecodeError where nothing is."""
        return self.decode(address, memory.read(address, self.size))


class Parked(NamedTuple):
    """What a goroutine parked on a semaphore or a Cond is queued with, and the address of the word."""

    sudog: Sudog
    word: int


class SemaphoreReader:
    """Finds the semaphore or notify list of goroutines parked on one. Not thread-safe."""

    def __init__(self, memory: MemoryReader, types: RuntimeTypes) -> None:
        """Raises EngineUnavailable when runtime.sudog is not as expected."""
        self._memory = memory
        self._layout = SudogLayout(types)
        self._places: dict[tuple[int, bool], list[tuple[int, int]]] = {}
        """Where in the frames of goroutines parked at a pc it was found before, most used first."""
        self._members: dict[int, frozenset[int]] = {}

    def forget(self) -> None:
        """Forget which sudogs were on which notify list: what is read next is read later."""
        self._members.clear()

    def read(self, address: int, state: GState, *, is_cond: bool) -> Parked | None:
        """Of the goroutine whose g, at *address*, is *state*; None where it cannot be proven.

        The caller checks that the goroutine did not move meanwhile.
        """
        if state.waiting:
            sudog = self._sudog(state.waiting, address)
            if sudog is None or sudog.channel or not sudog.element:
                return None
            return Parked(sudog, sudog.element)
        size = min(state.high - state.sp, _FRAME_BYTES)
        if size <= 0 or state.sp % 8:
            return None
        try:
            words = struct.unpack(f"<{size // 8}Q", self._memory.read(state.sp, size // 8 * 8))
        except DecodeError:
            return None
        return self._of_cond(address, state, words) if is_cond else self._of_semaphore(address, state, words)

    def _of_semaphore(self, address: int, state: GState, words: tuple[int, ...]) -> Parked | None:
        for place in self._iter_places((state.pc, False), len(words), (0,)):
            sudog = self._sudog(words[place[0]], address, state)
            # releaseSudog leaves its owner in a sudog; the queue is what sets the word, and dequeue clears it.
            if sudog is not None and sudog.element and not sudog.channel and not sudog.is_select:
                self._remember((state.pc, False), place)
                return Parked(sudog, sudog.element)
        return None

    def _of_cond(self, address: int, state: GState, words: tuple[int, ...]) -> Parked | None:
        key = state.pc, True
        mine = {}
        for word in words:
            if word not in mine:
                sudog = self._sudog(word, address, state)
                if sudog is not None and not sudog.channel and not sudog.element:
                    mine[word] = sudog
        if not mine:
            return None
        for place in self._iter_places(key, len(words), _TO_NOTIFY_LIST):
            word = words[place[0]] + place[1]
            for candidate, sudog in mine.items():
                if _is_pointer(word, state) and self._has(word, candidate):
                    self._remember(key, place)
                    return Parked(sudog, word)
        return None

    def _sudog(self, word: int, g: int, state: GState | None = None) -> Sudog | None:
        """The sudog at *word* if it is one of *g*."""
        if not _is_pointer(word, state):
            return None
        try:
            sudog = self._layout.read(self._memory, word)
        except DecodeError:
            return None
        return sudog if sudog.g == g else None

    def _has(self, notify_list: int, sudog: int) -> bool:
        """Whether there is a notify list that has *sudog* in it."""
        members = self._members.get(notify_list)
        if members is None or sudog not in members:
            members = self._members[notify_list] = self._read_members(notify_list)
        return sudog in members

    def _read_members(self, notify_list: int) -> frozenset[int]:
        """The sudogs of the notify list, empty for what is none or changes."""
        members: set[int] = set()
        try:
            head, tail = _NOTIFY_LIST.unpack(self._memory.read(notify_list, _NOTIFY_LIST.size))[3:]
            if not head or not tail or not _is_pointer(tail, None):
                return frozenset()
            at = head
            while len(members) < SUDOGS_LIMIT:
                if not _is_pointer(at, None) or at in members:
                    return frozenset()
                members.add(at)
                if at == tail:
                    return frozenset(members)
                at = self._layout.read(self._memory, at).next
        except DecodeError:
            pass
        return frozenset()

    # --- where it was before ---

    def _iter_places(
        self, key: tuple[int, bool], count: int, deltas: tuple[int, ...]
    ) -> list[tuple[int, int]]:
        known = [place for place in self._places.get(key, ()) if place[0] < count]
        return known + [
            (number, delta) for delta in deltas for number in range(count) if (number, delta) not in known
        ]

    def _remember(self, key: tuple[int, bool], place: tuple[int, int]) -> None:
        known = self._places.setdefault(key, [])
        if place in known:
            if known[0] != place:
                known.remove(place)
                known.insert(0, place)
        else:
            known.insert(0, place)
            del known[8:]


def _is_pointer(word: int, state: GState | None) -> bool:
    """Whether *word* may be the address of something outside the goroutine's own stack."""
    if word % 8 or not 1 << 16 <= word < 1 << 47:
        return False
    return state is None or not state.low <= word < state.high


def _place(types: RuntimeTypes, layout: StructLayout, name: str) -> int:
    """The offset of a pointer; Go 1.26 and later keep some twice, and the one no collector hides is `vu`."""
    field: Field | None = layout.fields.get(name)
    offset = 0
    while field is not None and field.size != 8:
        offset += field.offset
        inner = types.struct_at(field.type)
        if inner is None:
            field = None
            break
        field = inner.fields.get("vu") or inner.fields.get("maybeTraceablePtr")
    if field is None:
        raise _unusable(f"runtime.{layout.name.rpartition('.')[2]} has no pointer {name}")
    return offset + field.offset


def _unusable(reason: str) -> EngineUnavailable:
    return EngineUnavailable(
        f"{reason} (self-check: what goroutines wait on)",
        remedy="report the Go release this program was built with",
    )
