"""The heap of a process: its spans, and which object an address is in.

Law: a HeapMap is a snapshot of all spans, believed only if the goroutines lie where the runtime keeps them: each
runtime.g in a span in use, each stack in one managed by hand. What is said of a single object is read anew,
between two readings of its span that agree; where they never do it is None.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Iterator, Sequence

from leaktui.binary.runtime_types import RuntimeTypes, TypeInfo
from leaktui.engines.memory.allgs import read_allgs
from leaktui.engines.memory.attachment import Attachment
from leaktui.engines.memory.mheap import IN_USE, MANUAL, SpanList, SpanState, find_span_list, unusable
from leaktui.engines.memory.pointer_words import WORD, PointerWords, TypeMasks, all_words, no_words
from leaktui.engines.memory.reader import MemoryReader
from leaktui.engines.memory.spans import (
    HEADER,
    HEAP_BITS_LIMIT,
    INLINE_MARKS,
    HeapObject,
    Span,
    has_heap_bits,
    has_inline_marks,
    read_spans,
)
from leaktui.errors import DecodeError

__all__ = ["HeapMap", "HeapObject", "PointerWords", "Span"]

_MARKS_OFFSET = 64  # in spanInlineMarkBits, after scans and owned
_SWEPT, _UNSWEPT = (0, 3), (-2, 1)  # mspan.sweepgen − mheap_.sweepgen (runtime/mheap.go); −1 is being swept
_TRIES = 4
_CHECKED = 512
_GOOD_SHARE = 0.97
_HEADERS_CHECKED = 128


class HeapMap:
    """All spans of a process at one moment. Safe to share by threads once it is read."""

    def __init__(
        self,
        memory: MemoryReader,
        types: RuntimeTypes,
        listed: SpanList,
        spans: Sequence[Span],
        *,
        generation: int = 0,
        torn: int = 0,
    ) -> None:
        self._memory = memory
        self._types = types
        self._list = listed
        self._masks = TypeMasks(memory, types)
        objects = [span for span in spans if span.state == IN_USE]
        self._spans = tuple(objects)
        self._starts = [span.start for span in objects]
        self.stacks = tuple(span for span in spans if span.state == MANUAL and span.element_size)
        """Spans of goroutine stacks."""
        self.others = tuple(span for span in spans if span.state == MANUAL and not span.element_size)
        """Spans of the collector's own."""
        self.torn = torn
        """Spans that changed whenever they were read."""
        self.generation = generation
        """mheap_.sweepgen when they were read, 0 where it is not known."""
        self.inline_marks = has_inline_marks(objects)
        """Whether spans of small objects end with mark bits of their own (the Green Tea collector)."""
        self.heap_bits = has_heap_bits(objects, self.inline_marks)
        """Whether spans of small scannable objects end with pointer bits."""
        self.headers = self._has_headers()
        """Whether larger scannable objects begin with the address of their type."""

    @classmethod
    def read(cls, attachment: Attachment, cancel: threading.Event) -> HeapMap:
        """Read all spans; where *cancel* is set, only some, to be thrown away.

        Raises EngineUnavailable naming the self-check that failed, TargetGone, DecodeError.
        """
        memory = attachment.memory
        listed = find_span_list(attachment.executable, memory, attachment.layout)
        doubt = ""
        for _ in range(_TRIES):
            # A g is never freed: those listed before must all be in the spans read after.
            known = _sample_goroutines(attachment)
            before = listed.read_generation(memory)
            spans, torn = read_spans(memory, listed, cancel)
            after = listed.read_generation(memory)
            heap = cls(memory, attachment.layout.types, listed, spans, generation=after, torn=torn)
            if cancel.is_set():
                return heap
            doubt = heap._doubt(known)
            if not doubt and before == after:
                return heap
        if doubt:
            raise unusable(doubt, "heap spans")
        return (
            heap  # collected more often than it can be read; what is said of one object is right all the same
        )

    # --- spans ---

    def iter_spans(self) -> Iterator[Span]:
        """Spans that hold objects, by address."""
        return iter(self._spans)

    def __len__(self) -> int:
        """How many spans hold objects."""
        return len(self._spans)

    @property
    def gc_cycles(self) -> int | None:
        """How many collections there were when the spans were read; None where not known."""
        return self.generation // 2 if self.generation else None

    @property
    def ranges(self) -> list[tuple[int, int]]:
        """(start, end) of memory that holds objects, ascending, adjoining spans as one."""
        ranges: list[tuple[int, int]] = []
        for span in self._spans:
            if ranges and ranges[-1][1] == span.start:
                ranges[-1] = (ranges[-1][0], span.end)
            else:
                ranges.append((span.start, span.end))
        return ranges

    def span_at(self, address: int) -> Span | None:
        """The span of objects that has *address*."""
        place = bisect_right(self._starts, address) - 1
        if place < 0:
            return None
        span = self._spans[place]
        return span if address < span.end else None

    def find(self, address: int) -> HeapObject | None:
        """The place for an object that *address* points to or into; None outside spans that hold objects.

        There may be no object in it (any more): see `is_allocated`.
        """
        place = bisect_right(self._starts, address) - 1
        if place < 0:
            return None
        span = self._spans[place]
        size = span.element_size
        index = (address - span.start) // size
        if index >= span.count:
            return None
        return HeapObject(span.start + index * size, size, span, index)

    def object_at(self, span: Span, index: int) -> HeapObject:
        """The *index*-th place of *span*."""
        return HeapObject(span.start + index * span.element_size, span.element_size, span, index)

    # --- one object, read now ---

    def is_allocated(self, found: HeapObject) -> bool | None:
        """Whether there is an object at *found* now; None where that cannot be told.

        In a span that was not swept since the last GC it is one only if that GC marked it. Raises TargetGone.
        """
        byte = found.index // 8
        bits = self._read_live(found.span, byte, 1)
        return None if bits is None else bool(bits >> found.index % 8 & 1)

    def count_live(self, span: Span) -> int:
        """How many objects *span* had when it was read, or has now if it was not swept by then."""
        if self.generation and span.sweep_generation - self.generation in (-2, -1, 1):
            bits = self.live_bits(span)
            if bits is not None:
                return bits.bit_count()
        return min(span.alloc_count, span.count)

    def live_bits(self, span: Span) -> int | None:
        """A bit per place of *span* that has an object now, as `is_allocated` says; None where not known."""
        bits = self._read_live(span, 0, (span.count + 7) // 8)
        return None if bits is None else bits & (1 << span.count) - 1

    def value_of(self, found: HeapObject) -> int:
        """The address of the value: after the allocation header, where there is one."""
        return found.start + (HEADER if self.has_header(found.span) else 0)

    def has_header(self, span: Span) -> bool:
        """Whether the objects of *span* begin with the address of their type."""
        return (
            self.headers
            and span.element_size > HEAP_BITS_LIMIT
            and not span.span_class & 1
            and not span.large
            and not span.user_arena
        )

    def type_of(self, found: HeapObject, data: bytes | None = None) -> TypeInfo | None:
        """The type the runtime keeps for it (large objects and those with a header), None for none.

        An array's or slice's is that of its elements. *data* may be the object's bytes. Raises TargetGone.
        """
        address = self._type_address(found, data)
        return self._types.at(address) if address else None

    def pointer_words(self, found: HeapObject, data: bytes | None = None) -> PointerWords:
        """Which words of the object may hold pointers; all, where that is not known.

        *data* may be the object's bytes, which saves reading its header. Raises TargetGone.
        """
        span = found.span
        if not span.scannable:
            return no_words(found.size)
        if span.user_arena:
            return all_words(found.size)
        if not span.large and found.size <= HEAP_BITS_LIMIT:
            return self._small_words(found)
        address = self._type_address(found, data)
        words = self._masks.mask_of(address) if address else None
        if words is None:
            return all_words(found.size)
        return PointerWords(0 if span.large else HEADER, words.period, words.mask, found.size)

    def heap_bits_of(self, span: Span, data: bytes | None = None) -> int | None:
        """The pointer bits kept at the end of *span*, one per word from its start; None where it keeps none.

        *data* may be the span's bytes. Raises TargetGone.
        """
        place = self._heap_bits_place(span)
        if place is None:
            return None
        size = span.size // WORD // 8
        if data is not None:
            return int.from_bytes(data[place : place + size], "little")
        try:
            return int.from_bytes(self._memory.read(span.start + place, size), "little")
        except DecodeError:
            return None

    # --- inside ---

    def _read_state(self, span: Span) -> SpanState:
        layout = self._list.layout
        return layout.decode(self._memory.read(span.address, layout.size))

    def _read_live(self, span: Span, first: int, size: int) -> int | None:
        """*size* bytes, from *first* on, of the bits that say where *span* has objects, between equal states."""
        if not self._list.sweep_generation:
            return None
        for _ in range(_TRIES):
            try:
                state = self._read_state(span)
                if (state.state, state.start, state.element_size) != (IN_USE, span.start, span.element_size):
                    return 0  # it was given back
                generation = self._list.read_generation(self._memory)
                behind = state.sweep_generation - generation
                if behind in _SWEPT:
                    bits = int.from_bytes(self._memory.read(state.alloc_bits + first, size), "little")
                    # Below the free index all is handed out (mspan.isFree).
                    bits |= (1 << min(max(state.free_index - 8 * first, 0), 8 * size)) - 1
                elif behind in _UNSWEPT:
                    bits = int.from_bytes(self._memory.read(state.mark_bits + first, size), "little")
                    if self.marks_inline(span):
                        place = span.end - INLINE_MARKS + _MARKS_OFFSET + first
                        bits |= int.from_bytes(self._memory.read(place, size), "little")
                else:
                    continue  # it is being swept now
                same = self._list.read_generation(self._memory) == generation
                if same and self._read_state(span) == state:
                    return bits
            except DecodeError:
                continue  # the memory of the bits was given back
        return None

    def marks_inline(self, span: Span) -> bool:
        """Whether *span* ends with its own mark bits (gcUsesSpanInlineMarkBits)."""
        return self.inline_marks and 16 <= span.element_size <= HEAP_BITS_LIMIT and not span.large

    def _heap_bits_place(self, span: Span) -> int | None:
        if not self.heap_bits or not span.scannable or span.large or span.element_size > HEAP_BITS_LIMIT:
            return None
        tail = INLINE_MARKS if self.marks_inline(span) else 0
        return span.size - span.size // WORD // 8 - tail

    def _small_words(self, found: HeapObject) -> PointerWords:
        span = found.span
        place = self._heap_bits_place(span)
        if place is None:
            return all_words(found.size)
        bit = (found.start - span.start) // WORD
        count = found.size // WORD
        start = bit // 8
        try:
            data = self._memory.read(span.start + place + start, (bit + count + 7) // 8 - start)
        except DecodeError:
            return all_words(found.size)
        mask = int.from_bytes(data, "little") >> bit % 8 & (1 << count) - 1
        return PointerWords(0, found.size, mask, found.size)

    def _type_address(self, found: HeapObject, data: bytes | None) -> int:
        span = found.span
        if span.large:
            if not span.scannable:
                return 0
            try:
                state = self._read_state(span)
            except DecodeError:
                return 0
            return state.large_type if state.start == span.start and state.state == IN_USE else 0
        if not self.has_header(span):
            return 0
        try:
            header = data[:HEADER] if data is not None else self._memory.read(found.start, HEADER)
        except DecodeError:
            return 0
        return int.from_bytes(header, "little")

    def _has_headers(self) -> bool:
        """Whether most first words of larger scannable objects are types."""
        seen = good = 0
        for span in self._spans:
            if span.span_class & 1 or span.large or span.user_arena or span.element_size <= HEAP_BITS_LIMIT:
                continue
            if span.alloc_count == 0:
                continue
            try:
                header = int.from_bytes(self._memory.read(span.start, HEADER), "little")
            except DecodeError:
                continue
            if not header:
                continue
            seen += 1
            info = self._types.at(header)
            good += info is not None and info.pointer_bytes > 0
            if seen >= _HEADERS_CHECKED:
                break
        return good >= seen / 2

    def _doubt(self, known: Sequence[tuple[int, int, int]]) -> str:
        """What is wrong with this map, given goroutines (g, stack's low and high end); empty for nothing."""
        outside = sum(1 for g, _, _ in known if self.find(g) is None)
        if outside > len(known) * (1 - _GOOD_SHARE):
            return f"{outside} of {len(known)} goroutines lie in no heap span"
        manual = sorted((*self.stacks, *self.others))
        starts = [span.start for span in manual]
        lost = total = 0
        for _, low, high in known:
            if not low:
                continue
            total += 1
            place = bisect_right(starts, low) - 1
            lost += place < 0 or high > manual[place].end
        # Stacks move while they are looked at.
        if lost > total / 4:
            return f"{lost} of {total} goroutine stacks lie in no span of stacks"
        if not known or not total:
            return "there are no goroutines to check the heap spans by"
        return ""


def _sample_goroutines(attachment: Attachment) -> list[tuple[int, int, int]]:
    """(g, low, high end of its stack, 0 for none) of some goroutines, evenly."""
    addresses = read_allgs(attachment.memory, attachment.allgs)
    layout = attachment.layout.g
    found = []
    for address in addresses[:: len(addresses) // _CHECKED + 1]:
        try:
            state = layout.decode(attachment.memory.read(address, layout.size))
        except DecodeError:
            continue
        found.append((address, state.low, state.high))
    return found
