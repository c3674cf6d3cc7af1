"""Live heap: what rises, what only turns over, what has not been collected yet."""

from __future__ import annotations

import random
from collections.abc import Callable

from leaktui.analysis.heap import heap_observations, list_sites, rising_sites
from leaktui.analysis.program import UnknownProgram
from leaktui.model.profile import AllocSite

from .histories import history
from .stacks import frames

CACHE = frames("bytes.Clone:1", "main.(*cache).put:17", "main.main:3")
MB = 1 << 20


def rising(heap: Callable[[int], list[AllocSite]], seconds: int = 30) -> list[str]:
    snapshots = history(seconds, lambda second: (), heap=heap)
    return [site.owner.function for site in rising_sites(snapshots, UnknownProgram())]


def test_what_is_kept_rises_at_its_owner() -> None:
    assert rising(lambda second: [AllocSite(CACHE, second, second * MB, second, second * MB)]) == [
        "main.(*cache).put"
    ]


def test_a_ring_that_turns_over_is_chance_not_growth() -> None:
    # 16 MB of 256 kB objects, replaced twice every three seconds: 0.4 of them are sampled, whichever they are.
    chance = random.Random(7)
    accused = 0
    for _ in range(30):
        live = [sum(chance.random() < 0.39 for _ in range(64)) * 650_000 for _ in range(30)]
        live.sort(key=lambda value: value + chance.uniform(-3e6, 3e6))  # the unluckiest order: nearly rising

        def ring(second: int, live: list[int] = live) -> list[AllocSite]:
            allocated = 64 * 262_144 + second * 20 * 262_144
            return [AllocSite(CACHE, allocated // 262_144, allocated, live[second] // 262_144, live[second])]

        accused += bool(rising(ring))
    assert accused <= 3


def test_what_takes_the_place_of_something_else_is_no_growth() -> None:
    first = frames("main.newRing:40", "main.main:3")

    def refilled(second: int) -> list[AllocSite]:
        new = min(16, second) * MB
        return [AllocSite(CACHE, 99, new, 64, new), AllocSite(first, 64, 16 * MB, 64, 16 * MB - new)]

    assert rising(refilled, 14) == []


def test_a_ring_refilled_at_another_line_is_chance_not_growth() -> None:
    # 64 objects of 256 kB, made at one line and replaced at another; unluckiest first: the fewest are sampled.
    first = frames("main.main:40")
    chance = random.Random(11)
    accused = 0
    for _ in range(200):
        draws = sorted(sum(chance.random() < 0.39 for _ in range(64)) for _ in range(9))

        def refilled(second: int, draws: list[int] = draws) -> list[AllocSite]:
            look = second // 3
            new = min(64, 30 * look) / 64 * draws[min(look, 8)]
            old = max(0, 64 - 30 * look) / 64 * draws[0]
            unit = 666_000
            allocated = 30 * look * 262_144
            return [
                AllocSite(CACHE, 30 * look, allocated, round(new), round(new * unit)),
                AllocSite(first, 64, 64 * 262_144, round(old), round(old * unit)),
            ]

        accused += bool(rising(refilled, 27))
    assert accused == 0


def test_what_looking_at_the_program_allocates_is_not_its_growth() -> None:
    # The ring is replaced, and meanwhile profiles are served: the whole grows, not by the program's own doing.
    first = frames("main.newRing:40", "main.main:3")
    serving = frames("compress/flate.NewWriter:9", "runtime/pprof.writeHeap:5", "net/http/pprof.Index:3")

    def refilled(second: int) -> list[AllocSite]:
        new, buffers = min(16, second) * MB, second * MB
        return [
            AllocSite(CACHE, 99, new, 64, new),
            AllocSite(first, 64, 16 * MB, 64, 16 * MB - new),
            AllocSite(serving, second, buffers, second, buffers),
        ]

    assert rising(refilled, 14) == []


def test_a_leak_beside_much_turnover_is_still_seen() -> None:
    def leak(second: int) -> list[AllocSite]:
        live = 16 * MB + second * MB
        return [AllocSite(CACHE, 10_000, live + second * 20 * MB, live // 4096, live)]

    assert rising(leak) == ["main.(*cache).put"]


def test_profiles_of_one_gc_are_one_observation() -> None:
    snapshots = history(
        12, lambda second: (), heap=lambda second: [AllocSite(CACHE, 1, (second // 4 + 1) * MB, 1, MB)]
    )
    assert len(heap_observations(snapshots)) == 3
    assert rising_sites(snapshots, UnknownProgram()) == []


def test_rows_count_from_the_baseline() -> None:
    snapshots = history(
        20,
        lambda second: (),
        heap=lambda second: [AllocSite(CACHE, second, second * MB, second, second * MB)],
    )
    from_start = list_sites(snapshots, UnknownProgram())[0]
    from_ten = list_sites(snapshots, UnknownProgram(), baseline=10.0)[0]
    assert from_start.delta_bytes == 19 * MB
    assert from_ten.delta_bytes == 9 * MB
    assert from_start.owner is not None
    assert from_start.owner.function == "main.(*cache).put"
