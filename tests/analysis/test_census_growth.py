"""Heap that grows without a heap profile: by size and type, compared right after a GC only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from leaktui.analysis.assess import Watch, assess
from leaktui.analysis.census_growth import census_observations, find_census_suspects
from leaktui.analysis.program import UnknownProgram
from leaktui.model.finding import Confidence, LeakKind, Verdict
from leaktui.model.heap_census import HeapCensus, SizeClass, TypeCount
from leaktui.model.snapshot import Snapshot
from tests.analysis.histories import history

MB = 1 << 20


def census(live: int, cycles: int | None) -> HeapCensus:
    classes = (SizeClass(64, True, 9, 4 * MB // 64, 4 * MB), SizeClass(1024, False, 9, live // 1024, live))
    return HeapCensus(
        live + 4 * MB, 99, classes, (TypeCount("[]main.entry", 3, live // 2),), gc_cycles=cycles
    )


def seen(live: Callable[[int], int], cycles: Callable[[int], int | None]) -> list[Snapshot]:
    """A census a second; the program keeps no heap profile."""
    return [
        replace(
            item,
            heap=None,
            heap_census=census(live(second), cycles(second)),
            heap_census_time=float(second),
        )
        for second, item in enumerate(history(24, lambda second: ()))
    ]


def test_growth_over_several_collections_is_a_suspect_without_a_line() -> None:
    snapshots = seen(lambda second: (10 + 2 * second) * MB, lambda second: second // 2)
    [found] = find_census_suspects(snapshots)
    assert (found.kind, found.confidence, found.location) == (LeakKind.HEAP, Confidence.POSSIBLE, None)
    texts = [item.text for item in found.evidence]
    assert "over 12 GCs" in texts[0]
    assert any("1024 bytes, without pointers" in text for text in texts)
    assert any("[]main.entry" in text for text in texts)
    assert not any("64 bytes" in text for text in texts)
    watch = Watch(elapsed_seconds=24, deadline_seconds=60)
    assert assess(snapshots, UnknownProgram(), watch).verdict is Verdict.LEAK


def test_what_is_allocated_between_two_collections_is_no_growth() -> None:
    saw = seen(lambda second: (10 + 9 * (second % 4)) * MB, lambda second: second // 4)
    assert [item.live_bytes for _, item in census_observations(saw)] == [14 * MB] * 6
    assert find_census_suspects(saw) == []


def test_without_the_number_of_collections_nothing_is_compared() -> None:
    assert find_census_suspects(seen(lambda second: second * MB, lambda second: None)) == []


def test_too_few_collections_are_not_enough() -> None:
    assert find_census_suspects(seen(lambda second: second * 9 * MB, lambda second: second // 10)) == []


def test_a_census_does_not_clear_what_the_profile_could_not_compare_yet() -> None:
    snapshots = [
        replace(
            item,
            heap_census=census(10 * MB, second),
            heap_census_time=float(second),
        )
        for second, item in enumerate(
            history(40, lambda second: (), rss=lambda second: (50 + 4 * second) << 20)
        )
    ]
    result = assess(snapshots, UnknownProgram(), Watch(elapsed_seconds=40, deadline_seconds=60))
    assert result.verdict is Verdict.UNDECIDED
    assert any("resident memory grows" in text for text in result.missing)


def test_a_heap_at_its_height_is_not_called_clean() -> None:
    # It doubles before each GC, so no trend is proved; but it is not level either.
    sizes = (4, 4, 5, 8)
    snapshots = seen(lambda second: sizes[second // 6] * MB, lambda second: second // 6)
    watch = Watch(elapsed_seconds=40, deadline_seconds=60)
    grown = assess(snapshots, UnknownProgram(), watch)
    assert grown.verdict is not Verdict.CLEAN
    assert any("too few to say" in text for text in grown.missing) or grown.suspects
    level = seen(lambda second: 4 * MB, lambda second: second // 6)
    assert assess(level, UnknownProgram(), watch).verdict is Verdict.CLEAN
