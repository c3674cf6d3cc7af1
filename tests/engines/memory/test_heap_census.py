"""The census beside the runtime's own figures (runtime.MemStats)."""

from __future__ import annotations

import threading
from collections import Counter

import pytest

from leaktui.engines.memory.heap_census import read_heap_census
from leaktui.engines.memory.heap_map import HeapMap
from tests.engines.memory.test_heap_map import open_heap
from tests.go_toolchain import Toolchain

NOISE_OBJECTS, NOISE_BYTES = 40, 16 << 10
"""What the program allocates to read our question and its own figures."""


@pytest.mark.go
def test_the_figures_are_the_runtimes(matrix_toolchain: Toolchain) -> None:
    with open_heap("stripped", matrix_toolchain, "-nogc") as (process, attachment):
        cancel = threading.Event()
        census = read_heap_census(attachment, HeapMap.read(attachment, cancel), cancel)
        memory = process.ask("memory", "memory")
        assert 0 <= memory["objects"] - census.objects <= NOISE_OBJECTS
        assert 0 <= memory["alloc"] - census.live_bytes <= NOISE_BYTES
        assert census.stack_bytes == memory["stack"]
        assert census.gc_cycles == memory["cycles"]
        counted: Counter[int] = Counter()
        for one in census.classes:
            counted[one.size] += one.objects
            assert one.spans > 0
            assert one.live_bytes == one.objects * one.size or not one.size
        assert sum(counted.values()) == census.objects
        assert sum(one.live_bytes for one in census.classes) == census.live_bytes
        for size, objects in memory["classes"].items():
            if int(size):
                assert abs(counted[int(size)] - objects) <= NOISE_OBJECTS


@pytest.mark.go
def test_types_are_counted_where_the_runtime_keeps_them(matrix_toolchain: Toolchain) -> None:
    with open_heap("stripped", matrix_toolchain) as (process, attachment):
        cancel = threading.Event()
        census = read_heap_census(attachment, HeapMap.read(attachment, cancel), cancel)
        told = [one for one in process.ask("objects", "objects") if one["live"]]
        expected = Counter(
            one["type"] if one["count"] == 1 else f"[]{one['type']}"
            for one in told
            if one["size"] > 512 and one["type"] not in ("", "main.Vast")
        )
        counted = {one.type_name: one.objects for one in census.types}
        for name in ("main.Wide", "main.Huge", "[]main.Wide"):
            assert counted[name] == expected[name]
        assert counted["[]*main.Node"] >= expected["[]*main.Node"]
        assert census.typed_bytes == sum(one.live_bytes for one in census.types) <= census.live_bytes
        sizes = [one.live_bytes for one in census.types]
        assert sizes == sorted(sizes, reverse=True)


@pytest.mark.go
def test_garbage_that_waits_to_be_swept_is_not_counted(go_toolchain: Toolchain) -> None:
    """Whatever the sweeper is at, live objects are between those kept and those the runtime has not swept."""
    with open_heap("stripped", go_toolchain) as (process, attachment):
        cancel = threading.Event()
        kept = sum(one["size"] for one in process.ask("objects", "objects") if one["live"])
        process.ask("churn", "churning")
        for _ in range(5):
            census = read_heap_census(attachment, HeapMap.read(attachment, cancel), cancel)
            assert census.live_bytes > kept
            assert census.live_bytes < kept + (256 << 20)
        process.ask("still", "still")


@pytest.mark.go
def test_a_cancelled_census_ends_at_once(go_toolchain: Toolchain) -> None:
    with open_heap("stripped", go_toolchain) as (_, attachment):
        heap = HeapMap.read(attachment, threading.Event())
        cancel = threading.Event()
        cancel.set()
        assert read_heap_census(attachment, heap, cancel).objects == 0
