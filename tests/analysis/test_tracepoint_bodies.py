"""Bodies paired from tracepoints: the same answers as the ledger's, and never surer than what was seen."""

from __future__ import annotations

from dataclasses import replace

from leaktui.analysis.tracepoint_bodies import pair_bodies
from leaktui.model.assessment import BodyPairs, OwnerPairs
from leaktui.model.body import BodyState
from leaktui.model.finding import Confidence
from leaktui.model.goroutine import Goroutine
from leaktui.model.open_body import BodyCensus, OpenBody
from leaktui.model.snapshot import Snapshot
from leaktui.model.target import Target
from leaktui.model.tracepoint import TracepointHit, TracepointRun
from tests.analysis.bursts import (
    BODIES,
    GOOD,
    LEAKER,
    NO_BODY_ITAB,
    ZEROBASE,
    burst,
    closed,
    opened,
    response,
    stack,
)


def run_of(
    *hits: TracepointHit, seconds: float = 10.0, counts: tuple[int, ...] | None = None
) -> TracepointRun:
    return burst(sorted(hits, key=lambda hit: hit.time), BODIES, seconds=seconds, counts=counts)


def owner(pairs: BodyPairs | None, function: str) -> OwnerPairs:
    assert pairs is not None
    return next(item for item in pairs.owners if item.row.owner and item.row.owner.function == function)


HALF_CLOSED = run_of(
    *(opened(0.1 * n, 0x1000 + n) for n in range(8)),
    *(opened(0.1 * n, 0x2000 + n, GOOD) for n in range(8)),
    *(closed(0.1 * n + 0.05, 0x2000 + n) for n in range(8)),
)


def test_who_leaves_bodies_open_is_told_from_who_closes_them() -> None:
    pairs = pair_bodies(HALF_CLOSED)
    guilty, innocent = owner(pairs, "main.leak"), owner(pairs, "main.good")
    assert (guilty.row.opened, guilty.row.closed, guilty.row.left_open) == (8, 0, 8)
    assert (innocent.row.opened, innocent.row.closed, innocent.row.left_open) == (8, 8, 0)
    # Read to the end without Close it would look the same: likely, no more.
    assert guilty.confidence is Confidence.LIKELY and innocent.confidence is None
    assert pairs is not None and pairs.owners[0] is guilty


def census(*bodies: int) -> BodyCensus:
    return BodyCensus(
        tuple(OpenBody(100 + n, "HTTP/1.1", BodyState.UNREAD, body=body) for n, body in enumerate(bodies))
    )


def after(run: TracepointRun, *goroutines: Goroutine, bodies: BodyCensus | None = None) -> Snapshot:
    return Snapshot(run.time, Target(1), goroutines=goroutines, goroutines_time=run.time + 0.1, bodies=bodies)


def test_what_memory_still_lists_is_proven() -> None:
    pairs = pair_bodies(HALF_CLOSED, after(HALF_CLOSED, bodies=census(0x1000, 0x1001)))
    guilty = owner(pairs, "main.leak")
    assert guilty.confidence is Confidence.PROVEN and guilty.confirmed == 2


def test_what_is_young_or_still_in_its_owners_hands_is_not_left_open() -> None:
    run = run_of(
        opened(9.8, 0x1000), opened(2.0, 0x1001, goid=5), opened(2.0, 0x3000, GOOD), closed(2.1, 0x3000)
    )
    inside = Goroutine(5, "IO wait", stack(("internal/poll.wait", 3), ("main.leak", 18)))
    row = owner(pair_bodies(run, after(run, inside, bodies=census())), "main.leak").row
    assert (row.open, row.left_open, row.busy) == (2, 0, 2)
    gone = owner(pair_bodies(run, after(run, bodies=census())), "main.leak").row
    assert (gone.open, gone.left_open, gone.busy) == (2, 1, 1)


def test_a_gzip_body_is_closed_through_what_it_wraps() -> None:
    run = run_of(
        opened(0.1, 0x1000, GOOD, gzip=0x9000), closed(0.2, 0x1000),
        opened(0.3, 0x1001, GOOD, gzip=0x9001), closed(0.4, 0x1001),
        opened(0.5, 0x1002, GOOD, gzip=0x9002),
    )  # fmt: skip
    pairs = pair_bodies(run)
    row = owner(pairs, "main.good").row
    assert (row.opened, row.closed, row.open) == (3, 2, 1)
    assert pairs is not None and pairs.ledger.open[0].key == 0x1002, (
        "memory knows it by the body's own address"
    )


def test_responses_without_a_body_need_no_close() -> None:
    empty = [response(0.1 * n, ZEROBASE, 0, NO_BODY_ITAB, GOOD) for n in range(5)]
    pairs = pair_bodies(run_of(*empty, opened(1.0, 0x1000)))
    assert pairs is not None and len(pairs.owners) == 1 and pairs.ledger.without == 5
    failed = [response(0.1 * n, 0, 0, 0, GOOD) for n in range(5)]
    assert pair_bodies(run_of(*failed)) is not None and not pair_bodies(run_of(*failed)).owners  # type: ignore[union-attr]


def test_an_address_given_to_another_body_was_never_closed() -> None:
    run = run_of(opened(1.0, 0x1000), opened(3.0, 0x1000), opened(3.1, 0x1001, GOOD), closed(3.2, 0x1001))
    row = owner(pair_bodies(run), "main.leak").row
    assert (row.opened, row.collected, row.left_open) == (2, 1, 2)


def test_a_second_close_is_no_news_and_one_of_before_is_counted() -> None:
    pairs = pair_bodies(
        run_of(opened(1.0, 0x1000, GOOD), closed(1.1, 0x1000), closed(1.2, 0x1000), closed(2.0, 0x7000))
    )
    assert pairs is not None and pairs.ledger.closed_unseen == 1 and not pairs.ledger.still_open
    assert any("opened before the burst" in text for text in pairs.reservations)


def test_a_kind_of_body_nobody_closes_here_is_possible_only() -> None:
    """HTTP/2 behind a decoder: its Close is another function's."""
    run = run_of(*(response(0.1 * n, 0x5000 + n, 0x6000, 12345, LEAKER) for n in range(6)))
    assert owner(pair_bodies(run), "main.leak").confidence is Confidence.POSSIBLE
    confirmed = pair_bodies(run, after(run, bodies=census(0x5001)))
    assert owner(confirmed, "main.leak").confidence is Confidence.PROVEN


def test_lost_hits_make_it_possible_only() -> None:
    run = replace(HALF_CLOSED, counts=(40, 40, 0))
    pairs = pair_bodies(run)
    assert owner(pairs, "main.leak").confidence is Confidence.POSSIBLE
    assert pairs is not None and any("counted only" in text for text in pairs.reservations)


def test_without_both_ends_there_are_no_pairs() -> None:
    assert pair_bodies(burst([closed(1.0, 0x1000)], BODIES[1:])) is None
