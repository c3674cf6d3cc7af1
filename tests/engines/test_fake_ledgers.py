"""The books of the made-up shop: consistent at every moment, and played as the probes engine would."""

from __future__ import annotations

import threading

import pytest

from leaktui.engines.fake import want_of
from leaktui.engines.fake_scenario import LEAKING_CALL, LeakingService
from leaktui.engines.protocol import LEDGERS, Fact, LedgerSeen, Request, Want
from leaktui.model.ledger import Ledger, LedgerKind

KINDS = list(LedgerKind)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("step", [0, 4])
def test_the_books_balance_at_every_moment(kind: LedgerKind, step: int) -> None:
    ledgers = LeakingService(step=step).ledgers
    for moment in range(5):
        ledger = ledgers.ledger(kind, moment)
        assert (
            ledger.still_open == len(ledger.open) == (0 if kind is LedgerKind.ALLOCATIONS else step * moment)
        )
        for index, place in enumerate(ledger.places):
            assert place.open == sum(item.place == index for item in ledger.open)
        assert all(ledger.began <= item.time <= ledger.time for item in ledger.open)
        assert len({item.key for item in ledger.open}) == len(ledger.open)
        assert ledgers.ledger(kind, moment) == ledger
        assert want_of(LedgerSeen(ledger)) is LEDGERS[kind]


def test_what_is_left_open_was_opened_by_the_leaking_call() -> None:
    ledger = LeakingService().ledgers.ledger(LedgerKind.BODIES, 3)
    assert {LEAKING_CALL in ledger.places[item.place].stack for item in ledger.open} == {True}
    assert [LEAKING_CALL in place.stack for place in ledger.places] == [True, False]


def test_books_are_kept_until_they_are_given_up_and_end_disarmed() -> None:
    cancel = threading.Event()
    seen: list[Ledger] = []
    engine = LeakingService().probes(3)

    def books(fact: Fact) -> Ledger:
        assert isinstance(fact, LedgerSeen)
        return fact.ledger

    facts = engine.capture(Request(frozenset({Want.BODY_LEDGER})), cancel)
    engine._wait = lambda event, seconds: event.set() if seconds > 10 else None
    seen = [books(fact) for fact in facts]
    assert [ledger.armed for ledger in seen] == [True, True, True, False]
    assert seen[3].places == seen[2].places


def test_an_engine_that_is_closed_says_no_more() -> None:
    engine = LeakingService().probes(3)
    engine._wait = lambda event, seconds: engine.close()
    facts = list(engine.capture(Request(frozenset({Want.FD_LEDGER})), threading.Event()))
    assert len(facts) == 1
