"""The pointers into some objects, wherever they lie: one level of a search for holders.

Law: an edge is a word that was read twice, in an allocated object where the collector would look for a pointer, in a
variable, in a live slot of a frame, or in a record of the runtime's. Of many alike a few are kept; what was not
looked at is counted, and what could not be makes the level doubtful.
"""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from leaktui.engines.memory.allgs import read_allgs
from leaktui.engines.memory.attachment import Attachment
from leaktui.engines.memory.heap_map import HeapMap, HeapObject
from leaktui.engines.memory.live_frames import LiveFrames
from leaktui.engines.memory.mheap import PAGE_SIZE
from leaktui.engines.memory.object_types import ObjectTypes
from leaktui.engines.memory.persist_conn import READ_LOOP
from leaktui.engines.memory.roots import GlobalPointers, read_specials
from leaktui.engines.memory.word_search import WordSearch
from leaktui.engines.protocol import SearchProgress
from leaktui.errors import DecodeError
from leaktui.model.frame import Frame
from leaktui.model.holder import HolderKind

_ALIKE = 8
"""Holders of the same size with the pointer at the same place that are looked at, for each object held."""

_HITS_LIMIT = 1 << 18
_CHUNK = 1 << 20
_GAP = 32 << 10
_PROGRESS_BYTES = 64 << 20
_TRIES = 3
_WORD = struct.Struct("<Q")

# runtime/runtime2.go
_WAITING, _DEAD = 4, frozenset((0, 6, 11))
_QUEUE_RUNNERS = frozenset(("runtime.runfinq", "runtime.runFinalizers", "runtime.runCleanups"))


@dataclass(frozen=True, slots=True)
class Edge:
    """A word at `address` that points, with `value`, into the object that begins at `target`."""

    kind: HolderKind
    address: int
    value: int
    target: int
    object: HeapObject | None = None
    name: str = ""
    field: str = ""
    goid: int | None = None
    frame: Frame | None = None
    final: bool = True
    """Whether a root of this kind ends the search."""

    @property
    def is_inside(self) -> bool:
        """Whether the word is in the object, and not in a record of the runtime's about it."""
        found = self.object
        return found is not None and found.start <= self.address < found.start + found.size


@dataclass(slots=True)
class Level:
    """The edges into the objects of one level; `omitted` more were not looked at."""

    edges: list[Edge] = field(default_factory=list)
    omitted: int = 0


class EdgeFinder:
    """Finds pointers in the memory of *attachment*, as *heap* has it. Not thread-safe.

    If *subject* is a goroutine, what only it holds, on its stack or in its runtime.g, is not held for that.
    """

    def __init__(
        self,
        attachment: Attachment,
        heap: HeapMap,
        frames: LiveFrames,
        variables: GlobalPointers,
        types: ObjectTypes,
        subject: HeapObject,
        cancel: threading.Event,
    ) -> None:
        self._attachment = attachment
        self._memory = attachment.memory
        self._heap = heap
        self._frames = frames
        self._variables = variables
        self._types = types
        self._cancel = cancel
        self._subject = subject
        self._regions = _join_spans(heap)
        self._specials = read_specials(attachment, heap, cancel)
        self._goroutines = read_allgs(attachment.memory, attachment.allgs)
        self._numbers = {g: number for number, g in enumerate(self._goroutines)}
        self.scanned = 0
        """Bytes gone through."""
        self.doubtful = heap.torn > 0 or not self._specials.whole
        """Whether something that may hold an object was not looked at."""

    def search(self, frontier: Sequence[HeapObject], level: Level, number: int) -> Iterator[SearchProgress]:
        """Add to *level*, the *number*-th, what points into an object of *frontier*. Raises TargetGone."""
        search = WordSearch((item.start, item.start + item.size) for item in frontier)
        level.edges += self._find_roots(search)
        hits: dict[tuple[int, int, int], list[tuple[int, int]]] = {}
        counts: dict[int, int] = {}
        total = sum(end - start for start, end in self._regions) or 1
        read, reported = 0, 0
        for place, data in self._iter_heap():
            if self._cancel.is_set():
                return
            read += len(data)
            if read - reported >= _PROGRESS_BYTES:
                reported = read
                yield SearchProgress(f"level {number}: searching the heap", min(read / total, 1.0))
            for offset, value in search.iter_hits(data):
                self._sort_hit(place + offset, value, hits, counts, level)
        self.scanned += read
        for group in hits.values():
            for address, value in group:
                edge = self._check_hit(address, value)
                if edge is not None:
                    level.edges.append(edge)

    def _sort_hit(
        self,
        address: int,
        value: int,
        hits: dict[tuple[int, int, int], list[tuple[int, int]]],
        counts: dict[int, int],
        level: Level,
    ) -> None:
        """Keep a few of each shape: a thousand objects alike say no more than some of them."""
        target = self._heap.find(value)
        if target is None:
            return
        seen = counts[target.start] = counts.get(target.start, 0) + 1
        if seen > _HITS_LIMIT:
            level.omitted += 1
            return
        holder = self._heap.find(address)
        if holder is None or not holder.span.scannable or holder.start == target.start:
            return
        group = hits.setdefault((target.start, holder.size, address - holder.start), [])
        if len(group) < _ALIKE:
            group.append((address, value))
        else:
            level.omitted += 1

    def _check_hit(self, address: int, value: int) -> Edge | None:
        """The edge from the heap object that has *address*, if it is allocated and the word a pointer."""
        heap = self._heap
        holder, target = heap.find(address), heap.find(value)
        if holder is None or target is None:
            return None
        words = heap.pointer_words(holder)
        if address - holder.start not in words:
            return None
        if not words.exact and not self._types.may_point(holder, address):
            return None
        allocated = heap.is_allocated(holder)
        if allocated is None:
            for _ in range(_TRIES):
                time.sleep(0.001)  # its span is being swept
                allocated = heap.is_allocated(holder)
                if allocated is not None:
                    break
            else:
                self.doubtful = True
        if not allocated:
            return None
        try:
            (now,) = _WORD.unpack(self._memory.read(address, 8))
        except DecodeError:
            return None
        if now != value:
            return None
        if holder.start in self._numbers and holder.start != self._subject.start:
            state = self._attachment.goroutines.state_at(holder.start)
            goid = state.goid if state is not None else None
            self._types.add_goroutine(holder)
            return Edge(HolderKind.RUNTIME, address, value, target.start, holder, "goroutine", goid=goid)
        if self._is_list(holder, address, value):
            # It holds every goroutine there ever was, and so says nothing.
            return Edge(
                HolderKind.RUNTIME, address, value, target.start, holder, "runtime.allgs", final=False
            )
        pointer = self._specials.finalized.get(holder.start)
        if pointer is not None:
            self._types.add_type(holder, pointer)
            return Edge(HolderKind.RUNTIME, address, value, target.start, holder, "object with a finalizer")
        return Edge(HolderKind.OBJECT, address, value, target.start, holder)

    def _is_list(self, holder: HeapObject, address: int, value: int) -> bool:
        """Whether *holder* is the array of runtime.allgs, or one that it outgrew."""
        number = self._numbers.get(value)
        start = self._heap.value_of(holder)
        if number is None or address != start + 8 * number:
            return False
        try:
            before = self._memory.read(start, 8 * number)
        except DecodeError:
            return False
        return before == struct.pack(f"<{number}Q", *self._goroutines[:number])

    def _find_roots(self, search: WordSearch) -> Iterator[Edge]:
        heap = self._heap
        for address, value in self._variables.iter_pointers(search, self._cancel):
            target = heap.find(value)
            if target is not None:
                yield Edge(HolderKind.GLOBAL, address, value, target.start)
        self.scanned += self._variables.scanned
        if self._variables.unknown:
            self.doubtful = True
        for g, state, pointer in self._frames.iter_held(search, self._cancel):
            target = heap.find(pointer.value)
            if target is not None and g != self._subject.start:
                frame = self._frames.frame_of(pointer)
                # Since Go 1.27 readLoop has the body it waits for in a live variable: that closes nothing.
                waits = frame is not None and frame.function == READ_LOOP
                what = "deferred call" if pointer.deferred else ""
                yield Edge(
                    HolderKind.FRAME,
                    pointer.address,
                    pointer.value,
                    target.start,
                    field=what,
                    goid=state.goid,
                    frame=frame,
                    final=not waits,
                )
        self.scanned += self._frames.scanned
        if self._frames.unknown or self._frames.omitted:
            self.doubtful = True
        for special in self._specials.pointers:
            target = heap.find(special.value) if search.range_of(special.value) else None
            if target is not None and special.value:
                yield Edge(
                    HolderKind.RUNTIME,
                    special.address,
                    special.value,
                    target.start,
                    heap.find(special.object),
                    special.what,
                )

    def _iter_heap(self) -> Iterator[tuple[int, bytes]]:
        """(address, bytes) of all memory that may hold pointers, with some that does not."""
        for start, end in self._regions:
            for place in range(start, end, _CHUNK):
                yield from self._read(place, min(place + _CHUNK, end))

    def _read(self, start: int, end: int) -> Iterator[tuple[int, bytes]]:
        try:
            yield start, self._memory.read(start, end - start)
        except DecodeError:
            if end - start <= PAGE_SIZE:
                self.doubtful = True
                return
            middle = start + (end - start) // 2 // PAGE_SIZE * PAGE_SIZE
            yield from self._read(start, middle)
            yield from self._read(middle, end)

    def finalizers_idle(self) -> bool:
        """Whether no finalizer or cleanup is queued: what is queued is held by memory that is not searched."""
        reader = self._attachment.goroutines
        unwinder = self._attachment.unwinder
        reasons = self._attachment.layout.wait_reasons
        for address in self._goroutines:
            state = reader.state_at(address)
            if state is None or state.status in _DEAD:
                continue
            if unwinder.function_name(state.start_pc) in _QUEUE_RUNNERS:
                reason = reasons[state.reason] if state.reason < len(reasons) else ""
                if state.status != _WAITING or not reason.endswith("wait"):
                    return False
        return True

    def is_goroutine(self, found: HeapObject) -> bool:
        """Whether *found* is a runtime.g."""
        return found.start in self._numbers


def _join_spans(heap: HeapMap) -> list[tuple[int, int]]:
    """(start, end) of memory to search, ascending: what lies between is read if that costs less than to skip it."""
    regions: list[tuple[int, int]] = []
    for span in heap.iter_spans():
        if span.scannable:
            if regions and span.start - regions[-1][1] <= _GAP:
                regions[-1] = regions[-1][0], span.end
            else:
                regions.append((span.start, span.end))
    return regions
