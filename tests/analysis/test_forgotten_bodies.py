"""Bodies that were left before anybody looked: not proved, and not passed over."""

from __future__ import annotations

from dataclasses import replace

import pytest

from leaktui.analysis.assess import Watch, assess
from leaktui.analysis.program import UnknownProgram
from leaktui.model.assessment import Assessment
from leaktui.model.body import BodyState
from leaktui.model.capability import Source, SourceState
from leaktui.model.finding import Confidence, LeakKind, Verdict
from leaktui.model.frame import Frame
from leaktui.model.goroutine import GoroutineGroup
from leaktui.model.open_body import BodyCensus, OpenBody
from tests.analysis.histories import history

SOURCES = (Source("proc", SourceState.USED), Source("memory", SourceState.USED))
WATCH = Watch(elapsed_seconds=34, deadline_seconds=60)
BEGAN = 1_000_000.0


def bodies(count: int, opened_time: float | None, state: BodyState) -> tuple[OpenBody, ...]:
    return tuple(
        OpenBody(
            holder_goid=100 + index,
            protocol="HTTP/1.1",
            state=state,
            method="GET",
            url="http://peer/users",
            status=200,
            opened_time=opened_time,
            body=0xC000 + 64 * index,
        )
        for index in range(count)
    )


def assessed(
    count: int = 30,
    *,
    opened_time: float | None = BEGAN - 5,
    state: BodyState = BodyState.UNREAD,
    callers: int = 3,
    seconds: int = 34,
) -> Assessment:
    """What is said of a program that has *count* bodies open all the time."""

    def groups(second: int) -> tuple[GoroutineGroup, ...]:
        return (GoroutineGroup(callers, (Frame("main.main", "/src/main.go", 3),)),)

    snapshots = [
        replace(
            snapshot,
            groups_from="memory",
            bodies=BodyCensus(bodies(count, opened_time, state), time=BEGAN + second),
            bodies_time=float(second),
        )
        for second, snapshot in enumerate(history(seconds, groups, sources=SOURCES))
    ]
    return assess(snapshots, UnknownProgram(), WATCH)


@pytest.mark.parametrize("state", [BodyState.UNREAD, BodyState.PART_READ])
def test_what_has_lain_there_all_the_time_is_not_called_clean(state: BodyState) -> None:
    assessment = assessed(state=state)
    assert assessment.verdict is Verdict.UNDECIDED
    (suspect,) = assessment.suspects
    assert (suspect.kind, suspect.confidence, suspect.count) == (LeakKind.HTTP_BODY, Confidence.POSSIBLE, 30)
    assert suspect.evidence[0].text.startswith(
        "30 response bodies were opened before we began to look, 33 s ago, and nobody reads them;"
        " only 3 goroutines of the program could have one in hand"
    )


@pytest.mark.parametrize(
    "healthy",
    [
        {"state": BodyState.BEING_READ},
        {"opened_time": BEGAN + 4},  # what a queue holds for a while is given back, and others come
        {"opened_time": None},
        {"callers": 28},
        {"count": 6},
    ],
)
def test_what_is_read_or_younger_or_may_be_in_hand_is_no_suspect(healthy: dict[str, object]) -> None:
    assert assessed(**healthy).verdict is Verdict.CLEAN  # type: ignore[arg-type]


def test_what_was_put_aside_a_moment_ago_is_no_suspect() -> None:
    assert not assessed(seconds=12).suspects
