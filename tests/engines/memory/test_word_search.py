"""Words that point into ranges, found fast, against the plain way of looking at each."""

from __future__ import annotations

import struct

from hypothesis import given, settings
from hypothesis import strategies as st

from leaktui.engines.memory.word_search import WordSearch

BASE = 0xC0_0000_0000

addresses = st.one_of(
    st.integers(BASE, BASE + (1 << 20)),
    st.integers(0, 64).map(lambda number: BASE + (number << 14)),
    st.integers(0, (1 << 47) - 1),
    st.sampled_from([0, 0xC0C0, 0x00C0_0000_00C0, 0x00C0_00C0_00C0, BASE + 0xC0_0000]),
)
sizes = st.sampled_from([1, 8, 24, 64, 512, 8192, 1 << 17, 1 << 20])


def plain(ranges: list[tuple[int, int]], data: bytes) -> list[tuple[int, int]]:
    words = struct.unpack(f"<{len(data) // 8}Q", data[: len(data) // 8 * 8])
    return [
        (8 * number, word)
        for number, word in enumerate(words)
        if any(start <= word < end for start, end in ranges)
    ]


def disjoint(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for start, size in sorted(pairs):
        if not found or start >= found[-1][1]:
            found.append((start, start + size))
    return found


@settings(deadline=None)
@given(
    pairs=st.lists(st.tuples(addresses, sizes), min_size=1, max_size=20),
    words=st.lists(addresses, max_size=300),
    inside=st.lists(st.tuples(st.integers(0, 19), st.integers(0, 1 << 20)), max_size=20),
    rest=st.binary(max_size=7),
)
def test_it_finds_what_looking_at_every_word_does(
    pairs: list[tuple[int, int]], words: list[int], inside: list[tuple[int, int]], rest: bytes
) -> None:
    ranges = disjoint(pairs)
    for number, offset in inside:
        start, end = ranges[number % len(ranges)]
        words.append(start + offset % (end - start))
    data = struct.pack(f"<{len(words)}Q", *words) + rest
    assert sorted(WordSearch(ranges).iter_hits(data)) == plain(ranges, data)


def test_memory_full_of_near_misses_is_searched_too() -> None:
    """So many words near the object that its page says nothing; the one that points to it is found."""
    near = [BASE + 8 * (number % 4096) for number in range(20_000)]
    target = BASE + 0xF000
    near[777] = target + 3
    data = struct.pack(f"<{len(near)}Q", *near)
    assert list(WordSearch([(target, target + 16)]).iter_hits(data)) == [(8 * 777, target + 3)]


def test_a_word_that_a_false_match_overlaps_is_found() -> None:
    """The middle bytes of such an address may also begin a byte earlier, across two words."""
    target = 0x00C0_0000_0000 | 0x00C0_0000
    data = struct.pack("<4Q", 0x0000_C000_0000_0000, target, 0xC000_0000_C000_00C0, target + 8)
    found = list(WordSearch([(target, target + 16)]).iter_hits(data))
    assert found == [(8, target), (24, target + 8)]


def test_the_range_a_value_is_in() -> None:
    search = WordSearch([(BASE + 64, BASE + 80), (BASE, BASE + 16)])
    assert search.range_of(BASE + 15) == (BASE, BASE + 16)
    assert search.range_of(BASE + 64) == (BASE + 64, BASE + 80)
    assert search.range_of(BASE + 16) is None
    assert search.range_of(BASE - 1) is None
    assert search.range_of(BASE + 80) is None
