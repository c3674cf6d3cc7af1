"""Open HTTP/1 bodies in memory: what is seen of them equals what the programs did, and what the kernel has."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from urllib.parse import parse_qs, urlsplit

import pytest

from leaktui.engines.memory.attachment import Attachment
from leaktui.engines.memory.heap_map import HeapMap
from leaktui.engines.memory.http1_bodies import Http1Bodies, Http1Reading
from leaktui.engines.memory.persist_conn import READ_LOOP, ROUND_TRIP, PersistConns
from leaktui.engines.memory.requests import Requests
from leaktui.engines.proc_fd import read_fds
from leaktui.model.body import BodyState
from leaktui.model.open_body import OpenBody
from tests.engines.memory.attached import attached, goroutines_of
from tests.engines.memory.go_programs import build_program, run_program
from tests.go_target import GoTarget, Peer, run_target
from tests.go_toolchain import Toolchain, build

pytestmark = pytest.mark.go

SOME = ("earlyreturn", "tlshttp1", "gzippart", "unixsocket", "amongstreams", "keepalive", "slowdownloads")
OTHERS = (
    "clienttimeout",
    "closurecallback",
    "ctxcancel",
    "decodeerror",
    "deferloop",
    "errorpath",
    "fanout",
    "genericfetch",
    "interfacedoer",
    "limitread",
    "longpoll",
    "methodvalue",
    "oauthwrap",
    "otherpackage",
    "panicrecovered",
    "rareleak",
    "readclosercaller",
    "readtoeof",
    "redirect",
    "retryoverwrite",
    "reverseproxy",
    "roundtripper",
    "shadowederr",
    "sse",
    "ssechurn",
    "statusprobe",
    "storedinmap",
    "thinwrapper",
)
BEING_READ = frozenset(("slowdownloads", "longpoll", "sse", "ssechurn"))
"""Programs all of whose bodies somebody reads."""


def read_bodies(attachment: Attachment, reader: Http1Bodies) -> Http1Reading:
    cancel = threading.Event()
    seen = goroutines_of(attachment)
    return reader.read(seen, cancel, HeapMap.read(attachment, cancel))


# --- a program that has one of each ---


@pytest.mark.parametrize("flavour", ["stripped", "pie-stripped"])
def test_each_kind_of_body_is_as_the_program_made_it(matrix_toolchain: Toolchain, flavour: str) -> None:
    with run_program(build_program("bodies1", flavour, matrix_toolchain)) as process:
        rows = {row["fd"]: row for row in process.ready["bodies"]}
        with attached(process.pid) as attachment:
            seen = read_bodies(attachment, Http1Bodies(attachment))
    assert seen.torn == 0
    assert seen.idle_connections == process.ready["idle"]
    assert seen.awaiting == process.ready["awaiting"]
    assert len(rows) == len(process.ready["bodies"]) > 60
    assert {body.fd for body in seen.bodies} == set(rows)
    assert len(seen.bodies) == len(rows)
    for body in seen.bodies:
        row = rows[body.fd]
        expected = {
            name: row[name] for name in ("method", "url", "status", "protocol", "peer", "tls", "state")
        }
        assert {
            "method": body.method,
            "url": body.url,
            "status": body.status,
            "protocol": body.protocol,
            "peer": body.peer,
            "tls": body.tls,
            "state": body.state.value,
        } == expected, row["name"]
        assert body.content_length == (None if row["length"] < 0 else row["length"]), row["name"]
        if row["date"] and row["name"] != "long head":  # whose beginning is not in the buffer any more
            assert body.opened_time == row["date"], row["name"]
        assert (body.reader_goid is not None) == (row["state"] == "being read"), row["name"]
        assert not body.orphaned or row["dropped"], row["name"]
        assert body.body or body.orphaned or row["dropped"]
        assert body.request
        assert body.connection
    dropped = [body for body in seen.bodies if rows[body.fd]["dropped"]]
    orphaned = sum(body.orphaned is True for body in dropped)
    if matrix_toolchain.release < (1, 27):
        assert orphaned >= len(dropped) - 2  # a word left somewhere may keep one
    else:
        assert orphaned == 0  # readLoop itself holds the body: no proof to be had


def test_a_reader_of_a_body_is_the_goroutine_inside_its_read(matrix_toolchain: Toolchain) -> None:
    with (
        run_program(build_program("bodies1", "stripped", matrix_toolchain)) as process,
        attached(process.pid) as attachment,
    ):
        seen = goroutines_of(attachment)
        bodies = Http1Bodies(attachment).read(seen, threading.Event()).bodies
    stacks = {item.state.goid: item.trace.stack for item in seen}
    readers = [body.reader_goid for body in bodies if body.reader_goid is not None]
    assert len(readers) == len(set(readers)) == 6
    for goid in readers:
        functions = {frame.function for frame in stacks[goid]}
        assert "net/http.(*bodyEOFSignal).Read" in functions
        assert any(function.startswith("main.bodies.") for function in functions)


def test_connections_and_what_callers_wait_for(matrix_toolchain: Toolchain) -> None:
    with (
        run_program(build_program("bodies1", "stripped", matrix_toolchain)) as process,
        attached(process.pid) as attachment,
    ):
        conns = PersistConns(attachment)
        requests = Requests(attachment.memory, attachment.layout.types)
        seen = goroutines_of(attachment)
        loops = [item for item in seen if conns.is_inside(item, READ_LOOP)]
        found = {conns.find_connection(item) for item in loops}
        exchanges = [
            exchange
            for item in seen
            if conns.is_inside(item, ROUND_TRIP) and (exchange := conns.request_of_caller(item))
        ]
        texts = [requests.read(exchange.request) for exchange in exchanges]
        others = [item for item in seen if item not in loops]
        assert all(conns.find_connection(item) is None for item in others)
        assert requests.read(0x10) is None
    assert None not in found
    assert len(found) == len(loops) > 60
    assert {exchange.connection for exchange in exchanges} <= found
    paths = sorted(urlsplit(text.url).path for text in texts if text is not None)
    assert paths == ["/half", "/never", "/never"]


def test_what_was_seen_once_is_remembered_while_the_body_is_open(
    peer: Peer, matrix_toolchain: Toolchain
) -> None:
    binary = build("gzippart", matrix_toolchain, stripped=True)
    with run_target(binary, peer, rate=40, pprof=False) as target, attached(target.pid) as attachment:
        reader = Http1Bodies(attachment)
        known: dict[tuple[int, int], OpenBody] = {}
        for _ in range(15):
            for body in read_bodies(attachment, reader).bodies:
                before = known.get((body.connection, body.request))
                if before is not None and before.holder_goid == body.holder_goid:
                    assert (before.url, before.fd, before.peer) == (body.url, body.fd, body.peer)
                    assert before.status in (None, body.status)
                    assert not before.orphaned or body.orphaned
                known[body.connection, body.request] = body
            time.sleep(0.1)
    assert len(known) > 20


def test_a_program_without_an_http_client_has_none(matrix_toolchain: Toolchain) -> None:
    with (
        run_program(build_program("parked", "stripped", matrix_toolchain), "10") as process,
        attached(process.pid) as attachment,
    ):
        assert read_bodies(attachment, Http1Bodies(attachment)) == Http1Reading()


# --- programs at work ---


@pytest.mark.parametrize(
    "program", [*SOME, *(pytest.param(name, marks=pytest.mark.matrix) for name in OTHERS)]
)
def test_bodies_of_a_working_program(matrix_toolchain: Toolchain, peer: Peer, program: str) -> None:
    binary = build(program, matrix_toolchain, stripped=True, tags="nopprof")
    with run_target(binary, peer, rate=5, pprof=False) as target, attached(target.pid) as attachment:
        time.sleep(2)
        reader = Http1Bodies(attachment)
        for _ in range(40):  # until the program did nothing between the two questions
            before = open_bodies(target)
            seen = read_bodies(attachment, reader)
            after = open_bodies(target)
            if before == after == len(seen.bodies):
                break
        assert before == after == len(seen.bodies)
        check_sockets(target.pid, seen.bodies)
    assert seen.torn == 0
    for body in seen.bodies:
        assert body.method in ("GET", "POST")
        assert body.status in (None, *statuses_of(body.url))
        assert body.tls == body.url.startswith("https:")
        assert body.protocol == "HTTP/1.1"
    if program in BEING_READ:
        assert {body.state for body in seen.bodies} == {BodyState.BEING_READ}
    if program == "keepalive":
        assert seen.idle_connections > 10
        assert not seen.bodies


def open_bodies(target: GoTarget) -> int:
    """Response bodies it has open now, by its own count."""
    return sum(count.leaked for count in target.truth().values())


def check_sockets(pid: int, bodies: Sequence[OpenBody]) -> None:
    """Each has a descriptor of its own, which is a socket to that peer."""
    fds = {entry.fd: entry for entry in read_fds(pid)}
    assert len({body.fd for body in bodies}) == len(bodies)
    for body in bodies:
        entry = fds.get(body.fd if body.fd is not None else -1)
        assert entry is not None
        assert entry.socket is not None
        if entry.socket.family.startswith("tcp"):
            assert entry.socket.remote == body.peer
        else:
            assert entry.socket.family == "unix"
            assert body.peer


def statuses_of(url: str) -> tuple[int, ...]:
    """What the peer answers at *url* (see its routes.go)."""
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    if parts.path.startswith("/status/"):
        return (int(parts.path.split("/")[2]),)
    if "status" in query:
        return (int(query["status"][0]),)
    return {"/redirect": (302,), "/flaky": (200, 503)}.get(parts.path, (200,))
