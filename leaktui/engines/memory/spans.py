"""The spans of a heap, all of them, read while the program runs.

Law: a span whose fields do not agree is read again by itself; of two that claim the same pages, the one whose
struct still says so is kept. What a span has at its end besides objects is told from the room it leaves.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from leaktui.engines.memory.mheap import (
    IN_USE,
    MANUAL,
    PAGE_SIZE,
    SpanLayout,
    SpanList,
    SpanState,
    is_plausible,
    read_span_list,
)
from leaktui.engines.memory.near_structs import iter_structs
from leaktui.engines.memory.pointer_words import WORD
from leaktui.engines.memory.reader import MemoryReader
from leaktui.errors import DecodeError

HEADER = 8
"""Bytes of the type's address before objects of more than HEAP_BITS_LIMIT bytes (gc.MallocHeaderSize)."""

HEAP_BITS_LIMIT = 512
"""The largest objects whose pointer bits are at the end of their span (gc.MinSizeForMallocHeader)."""

INLINE_MARKS = 128
"""Bytes of spanInlineMarkBits at the end of a span of small objects (runtime/mgcmark_greenteagc.go, Go 1.25)."""

_TRIES = 4


class Span(NamedTuple):
    """A run of pages from `start` to `end` with `count` places for objects of `element_size` bytes."""

    start: int
    end: int
    element_size: int
    count: int  # type: ignore[assignment]  # not tuple.count
    address: int
    """Of its runtime.mspan."""
    span_class: int
    state: int
    large_type: int
    """The descriptor of a large object's type (of its elements, for an array), 0 for none."""
    alloc_count: int
    sweep_generation: int
    free_index: int
    alloc_bits: int
    mark_bits: int
    user_arena: bool

    @property
    def scannable(self) -> bool:
        """Whether its objects may hold pointers."""
        return not self.span_class & 1

    @property
    def large(self) -> bool:
        """Whether it is one object, too large for a size class."""
        return self.span_class < 2

    @property
    def size(self) -> int:
        """Bytes of its pages."""
        return self.end - self.start


class HeapObject(NamedTuple):
    """A place for an object, the `index`-th of `span`; `size` is that of its size class.

    With an allocation header the object's value begins 8 bytes after `start`: see `HeapMap.value_of`.
    """

    start: int
    size: int
    span: Span
    index: int  # type: ignore[assignment]  # not tuple.index


def read_spans(memory: MemoryReader, listed: SpanList, cancel: threading.Event) -> tuple[list[Span], int]:
    """All spans in use, by address, and how many made no sense."""
    layout = listed.layout
    found: list[Span] = []
    torn = 0
    addresses = sorted(address for address in read_span_list(memory, listed.address) if address)
    for address, data in iter_structs(memory, addresses, layout.size):
        if cancel.is_set():
            break
        state = layout.decode(data)
        if state.state not in (IN_USE, MANUAL):
            continue
        if not is_plausible(state):
            again = _read_again(memory, layout, address)
            if again is None:
                torn += 1
                continue
            if again.state not in (IN_USE, MANUAL):
                continue
            state = again
        found.append(_span(address, state))
    found.sort()
    return _without_overlaps(memory, layout, found, torn)


def _read_again(memory: MemoryReader, layout: SpanLayout, address: int) -> SpanState | None:
    """The span at *address* as soon as it makes sense or is given back; None if it never does."""
    for _ in range(_TRIES):
        try:
            state = layout.decode(memory.read(address, layout.size))
        except DecodeError:
            return None
        if state.state not in (IN_USE, MANUAL) or is_plausible(state):
            return state
    return None


def _without_overlaps(
    memory: MemoryReader, layout: SpanLayout, spans: list[Span], torn: int
) -> tuple[list[Span], int]:
    """*spans* without those whose pages others have: given back and handed out again meanwhile."""
    kept: list[Span] = []
    for span in spans:
        while kept and span.start < kept[-1].end:
            # Of two that claim a page, the one whose struct still says so has it.
            if _is_current(memory, layout, kept[-1]):
                break
            kept.pop()
            torn += 1
        if kept and span.start < kept[-1].end:
            torn += 1
            continue
        kept.append(span)
    return kept, torn


def _is_current(memory: MemoryReader, layout: SpanLayout, span: Span) -> bool:
    try:
        state = layout.decode(memory.read(span.address, layout.size))
    except DecodeError:
        return False
    return state.start == span.start and state.state == span.state and is_plausible(state)


def _span(address: int, state: SpanState) -> Span:
    manual = state.state == MANUAL
    return Span(
        state.start,
        state.start + state.pages * PAGE_SIZE,
        state.element_size,
        state.places,
        address,
        state.span_class,
        state.state,
        0 if manual or state.span_class > 1 else state.large_type,
        state.alloc_count,
        state.sweep_generation,
        state.free_index,
        state.alloc_bits,
        state.mark_bits,
        bool(state.user_arena) and not manual,
    )


def has_inline_marks(spans: Sequence[Span]) -> bool:
    """Whether spans of small objects have less room for them than without mark bits at the end."""
    votes: Counter[bool] = Counter()
    for span in spans:
        size = span.element_size
        if span.span_class < 2 or not 16 <= size <= HEAP_BITS_LIMIT or span.size != PAGE_SIZE:
            continue
        bits = 0 if span.span_class & 1 else PAGE_SIZE // WORD // 8
        plain, inline = (PAGE_SIZE - bits) // size, (PAGE_SIZE - bits - INLINE_MARKS) // size
        if plain != inline and span.count in (plain, inline):
            votes[span.count == inline] += 1
    return votes[True] > votes[False]


def has_heap_bits(spans: Sequence[Span], inline: bool) -> bool:
    """Whether spans of small scannable objects leave room for a bit per word."""
    for span in spans:
        size = span.element_size
        if span.span_class < 2 or span.span_class & 1 or size > HEAP_BITS_LIMIT or span.user_arena:
            continue
        room = span.size - (INLINE_MARKS if inline and size >= 16 else 0)
        if span.count != (room - span.size // WORD // 8) // size:
            return False
    return True
