"""Records to hits, without a kernel."""

from __future__ import annotations

import mmap
import struct

import pytest

from leaktui.engines.probes.kernel.record import RecordLayout, decoder_of
from leaktui.engines.probes.recipe import Hit, Recipe, Register, Site, Text, Word

WORDS = (Word("a", Register.RAX), Word("b", "a", 8))
TEXTS = (Text("t", "a", 0, 5), Text("u", "a", 16, 8))


def site(recipe: Recipe) -> Site:
    return Site("event", "main.f", 0x1000, 0x400, 0x55, recipe)


def memory(*parts: bytes) -> mmap.mmap:
    area = mmap.mmap(-1, mmap.PAGESIZE)
    data = b"".join(parts)
    area[16 : 16 + len(data)] = data
    return area


def test_parts_lie_behind_each_other_on_eight_bytes() -> None:
    layout = RecordLayout(Recipe(WORDS, TEXTS, frames=3))
    assert layout.words == {"a": 24, "b": 32}
    assert layout.lengths == [40, 48]
    assert layout.texts == [56, 64]
    assert layout.frames == 72
    assert layout.size == 96
    assert RecordLayout(Recipe()).size == 24


def test_a_full_record() -> None:
    place = site(Recipe(WORDS, TEXTS, frames=3))
    head = struct.pack("=IIQIIQQQQ", 7, 321, 1_000_000_007, 2, 1, 11, (1 << 64) - 1, 3, 0)
    data = memory(head, b"abcxxyyy", b"leftover", struct.pack("=3Q", 0x11, 0x22, 0x33))
    hit = decoder_of(place, {})(data, 16)
    assert hit == Hit(place, 1_000_000_007, 321, (11, (1 << 64) - 1), (b"abc", b""), (0x11, 0x22), True)


def test_what_was_not_filled_is_not_looked_at() -> None:
    place = site(Recipe(WORDS, (), frames=2))
    data = memory(struct.pack("=IIQIIQQ", 0, 1, 2, 0, 0, 3, 4), b"\xff" * 16)
    assert decoder_of(place, {})(data, 16) == Hit(place, 2, 1, (3, 4), (), (), False)


def test_a_chain_met_before_is_the_same_object() -> None:
    chains: dict[bytes, tuple[int, ...]] = {}
    plain, wordy = site(Recipe(frames=2)), site(Recipe(WORDS, frames=2))
    data = memory(struct.pack("=IIQII2Q", 0, 1, 2, 2, 1, 0x11, 0x22))
    again = memory(struct.pack("=IIQIIQQ2Q", 0, 1, 2, 2, 1, 5, 6, 0x11, 0x22))
    first, second = decoder_of(plain, chains)(data, 16), decoder_of(wordy, chains)(again, 16)
    assert first.frames == (0x11, 0x22)
    assert first.frames is second.frames


def test_chains_are_not_kept_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leaktui.engines.probes.kernel.record._CACHED_CHAINS", 4)
    chains: dict[bytes, tuple[int, ...]] = {}
    decode = decoder_of(site(Recipe(frames=1)), chains)
    for number in range(100):
        data = memory(struct.pack("=IIQIIQ", 0, 1, 2, 1, 1, number))
        assert decode(data, 16).frames == (number,)
        assert len(chains) <= 4
