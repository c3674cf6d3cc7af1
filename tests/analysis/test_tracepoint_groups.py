"""Hits added up by stack and by function."""

from __future__ import annotations

from leaktui.analysis.tracepoint_groups import Grouping, group_hits, lost_hits
from leaktui.model.tracepoint import TracepointHit
from tests.analysis.bursts import RENDER, REPORT, alloc, burst, stack

HITS = (
    alloc(0.5, 65536),
    alloc(1.0, 40000, REPORT, goid=7),
    alloc(2.0, 65536, goid=9),
    TracepointHit(2.5, 1, 3, stack(("runtime.gcStart", 668), ("runtime.mallocgc", 1200))),
    alloc(
        4.0,
        65536,
        stack(*[(frame.function, frame.line + (frame.function == "main.main")) for frame in RENDER]),
    ),
)


def test_hits_of_one_stack_are_one_group_with_what_they_ask_for() -> None:
    groups = group_hits(burst(HITS), Grouping.STACK)
    assert [(group.hits, group.bytes, group.first, group.last) for group in groups] == [
        (2, 131072, 0.5, 2.0),
        (1, 65536, 4.0, 4.0),
        (1, 40000, 1.0, 1.0),
        (1, None, 2.5, 2.5),
    ]
    assert groups[0].caller is not None and groups[0].caller.function == "main.render"
    assert groups[0].goroutines == 2 and groups[0].per_second == 0.2
    assert groups[3].function == "runtime.gcStart" and groups[3].caller is None


def test_by_function_the_callers_of_the_caller_do_not_count() -> None:
    groups = group_hits(burst(HITS), Grouping.FUNCTION)
    assert [(group.hits, group.bytes, group.stacks) for group in groups] == [
        (3, 196608, 2),
        (1, 40000, 1),
        (1, None, 1),
    ]


def test_one_by_one_they_stay_in_their_order() -> None:
    assert [group.first for group in group_hits(burst(HITS), Grouping.NONE)] == [0.5, 1.0, 2.0, 2.5, 4.0]


def test_a_burst_that_reached_its_budget_counts_its_rate_until_then() -> None:
    run = burst([alloc(0.1 * n, 65536) for n in range(1, 21)], most_hits=20, seconds=30.0)
    assert group_hits(run, Grouping.STACK)[0].per_second == 10.0


def test_hits_that_were_only_counted_are_told() -> None:
    assert lost_hits(burst(HITS)) == 0 and lost_hits(burst(HITS, counts=(10, 1))) == 6
    assert group_hits(burst(()), Grouping.STACK) == ()
