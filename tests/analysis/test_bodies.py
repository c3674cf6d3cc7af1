"""Open, attended, idle: what a goroutine profile says of bodies."""

from __future__ import annotations

from leaktui.analysis.bodies import KnownOwner, count_bodies, list_bodies
from leaktui.model.body import BodyState
from leaktui.model.finding import Confidence
from leaktui.model.frame import Frame
from leaktui.model.goroutine import Goroutine, GoroutineGroup

from .stacks import READ_LOOP_IDLE, READ_LOOP_SELECT, WRITE_LOOP, frames, reading

STREAM = frames(
    "net/http.(*http2clientStream).writeRequest:8500", "net/http.(*http2clientStream).doRequest:8300"
)
STREAM_127 = frames(
    "net/http/internal/http2.(*clientStream).writeRequest:1",
    "net/http/internal/http2.(*clientStream).doRequest:2",
)
AWAITING = frames("net/http.(*http2ClientConn).roundTrip:8200", "main.load:3")


def test_idle_connections_are_not_open_bodies() -> None:
    groups = (
        GoroutineGroup(50, READ_LOOP_IDLE, wait_reason="IO wait"),
        GoroutineGroup(50, WRITE_LOOP, wait_reason="select"),
    )
    assert count_bodies(groups).open == 0


def test_bodies_being_read_are_open_but_attended() -> None:
    groups = (
        GoroutineGroup(12, READ_LOOP_SELECT, wait_reason="select"),
        GoroutineGroup(10, reading("main.stream:9"), wait_reason="IO wait"),
    )
    count = count_bodies(groups)
    assert (count.open, count.unattended) == (12, 2)


def test_streams_that_await_their_headers_are_requests_not_bodies() -> None:
    groups = (
        GoroutineGroup(5, STREAM, wait_reason="select"),
        GoroutineGroup(4, STREAM_127, wait_reason="select"),
        GoroutineGroup(3, AWAITING, wait_reason="select"),
    )
    assert count_bodies(groups).http2 == 6


def test_rows_name_the_owner_the_trace_knew_and_invent_nothing() -> None:
    owner = Frame("main.load", "/src/main.go", 24)
    goroutines = (
        Goroutine(7, "select", READ_LOOP_SELECT),
        Goroutine(8, "select", READ_LOOP_SELECT, wait_minutes=3),
        Goroutine(9, "IO wait", READ_LOOP_IDLE),
    )
    rows = list_bodies(goroutines, {7: KnownOwner(owner, (owner,), 4.0, Confidence.LIKELY)}, age_offset=2.0)
    assert [row.goid for row in rows] == [8, 7]
    assert rows[0].owner is None
    assert rows[0].age_seconds == 180
    assert rows[1].owner == owner
    assert rows[1].age_seconds == 6.0
    assert rows[1].state is BodyState.OPEN
    assert not rows[1].url


def test_a_stream_whose_parent_still_waits_is_not_listed() -> None:
    goroutines = (
        Goroutine(1, "select", AWAITING),
        Goroutine(2, "select", STREAM, parent_goid=1),
        Goroutine(3, "select", STREAM, parent_goid=99),
    )
    assert [row.goid for row in list_bodies(goroutines, {})] == [3]
