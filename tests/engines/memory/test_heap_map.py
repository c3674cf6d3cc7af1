"""Spans and objects beside what a program knows of its own heap, at rest and while it allocates and collects."""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import pytest

from leaktui.binary.runtime_types import RuntimeTypes, StructLayout
from leaktui.engines.memory.allgs import read_allgs
from leaktui.engines.memory.attachment import Attachment, attach
from leaktui.engines.memory.heap_map import HeapMap
from leaktui.engines.memory.mheap import IN_USE, SpanLayout, SpanState, is_plausible, read_span_list
from leaktui.engines.memory.pointer_words import PointerWords, TypeMasks, all_words, no_words
from leaktui.engines.memory.reader import FakeMemory
from leaktui.engines.memory.spans import HEADER
from leaktui.errors import DecodeError, EngineUnavailable
from tests.engines.memory.go_programs import build_program, run_program
from tests.go_target import GoProcess
from tests.go_toolchain import Toolchain


@contextmanager
def open_heap(flavour: str, toolchain: Toolchain, *arguments: str) -> Iterator[tuple[GoProcess, Attachment]]:
    """The program `heaps`, running, and an attachment to it."""
    with run_program(build_program("heaps", flavour, toolchain), *arguments) as process:
        attachment = attach(process.pid, threading.Event())
        try:
            yield process, attachment
        finally:
            attachment.close()


def check_object(heap: HeapMap, told: dict[str, Any]) -> None:
    """What *heap* says of a live object the program told of."""
    address, size = told["address"], told["size"]
    found = heap.find(address)
    assert found is not None
    assert heap.find(address + size - 1) == heap.find(found.start) == found
    assert heap.value_of(found) == address
    assert found.size >= size + address - found.start
    assert found.size <= size * 1.25 + 8192
    assert heap.is_allocated(found) is True
    assert found.span.scannable is not told["noscan"]
    words = heap.pointer_words(found)
    if told["noscan"]:
        assert words.exact
        assert list(words) == []
        assert heap.type_of(found) is None
        return
    first = address - found.start
    for word in told["pointers"]:
        assert first + 8 * word in words
    assert words.exact
    offsets = list(words)
    assert all(offset in words for offset in offsets)
    if told["type"] != "*main.Node":
        assert first + 8 not in words
        share = len(told["pointers"]) if told["type"] != "main.Vast" else size // 16
        if told["count"] == 1:
            # After the value the collector looks on to the end of the place, as if there were more of them.
            assert sum(offset < first + size for offset in offsets) == share
    kept = heap.type_of(found)
    if size <= 512:
        assert kept is None
    elif kept is not None:
        assert kept.name == told["type"]
    else:
        # Up to Go 1.23 what has a program instead of a mask has a nameless type made up for it.
        assert told["type"] == "main.Vast"


@pytest.mark.go
@pytest.mark.parametrize("flavour", ["stripped", "cgo-pie"])
def test_every_object_is_found_for_what_it_is(matrix_toolchain: Toolchain, flavour: str) -> None:
    with open_heap(flavour, matrix_toolchain) as (process, attachment):
        heap = HeapMap.read(attachment, threading.Event())
        told = process.ask("objects", "objects")
        live = [one for one in told if one["live"]]
        assert len(live) > 1000
        for one in live:
            check_object(heap, one)
        dropped = [one for one in told if not one["live"]]
        freed = 0
        for one in dropped:
            found = heap.find(one["address"])
            freed += found is None or heap.is_allocated(found) is False
        # Others took the place of some since, at the latest to tell us of them.
        assert freed > len(dropped) / 2
        assert heap.headers
        assert heap.heap_bits
        assert heap.torn == 0


@pytest.mark.go
def test_the_spans_are_the_runtimes(matrix_toolchain: Toolchain) -> None:
    with open_heap("stripped", matrix_toolchain) as (process, attachment):
        heap = HeapMap.read(attachment, threading.Event())
        memory = process.ask("memory", "memory")
        spans = list(heap.iter_spans())
        assert sum(span.size for span in spans) == memory["inuse"]
        assert sum(span.size for span in heap.stacks) == memory["stack"]
        assert heap.gc_cycles == memory["cycles"]
        assert len(heap) == len(spans)
        for before, after in pairwise(spans):
            assert before.end <= after.start
        ranges = heap.ranges
        assert sum(end - start for start, end in ranges) == sum(span.size for span in spans)
        for span in spans:
            assert heap.span_at(span.start) is heap.span_at(span.end - 1) is span
            last = heap.object_at(span, span.count - 1)
            assert heap.find(last.start + last.size - 1) == last
            end = span.start + span.count * span.element_size
            assert end == span.end or heap.find(end) is None
        for stack in heap.stacks:
            assert heap.find(stack.start) is None
        for start, end in ((0, 4096), attachment.layout.data):
            assert heap.find(start) is None
            assert heap.find(end) is None
            assert heap.span_at(start) is None


@pytest.mark.go
def test_nothing_live_is_lost_while_it_allocates_and_collects(matrix_toolchain: Toolchain) -> None:
    with open_heap("stripped", matrix_toolchain) as (process, attachment):
        live = [one for one in process.ask("objects", "objects") if one["live"]][::7]
        process.ask("churn", "churning")
        unknown = looked = 0
        cycles = set()
        for _ in range(6):
            heap = HeapMap.read(attachment, threading.Event())
            cycles.add(heap.gc_cycles)
            for one in live:
                found = heap.find(one["address"])
                assert found is not None
                allocated = heap.is_allocated(found)
                assert allocated is not False
                unknown += allocated is None
                looked += 1
                words = heap.pointer_words(found)
                assert all(one["address"] - found.start + 8 * word in words for word in one["pointers"] or ())
        process.ask("still", "still")
        assert len(cycles) > 1
        assert unknown < looked / 10


@pytest.mark.go
def test_what_was_dropped_is_garbage_once_it_is_collected(go_toolchain: Toolchain) -> None:
    """Each large object kept or dropped has a type that nothing else of its size has."""
    with open_heap("stripped", go_toolchain, "-nogc") as (process, attachment):
        told = process.ask("objects", "objects")
        heap = HeapMap.read(attachment, threading.Event())
        huge = [one for one in told if one["type"] == "main.Huge"]
        assert {one["live"] for one in huge} == {True, False}
        for one in huge:
            found = heap.find(one["address"])
            live = False
            if found is not None and found.start == one["address"] and heap.is_allocated(found):
                kept = heap.type_of(found)  # another object may have come to the same place
                live = kept is not None and kept.name == "main.Huge"
            assert live == one["live"]


@pytest.mark.go
def test_the_live_bits_are_those_of_each_object(go_toolchain: Toolchain) -> None:
    with open_heap("stripped", go_toolchain) as (process, attachment):
        heap = HeapMap.read(attachment, threading.Event())
        for span in list(heap.iter_spans())[::5]:
            bits = heap.live_bits(span)
            assert bits is not None
            assert bits.bit_count() == heap.count_live(span)
            for index in range(span.count):
                assert heap.is_allocated(heap.object_at(span, index)) == bool(bits >> index & 1)
        assert process.alive()


@pytest.mark.go
def test_the_bits_of_a_span_are_those_of_its_objects(go_toolchain: Toolchain) -> None:
    with open_heap("stripped", go_toolchain) as (_, attachment):
        heap = HeapMap.read(attachment, threading.Event())
        seen = 0
        for span in heap.iter_spans():
            bits = heap.heap_bits_of(span)
            assert (bits is not None) == (span.scannable and span.element_size <= 512)
            if bits is None:
                continue
            assert bits == heap.heap_bits_of(span, attachment.memory.read(span.start, span.size))
            for index in range(0, span.count, 7):
                one = heap.object_at(span, index)
                expected = [
                    offset
                    for offset in range(0, one.size, 8)
                    if bits >> (one.start + offset - span.start) // 8 & 1
                ]
                assert list(heap.pointer_words(one)) == expected
                seen += 1
        assert seen > 100


@pytest.mark.go
def test_a_map_that_goroutines_do_not_lie_in_is_refused(
    go_toolchain: Toolchain, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_heap("stripped", go_toolchain) as (_, attachment):
        known = read_allgs(attachment.memory, attachment.allgs)
        heap = HeapMap.read(attachment, threading.Event())
        assert all(heap.find(address) for address in known)
        monkeypatch.setattr(
            "leaktui.engines.memory.heap_map.read_allgs", lambda memory, address: (heap.stacks[0].start,)
        )
        with pytest.raises(EngineUnavailable, match="self-check: heap spans"):
            HeapMap.read(attachment, threading.Event())


@pytest.mark.go
def test_a_cancelled_reading_ends_at_once(go_toolchain: Toolchain) -> None:
    cancel = threading.Event()
    cancel.set()
    with open_heap("stripped", go_toolchain) as (_, attachment):
        assert len(HeapMap.read(attachment, cancel)) == 0


def test_pointer_words_repeat_to_the_end_of_the_object() -> None:
    words = PointerWords(HEADER, 24, 0b101, 8 + 24 * 2 + 16)
    assert list(words) == [8, 24, 32, 48, 56]
    assert [offset for offset in range(0, 80, 8) if offset in words] == [8, 24, 32, 48, 56]
    assert 12 not in words
    assert -16 not in words
    assert list(no_words(64)) == []
    assert list(all_words(24)) == [0, 8, 16]
    assert not all_words(24).exact


def mask_of(kind: int, flags: int, mask: int, *, size: int = 32, pointers: int = 24) -> PointerWords | None:
    """What is made of a descriptor that is no known type, with a mask of one byte, 0b101."""
    descriptor = struct.pack("<QQIBBBBQQii", size, pointers, 0, flags, 0, 0, kind, 0, mask, 0, 0)
    memory = FakeMemory({0x1000: descriptor + b"\x05" + bytes(7)})
    return TypeMasks(memory, RuntimeTypes(b"", 0x400000)).mask_of(0x1000)


def test_only_a_type_made_up_by_the_allocator_is_believed_outside_the_types() -> None:
    assert mask_of(0, 16, 0x1030) == PointerWords(0, 32, 0b101, 32)
    assert mask_of(25, 0, 0x1030) is None
    assert mask_of(0, 16, 0x1038) is None
    assert mask_of(0, 16, 0x1030, size=0) is None
    assert mask_of(0, 16, 0x1030, pointers=40) is None
    assert mask_of(0, 16, 0x1030, size=1 << 40, pointers=1 << 40) is None


def span_state(**changes: int) -> SpanState:
    start = 0xC000000000
    state = SpanState(start, 1, 3, 128, 8, 16, 4, 3, 10, IN_USE, 64, start + 8192, 0, 0)
    return state._replace(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"state": 0},
        {"state": 3},
        {"start": 0xC000000001},
        {"pages": 0},
        {"pages": 1 << 50},
        {"places": 0},
        {"places": 129},
        {"element_size": 0},
        {"free_index": 129},
        {"limit": 0xC000000000},
        {"limit": 0xC000002001},
        {"alloc_bits": 1},
    ],
)
def test_a_span_whose_fields_disagree_is_none(changes: dict[str, int]) -> None:
    assert is_plausible(span_state())
    assert not is_plausible(span_state(**changes))


def test_a_span_without_its_fields_is_refused() -> None:
    with pytest.raises(EngineUnavailable, match=r"self-check: the layout of runtime\.mspan"):
        SpanLayout(StructLayout("runtime.mspan", "runtime", 160, {}))


def test_a_list_that_makes_no_sense_is_refused() -> None:
    for pointer, length, capacity in ((0, 1, 1), (8, 2, 1), (8, 1 << 60, 1 << 60), (8, 4, 4)):
        memory = FakeMemory({0x1000: struct.pack("<QQQ", pointer, length, capacity)})
        with pytest.raises(DecodeError):
            read_span_list(memory, 0x1000)
