"""Where a chain of frames ends, on chains made by hand in memory of our own."""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from leaktui.engines.probes.kernel.bpf_probes import Wiring
from leaktui.engines.probes.kernel.trial import FRAMELESS, FRAMELESS_INNER, call, own_site
from leaktui.engines.probes.recipe import Hit, Recipe, Register, Site, Word

pytestmark = pytest.mark.root

CHAIN = 64
"""Offset of the chain: pairs of link and return address."""

# PUSHQ BP; LEAQ chain(IP), BP; CALL +2; POPQ BP; RET; PUSHQ BP; POPQ BP; RET. The inner function is probed.
CODE = b"\x55\x48\x8d\x2d" + struct.pack("<i", CHAIN - 8) + b"\xe8\x02\x00\x00\x00\x5d\xc3\x55\x5d\xc3"
INNER = 15
RETURNS = 13
"""Where the inner function returns to."""

NOWHERE = 0x10_0000_0000


@pytest.fixture
def place(probes_permitted: None) -> Iterator[tuple[Site, Path]]:
    with own_site(CODE.ljust(mmap.PAGESIZE, b"\0"), INNER) as (site, path):
        yield site, Path(path)


@contextmanager
def wired(site: Site, path: Path) -> Iterator[Wiring]:
    wiring = Wiring((site,), mmap.PAGESIZE)
    try:
        wiring.attach(str(path), os.getpid(), linked=False)
        wiring.open_gate()
        yield wiring
    finally:
        wiring.close()


def hit_with(place: tuple[Site, Path], chain: list[tuple[int, int]], recipe: Recipe) -> tuple[Hit, int]:
    """The hit where the frames are *chain*, whose links count from the chain's own beginning; and our base."""
    site, path = place
    base = site.address - INNER
    with path.open("r+b") as file:
        file.seek(CHAIN)
        for link, address in chain:
            absolute = link if link in (0, NOWHERE) else base + CHAIN + link
            file.write(struct.pack("=QQ", absolute, address))
    with wired(replace(site, recipe=recipe), path) as wiring:
        call(base)
        (hit,) = wiring.drain(10)
    return hit, base


@pytest.mark.parametrize(
    ("chain", "frames", "whole"),
    [
        ([(0, 0x11)], (0x11,), True),
        ([(16, 0x11), (32, 0x22), (0, 0x33)], (0x11, 0x22, 0x33), True),
        ([(48, 0x11), (0, 0), (0, 0), (0, 0x44)], (0x11, 0x44), True),
        ([(NOWHERE, 0x11)], (0x11,), False),
        ([(16, 0x11), (16, 0x22)], (0x11, 0x22), False),  # it links to itself
        ([(32, 0x11), (0, 0x22), (16, 0x33)], (0x11, 0x33), False),  # it goes back
    ],
    ids=["one frame", "three", "apart", "unreadable", "a loop", "backwards"],
)
@pytest.mark.parametrize("limit", [8, 64])
def test_where_a_chain_ends(
    place: tuple[Site, Path],
    chain: list[tuple[int, int]],
    frames: tuple[int, ...],
    whole: bool,
    limit: int,
) -> None:
    hit, base = hit_with(place, chain, Recipe(frames=limit))
    assert hit.frames == (base + RETURNS, *frames)
    assert hit.whole == whole


@pytest.mark.parametrize(("limit", "whole"), [(3, False), (4, True), (5, True)])
def test_a_limit_that_is_just_enough(place: tuple[Site, Path], limit: int, whole: bool) -> None:
    hit, _ = hit_with(place, [(16, 0x11), (32, 0x22), (0, 0x33)], Recipe(frames=limit))
    assert len(hit.frames) == min(limit, 4)
    assert hit.whole == whole


@pytest.mark.parametrize("limit", [1, 2])
def test_no_frame_above(probes_permitted: None, limit: int) -> None:
    with own_site(FRAMELESS, FRAMELESS_INNER) as (site, path):
        site = replace(site, recipe=Recipe(frames=limit))
        with wired(site, Path(path)) as wiring:
            call(site.address - FRAMELESS_INNER)
            (hit,) = wiring.drain(10)
    assert hit.frames == (site.address - 2,)
    assert hit.whole


def test_words_of_the_frame(place: tuple[Site, Path]) -> None:
    recipe = Recipe(
        (
            Word("frame", Register.RBP),
            Word("link", Register.RBP, 0),
            Word("before", "frame", -8),
            Word("return", Register.RSP, 0),
        )
    )
    hit, base = hit_with(place, [(16, 0x11), (0, 0x22)], recipe)
    assert hit.words == (base + CHAIN, base + CHAIN + 16, 0, base + RETURNS)


def test_nothing_is_recorded_before_the_gate_opens(place: tuple[Site, Path]) -> None:
    site, path = place
    wiring = Wiring((site,), mmap.PAGESIZE)
    try:
        wiring.attach(str(path), os.getpid(), linked=False)
        call(site.address)
        assert (wiring.hits(), wiring.drain(10)) == ((0,), [])
        wiring.open_gate()
        call(site.address)
        assert (wiring.hits(), len(wiring.drain(10))) == ((1,), 1)
        wiring.detach()
        call(site.address)
        assert (wiring.hits(), wiring.drain(10)) == ((1,), [])
    finally:
        wiring.close()
