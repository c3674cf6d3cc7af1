"""The verdict: one cause is one suspect, healthy things are cleared, and what was not seen is said."""

from __future__ import annotations

from dataclasses import replace

import pytest

from leaktui.analysis.assess import Watch, assess
from leaktui.analysis.program import HandOver, ResponseStep, UnknownProgram
from leaktui.model.capability import Source, SourceState
from leaktui.model.finding import Confidence, LeakKind, Verdict
from leaktui.model.frame import Frame, Stack
from leaktui.model.goroutine import Goroutine, GoroutineGroup
from leaktui.model.process import FdEntry, FdKind, Socket
from leaktui.model.profile import AllocSite
from leaktui.model.trace import BodyHandoff, SyscallFlow, TraceSummary

from .histories import files, history
from .stacks import READ_LOOP_SELECT, WRITE_LOOP, client_call, frames, reading

DONE = Watch(elapsed_seconds=40, deadline_seconds=60, offers_trace=True)
QUIET = TraceSummary("go1.26", 5_000_000_000, 1000, start_ns=0, end_ns=5_000_000_000)
IDLE = (GoroutineGroup(3, frames("main.worker:10"), wait_reason="chan receive"),)
OWNER = "main.loadUser:24"


class OwnersKeep(UnknownProgram):
    """A program in which no function hands a response to its caller."""

    def follow_response(self, stack: Stack, first: int) -> tuple[ResponseStep, ...]:
        return (ResponseStep(first, HandOver.NO),)


def hand_offs(leaked: int, closed: int, caller: str = OWNER) -> tuple[BodyHandoff, ...]:
    """Hand-offs at *caller*: the first *leaked* of them never released."""
    stack = client_call(caller, "main.handler:80")
    return tuple(
        BodyHandoff(
            holder_goid=100 + index,
            caller_goid=1000 + index,
            opened_ns=index * 10_000_000,
            stack=stack,
            released_ns=None if index < leaked else index * 10_000_000 + 1_000_000,
            caller_alive=False,
        )
        for index in range(leaked + closed)
    )


def trace(*handoffs: BodyHandoff) -> TraceSummary:
    return TraceSummary("go1.26", 5_000_000_000, 1000, handoffs=handoffs, start_ns=0, end_ns=5_000_000_000)


def leaking_bodies(second: int) -> tuple[GoroutineGroup, ...]:
    count = 10 + 8 * second
    return (
        GoroutineGroup(count, READ_LOOP_SELECT, wait_reason="select"),
        GoroutineGroup(count, WRITE_LOOP, wait_reason="select"),
        *IDLE,
    )


def sockets(second: int) -> tuple[FdEntry, ...]:
    socket = Socket("tcp", "127.0.0.1:4000", "127.0.0.1:80", "ESTABLISHED")
    return tuple(
        FdEntry(10 + index, FdKind.SOCKET, f"socket:[{index}]", socket=socket)
        for index in range(10 + 8 * second)
    )


def test_bodies_left_open_are_one_suspect_with_their_sockets_and_goroutines() -> None:
    snapshots = history(12, leaking_bodies, fds=sockets, traces={8: trace(*hand_offs(40, 0))})
    result = assess(snapshots, UnknownProgram(), DONE)
    assert result.verdict is Verdict.LEAK
    assert [item.kind for item in result.suspects] == [LeakKind.HTTP_BODY]
    culprit = result.suspects[0]
    assert culprit.location is not None
    assert (culprit.function, culprit.location.line) == ("main.loadUser", 24)
    assert culprit.growth_per_minute is not None
    assert 400 < culprit.growth_per_minute < 560
    assert any("40 of 40" in item.text for item in culprit.evidence)


def test_without_a_trace_the_kind_is_known_and_the_line_is_not_invented() -> None:
    result = assess(history(12, leaking_bodies, fds=sockets), UnknownProgram(), DONE)
    assert result.verdict is Verdict.LEAK
    assert result.suspects[0].kind is LeakKind.HTTP_BODY
    assert result.suspects[0].confidence is Confidence.POSSIBLE
    assert result.suspects[0].location is None


def test_event_streams_that_are_read_are_cleared() -> None:
    def streams(second: int) -> tuple[GoroutineGroup, ...]:
        return (
            GoroutineGroup(12, READ_LOOP_SELECT, wait_reason="select"),
            GoroutineGroup(12, reading("main.listen:9"), wait_reason="IO wait"),
        )

    result = assess(history(40, streams, traces={8: QUIET}), UnknownProgram(), DONE)
    assert result.verdict is Verdict.CLEAN
    assert result.open_bodies == 12


def test_bodies_in_use_by_a_running_caller_are_not_left_open() -> None:
    in_use = BodyHandoff(
        holder_goid=7,
        caller_goid=70,
        opened_ns=0,
        stack=client_call("main.download:5", "main.main:2"),
        caller_stack=frames("time.Sleep:1", "main.download:9", "main.main:2"),
    )
    result = assess(history(40, lambda second: IDLE, traces={8: trace(in_use)}), UnknownProgram(), DONE)
    assert result.verdict is Verdict.CLEAN


def test_a_loop_that_asks_again_has_left_the_last_body() -> None:
    loop = tuple(
        BodyHandoff(
            holder_goid=100 + index,
            caller_goid=70,
            opened_ns=index * 500_000_000,
            stack=client_call("main.poll:5"),
            caller_stack=frames("time.Sleep:1", "main.poll:9"),
        )
        for index in range(9)
    )
    snapshots = history(20, leaking_bodies, traces={8: trace(*loop)})
    result = assess(snapshots, UnknownProgram(), DONE)
    assert result.suspects[0].function == "main.poll"
    assert any("8 of 8" in item.text for item in result.suspects[0].evidence)


def blocked(second: int) -> tuple[GoroutineGroup, ...]:
    stack = frames("main.ask.func1:31")
    return (GoroutineGroup(5 + 4 * second, stack, wait_reason="chan send"), *IDLE)


def test_goroutines_that_stay_are_a_leak_with_their_creator() -> None:
    creator = Frame("main.ask", "/src/main.go", 28)

    def dump(count: int) -> tuple[Goroutine, ...]:
        return tuple(
            Goroutine(index, "chan send", frames("main.ask.func1:31"), created_by=creator)
            for index in range(count)
        )

    snapshots = history(14, blocked, dumps={1: dump(9), 12: dump(53)}, traces={8: QUIET})
    result = assess(snapshots, UnknownProgram(), DONE)
    assert result.verdict is Verdict.LEAK
    culprit = result.suspects[0]
    assert (culprit.kind, culprit.function) == (LeakKind.GOROUTINE, "main.ask.func1")
    assert culprit.created_by == creator
    assert culprit.confidence is Confidence.LIKELY


STREAM_READ = (
    "sync.(*Cond).Wait:71",
    "net/http.(*http2pipe).Read:3734",
    "net/http.http2transportResponseBody.Read:9533",
    "bufio.(*Scanner).Scan:219",
)
STREAM_READ_127 = (
    "sync.(*Cond).Wait:71",
    "net/http/internal/http2.(*pipe).Read:48",
    "net/http/internal/http2.transportResponseBody.Read:2400",
    "bufio.(*Scanner).Scan:219",
)


@pytest.mark.parametrize(
    ("stack", "reason"),
    [
        (frames(*STREAM_READ, "main.follow:21"), "sync.Cond.Wait"),
        (frames(*STREAM_READ_127, "main.follow:21"), "sync.Cond.Wait"),
        (client_call("main.follow:15"), "select"),
    ],
)
def test_goroutines_that_wait_for_what_a_peer_sends_may_be_load(stack: Stack, reason: str) -> None:
    """Followers of event streams and long polls, as many as there are things to follow."""

    def followers(second: int) -> tuple[GoroutineGroup, ...]:
        return (GoroutineGroup(5 + 4 * second, stack, wait_reason=reason), *IDLE)

    def dump(count: int) -> tuple[Goroutine, ...]:
        return tuple(Goroutine(index, reason, stack) for index in range(count))

    snapshots = history(14, followers, dumps={1: dump(9), 12: dump(53)}, traces={8: QUIET})
    result = assess(snapshots, UnknownProgram(), DONE)
    assert [item.confidence for item in result.suspects] == [Confidence.POSSIBLE]
    assert result.verdict is Verdict.UNDECIDED


def test_goroutines_that_come_and_go_are_not() -> None:
    def dump(first: int) -> tuple[Goroutine, ...]:
        return tuple(
            Goroutine(first + index, "chan send", frames("main.ask.func1:31")) for index in range(20)
        )

    def churn(second: int) -> tuple[GoroutineGroup, ...]:
        return (GoroutineGroup(20 + (second * 7) % 5, frames("main.ask.func1:31"), wait_reason="chan send"),)

    snapshots = history(40, churn, dumps={1: dump(0), 30: dump(1000)}, traces={8: QUIET})
    assert assess(snapshots, UnknownProgram(), DONE).verdict is Verdict.CLEAN


def test_files_that_pile_up_leak_although_nobody_is_named() -> None:
    snapshots = history(20, lambda second: IDLE, fds=lambda second: files(5 + 3 * second), traces={8: QUIET})
    result = assess(snapshots, UnknownProgram(), DONE)
    assert result.verdict is Verdict.LEAK
    assert result.suspects[0].kind is LeakKind.FD
    assert result.suspects[0].location is None
    assert "/tmp/part-*" in result.suspects[0].evidence[0].text
    assert "limit" in result.suspects[0].evidence[0].text


@pytest.mark.parametrize(("opened", "closed", "named"), [(40, 0, True), (40, 39, False), (6, 0, False)])
def test_where_no_descriptors_can_be_seen_a_trace_gives_a_lead(opened: int, closed: int, named: bool) -> None:
    opens = frames("syscall.openat:1", "os.OpenFile:2", "os.Open:3", "main.(*spool).scan:19", "main.main:40")
    closes = frames("syscall.Close:1", "os.(*File).Close:2", "main.(*spool).scan:24", "main.main:40")
    trace = replace(
        QUIET, syscalls=(SyscallFlow(opens, opened, "openat"), SyscallFlow(closes, closed, "close"))
    )
    seen = history(40, lambda second: IDLE, traces={8: trace})
    blind = [replace(item, fds=None) for item in seen]
    result = assess(blind, UnknownProgram(), DONE)
    assert result.verdict is Verdict.UNDECIDED
    assert [(item.kind, item.confidence, item.function) for item in result.suspects] == (
        [(LeakKind.FD, Confidence.POSSIBLE, "main.(*spool).scan")] if named else []
    )
    assert assess(seen, UnknownProgram(), DONE).verdict is Verdict.CLEAN


def growing_heap(second: int) -> tuple[AllocSite, ...]:
    live = (10 + 4 * (second // 4)) << 20
    cache = AllocSite(frames("bytes.Clone:1", "main.(*cache).put:17"), 1000, live * 2, 400, live)
    return (cache, AllocSite(frames("main.load:3"), 10, 1 << 20, 10, 1 << 20))


def test_a_growing_cache_is_named_at_its_own_line() -> None:
    result = assess(
        history(30, lambda second: IDLE, heap=growing_heap, traces={8: QUIET}), UnknownProgram(), DONE
    )
    assert result.verdict is Verdict.LEAK
    assert (result.suspects[0].kind, result.suspects[0].function) == (LeakKind.HEAP, "main.(*cache).put")


def test_memory_that_grows_without_a_gc_is_undecided_and_says_why() -> None:
    snapshots = history(
        40, lambda second: IDLE, rss=lambda second: (50 + 4 * second) << 20, traces={8: QUIET}
    )
    result = assess(snapshots, UnknownProgram(), DONE)
    assert result.verdict is Verdict.UNDECIDED
    assert any("--allow pause" in text for text in result.missing)


def test_looks_between_two_collections_do_not_clear_memory_that_grows() -> None:
    """Seen on a program that collects once a minute: what it allocates changes the profile, what lives does not."""

    def heap(second: int) -> tuple[AllocSite, ...]:
        live = (13 if second < 5 else 20) << 20
        return (AllocSite(frames("main.add:19"), second // 9, (second // 9) << 20, 600, live),)

    snapshots = history(
        40,
        lambda second: IDLE,
        heap=heap,
        rss=lambda second: (50 << 20) + (second * 700 << 10),
        traces={8: QUIET},
    )
    result = assess(snapshots, UnknownProgram(), DONE)
    assert result.verdict is Verdict.UNDECIDED
    assert any("too few GCs" in text for text in result.missing)


def test_nothing_is_clean_while_something_cannot_be_seen() -> None:
    sources = (
        Source("proc", SourceState.USED),
        Source("pprof", SourceState.UNAVAILABLE, "the program serves no pprof"),
    )
    snapshots = [replace(item, groups=None) for item in history(40, lambda second: IDLE, sources=sources)]
    result = assess(snapshots, UnknownProgram(), DONE)
    assert result.verdict is Verdict.UNDECIDED
    assert any("serves no pprof" in text for text in result.missing)


def test_a_source_is_not_missed_where_another_sees_the_same() -> None:
    sources = (
        Source("proc", SourceState.USED),
        Source("memory", SourceState.USED),
        Source("pprof", SourceState.UNAVAILABLE, "the program serves no pprof"),
    )
    seen = history(40, lambda second: IDLE, sources=sources)
    assert assess(seen, UnknownProgram(), DONE).verdict is Verdict.CLEAN
    blind = [replace(item, heap=None) for item in seen]
    assert assess(blind, UnknownProgram(), DONE).missing == ("the heap could not be seen",)


def test_nothing_is_settled_in_the_first_seconds() -> None:
    snapshots = history(6, leaking_bodies, traces={4: trace(*hand_offs(20, 0))})
    early = Watch(elapsed_seconds=6, deadline_seconds=60, offers_trace=True)
    assert not assess(snapshots, UnknownProgram(), early).settled
    assert assess(snapshots, OwnersKeep(), DONE).settled
