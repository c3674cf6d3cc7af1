"""The books of pairs, where something goes wrong with them."""

from __future__ import annotations

import pytest

from leaktui.engines.probes import pairing
from leaktui.engines.probes.pairing import Pairing
from leaktui.model.frame import Frame
from leaktui.model.ledger import Opened


def opened(books: Pairing, *keys: int, time: float = 1.0) -> None:
    place = books.place((Frame("main.f", "f.go", 1),))
    for key in keys:
        books.open(Opened(key, time, place, size=10))


def test_what_is_doubted_leaves_no_trace_of_itself() -> None:
    books = Pairing()
    opened(books, 1, 2, 3)
    books.close(1, 2.0)
    assert books.doubt() == 2
    (place,) = books.places()
    assert (place.opened, place.closed, place.open, place.bytes) == (1, 1, 0, 10)
    assert not books.listed()


def test_a_late_close_of_what_was_doubted_is_no_news() -> None:
    books = Pairing()
    opened(books, 1)
    books.doubt()
    books.close(1, 2.0)
    assert (books.closed_unseen, books.places()[0].closed) == (0, 0)
    books.close(2, 2.0)
    assert books.closed_unseen == 1


def test_its_address_given_again_was_not_collected_unclosed() -> None:
    books = Pairing()
    opened(books, 1)
    books.doubt()
    opened(books, 1, time=3.0)
    (place,) = books.places()
    assert (place.opened, place.collected, place.open) == (1, 0, 1)
    books.close(1, 4.0)
    assert books.places()[0].closed == 1


def test_what_it_holds_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairing, "MOST_OPEN", 5)
    monkeypatch.setattr(pairing, "_CLOSED_KEPT", 5)
    books = Pairing()
    opened(books, *range(7))
    assert books.full
    assert len(books) == 5
    books.doubt()
    opened(books, *range(10, 15))
    books.doubt()
    for key in range(15):
        books.close(key, 2.0)
    assert books.closed_unseen == 10  # of the first ones it is forgotten that they were known
