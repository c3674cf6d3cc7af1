"""Bodies listed one by one from memory: what they add to counts, rows and suspects."""

from __future__ import annotations

from dataclasses import replace

import pytest

from leaktui.analysis.assess import Watch, assess
from leaktui.analysis.body_trend import body_trend
from leaktui.analysis.program import UnknownProgram
from leaktui.model.body import BodyState
from leaktui.model.capability import Source, SourceState
from leaktui.model.finding import Confidence, LeakKind, Verdict
from leaktui.model.frame import Frame
from leaktui.model.goroutine import GoroutineGroup
from leaktui.model.handoff_watch import HandoffWatch
from leaktui.model.open_body import BodyCensus, OpenBody
from leaktui.model.process import FdEntry, FdKind, Socket
from leaktui.model.snapshot import GroupsLook, Snapshot
from leaktui.model.trace import BodyHandoff
from tests.analysis.histories import history

SOURCES = (Source("proc", SourceState.USED), Source("memory", SourceState.USED))
WATCH = Watch(elapsed_seconds=12, deadline_seconds=60)
SECOND = 1_000_000_000
STACK = (
    Frame("net/http.(*persistConn).roundTrip", "/go/src/net/http/transport.go", 2800),
    Frame("net/http.(*Client).do", "/go/src/net/http/client.go", 700),
    Frame("main.load", "/src/main.go", 24),
    Frame("main.main", "/src/main.go", 9),
)


def body(number: int, *, orphaned: bool | None = None, state: BodyState = BodyState.UNREAD) -> OpenBody:
    return OpenBody(
        holder_goid=100 + number,
        protocol="HTTP/1.1",
        state=state,
        method="GET",
        url=f"http://user:pass@peer.example:8080/users?token=s3cret{number}",
        status=404,
        fd=20 + number,
        buffered_bytes=19,
        opened_time=1_000_000.0 + number,
        orphaned=orphaned,
        connection=0xC000 + number,
    )


def seen(seconds: int, orphaned: bool | None, *, grows: bool = True, handed: bool = True) -> list[Snapshot]:
    """Bodies, one more a second, listed by memory, the last ones with who was handed them."""
    groups = (GoroutineGroup(3, (Frame("main.main", "/src/main.go", 3),)),)
    snapshots = []
    for index, snapshot in enumerate(history(seconds, lambda second: groups, sources=SOURCES)):
        count = index + 1 if grows else 6
        bodies = tuple(body(number, orphaned=orphaned) for number in range(count))
        census = BodyCensus(bodies, time=1_000_100.0)
        snapshots.append(
            replace(
                snapshot,
                bodies=census,
                bodies_time=float(index),
                groups_from="memory",
                also=(GroupsLook("pprof", float(index), groups),),
            )
        )
    if handed:
        handoffs = tuple(
            BodyHandoff(100 + number, 1, SECOND * number, STACK, caller_alive=False) for number in range(6)
        )
        watch = HandoffWatch(0, 20 * SECOND, handoffs, unattributed=1, looks=99)
        snapshots[-1] = replace(snapshots[-1], handoffs=watch, handoffs_time=float(seconds - 1))
    return snapshots


def test_bodies_listed_count_before_goroutines_that_wait() -> None:
    snapshots = seen(12, None)
    trend = body_trend(snapshots)
    assert trend is not None
    assert (trend.source, trend.open, trend.unattended, trend.rising) == ("memory", 12, 12, True)
    latest = snapshots[-1]
    assert latest.bodies is not None
    read = replace(latest.bodies, bodies=(*latest.bodies.bodies, body(50, state=BodyState.BEING_READ)))
    attended = body_trend([*snapshots[:-1], replace(latest, bodies=read)])
    assert attended is not None and (attended.open, attended.unattended) == (13, 12)


def test_the_collector_proves_what_nobody_can_close() -> None:
    proven = assess(seen(12, True), UnknownProgram(), WATCH)
    first = proven.suspects[0]
    assert (proven.verdict, first.kind) == (Verdict.LEAK, LeakKind.HTTP_BODY)
    assert (first.function, first.location.line if first.location else 0) == ("main.load", 24)
    assert any("6 of them the garbage collector has freed" in item.text for item in first.evidence)
    assert {item.source for item in first.evidence} <= {"memory", "binary"}
    assert proven.bodies[0].confidence is Confidence.PROVEN


def test_a_leak_of_the_past_is_proven_all_the_same() -> None:
    past = assess(seen(12, True, grows=False), UnknownProgram(), WATCH)
    assert past.verdict is Verdict.LEAK and past.suspects[0].function == "main.load"
    held = assess(seen(12, None, grows=False, handed=False), UnknownProgram(), WATCH)
    assert held.verdict is not Verdict.LEAK


def test_freed_bodies_are_a_leak_even_where_no_caller_was_caught() -> None:
    found = assess(seen(12, True, handed=False), UnknownProgram(), WATCH)
    first = found.suspects[0]
    assert (found.verdict, first.confidence, first.location) == (Verdict.LEAK, Confidence.POSSIBLE, None)


def test_evidence_names_the_requests_without_their_secrets() -> None:
    first = assess(seen(12, None), UnknownProgram(), WATCH).suspects[0]
    texts = " ".join(item.text for item in first.evidence)
    assert "6 answer GET peer.example:8080/users (status 404). 6 unread" in texts
    assert "s3cret" not in texts and "pass" not in texts


@pytest.mark.parametrize(
    ("sockets", "kinds"), [(1, [LeakKind.HTTP_BODY]), (9, [LeakKind.HTTP_BODY, LeakKind.FD])]
)
def test_sockets_belong_to_the_bodies_also_while_their_pace_is_not_known(
    sockets: int, kinds: list[LeakKind]
) -> None:
    """Two looks at bodies are too few for a slope."""
    snapshots = seen(12, True)
    snapshots = [replace(item, bodies=None) for item in snapshots[:-2]] + snapshots[-2:]
    for second, item in enumerate(snapshots):
        entries = tuple(
            FdEntry(10 + index, FdKind.SOCKET, f"socket:[{index}]") for index in range(sockets * second)
        )
        snapshots[second] = replace(item, fds=entries, fds_time=float(second))
    suspects = assess(snapshots, UnknownProgram(), WATCH).suspects
    assert suspects[0].growth_per_minute is None
    assert [suspect.kind for suspect in suspects] == kinds


def test_rows_have_what_memory_and_the_kernel_tell() -> None:
    snapshots = seen(12, None)
    socket = Socket("tcp", "127.0.0.1:1", "127.0.0.1:2", "ESTABLISHED", rx_queue=77)
    fds = (FdEntry(20, FdKind.SOCKET, "socket:[1]", socket=socket),)
    snapshots[-1] = replace(snapshots[-1], fds=fds)
    rows = assess(snapshots, UnknownProgram(), WATCH).bodies
    first = rows[0]
    assert (first.goid, first.status, first.fd, first.age_seconds) == (100, 404, 20, 100.0)
    assert (first.buffered_bytes, first.kernel_bytes, first.connection) == (19, 77, 0xC000)
    assert first.owner is not None and first.owner.line == 24
    assert first.sources == ("memory",)
    assert [row.age_seconds for row in rows] == sorted((row.age_seconds for row in rows), reverse=True)


def test_what_can_only_be_told_in_sum_is_a_note() -> None:
    snapshots = seen(12, None)
    census = snapshots[-1].bodies
    assert census is not None
    told = replace(census, unseen=("14 bytes of bodies on fd 9 were dropped unread, without Close.",))
    snapshots[-1] = replace(snapshots[-1], bodies=told)
    notes = assess(snapshots, UnknownProgram(), WATCH).notes
    assert notes == ("memory: 14 bytes of bodies on fd 9 were dropped unread, without Close.",)


def test_an_owner_is_inferred_only_where_all_alike_have_the_same() -> None:
    rows = assess(seen(12, True), UnknownProgram(), WATCH).bodies
    inferred = {row.goid for row in rows if row.owner_inferred}
    assert inferred == set(range(106, 112))
    assert all(row.owner is not None and row.owner.line == 24 for row in rows)
    snapshots = seen(12, True)
    watch = snapshots[-1].handoffs
    assert watch is not None
    other = (STACK[0], STACK[1], Frame("main.other", "/src/main.go", 50), STACK[3])
    mixed = (*watch.handoffs[:5], replace(watch.handoffs[5], stack=other))
    snapshots[-1] = replace(snapshots[-1], handoffs=replace(watch, handoffs=mixed))
    assert not any(row.owner_inferred for row in assess(snapshots, UnknownProgram(), WATCH).bodies)
