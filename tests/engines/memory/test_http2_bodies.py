"""HTTP/2 bodies of real programs: each one they left open, none that they did not, whatever the memory says."""

from __future__ import annotations

import email.utils
import random
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from leaktui.engines.memory.attachment import Attachment
from leaktui.engines.memory.goroutines import Seen
from leaktui.engines.memory.heap_map import HeapMap
from leaktui.engines.memory.http2_bodies import Http2Bodies, Http2Census
from leaktui.engines.memory.http2_layout import Http2Duty, Http2Package, find_duty
from leaktui.engines.memory.reader import Unreadable
from leaktui.model.body import BodyState
from leaktui.model.open_body import OpenBody
from tests.engines.memory.attached import Altered, attached, goroutines_of
from tests.engines.memory.go_programs import build_program, run_program
from tests.go_target import GoProcess, Peer, run_target
from tests.go_toolchain import Toolchain, build

pytestmark = pytest.mark.go

Told = dict[str, Any]


def read(attachment: Attachment, bodies: Http2Bodies) -> Http2Census:
    return bodies.read(goroutines_of(attachment), threading.Event())


def told(body: Told) -> tuple[object, ...]:
    """What a program says of a body."""
    seconds = email.utils.parsedate_to_datetime(body["date"]).timestamp()
    reader = body["reader"] or None
    length = body["length"] if body["length"] >= 0 else None
    return body["method"], body["url"], body["status"], length, body["state"], reader, seconds


def found(body: OpenBody) -> tuple[object, ...]:
    """The same of what was read."""
    return (
        body.method,
        body.url,
        body.status,
        body.content_length,
        body.state.name,
        body.reader_goid,
        body.opened_time,
    )


def local_ports(pid: int) -> dict[int, str]:
    """The local addresses of IPv4 sockets by descriptor."""
    by_inode = {}
    for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        by_inode[fields[9]] = "127.0.0.1:" + str(int(fields[1].rpartition(":")[2], 16))
    found = {}
    for link in Path(f"/proc/{pid}/fd").iterdir():
        inode = str(link.readlink()).removeprefix("socket:[").removesuffix("]")
        if inode in by_inode:
            found[int(link.name)] = by_inode[inode]
    return found


@pytest.mark.parametrize("flavour", ["stripped", "pie-stripped"])
def test_every_body_left_open_is_listed_as_it_is(
    matrix_toolchain: Toolchain, peer: Peer, flavour: str
) -> None:
    path = build_program("bodies2", flavour, matrix_toolchain)
    with run_program(path, "-n", "300", peer.ready["h2"]) as process, attached(process.pid) as attachment:
        bodies = Http2Bodies(attachment)
        census = read(attachment, bodies)
        again = read(attachment, bodies)
        truth = [body for body in process.ready["bodies"] if body["listed"]]
        assert len(truth) > 320
        assert Counter(map(found, census.bodies)) == Counter(map(told, truth))
        assert (census.awaiting, census.idle_connections, census.torn) == (3, 0, 0)
        assert {replace(body, buffered_bytes=0) for body in again.bodies} == {
            replace(body, buffered_bytes=0) for body in census.bodies
        }
        # Those that arrived whole are bytes, and bodies where the heap is searched.
        ended = [body for body in process.ready["bodies"] if body["kind"] == "ended"]
        assert sum(census.unreturned.values()) == 480 + 10 * 100_000 + 10 * 1000
        assert len(census.unseen) == 2
        assert all("arrived whole" in sentence for sentence in census.unseen)
        heap = HeapMap.read(attachment, threading.Event())
        for _ in range(2):
            deep = bodies.read(goroutines_of(attachment), threading.Event(), heap)
            kept = [body for body in deep.bodies if "dropped=" not in body.url]
            dropped = 10 - (len(deep.bodies) - len(kept))
            assert Counter(map(found, kept)) == Counter(map(told, truth + ended))
        assert dropped > 5  # the collector has taken them
        assert sum(deep.unreturned.values()) == 1000 * dropped
        (sentence,) = deep.unseen
        assert sentence.startswith(f"{1000 * dropped} bytes of bodies on the HTTP/2 connection to 127.0.0.1:")
        check_sockets(census, truth, peer, process)
        check_buffers(census, truth)
        check_holders(census, attachment)


def check_sockets(census: Http2Census, truth: list[Told], peer: Peer, process: GoProcess) -> None:
    """Each body's descriptor is that of the connection the program got for it."""
    ports = local_ports(process.pid)
    by_url = {(body["method"], body["url"]): body["local"] for body in truth}
    for body in census.bodies:
        assert body.fd is not None
        assert ports[body.fd] == by_url[body.method, body.url]
        assert (body.peer, body.tls) == (peer.ready["h2"].removeprefix("https://"), True)
    # 250 streams are all this peer takes on a connection.
    assert len({body.connection for body in census.bodies}) == len({body.fd for body in census.bodies}) == 4
    assert len({(body.connection, body.stream) for body in census.bodies}) == len(census.bodies)


def check_buffers(census: Http2Census, truth: list[Told]) -> None:
    expected = {(body["method"], body["url"]): body["buffered"] for body in truth}
    compared = 0
    for body in census.bodies:
        buffered = expected[body.method, body.url]
        if buffered >= 0:
            assert body.buffered_bytes == buffered, body
            compared += 1
    assert compared > 310


def check_holders(census: Http2Census, attachment: Attachment) -> None:
    """A goroutine of its own waits for the end of each stream."""
    stacks = {seen.state.goid: seen.trace.stack for seen in goroutines_of(attachment)}
    assert len({body.holder_goid for body in census.bodies}) == len(census.bodies)
    for body in census.bodies:
        assert any(frame.function.endswith("lientStream).doRequest") for frame in stacks[body.holder_goid])


def test_a_program_that_closes_its_bodies_has_none_that_stay(matrix_toolchain: Toolchain, peer: Peer) -> None:
    path = build_program("bodies2", "stripped", matrix_toolchain)
    with (
        run_program(path, "-healthy", "-n", "24", peer.ready["h2"]) as process,
        attached(process.pid) as attachment,
    ):
        bodies = Http2Bodies(attachment)
        unattended: set[tuple[int, int, int]] | None = None
        met = 0
        for _ in range(12):
            census = read(attachment, bodies)
            met += len(census.bodies)
            idle = {
                (body.connection, body.stream, body.body)
                for body in census.bodies
                if body.state is not BodyState.BEING_READ
            }
            unattended = idle if unattended is None else unattended & idle
            time.sleep(0.2)
        assert not unattended
        assert met


@pytest.mark.parametrize("fixed", [False, True], ids=["leaking", "fixed"])
def test_streams_left_open_are_counted_as_the_program_counts(
    matrix_toolchain: Toolchain, peer: Peer, fixed: bool
) -> None:
    binary = build("http2large", matrix_toolchain, stripped=True, tags="nopprof")
    with (
        run_target(binary, peer, fixed=fixed, rate=20, pprof=False) as target,
        attached(target.pid) as attachment,
    ):
        bodies = Http2Bodies(attachment)
        while not fixed and target.leaked() < 5:
            time.sleep(0.1)
        for _ in range(5):
            time.sleep(0.2)
            before = target.leaked()
            census = read(attachment, bodies)
            after = target.leaked()
            subscriptions = [body for body in census.bodies if "/sse?" in body.url]
            assert before <= len(subscriptions) <= after
            assert {body.state for body in subscriptions} <= {BodyState.UNREAD}
            assert {(body.method, body.status, body.content_length) for body in subscriptions} <= {
                ("GET", 200, None)
            }


def test_streams_that_are_read_have_readers(matrix_toolchain: Toolchain, peer: Peer) -> None:
    binary = build("http2busy", matrix_toolchain, stripped=True, tags="nopprof")
    with run_target(binary, peer, pprof=False) as target, attached(target.pid) as attachment:
        time.sleep(1)
        bodies = Http2Bodies(attachment)
        attended = unattended = 0
        for _ in range(10):
            seen = {goroutine.state.goid: goroutine for goroutine in goroutines_of(attachment)}
            for body in bodies.read(list(seen.values()), threading.Event()).bodies:
                if body.reader_goid not in seen:
                    unattended += 1
                    continue
                attended += 1
                functions = [frame.function for frame in seen[body.reader_goid].trace.stack]
                assert "main.(*h2).read" in functions
            time.sleep(0.1)
    assert attended > 40
    assert unattended <= attended // 4


def altered(attachment: Attachment, alter: Callable[[int, bytes], bytes]) -> Http2Bodies:
    """A reader of *attachment*'s memory as *alter* shows it; goroutines stay as they are."""
    return Http2Bodies(replace(attachment, memory=Altered(attachment.memory, alter)))  # type: ignore[arg-type]


def test_memory_that_changes_or_makes_no_sense_is_not_believed(go_toolchain: Toolchain, peer: Peer) -> None:
    path = build_program("bodies2", "stripped", go_toolchain)
    with run_program(path, "-n", "5", peer.ready["h2"]) as process, attached(process.pid) as attachment:
        seen = goroutines_of(attachment)
        before = Http2Bodies(attachment).read(seen, threading.Event())
        truth = {found(body) for body in before.bodies}
        assert len(truth) > 25
        check_cancel(attachment, seen)
        check_unreadable(attachment, seen)
        check_look_alikes(attachment, seen, before)
        check_moving_streams(attachment, seen, before)
        check_noise(attachment, seen, truth)


def check_cancel(attachment: Attachment, seen: list[Seen]) -> None:
    cancel = threading.Event()
    cancel.set()
    assert not Http2Bodies(attachment).read(seen, cancel).bodies


def check_unreadable(attachment: Attachment, seen: list[Seen]) -> None:
    def refuse(address: int, data: bytes) -> bytes:
        raise Unreadable("nothing")

    census = altered(attachment, refuse).read(seen, threading.Event())
    assert not census.bodies
    assert census.torn == 3  # its connections


def check_look_alikes(attachment: Attachment, seen: list[Seen], before: Http2Census) -> None:
    """What points back like a Cond to its mutex, but is none: a list's only element does, to the list's root."""
    connections = {body.connection for body in before.bodies}

    def alter(address: int, data: bytes) -> bytes:
        if len(data) != 16:
            return data
        _, back = struct.unpack("<QQ", data)
        inside = any(connection < back < connection + 512 for connection in connections)
        return data[8:] + data[8:] if inside else data

    census = altered(attachment, alter).read(seen, threading.Event())
    assert not census.bodies
    assert census.torn == len(connections)


def check_moving_streams(attachment: Attachment, seen: list[Seen], before: Http2Census) -> None:
    """Streams whose response is another one whenever it is read."""
    places = {body.body for body in before.bodies}
    count = 0

    def alter(address: int, data: bytes) -> bytes:
        nonlocal count
        if address not in places:
            return data
        count += 1
        response = struct.pack("<Q", before.bodies[0].connection + 8 * (count % 2))
        return data.replace(struct.pack("<Q", before.bodies[0].connection), response)

    census = altered(attachment, alter).read(seen, threading.Event())
    assert census.torn or len(census.bodies) < len(before.bodies)
    assert {found(body) for body in census.bodies} <= {found(body) for body in before.bodies}


def check_noise(attachment: Attachment, seen: list[Seen], truth: set[tuple[object, ...]]) -> None:
    """Bytes that differ at random from read to read: nothing raises, nothing loops, most is left out."""
    random_ = random.Random(7)

    def alter(address: int, data: bytes) -> bytes:
        if random_.random() < 0.03 and len(data) >= 8:
            place = random_.randrange(len(data) // 8) * 8
            return data[:place] + random_.randbytes(8) + data[place + 8 :]
        return data

    for _ in range(5):
        census = altered(attachment, alter).read(seen, threading.Event())
        assert len(census.bodies) <= len(truth)


@pytest.mark.parametrize(
    ("function", "duty", "package"),
    [
        ("net/http.(*http2clientConnReadLoop).run", Http2Duty.FRAMES, ("net/http", "http2")),
        ("net/http.(*http2Transport).newClientConn.gowrap1", Http2Duty.FRAMES, ("net/http", "http2")),
        ("net/http/internal/http2.(*ClientConn).readLoop", Http2Duty.FRAMES, ("net/http/internal/http2", "")),
        ("gopkg.in/http2%2ev2.(*ClientConn).readLoop", Http2Duty.FRAMES, ("gopkg.in/http2.v2", "")),
        ("net/http.http2transportResponseBody.Read", Http2Duty.BODY, ("net/http", "http2")),
        (
            "golang.org/x/net/http2.(*clientStream).doRequest",
            Http2Duty.STREAM,
            ("golang.org/x/net/http2", ""),
        ),
        ("net/http.(*http2serverConn).readFrames", None, None),
        ("main.(*Client).readLoop", None, None),
    ],
)
def test_duties_are_known_by_the_function(
    function: str, duty: Http2Duty | None, package: tuple[str, str] | None
) -> None:
    assert find_duty(function) == (
        None if duty is None or package is None else (duty, Http2Package(*package))
    )
