"""The hand-over of bodies step by step, on traces made by hand (net/http/transport.go, readLoop)."""

from __future__ import annotations

import pytest

from leaktui.analysis import trace_bodies
from leaktui.analysis.trace_summary import summarize_trace
from leaktui.model.trace import BodyHandoff, TraceSummary
from tests.wire.trace_bytes import TraceWriter

READ_LOOP = "net/http.(*persistConn).readLoop"
SELECTS = ("runtime.selectgo", READ_LOOP)
SENDS = ("runtime.chansend1", READ_LOOP)
PEEKS = ("internal/poll.(*FD).Read", "net/http.(*persistConn).Read", "bufio.(*Reader).Peek", READ_LOOP)
CLIENT = ("net/http.(*Transport).roundTrip", "net/http.(*Client).Do")
ASKS = ("runtime.selectgo", "net/http.(*persistConn).roundTrip", *CLIENT)
CLOSES = ("runtime.chansend1", "net/http.(*persistConn).readLoop.func3", "net/http.(*bodyEOFSignal).Close")
AWAITS_NOTE = (
    "runtime.chanrecv1",
    "net/http.(*persistConn).readLoop.func3",
    "net/http.(*bodyEOFSignal).Close",
)
READS = ("internal/poll.(*FD).Read", "net/http.(*body).Read", "net/http.(*bodyEOFSignal).Read", "io.Copy")
H2 = "net/http.(*http2"
H2_ASKS = (H2 + "ClientConn).roundTrip", H2 + "Transport).RoundTrip", "net/http.(*Client).Do")
H2_PARKS = ("runtime.selectgo", H2 + "clientStream).writeRequest", H2 + "clientStream).doRequest")
H2_ANSWERS = (H2 + "clientConnReadLoop).processHeaders", H2 + "clientConnReadLoop).run")
H2_READS = ("sync.(*Cond).Wait", H2 + "pipe).Read", "net/http.http2transportResponseBody.Read", "io.Copy")

LOOP, USER, OTHER = 10, 20, 30


@pytest.fixture
def trace() -> TraceWriter:
    """A connection's readLoop, and two goroutines of the program."""
    writer = TraceWriter()
    for goid in (LOOP, USER, OTHER):
        writer.status(goid)
    writer.block(LOOP, "network", *PEEKS)
    return writer


def answer(trace: TraceWriter, *caller: str, user: int = USER) -> None:
    """*caller* asks and sleeps; the response arrives and readLoop hands it over."""
    trace.block(user, "select", *ASKS, *caller)
    trace.unblock(LOOP, 0)
    trace.unblock(user, LOOP, *SELECTS)


def await_body(trace: TraceWriter) -> None:
    trace.block(LOOP, "select", *SELECTS)


def summarize(trace: TraceWriter) -> TraceSummary:
    trace.later(10)
    trace.call(OTHER, "syscall.write", "main.other")
    return summarize_trace([trace.bytes()])


def only(trace: TraceWriter) -> BodyHandoff:
    (handoff,) = summarize(trace).handoffs
    return handoff


def test_left_open(trace: TraceWriter) -> None:
    answer(trace, "main.leak:12", "main.main:5")
    await_body(trace)
    trace.block(USER, "sleep", "time.Sleep", "main.main:6")
    handoff = only(trace)
    assert (handoff.holder_goid, handoff.caller_goid, handoff.protocol) == (LOOP, USER, "HTTP/1")
    assert [(frame.function, frame.line) for frame in handoff.stack[-2:]] == [
        ("main.leak", 12),
        ("main.main", 5),
    ]
    assert handoff.released_ns is None
    assert handoff.caller_alive
    assert not handoff.caller_reading
    assert handoff.caller_stack[0].function == "time.Sleep"


def test_the_caller_comes_to_fetch_it(trace: TraceWriter) -> None:
    """readLoop was first: it sleeps in select, and the caller's roundTrip wakes it."""
    trace.unblock(LOOP, 0)
    trace.block(LOOP, "select", *SELECTS)
    trace.unblock(LOOP, USER, *ASKS, "main.leak:12", "main.main:5")
    await_body(trace)
    handoff = only(trace)
    assert handoff.caller_goid == USER
    assert (handoff.stack[-2].function, handoff.stack[-2].line) == ("main.leak", 12)
    assert handoff.released_ns is None


def test_a_caller_that_gave_up(trace: TraceWriter) -> None:
    """roundTrip returned without it: its deferred close wakes readLoop, which ends."""
    trace.unblock(LOOP, 0)
    trace.block(LOOP, "select", *SELECTS)
    trace.unblock(LOOP, USER, *ASKS[1:], "main.hasty")
    trace.destroy(LOOP)
    assert summarize(trace).handoffs == ()


def test_a_response_without_body(trace: TraceWriter) -> None:
    answer(trace, "main.head")
    trace.call(LOOP, "syscall.read", *PEEKS)
    trace.block(LOOP, "network", *PEEKS)
    assert summarize(trace).handoffs == ()


def test_an_error_instead_of_a_response(trace: TraceWriter) -> None:
    answer(trace, "main.refused")
    trace.destroy(LOOP)
    assert summarize(trace).handoffs == ()


def test_the_next_request_on_the_connection(trace: TraceWriter) -> None:
    """No body, then the next response arrives before readLoop sleeps: two selects, one after the other."""
    answer(trace, "main.head")
    trace.call(LOOP, "syscall.read", *PEEKS)
    trace.block(LOOP, "select", *SELECTS)
    trace.unblock(LOOP, OTHER, *ASKS, "main.leak")
    await_body(trace)
    handoff = only(trace)
    assert (handoff.caller_goid, handoff.stack[-1].function) == (OTHER, "main.leak")


def test_closed(trace: TraceWriter) -> None:
    answer(trace, "main.fine")
    await_body(trace)
    trace.later(5)
    trace.unblock(LOOP, OTHER, *CLOSES, "main.closer")
    trace.block(LOOP, "network", *PEEKS)
    handoff = only(trace)
    assert handoff.released_ns is not None
    assert 5e6 < handoff.released_ns - handoff.opened_ns < 6e6
    assert handoff.release_stack[-1].function == "main.closer"


def test_cancelled_by_a_timer(trace: TraceWriter) -> None:
    answer(trace, "main.hasty")
    await_body(trace)
    trace.unblock(LOOP, 0)
    trace.destroy(LOOP)
    handoff = only(trace)
    assert handoff.released_ns is not None
    assert handoff.release_stack == ()


def test_closed_before_read_loop_could_wait(trace: TraceWriter) -> None:
    answer(trace, "main.quick")
    trace.block(USER, "chan receive", *AWAITS_NOTE, "main.quick")
    trace.unblock(USER, LOOP, *SENDS)
    trace.block(LOOP, "network", *PEEKS)
    handoff = only(trace)
    assert handoff.released_ns is not None
    assert handoff.release_stack[-1].function == "main.quick"


def test_a_body_seen_only_by_what_follows_it(trace: TraceWriter) -> None:
    answer(trace, "main.quick")
    trace.block(LOOP, "select", "runtime.selectgo", "net/http.(*persistConn).wroteRequest", READ_LOOP)
    handoff = only(trace)
    assert handoff.released_ns is not None


def test_a_caller_from_before_the_trace() -> None:
    writer = TraceWriter(22)
    writer.status(OTHER)
    writer.status(LOOP)
    writer.unblock(USER, LOOP, *SELECTS)
    writer.block(LOOP, "select", *SELECTS)
    handoff = only(writer)
    assert (handoff.caller_goid, handoff.stack, handoff.released_ns) == (USER, (), None)


def test_a_caller_from_before_the_trace_whose_stack_is_known() -> None:
    writer = TraceWriter(23)
    writer.status(OTHER)
    writer.status(LOOP)
    writer.status(USER, 4, "runtime.gopark", *ASKS, "main.slow")
    writer.unblock(USER, LOOP, *SELECTS)
    writer.block(LOOP, "select", *SELECTS)
    assert only(writer).stack[-1].function == "main.slow"


def test_read_loop_wakes_others_too(trace: TraceWriter) -> None:
    """A collection that readLoop's allocation starts wakes the collector's workers: nobody was given a body."""
    trace.unblock(LOOP, 0)
    trace.unblock(77, LOOP, "runtime.gcStart", "runtime.mallocgc", READ_LOOP)
    trace.block(LOOP, "network", *PEEKS)
    assert summarize(trace).handoffs == ()


def test_the_caller_ends(trace: TraceWriter) -> None:
    answer(trace, "main.leak")
    await_body(trace)
    trace.destroy(USER)
    handoff = only(trace)
    assert not handoff.caller_alive
    assert handoff.released_ns is None


def test_bodies_released_beyond_the_limit_are_counted(
    trace: TraceWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trace_bodies, "MAX_RELEASED", 3)
    for _ in range(5):
        answer(trace, "main.fine")
        await_body(trace)
        trace.unblock(LOOP, USER, *CLOSES, "main.fine")
        trace.block(LOOP, "network", *PEEKS)
    answer(trace, "main.leak")
    await_body(trace)
    summary = summarize(trace)
    assert [handoff.released_ns is None for handoff in summary.handoffs] == [False] * 3 + [True]
    assert summary.omitted_handoffs == 2


# ---- who reads it ----


def test_the_caller_reads(trace: TraceWriter) -> None:
    answer(trace, "main.download", "main.main")
    await_body(trace)
    trace.later(3)
    trace.block(USER, "network", *READS, "main.download", "main.main")
    summary = summarize(trace)
    (handoff,) = summary.handoffs
    assert handoff.caller_reading
    assert handoff.reader_goid == USER
    assert handoff.last_read_ns is not None
    assert handoff.last_read_ns - handoff.opened_ns > 3e6
    assert [(reader.goid, reader.matched) for reader in summary.body_readers] == [(USER, True)]


def test_the_caller_read_and_went_on(trace: TraceWriter) -> None:
    answer(trace, "main.part", "main.main")
    await_body(trace)
    trace.call(USER, "syscall.read", *READS, "main.part", "main.main")
    trace.block(USER, "sleep", "time.Sleep", "main.main")
    handoff = only(trace)
    assert not handoff.caller_reading
    assert handoff.reader_goid is None
    assert handoff.last_read_ns is not None


def test_a_child_of_the_caller_reads(trace: TraceWriter) -> None:
    answer(trace, "main.start", "main.main")
    await_body(trace)
    trace.create(40, USER, "main.pump", "main.start", "main.main")
    trace.block(40, "network", *READS, "main.pump")
    trace.destroy(USER)
    handoff = only(trace)
    assert (handoff.reader_goid, handoff.caller_reading, handoff.caller_alive) == (40, False, False)


def test_a_child_from_before_the_request_reads_something_else(trace: TraceWriter) -> None:
    trace.create(40, USER, "main.pump", "main.main")
    answer(trace, "main.leak", "main.main")
    await_body(trace)
    trace.block(40, "network", *READS, "main.pump")
    summary = summarize(trace)
    assert summary.handoffs[0].reader_goid is None
    assert [(reader.goid, reader.matched) for reader in summary.body_readers] == [(40, False)]


@pytest.mark.parametrize("first", ["reader", "sender"])
def test_handed_over_a_channel(trace: TraceWriter, first: str) -> None:
    answer(trace, "main.fetch")
    await_body(trace)
    if first == "reader":
        trace.block(OTHER, "chan receive", "runtime.chanrecv1", "main.pool")
        trace.unblock(OTHER, USER, "runtime.chansend1", "main.fetch")
    else:
        trace.block(USER, "chan send", "runtime.chansend1", "main.fetch")
        trace.unblock(USER, OTHER, "runtime.chanrecv1", "main.pool")
    trace.block(OTHER, "network", *READS, "main.pool")
    trace.add(21, 99, 1, 0, thread=98)  # the last event is somebody else's
    (handoff,) = summarize_trace([trace.bytes()]).handoffs
    assert (handoff.reader_goid, handoff.caller_reading) == (OTHER, False)


def test_of_two_bodies_the_one_of_the_function_that_still_runs(trace: TraceWriter) -> None:
    """An event stream is read on; a helper called for one of its events left its own body open."""
    answer(trace, "main.stream", "main.main")
    await_body(trace)
    trace.status(11)
    trace.block(USER, "select", *ASKS, "main.helper", "main.stream", "main.main")
    trace.unblock(USER, 11, *SELECTS)
    trace.block(11, "select", *SELECTS)
    trace.block(USER, "network", *READS, "main.stream", "main.main")
    stream, helper = summarize(trace).handoffs
    assert (stream.caller_reading, helper.caller_reading) == (True, False)


def test_of_two_bodies_of_one_call_the_newer(trace: TraceWriter) -> None:
    answer(trace, "main.loop:7", "main.main")
    await_body(trace)
    trace.status(11)
    trace.block(USER, "select", *ASKS, "main.loop:7", "main.main")
    trace.unblock(USER, 11, *SELECTS)
    trace.block(11, "select", *SELECTS)
    trace.block(USER, "network", *READS, "main.loop:8", "main.main")
    older, newer = summarize(trace).handoffs
    assert (older.caller_reading, newer.caller_reading) == (False, True)


# ---- HTTP/2 ----


def ask_h2(trace: TraceWriter, *caller: str) -> None:
    trace.create(50, USER, H2 + "clientStream).doRequest", *H2_ASKS, *caller)
    trace.block(50, "select", *H2_PARKS)
    trace.block(USER, "select", "runtime.selectgo", *H2_ASKS, *caller)


def test_h2_left_open(trace: TraceWriter) -> None:
    ask_h2(trace, "main.leak:12")
    trace.later(2)
    trace.unblock(USER, OTHER, *H2_ANSWERS)
    handoff = only(trace)
    assert (handoff.protocol, handoff.holder_goid, handoff.caller_goid) == ("HTTP/2", 50, USER)
    assert (handoff.stack[-1].function, handoff.stack[-1].line) == ("main.leak", 12)
    assert handoff.released_ns is None


def test_h2_long_poll(trace: TraceWriter) -> None:
    ask_h2(trace, "main.poll")
    assert summarize(trace).handoffs == ()


def test_h2_answered_before_the_caller_slept(trace: TraceWriter) -> None:
    trace.create(50, USER, H2 + "clientStream).doRequest", *H2_ASKS, "main.leak")
    trace.block(50, "select", *H2_PARKS)
    trace.block(USER, "sleep", "time.Sleep", "main.main")
    assert only(trace).released_ns is None


def test_h2_closed(trace: TraceWriter) -> None:
    ask_h2(trace, "main.fine")
    trace.unblock(USER, OTHER, *H2_ANSWERS)
    trace.unblock(
        50, USER, H2 + "clientStream).abortStream", "net/http.http2transportResponseBody.Close", "main.fine"
    )
    trace.destroy(50)
    handoff = only(trace)
    assert handoff.released_ns is not None
    assert handoff.release_stack[-1].function == "main.fine"


def test_h2_timed_out_before_the_response(trace: TraceWriter) -> None:
    ask_h2(trace, "main.hasty")
    trace.unblock(USER, 0)
    trace.block(USER, "sleep", "time.Sleep", "main.main")
    trace.unblock(50, USER, H2 + "clientStream).abortStream")
    trace.destroy(50)
    assert summarize(trace).handoffs == ()


def test_h2_read(trace: TraceWriter) -> None:
    ask_h2(trace, "main.download")
    trace.unblock(USER, OTHER, *H2_ANSWERS)
    trace.block(USER, "sync", *H2_READS, "main.download")
    assert only(trace).caller_reading


@pytest.mark.parametrize(
    ("connection", "stream", "reader"),
    [
        (
            "net/http/internal/http2.(*ClientConn)",
            "net/http/internal/http2.(*clientStream)",
            "net/http/internal/http2.(*clientConnReadLoop)",
        ),
        (
            "golang.org/x/net/http2.(*ClientConn)",
            "golang.org/x/net/http2.(*clientStream)",
            "golang.org/x/net/http2.(*clientConnReadLoop)",
        ),
    ],
)
def test_h2_under_its_other_names(trace: TraceWriter, connection: str, stream: str, reader: str) -> None:
    asks = (f"{connection}.roundTrip", f"{connection}.RoundTrip", "main.leak")
    trace.create(50, USER, f"{stream}.doRequest", *asks)
    trace.block(USER, "select", "runtime.selectgo", *asks)
    trace.unblock(USER, OTHER, f"{reader}.processHeaders")
    handoff = only(trace)
    assert (handoff.protocol, handoff.holder_goid) == ("HTTP/2", 50)
