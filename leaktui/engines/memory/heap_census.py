"""The heap counted span by span: live objects and bytes of each size, and of each type the runtime keeps.

Law: live is what the last GC marked or was allocated since. A span counts what it handed out (allocCount), unless
it still waits to be swept: then its marks are counted. Types are told for scannable objects of more than 512
bytes only (allocation headers, large objects); a word that is no type descriptor counts for none.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

from leaktui.binary.runtime_types import RuntimeTypes
from leaktui.engines.memory.attachment import Attachment
from leaktui.engines.memory.heap_map import HeapMap
from leaktui.engines.memory.reader import MemoryReader
from leaktui.engines.memory.spans import HEADER, Span
from leaktui.errors import DecodeError
from leaktui.model.heap_census import HeapCensus, SizeClass, TypeCount
from leaktui.text import printable

_SPARSE = 4096
"""Objects from this size on are read one header each, smaller ones with all that is between them."""

_CHUNK = 4 << 20
_CANCEL_EVERY = 256
_SAMPLES = 3


def read_heap_census(attachment: Attachment, heap_map: HeapMap, cancel: threading.Event) -> HeapCensus:
    """Count the spans of *heap_map*; where *cancel* is set, only some, to be thrown away. Raises TargetGone."""
    classes: dict[tuple[int, bool], list[int]] = {}
    typed: list[tuple[Span, int]] = []
    filled: dict[tuple[int, bool], list[Span]] = {}
    counter = _TypeCounter(attachment.layout.types)
    for number, span in enumerate(heap_map.iter_spans()):
        if number % _CANCEL_EVERY == 0 and cancel.is_set():
            break
        objects = heap_map.count_live(span)
        size = 0 if span.large else span.element_size
        counts = classes.setdefault((size, span.scannable), [0, 0, 0])
        counts[0] += 1
        counts[1] += objects
        counts[2] += objects * span.element_size
        if not objects:
            continue
        filled.setdefault((size, span.scannable), []).append(span)
        if heap_map.has_header(span):
            typed.append((span, objects))
        elif span.large and span.scannable and not span.user_arena:
            counter.add(span.large_type, span.element_size, span.element_size)
    for size, header in _iter_headers(attachment.memory, heap_map, typed, cancel):
        counter.add(header, size - HEADER, size)
    types = counter.counts()
    return HeapCensus(
        live_bytes=sum(counts[2] for counts in classes.values()),
        objects=sum(counts[1] for counts in classes.values()),
        classes=tuple(
            SizeClass(
                size,
                scannable,
                spans=counts[0],
                objects=counts[1],
                live_bytes=counts[2],
                samples=_samples(heap_map, filled.get((size, scannable), ())),
            )
            for (size, scannable), counts in sorted(classes.items())
        ),
        types=types,
        typed_bytes=sum(count.live_bytes for count in types),
        stack_bytes=sum(span.size for span in heap_map.stacks),
        gc_cycles=heap_map.gc_cycles,
    )


def _samples(heap_map: HeapMap, spans: Sequence[Span]) -> tuple[int, ...]:
    """Addresses of a few objects of *spans* that are in use, each in another part of them."""
    found = []
    for part in range(_SAMPLES):
        # The ends of a list of spans are what the program had from the beginning, or has just got.
        span = spans[len(spans) * (2 * part + 1) // (2 * _SAMPLES)] if spans else None
        bits = heap_map.live_bits(span) if span is not None else None
        if span is None or not bits:
            continue
        middle = span.count // 2
        index = next((at for at in (*range(middle, span.count), *range(middle)) if bits >> at & 1), None)
        if index is not None:
            found.append(heap_map.object_at(span, index).start)
    return tuple(dict.fromkeys(found))


class _TypeCounter:
    """Objects and bytes by type; what has room for two values or more is a slice's array."""

    def __init__(self, types: RuntimeTypes) -> None:
        self._types = types
        self._counts: dict[tuple[int, bool], list[int]] = {}
        self._sizes: dict[int, int] = {}

    def add(self, address: int, room: int, size: int) -> None:
        """Count an object of *size* bytes with *room* for values of the type at *address*."""
        value = self._sizes.get(address)
        if value is None:
            info = self._types.at(address)
            # A value without pointers would be in a span that is not scanned, and so have no type.
            value = self._sizes[address] = info.size if info is not None and info.pointer_bytes else 0
        if not 0 < value <= room:
            return
        counts = self._counts.setdefault((address, room >= 2 * value), [0, 0])
        counts[0] += 1
        counts[1] += size

    def counts(self) -> tuple[TypeCount, ...]:
        """The types by name, those with the most bytes first."""
        named: dict[str, list[int]] = {}
        for (address, several), (objects, size) in self._counts.items():
            info = self._types.at(address)
            if info is None:
                continue
            total = named.setdefault(f"[]{info.name}" if several else info.name, [0, 0])
            total[0] += objects
            total[1] += size
        counts = [TypeCount(printable(name), *total) for name, total in named.items()]
        counts.sort(key=lambda count: (-count.live_bytes, count.type_name))
        return tuple(counts)


def _iter_headers(
    memory: MemoryReader, heap_map: HeapMap, spans: Sequence[tuple[Span, int]], cancel: threading.Event
) -> Iterator[tuple[int, int]]:
    """(size, allocation header) of the live objects of *spans*, which come with how many they have."""
    dense = []
    for span, objects in spans:
        if span.element_size < _SPARSE:
            dense.append((span, objects))
            continue
        if cancel.is_set():
            return
        for index in _iter_live(heap_map, span, objects):
            try:
                header = memory.read(span.start + index * span.element_size, HEADER)
            except DecodeError:
                continue
            yield span.element_size, int.from_bytes(header, "little")
    place = 0
    while place < len(dense) and not cancel.is_set():
        start = end = dense[place][0].start
        first = place
        while place < len(dense) and dense[place][0].start == end and end - start < _CHUNK:
            end = dense[place][0].end
            place += 1
        try:
            words = memoryview(memory.read(start, end - start)).cast("Q")
        except DecodeError:
            continue
        for span, objects in dense[first:place]:
            offset, step = (span.start - start) // HEADER, span.element_size // HEADER
            for index in _iter_live(heap_map, span, objects):
                yield span.element_size, words[offset + index * step]


def _iter_live(heap_map: HeapMap, span: Span, objects: int) -> Iterator[int]:
    """The indexes of the live objects of *span*, all of them where it is full."""
    if objects >= span.count:
        yield from range(span.count)
        return
    bits = heap_map.live_bits(span) or 0
    while bits:
        lowest = bits & -bits
        yield lowest.bit_length() - 1
        bits ^= lowest
