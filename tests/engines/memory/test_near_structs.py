"""Structs read together: each is there once, with its own bytes, whatever lies between them."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from leaktui.engines.memory.near_structs import GAP, iter_near, iter_structs
from leaktui.engines.memory.reader import FakeMemory

SIZE = 48
BASE = 0x10000


def filled(size: int, salt: int = 0) -> bytes:
    return bytes((place * 7 + place // 256 + salt) % 251 for place in range(size))


def test_those_near_one_another_cost_one_read() -> None:
    memory = FakeMemory({BASE: filled(40 << 10)})
    places = [BASE, BASE + SIZE, BASE + SIZE + SIZE + GAP, BASE + 32000]
    assert list(iter_structs(memory, places, SIZE)) == [
        (place, memory.regions[BASE][place - BASE : place - BASE + SIZE]) for place in places
    ]
    assert memory.reads == 1


def test_those_far_from_one_another_are_read_by_themselves() -> None:
    memory = FakeMemory({BASE: filled(64 << 10)})
    places = [BASE, BASE + SIZE + GAP + 1]
    assert [place for place, _ in iter_structs(memory, places, SIZE)] == places
    assert memory.reads == 2


def test_what_cannot_be_read_is_left_out_and_its_neighbours_are_not() -> None:
    memory = FakeMemory({BASE: filled(64), BASE + 4096: filled(64, 9)})
    places = [BASE, BASE + 100, BASE + 4096, BASE + 4096 + 32]
    assert list(iter_structs(memory, places, SIZE)) == [
        (BASE, filled(64)[:SIZE]),
        (BASE + 4096, filled(64, 9)[:SIZE]),
    ]


def test_nothing_costs_nothing() -> None:
    memory = FakeMemory({})
    assert list(iter_structs(memory, (), SIZE)) == []
    assert memory.reads == 0


@given(st.sets(st.integers(0, 1 << 24)), st.integers(0, 1 << 20))
def test_groups_hold_every_address_once_and_stay_small(numbers: set[int], gap: int) -> None:
    addresses = sorted(numbers)
    groups = list(iter_near(addresses, SIZE, gap))
    assert [address for group in groups for address in group] == addresses
    for group in groups:
        assert group[-1] + SIZE - group[0] <= 1 << 20
        assert all(after - before <= SIZE + gap for before, after in pairwise(group))
