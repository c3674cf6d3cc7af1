"""What the running process adds to an explanation."""

from __future__ import annotations

from leaktui.analysis.seen import with_seen
from leaktui.model.explanation import Explanation, SkipReason
from leaktui.model.frame import Frame
from leaktui.model.goroutine import Goroutine
from leaktui.model.inspection import InspectedFrame, Inspection
from leaktui.model.wait import DeferredCall, GoroutineDetail, Panic

FILE = "/src/main.go"
EXPLANATION = Explanation(
    "f", FILE, 20, 50, 24, SkipReason.EARLY_RETURN, "The return at line 30 leaves it open."
)
INSIDE = Frame("main.f", FILE, 44)
ELSEWHERE = Frame("main.g", FILE, 90)
CLOSE = DeferredCall(
    Frame("net/http.(*bodyEOFSignal).Close", "net/http/transport.go", 9), Frame("main.f", FILE, 31)
)
OTHER = DeferredCall(Frame("sync.(*Mutex).Unlock", "sync/mutex.go", 9), Frame("main.g", FILE, 91))


def test_a_pending_close_says_where_its_goroutine_waits() -> None:
    detail = GoroutineDetail(41, deferred=(CLOSE, OTHER))
    dump = Goroutine(41, "select", (INSIDE,), wait_minutes=12)
    assert with_seen(EXPLANATION, (detail,), (), (dump,)).seen == (
        "A deferred Close of line 31 is still pending in goroutine 41: "
        "the function has not returned, and waits in select for 12 min.",
    )


def test_many_goroutines_are_one_sentence() -> None:
    details = [GoroutineDetail(goid, deferred=(CLOSE, CLOSE)) for goid in range(5)]
    (sentence,) = with_seen(EXPLANATION, details).seen
    assert sentence == (
        "A deferred Close of line 31 is still pending in 5 goroutines looked at: the function has not returned."
    )


def test_deferred_calls_of_other_functions_are_nothing_to_it() -> None:
    assert with_seen(EXPLANATION, (GoroutineDetail(41, deferred=(OTHER,)),)).seen == ()


def test_a_debugger_sees_that_nothing_is_deferred() -> None:
    inspection = Inspection(7, 1.0, "chan send", (InspectedFrame(ELSEWHERE), InspectedFrame(INSIDE)))
    (sentence,) = with_seen(EXPLANATION, (), (inspection,)).seen
    assert sentence.startswith("Goroutine 7 is at line 44 with no deferred call in that frame")


def test_a_debugger_sees_what_is_deferred() -> None:
    inspection = Inspection(7, 1.0, "chan send", (InspectedFrame(INSIDE, deferred=(CLOSE,)),))
    (sentence,) = with_seen(EXPLANATION, (), (inspection,)).seen
    assert sentence.endswith("pending in goroutine 7: the function has not returned, and waits in chan send.")


def test_a_frame_that_could_not_be_read_says_nothing() -> None:
    unreadable = InspectedFrame(INSIDE, unreadable="optimised away")
    assert with_seen(EXPLANATION, (), (Inspection(7, 1.0, frames=(unreadable,)),)).seen == ()
    assert (
        with_seen(EXPLANATION, (), (Inspection(7, 1.0, frames=(InspectedFrame(INSIDE),), gone=True),)).seen
        == ()
    )


def test_panics_are_told_where_the_goroutine_is_in_the_function() -> None:
    panics = (Panic("boom"), Panic("", "runtime.boundsError", recovered=True))
    detail = GoroutineDetail(41, panics=panics)
    assert with_seen(EXPLANATION, (detail,), (), (Goroutine(41, "running", (ELSEWHERE,)),)).seen == ()
    assert with_seen(EXPLANATION, (detail,), (), (Goroutine(41, "running", (INSIDE,)),)).seen == (
        "In goroutine 41, which is in this function, a panic is in flight: boom.",
        "In goroutine 41, which is in this function, a panic was recovered: runtime.boundsError.",
    )


def test_who_is_in_there_when_nobody_looked_closer() -> None:
    dump = (
        Goroutine(4, "select", (INSIDE,), 3),
        Goroutine(5, "select", (INSIDE,)),
        Goroutine(6, "IO wait", (ELSEWHERE,)),
    )
    assert with_seen(EXPLANATION, goroutines=dump).seen == (
        "2 goroutines are in this function now; goroutine 4 waits in select for 3 min.",
    )


def test_the_newest_look_counts() -> None:
    looks = (GoroutineDetail(41, deferred=(CLOSE,)), GoroutineDetail(41))
    assert with_seen(EXPLANATION, looks).seen == ()
