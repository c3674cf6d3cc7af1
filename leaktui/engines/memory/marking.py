"""Which heap objects can be reached: marks, spread from pointer to pointer as a garbage collector does.

Law: conservative. Every word of a reached object that points into a span, also to the middle of a place, keeps that
place; what has no pointers by its span's class is not looked into, and nothing else is left out, but the objects
declared opaque. Spans are read whole, each time anew; words that point where the map of the heap has no span are
kept for when the map is read again.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import compress

from leaktui.engines.memory.heap_map import HeapMap, Span
from leaktui.engines.memory.mheap import PAGE_SIZE
from leaktui.engines.memory.reader import MemoryReader
from leaktui.errors import DecodeError

_PAGE_SHIFT = PAGE_SIZE.bit_length() - 1
_ARENA = 64 << 20
"""heapArenaBytes: the heap grows by so much at once, so this far around it addresses may be its own."""

_CHUNK = 1 << 20
_WHOLE = 64 << 10
_UNKNOWN_LIMIT = 1 << 20
_PAUSE_EVERY = 64
_PART = 512
_SELECTORS = 4096

_STACK = -1
"""Instead of a span's number: the page belongs to stacks."""

_MARKED, _WATCHED, _OPAQUE = 1, 2, 3

_BITS = tuple(bytes(number >> bit & 1 for bit in range(8)) for number in range(256))


class Cancelled(Exception):
    """The marking was given up: cancelled, or out of time."""


def select_words(data: bytes, mask: bytes) -> Iterable[int]:
    """The words of *data* whose bits in *mask* are set, least significant first."""
    bits = b"".join([_BITS[byte] for byte in mask])
    return compress(memoryview(data)[: len(data) & ~7].cast("Q"), bits)


class Marking:
    """Marks of one walk over the heap. Not thread-safe.

    `woken` gets the address an object was watched by, as soon as the object is reached.
    """

    def __init__(
        self, memory: MemoryReader, heap: HeapMap, cancel: threading.Event, *, seconds: float, limit: int
    ) -> None:
        """Give up after *seconds* (monotonic time from now), or *limit* bytes scanned."""
        self._memory = memory
        self._cancel = cancel
        self._end = time.monotonic() + seconds
        self._limit = limit
        self._heap = heap
        self._table: dict[int, int] = {}
        self._spans: list[Span] = []
        self._starts: list[int] = []
        self._sizes: list[int] = []
        self._marks: list[bytearray | None] = []
        self._known: dict[int, tuple[int, int]] = {}
        self._pending: dict[int, list[int]] = {}
        self._order: deque[int] = deque()
        self._selectors: dict[tuple[int, int, int], bytes] = {}
        self._watchers: dict[tuple[int, int], list[int]] = {}
        self.low, self.high = 1 << 63, 0
        self.woken: list[int] = []
        self.unknown: set[int] = set()
        """Words that point where a span may have come to be since the map was read."""
        self.scanned = 0
        """Bytes of objects looked into."""
        self.torn = 0
        """Spans or parts of them that could not be read, or were given back meanwhile."""
        self.lost_unknown = False
        """Whether there were more such words than are kept."""
        self.extend(heap)

    def extend(self, heap: HeapMap) -> None:
        """Add the spans of *heap*; raise what the marks say of spans that are others now to a loss (`torn`)."""
        table = self._table
        self._heap = heap
        for span in heap.iter_spans():
            known = self._known.get(span.start)
            shape = (span.element_size, span.count)
            if known is not None and known == shape:
                continue
            number = len(self._spans)
            self._spans.append(span)
            self._starts.append(span.start)
            self._sizes.append(span.element_size)
            self._marks.append(None)
            self._known[span.start] = shape
            first = span.start >> _PAGE_SHIFT
            if span.size == PAGE_SIZE:
                table[first] = number
            else:
                table.update(dict.fromkeys(range(first, span.end >> _PAGE_SHIFT), number))
            self.low = min(self.low, span.start - _ARENA)
            self.high = max(self.high, span.end + _ARENA)
        for span in heap.stacks:
            # What points there points to no object. A page that has been one of objects stays one.
            for page in range(span.start >> _PAGE_SHIFT, span.end >> _PAGE_SHIFT):
                table.setdefault(page, _STACK)

    # --- what is special ---

    def watch(self, address: int, who: int) -> bool:
        """Put *who* into `woken` when the object that has *address* is reached; False where there is no object."""
        place = self._place(address)
        if place is None:
            return False
        marks = self._marks_of(place[0])
        if marks[place[1]] == _MARKED:
            self.woken.append(who)
            return True
        marks[place[1]] = _WATCHED
        self._watchers.setdefault(place, []).append(who)
        return True

    def hide(self, address: int) -> None:
        """Do not look into the object at *address*, nor mark it, until it is shown."""
        place = self._place(address)
        if place is not None:
            marks = self._marks_of(place[0])
            if not marks[place[1]]:
                marks[place[1]] = _OPAQUE

    def show(self, address: int) -> None:
        """Mark the object at *address* that was hidden."""
        place = self._place(address)
        if place is not None:
            marks = self._marks_of(place[0])
            if marks[place[1]] == _OPAQUE:
                marks[place[1]] = 0
            self.mark((address,))

    def has_span(self, address: int) -> bool:
        """Whether *address* is in a span that holds objects."""
        return self._table.get(address >> _PAGE_SHIFT, _STACK) >= 0

    def is_marked(self, address: int) -> bool | None:
        """Whether the object that has *address* is reached; None where there is no object."""
        place = self._place(address)
        if place is None:
            return None
        marks = self._marks[place[0]]
        return marks is not None and marks[place[1]] == _MARKED

    def is_hidden(self, address: int) -> bool:
        """Whether the object that has *address* is not to be looked into."""
        place = self._place(address)
        marks = self._marks[place[0]] if place is not None else None
        return marks is not None and place is not None and marks[place[1]] == _OPAQUE

    def object_at(self, address: int) -> tuple[int, int] | None:
        """(start, size) of the place for an object that has *address*."""
        place = self._place(address)
        if place is None:
            return None
        size = self._sizes[place[0]]
        return self._starts[place[0]] + place[1] * size, size

    # --- marking ---

    def mark_bytes(self, data: bytes) -> None:
        """Mark what any word of *data* points to."""
        low, high = self.low, self.high
        self.mark([word for word in memoryview(data)[: len(data) & ~7].cast("Q") if low <= word < high])

    def mark_words(self, words: Iterable[int]) -> None:
        """Mark what *words* point to."""
        low, high = self.low, self.high
        self.mark([word for word in words if low <= word < high])

    def iter_unmarked(self, words: Iterable[int]) -> Iterator[int]:
        """Those of *words* that point to objects not marked, and not hidden."""
        for word in words:
            place = self._place(word)
            if place is None:
                done = word >> _PAGE_SHIFT in self._table  # a stack, or no place for an object
            else:
                done = self._marks_of(place[0])[place[1]] in (_MARKED, _OPAQUE)
            if not done:
                yield word

    def mark(self, words: Iterable[int]) -> None:
        """Mark what *words*, all near the heap, point to."""
        find, starts, sizes, every = self._table.get, self._starts, self._sizes, self._marks
        pending = self._pending
        for word in words:
            number = find(word >> _PAGE_SHIFT)
            if number is None:
                self._keep_unknown(word)
                continue
            if number < 0:
                continue
            marks = every[number]
            if marks is None:
                marks = self._marks_of(number)
            index = (word - starts[number]) // sizes[number]
            if index >= len(marks):
                continue
            mark = marks[index]
            if mark:
                if mark != _WATCHED:
                    continue
                self.woken += self._watchers.pop((number, index), ())
            marks[index] = _MARKED
            waiting = pending.get(number)
            if waiting is None:
                pending[number] = [index]
                self._order.append(number)
            else:
                waiting.append(index)

    def drain(self, pause: Callable[[], None], seconds: float = 1 << 30) -> bool:
        """Look into what is marked until nothing is left, or for *seconds*; whether nothing is left.

        *pause* is called now and then, and may mark more. Raises Cancelled, TargetGone.
        """
        order, spans = self._order, self._spans
        until = time.monotonic() + seconds
        visits = 0
        while order:
            if visits % _PAUSE_EVERY == 0:
                self.check()
                pause()
                if time.monotonic() > until:
                    return False
            visits += 1
            number = order.popleft()
            indexes = self._pending.pop(number)
            span = spans[number]
            if span.span_class & 1:
                continue
            try:
                self._scan(span, indexes)
            except DecodeError:
                self.torn += 1
        return True

    def check(self) -> None:
        """Raises Cancelled when it is to be given up."""
        if self._cancel.is_set() or time.monotonic() > self._end or self.scanned > self._limit:
            raise Cancelled

    def retry_unknown(self, heap: HeapMap) -> None:
        """Mark again what pointed to no span, with a later map."""
        self.extend(heap)
        table = self._table
        found = [word for word in self.unknown if table.get(word >> _PAGE_SHIFT, _STACK) >= 0]
        self.unknown.difference_update(found)
        self.mark(found)

    # --- inside ---

    def _place(self, address: int) -> tuple[int, int] | None:
        number = self._table.get(address >> _PAGE_SHIFT, _STACK)
        if number < 0:
            return None
        index = (address - self._starts[number]) // self._sizes[number]
        return (number, index) if index < self._spans[number].count else None

    def _marks_of(self, number: int) -> bytearray:
        marks = self._marks[number]
        if marks is None:
            marks = self._marks[number] = bytearray(self._spans[number].count)
        return marks

    def _keep_unknown(self, word: int) -> None:
        if len(self.unknown) < _UNKNOWN_LIMIT:
            self.unknown.add(word)
        else:
            self.lost_unknown = True

    def _scan(self, span: Span, indexes: list[int]) -> None:
        size = span.element_size
        if size > _WHOLE:
            for index in indexes:
                start = span.start + index * size
                for place in range(start, start + size, _CHUNK):
                    self._look(self._memory.read(place, min(_CHUNK, start + size - place)))
                    self.check()
            return
        if self._heap.has_header(span):
            for index in indexes:
                self._look_typed(span, index)
            return
        if len(indexes) == 1 and size > _PART:
            self._look(self._memory.read(span.start + indexes[0] * size, size))
            return
        # One reading of it all: the objects, and the pointer bits behind them.
        data = self._memory.read(span.start, span.size)
        self.scanned += len(indexes) * size
        step = size // 8
        ones = b"\1" * step
        chosen = bytearray(len(data) // 8)
        for index in indexes:
            chosen[index * step : (index + 1) * step] = ones
        bits = self._heap.heap_bits_of(span, data)
        words: Iterable[int] = memoryview(data).cast("Q")
        if bits is not None:
            spread = b"".join([_BITS[byte] for byte in bits.to_bytes(len(chosen) // 8, "little")])
            pointers = int.from_bytes(spread, "little")
            both = int.from_bytes(chosen, "little") & pointers
            words = compress(words, both.to_bytes(len(chosen), "little"))
        else:
            words = compress(words, chosen)
        low, high = self.low, self.high
        self.mark({word for word in words if low <= word < high})

    def _look_typed(self, span: Span, index: int) -> None:
        """Look into an object that says which type it has."""
        found = self._heap.object_at(span, index)
        data = self._memory.read(found.start, found.size)
        words = self._heap.pointer_words(found, data)
        if not words.exact:
            self._look(data)
            return
        self.scanned += len(data)
        key = (words.mask, words.period, words.first)
        chosen = self._selectors.get(key)
        if chosen is None:
            if len(self._selectors) >= _SELECTORS:
                self._selectors.clear()
            one = bytes(words.mask >> bit & 1 for bit in range(words.period // 8))
            chosen = bytes(words.first // 8) + one * (_WHOLE // words.period + 1)
            self._selectors[key] = chosen
        low, high = self.low, self.high
        self.mark([word for word in compress(memoryview(data).cast("Q"), chosen) if low <= word < high])

    def _look(self, data: bytes) -> None:
        self.scanned += len(data)
        low, high = self.low, self.high
        self.mark({word for word in memoryview(data).cast("Q") if low <= word < high})
