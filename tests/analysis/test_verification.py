"""What a process did, measured; and two measurements compared: fixed, not fixed, and when neither is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from leaktui.analysis.assess import Watch, assess
from leaktui.analysis.measurement import enclosing_function, measure, measure_name, same_suspect
from leaktui.analysis.program import UnknownProgram
from leaktui.analysis.verification import compare
from leaktui.model.assessment import Assessment, Slope
from leaktui.model.finding import LeakKind, Verdict
from leaktui.model.frame import Frame
from leaktui.model.goroutine import GoroutineGroup
from leaktui.model.ledger import Ledger, LedgerKind, LedgerPlace
from leaktui.model.profile import AllocSite
from leaktui.model.snapshot import Snapshot
from leaktui.model.target import Target
from leaktui.model.verification import Measure, Measurement, Verification, VerificationVerdict
from tests.analysis.histories import history

FIXED, NOT_FIXED, UNDECIDED = VerificationVerdict

PROGRAM = UnknownProgram()
WORK = (Frame("runtime.gopark", "proc.go", 1), Frame("main.work", "/src/main.go", 41))
OTHER = (Frame("runtime.gopark", "proc.go", 1), Frame("main.main", "/src/main.go", 9))
LOAD = (
    Frame("net/http.(*Client).Get", "client.go", 479),
    Frame("main.load", "/src/user.go", 24),
    Frame("main.main", "/src/main.go", 9),
)


def judged(snapshots: Sequence[Snapshot]) -> Assessment:
    return assess(snapshots, PROGRAM, Watch(len(snapshots), 60.0))


def goroutines(count: Callable[[int], int], *, ended: int = 0) -> list[Snapshot]:
    snapshots = history(
        30,
        lambda second: (
            GoroutineGroup(1, OTHER, wait_reason="sleep"),
            *([GoroutineGroup(count(second), WORK, wait_reason="chan send")] if count(second) else []),
        ),
    )
    return [replace(item, ended=(("main.work", ended),) if ended else ()) for item in snapshots]


def bodies(opened: int, left: int, *, function: str = "main.load") -> list[Snapshot]:
    stack = (LOAD[0], Frame(function, "/src/user.go", 24), LOAD[2])
    place = LedgerPlace(stack, opened, opened - left, collected=left, closing_seconds=(0.01,) * 8)
    ledger = Ledger(LedgerKind.BODIES, 0.0, 29.0, (place,), points=((0.0, 0), (29.0, 0)))
    snapshots = history(30, lambda second: (GoroutineGroup(1, OTHER),))
    return [replace(item, ledgers=(ledger,)) for item in snapshots]


def verified(before: Sequence[Snapshot], after: Sequence[Snapshot], *, expecting: LeakKind) -> Verification:
    was = measure(before, judged(before), PROGRAM)
    assert was.suspect is not None and was.suspect[0] is expecting
    return compare(was, measure(after, judged(after), PROGRAM, of=was.suspect))


def test_goroutines_that_stay_are_not_fixed() -> None:
    said = verified(goroutines(lambda s: 3 * s), goroutines(lambda s: 3 * s), expecting=LeakKind.GOROUTINE)
    assert said.verdict is NOT_FIXED
    assert "main.work still leaks" in said.reasons[0]


def test_goroutines_that_came_and_went_are_fixed() -> None:
    said = verified(
        goroutines(lambda s: 3 * s), goroutines(lambda s: s % 2, ended=25), expecting=LeakKind.GOROUTINE
    )
    assert said.verdict is FIXED, said.reasons
    assert "main.work leaks no more" in said.reasons[0]


def test_a_process_that_does_not_do_it_is_no_proof() -> None:
    said = verified(goroutines(lambda s: 3 * s), goroutines(lambda s: 0), expecting=LeakKind.GOROUTINE)
    assert said.verdict is UNDECIDED
    assert "did not do what leaked" in said.reasons[0]


@pytest.mark.parametrize(("kept", "verdict"), [(3, NOT_FIXED), (0, UNDECIDED)])
def test_few_looks_prove_nothing_good(kept: int, verdict: VerificationVerdict) -> None:
    """A machine that is too busy to look at a goroutine more than a few times has not seen it level off."""
    seldom = goroutines(lambda s: 1 + kept * s, ended=0 if kept else 40)[::12]
    assert len(seldom) == 3
    said = verified(goroutines(lambda s: 3 * s), seldom, expecting=LeakKind.GOROUTINE)
    assert said.verdict is verdict, said.reasons


def test_too_little_is_no_proof_either() -> None:
    said = verified(
        goroutines(lambda s: 3 * s), goroutines(lambda s: 0, ended=3), expecting=LeakKind.GOROUTINE
    )
    assert said.verdict is UNDECIDED
    assert "hardly did what leaked (3 goroutines were started)" in said.reasons[0]


def test_bodies_by_the_books() -> None:
    before = bodies(200, 100)
    assert verified(before, bodies(190, 95), expecting=LeakKind.HTTP_BODY).verdict is NOT_FIXED
    fixed = verified(before, bodies(190, 0), expecting=LeakKind.HTTP_BODY)
    assert fixed.verdict is FIXED
    assert "before, 100 of 200 bodies that were opened were left open; after, 0 of 190" in fixed.reasons[1]
    assert verified(before, bodies(4, 0), expecting=LeakKind.HTTP_BODY).verdict is UNDECIDED


def test_bodies_that_another_function_opens_and_closes_now_are_fixed() -> None:
    before = bodies(200, 200)
    moved = verified(before, bodies(210, 0, function="main.loadOnce"), expecting=LeakKind.HTTP_BODY)
    assert moved.verdict is FIXED
    assert "others do its work, and left none of 210 bodies" in moved.reasons[0]
    less = verified(before, bodies(60, 0, function="main.loadOnce"), expecting=LeakKind.HTTP_BODY)
    assert less.verdict is UNDECIDED


def test_bodies_that_another_function_leaves_now_are_a_new_leak() -> None:
    said = verified(
        bodies(200, 200), bodies(200, 200, function="main.loadOnce"), expecting=LeakKind.HTTP_BODY
    )
    assert said.verdict is not FIXED
    assert any("it leaks elsewhere now: bodies, main.loadOnce (user.go:24)" in text for text in said.reasons)


def test_heap_by_what_its_function_allocates() -> None:
    def sites(live: Callable[[int], int]) -> list[Snapshot]:
        return history(
            30,
            lambda second: (GoroutineGroup(1, OTHER),),
            heap=lambda second: (
                AllocSite(LOAD[1:], 100 * second, second << 20, live(second), live(second) << 16),
            ),
        )

    growing = sites(lambda second: 16 * second)
    assert verified(growing, growing, expecting=LeakKind.HEAP).verdict is NOT_FIXED
    assert verified(growing, sites(lambda second: 40 + second % 2), expecting=LeakKind.HEAP).verdict is FIXED


@pytest.mark.parametrize(
    ("live", "per_minute", "verdict"), [(532, 41.8e6, NOT_FIXED), (532, 0.0, UNDECIDED), (10, 0.0, FIXED)]
)
def test_a_heap_of_few_collections_is_not_fixed_while_it_is_as_steep(
    live: int, per_minute: float, verdict: VerificationVerdict
) -> None:
    """Seen on a program that collects every eight seconds: the old pace, too few looks to call it rising."""
    suspect = (LeakKind.HEAP, "main.load", "/src/user.go", 24)

    def heap(last: float, slope: Slope, left: int) -> Measurement:
        row = Measure(measure_name(suspect), 1e6, last, slope, "bytes", LeakKind.HEAP, 532, left)
        return Measurement(Target(1), 45.0, (row,), None, ("memory",))

    steep = Slope(27.8e6, 20e6, 40e6, 6, 40.0, rising=True)
    before = replace(heap(18e6, steep, 386), suspect=suspect)
    after = heap(22.9e6, Slope(per_minute, -1e6, 50e6, 5, 40.0, rising=False), live)
    assert compare(before, after).verdict is verdict


# -- the comparison by itself ----------------------------------------------------------------------

SUSPECT = (LeakKind.HTTP_BODY, "main.load", "/src/user.go", 24)
NAME = measure_name(SUSPECT)


def measurement(opened: int | None, left: int | None, **changes: object) -> Measurement:
    row = Measure(NAME, 0.0, float(left or 0), kind=LeakKind.HTTP_BODY, opened=opened, left=left)
    base = Measurement(Target(1), 30.0, (row,), None, ("memory", "probes"))
    return replace(base, **changes)  # type: ignore[arg-type]


BEFORE = measurement(100, 50, suspect=SUSPECT)


def test_the_line_may_have_moved() -> None:
    moved = measurement(100, 50, suspect=(LeakKind.HTTP_BODY, "main.load", "/src/user.go", 31))
    said = compare(BEFORE, moved)
    assert said.verdict is NOT_FIXED
    assert "the line has moved: user.go:24 before, user.go:31 now" in said.reasons


def test_a_shorter_measurement_shows_nothing() -> None:
    said = compare(BEFORE, measurement(100, 0, seconds=10.0))
    assert said.verdict is UNDECIDED
    assert "measured for 10 s, the baseline for 30 s" in said.reasons[0]


def test_less_left_than_before_is_not_decided() -> None:
    assert compare(BEFORE, measurement(100, 7)).verdict is UNDECIDED
    assert compare(BEFORE, measurement(100, 20)).verdict is NOT_FIXED
    assert compare(BEFORE, measurement(100, 1)).verdict is FIXED


def test_a_source_that_is_missing_is_named() -> None:
    said = compare(BEFORE, measurement(100, 0, sources=("memory",)))
    assert "the baseline was also measured by probes, the new process was not" in said.reasons


def test_a_baseline_without_a_leak_has_nothing_to_be_fixed() -> None:
    said = compare(measurement(100, 0), measurement(100, 0))
    assert said.verdict is UNDECIDED
    assert "nothing leaked in the baseline" in said.reasons[0]


def test_a_leak_without_a_function_can_only_be_seen_to_go_on() -> None:
    nameless = (LeakKind.FD, "", "", 0)
    rising = Slope(600.0, 500.0, 700.0, 30, 30.0, True)
    files = Measure("fds: file", 10.0, 310.0, rising, kind=LeakKind.FD)
    before = Measurement(Target(1), 30.0, (files,), nameless)
    assert compare(before, replace(before, suspect=None)).verdict is NOT_FIXED
    flat = replace(before, suspect=None, measures=(replace(files, last=11.0, slope=None),))
    assert compare(before, flat).verdict is UNDECIDED


def test_rows_are_paired_by_name() -> None:
    heap = Measure("live heap", 1.0, 2.0, unit="bytes")
    after = measurement(1, 0, measures=(heap, replace(BEFORE.measures[0], opened=9)))
    assert [(old and old.name, new and new.name) for old, new in compare(BEFORE, after).rows] == [
        (NAME, NAME),
        (None, "live heap"),
    ]


@pytest.mark.parametrize(
    ("function", "outer"),
    [
        ("main.load", "main.load"),
        ("main.load.func1", "main.load"),
        ("main.load.func1.2", "main.load"),
        ("main.(*T).run.func2.gowrap1", "main.(*T).run"),
        ("main.(*T).run-fm", "main.(*T).run"),
        ("main.func1", "main"),
    ],
)
def test_a_closure_is_known_by_what_it_is_in(function: str, outer: str) -> None:
    assert enclosing_function(function) == outer
    assert same_suspect((LeakKind.GOROUTINE, function, "", 0), (LeakKind.GOROUTINE, f"{outer}.func9", "", 5))


def test_the_verdict_of_the_assessment_is_not_needed() -> None:
    snapshots = goroutines(lambda s: 2)
    assert judged(snapshots).verdict is not Verdict.LEAK
    assert measure(snapshots, judged(snapshots), PROGRAM).suspect is None
