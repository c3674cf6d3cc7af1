"""Fields picked out of a struct's bytes."""

from __future__ import annotations

from itertools import permutations

from leaktui.engines.memory.packed_fields import pack_fields

DATA = bytes(range(1, 33))
PLACES = ((24, 8), (1, 1), (4, 4), (2, 2))


def test_fields_come_in_the_order_asked_for_whatever_their_places() -> None:
    for places in permutations(PLACES):
        unpacked, pick = pack_fields(places)
        expected = tuple(int.from_bytes(DATA[at : at + size], "little") for at, size in places)
        assert pick(unpacked.unpack_from(DATA)) == expected


def test_no_more_is_read_than_up_to_the_last_field() -> None:
    unpacked, pick = pack_fields(((9, 1), (0, 8)))
    assert unpacked.size == 10
    assert pick(unpacked.unpack_from(bytes(5) + DATA, 5)) == (10, 0x0807060504030201)
