"""The profile from memory beside the one that pprof serves, site by site and frame by frame."""

from __future__ import annotations

import struct
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, cast

import pytest

from leaktui.engines.memory import memory_profile
from leaktui.engines.memory.attachment import Attachment, attach
from leaktui.engines.memory.memory_profile import MemoryProfile, hash_stack, scale_sample
from leaktui.engines.memory.reader import FakeMemory
from leaktui.errors import DecodeError
from leaktui.model.frame import Stack
from leaktui.model.profile import HeapProfile
from leaktui.wire.profile import decode_heap
from tests.engines.memory.go_programs import build_program, pprof_base, run_program
from tests.go_target import GoProcess
from tests.go_toolchain import Toolchain

Figures = tuple[int, int, int, int]


@contextmanager
def open_program(
    program: str, flavour: str, toolchain: Toolchain, *arguments: str
) -> Iterator[tuple[GoProcess, Attachment]]:
    with run_program(build_program(program, flavour, toolchain), *arguments) as process:
        attachment = attach(process.pid, threading.Event())
        try:
            yield process, attachment
        finally:
            attachment.close()


def fetch_heap(process: GoProcess) -> HeapProfile:
    with urllib.request.urlopen(f"{pprof_base(process)}/heap") as answer:
        return decode_heap(answer.read())


def sites_of(profile: HeapProfile) -> dict[Stack, Figures]:
    """The figures that are not all zero, by stack.

    profile.proto has one file a function; a package's initializer is made of several, so its is left out.
    """
    sites: dict[Stack, Figures] = {}
    for site in profile.sites:
        figures = (site.alloc_objects, site.alloc_bytes, site.inuse_objects, site.inuse_bytes)
        stack = tuple(
            replace(frame, file="") if frame.function.endswith(".init") else frame for frame in site.stack
        )
        before = sites.get(stack, (0, 0, 0, 0))
        if any(figures):
            sites[stack] = cast(Figures, tuple(map(sum, zip(before, figures, strict=True))))
    return sites


@pytest.mark.go
@pytest.mark.parametrize("rate", [1, 2048])
@pytest.mark.parametrize("flavour", ["stripped", "cgo-pie"])
def test_it_equals_what_pprof_serves(
    matrix_toolchain: Toolchain, flavour: str, rate: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GODEBUG", f"memprofilerate={rate}")
    with open_program("heaps", flavour, matrix_toolchain, "-nogc", "-stacks", "100") as (process, attachment):
        ours = MemoryProfile.read(attachment, threading.Event())
        theirs = fetch_heap(process)
    assert ours is not None
    assert ours.sample_rate == theirs.sample_rate == rate
    assert sites_of(ours) == sites_of(theirs)
    assert len(sites_of(ours)) > (400 if rate == 1 else 10)
    assert ours.time_ns <= theirs.time_ns + 10**9
    names = {frame.function for site in ours.sites for frame in site.stack}
    assert rate > 1 or {"main.path", "main.even", "main.deep", "main.step", "main.makeWide"} <= names


@pytest.mark.go
def test_it_follows_the_collections(go_toolchain: Toolchain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GODEBUG", "memprofilerate=4096")
    with open_program("heaps", "stripped", go_toolchain) as (process, attachment):
        before = MemoryProfile.read(attachment, threading.Event())
        process.ask("churn", "churning")
        for _ in range(5):
            assert MemoryProfile.read(attachment, threading.Event()) is not None
        process.ask("still", "still")
        process.ask("gc", "collected")
        after = MemoryProfile.read(attachment, threading.Event())
    assert before is not None
    assert after is not None
    churned = sum(
        site.alloc_objects
        for site in after.sites
        if any(frame.function == "main.churn" for frame in site.stack)
    )
    assert churned > 1000
    assert sum(site.alloc_bytes for site in after.sites) > sum(site.alloc_bytes for site in before.sites)
    for site in after.sites:
        assert 0 <= site.inuse_objects <= site.alloc_objects
        assert 0 <= site.inuse_bytes <= site.alloc_bytes


@pytest.mark.go
def test_a_program_without_the_profiler_has_none(matrix_toolchain: Toolchain) -> None:
    with open_program("unprofiled", "stripped", matrix_toolchain) as (_, attachment):
        assert MemoryProfile.read(attachment, threading.Event()) is None


@pytest.mark.go
def test_a_cancelled_reading_gives_none(go_toolchain: Toolchain) -> None:
    cancel = threading.Event()
    cancel.set()
    with open_program("heaps", "stripped", go_toolchain) as (_, attachment):
        assert MemoryProfile.read(attachment, cancel) is None


class Held:
    """An attachment that is nothing but memory."""

    def __init__(self, memory: FakeMemory) -> None:
        self.memory = memory


def bucket(following: int, *, kind: int = 1, size: int = 64, depth: int = 2) -> bytes:
    stack = tuple(range(0x400000, 0x400000 + depth))
    header = struct.pack("<QQQQQQ", 0, following, kind, hash_stack(stack, size), size, depth)
    return header + struct.pack(f"<{depth + 16}Q", *stack, 3, 1, 3 * size, size, *([0] * 12))


def read_buckets(data: bytes, head: int = 0x10000) -> list[Any]:
    page = data.ljust(0x4000, b"\0")
    profile = MemoryProfile(cast(Attachment, Held(FakeMemory({0x10000: page}))))
    return profile._read_buckets(head, threading.Event())


def test_buckets_are_read_to_the_end_of_their_list() -> None:
    first = bucket(0x11000)
    buckets = read_buckets(first.ljust(0x1000, b"\0") + bucket(0, depth=0))
    assert [(one.stack, one.size, one.record[:2]) for one in buckets] == [
        ((0x400000, 0x400001), 64, (3, 1)),
        ((), 64, (3, 1)),
    ]


@pytest.mark.parametrize(
    "data", [bucket(0x10000), bucket(0, kind=2), bucket(0, kind=1, depth=1100), bucket(0x700000)]
)
def test_a_list_that_leads_astray_is_refused(data: bytes) -> None:
    with pytest.raises(DecodeError):
        read_buckets(data)


def test_the_form_of_the_records_is_told_by_what_they_hold() -> None:
    def form(*records: tuple[int, ...]) -> int:
        held = [memory_profile._Bucket((), 64, record, 0) for record in records]
        return memory_profile._width_of(held)

    zeroes = (0,) * 12
    assert form((3, 1, 192, 64, *zeroes)) == 4
    assert form((3, 1, 5, 2, *zeroes), (4, 4, 0, 0, *zeroes)) == 2
    assert form((3, 1, 5, 2, 0, 0, 0, 0)) == 2
    with pytest.raises(DecodeError, match="make no sense"):
        form((1, 3, 5, 2, *zeroes))


def test_samples_are_scaled_as_pprof_scales_them() -> None:
    assert scale_sample(0, 64, 512) == (0, 0)
    assert scale_sample(5, 64, 1) == (5, 320)
    assert scale_sample(1, 512 << 10, 512 << 10) == (1, 829411)
    assert scale_sample(2, 64, 512 << 10) == (16385, 1048640)
