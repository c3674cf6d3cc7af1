"""What an endpoint can do wrong, and what the user then reads."""

from __future__ import annotations

import gzip
import socket
import threading
import zlib
from collections.abc import Iterator

import pytest

from leaktui.engines.pprof import PprofEngine
from leaktui.engines.pprof_client import PprofClient
from leaktui.engines.pprof_connection import CaptureCancelled, Patience
from leaktui.engines.pprof_endpoint import Credentials, Endpoint
from leaktui.engines.protocol import Fact, Refused, Request, Want
from leaktui.errors import (
    DecodeError,
    EndpointDenied,
    EndpointMismatch,
    EndpointUnreachable,
    LeaktuiError,
    LimitExceeded,
    Truncated,
)
from leaktui.model.capability import Capability
from leaktui.model.target import Target
from tests.engines.hostile_server import (
    Answer,
    HostileServer,
    closed_port,
    drip,
    flood,
    hang,
    reply,
    reset,
)

GROUPS = Request(frozenset({Want.GROUPS}))


def client_of(server: HostileServer, **options: object) -> PprofClient:
    return PprofClient(Endpoint(host="127.0.0.1", port=server.port), **options)  # type: ignore[arg-type]


def get(server: HostileServer, *, total: float = 5.0, idle: float = 5.0, limit: int = 1 << 20) -> bytes:
    client = client_of(server)
    try:
        return client.get("goroutine", Patience(total, idle), limit=limit, what="goroutine profile").body
    finally:
        client.close()


def capture(server: HostileServer, request: Request = GROUPS) -> list[Fact]:
    engine = PprofEngine(url=server.url)
    try:
        return list(engine.capture(request, threading.Event()))
    finally:
        engine.close()


def probe(url: str, **options: object) -> Capability:
    engine = PprofEngine(url=url, **options)  # type: ignore[arg-type]
    try:
        return engine.probe(Target(pid=None, url=url))
    finally:
        engine.close()


def goroutine_answers(answer: Answer) -> HostileServer:
    return HostileServer({"/debug/pprof/goroutine": answer})


def test_endpoint_that_hangs_is_given_up_after_the_idle_time() -> None:
    with (
        goroutine_answers(hang) as server,
        pytest.raises(EndpointUnreachable, match=r"sent nothing for 0\.3 s"),
    ):
        get(server, idle=0.3)


def test_dripping_endpoint_is_given_up_at_the_deadline() -> None:
    with goroutine_answers(drip) as server, pytest.raises(EndpointUnreachable, match="did not finish"):
        get(server, total=0.5, idle=5.0)


def test_endless_headers_are_given_up() -> None:
    def endless(server: HostileServer, connection: socket.socket) -> None:
        server.send(connection, b"HTTP/1.1 200 OK\r\n")
        while not server.over.is_set():
            server.send(connection, b"X-More: " + b"a" * 1000 + b"\r\n")

    with goroutine_answers(endless) as server:
        with pytest.raises(EndpointMismatch, match="does not answer in HTTP"):
            get(server)
        assert server.sent < 8 << 20


def test_announced_size_beyond_the_limit_is_not_even_read() -> None:
    def two_gigabytes(server: HostileServer, connection: socket.socket) -> None:
        server.send(connection, b"HTTP/1.1 200 OK\r\nContent-Length: 2147483648\r\n\r\n")
        while not server.over.is_set():
            server.send(connection, bytes(65536))

    with goroutine_answers(two_gigabytes) as server:
        with pytest.raises(LimitExceeded, match=r"larger than 1\.0 MB"):
            get(server)
        assert server.sent < 32 << 20


def test_flood_is_stopped_at_the_limit() -> None:
    with goroutine_answers(flood) as server:
        with pytest.raises(LimitExceeded, match=r"goroutine profile .* larger than 1\.0 MB"):
            get(server)
        assert server.sent < 32 << 20


def test_compressed_flood_is_stopped_at_the_limit() -> None:
    bomb = zlib.compress(bytes(64 << 20), 9)
    answer = reply(bomb, headers="Content-Encoding: deflate\r\n")
    with goroutine_answers(answer) as server, pytest.raises(LimitExceeded):
        get(server)


def test_content_encoding_is_undone() -> None:
    answer = reply(gzip.compress(b"plain"), headers="Content-Encoding: gzip\r\n")
    with goroutine_answers(answer) as server:
        assert get(server) == b"plain"


def test_false_content_encoding_is_a_decode_error() -> None:
    answer = reply(b"this is no gzip", headers="Content-Encoding: gzip\r\n")
    with goroutine_answers(answer) as server, pytest.raises(DecodeError, match="encoding it announced"):
        get(server)


def test_reset_in_the_middle() -> None:
    with goroutine_answers(reset) as server, pytest.raises(EndpointUnreachable, match=r"broke off: .*reset"):
        get(server)


def test_answer_shorter_than_announced() -> None:
    short = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf"
    with goroutine_answers(short) as server, pytest.raises(Truncated, match="middle of its answer"):
        get(server)


def test_connection_closed_without_an_answer() -> None:
    with goroutine_answers(b"") as server, pytest.raises(EndpointUnreachable, match="without an answer"):
        get(server)


def test_not_http() -> None:
    banner = goroutine_answers(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")
    with banner as server, pytest.raises(EndpointMismatch, match="does not answer in HTTP"):
        get(server)


def test_cancel_ends_a_hanging_exchange() -> None:
    cancel = threading.Event()
    with goroutine_answers(hang) as server:
        client = client_of(server)
        threading.Timer(0.1, cancel.set).start()
        with pytest.raises(CaptureCancelled):
            client.get("goroutine", Patience(30, 30, cancel.is_set), limit=1000)
        client.close()


def test_cancelled_capture_ends_without_a_fact_or_an_error() -> None:
    cancel = threading.Event()
    with goroutine_answers(hang) as server:
        engine = PprofEngine(url=server.url)
        threading.Timer(0.2, cancel.set).start()
        assert list(engine.capture(GROUPS, cancel)) == []
        engine.close()


def test_close_from_another_thread_ends_a_capture() -> None:
    with goroutine_answers(hang) as server:
        engine = PprofEngine(url=server.url)
        threading.Timer(0.2, engine.close).start()
        assert list(engine.capture(GROUPS, threading.Event())) == []


def test_cancelled_trace_ends() -> None:
    cancel = threading.Event()
    with HostileServer({"/debug/pprof/trace": hang}) as server:
        engine = PprofEngine(url=server.url)
        threading.Timer(0.2, cancel.set).start()
        assert list(engine.capture(Request(frozenset({Want.TRACE})), cancel)) == []
        engine.close()


def test_html_instead_of_a_profile() -> None:
    page = reply(b"<!DOCTYPE html><html><title>Sign in</title><h1>Who are you?</h1></html>")
    with goroutine_answers(page) as server:
        with pytest.raises(EndpointMismatch, match="HTML page instead of a goroutine profile") as caught:
            capture(server)
        assert "Who are you?" in str(caught.value)


def test_truncated_gzip() -> None:
    whole = gzip.compress(bytes(range(256)) * 64)
    with goroutine_answers(reply(whole[:-20])) as server, pytest.raises(Truncated):
        capture(server)


def test_control_bytes_in_an_answer_do_not_reach_the_message() -> None:
    answer = reply(b"\x1b[2Jboom\x07", status="500 Oh", headers="X-Go-Pprof: 1\r\n")
    with goroutine_answers(answer) as server:
        (fact,) = capture(server)
        assert isinstance(fact, Refused)
        assert "boom" in fact.reason
        assert "\x1b" not in fact.reason
        assert "\x07" not in fact.reason


def test_undecodable_heap_does_not_keep_the_others_back() -> None:
    answers: dict[str, Answer] = {
        "/debug/pprof/heap": reply(b"nonsense"),
        "/debug/pprof/goroutineleak": reply(b"", status="404 Not Found"),
    }
    seen: list[Fact] = []
    with HostileServer(answers) as server:
        engine = PprofEngine(url=server.url)
        with pytest.raises(DecodeError, match="plain text"):
            for fact in engine.capture(Request(frozenset({Want.HEAP, Want.LEAKED})), threading.Event()):
                seen.append(fact)
        engine.close()
    assert [fact.want for fact in seen if isinstance(fact, Refused)] == [Want.LEAKED]


def test_missing_profile_is_refused_not_failed() -> None:
    with HostileServer({}) as server:
        facts = capture(server, Request(frozenset({Want.GROUPS, Want.HEAP, Want.TRACE})))
    assert [fact.want for fact in facts if isinstance(fact, Refused)] == [Want.GROUPS, Want.HEAP, Want.TRACE]


def test_bad_gateway() -> None:
    gateway = goroutine_answers(reply(b"upstream down", status="502 Bad Gateway"))
    with gateway as server, pytest.raises(EndpointUnreachable, match=r"HTTP 502 .*upstream down"):
        capture(server)


@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden"])
def test_denied_without_credentials(status: str) -> None:
    with HostileServer({"/debug/pprof/threadcreate": reply(b"no", status=status)}) as server:
        capability = probe(server.url)
    assert not capability.usable
    assert "it wants credentials" in capability.reason
    assert "LEAKTUI_PPROF_TOKEN" in capability.remedy


def test_denied_with_credentials_does_not_tell_them() -> None:
    with HostileServer({"/debug/pprof/threadcreate": reply(b"no", status="401 Unauthorized")}) as server:
        url = server.url.replace("http://", "http://admin:hunter2@")
        capability = probe(url)
        assert any(b"Authorization: Basic" in head for head in server.requests)
    text = repr(capability)
    assert "credentials given" in text
    assert "hunter2" not in text
    assert "admin" not in text


def test_capture_denied_later() -> None:
    with goroutine_answers(reply(b"no", status="401 Unauthorized")) as server, pytest.raises(EndpointDenied):
        capture(server)


def test_credentials_wait_until_they_are_asked_for() -> None:
    with HostileServer({"/debug/pprof/heap": reply(b"no", status="401 Unauthorized")}) as server:
        client = client_of(server, credentials=Credentials(token="s3cret"))
        client.get("goroutine", Patience(5, 5), limit=1000)
        client.get("heap", Patience(5, 5), limit=1000)
        client.close()
        goroutine, first, second = server.requests
    assert b"s3cret" not in goroutine
    assert b"s3cret" not in first
    assert b"Authorization: Bearer s3cret" in second


@pytest.mark.parametrize("token", ["s3cret\n", "s3cret\N{SNOWMAN}", "s3cret\0"])
def test_credentials_http_cannot_carry_are_not_quoted(token: str) -> None:
    with HostileServer({}) as server:
        client = client_of(server, credentials=Credentials(token=token), ask_first=False)
        with pytest.raises(EndpointMismatch, match="characters HTTP does not allow") as caught:
            client.get("heap", Patience(5, 5), limit=1000)
        client.close()
    assert "s3cret" not in str(caught.value)


def test_redirect_within_the_origin_is_followed() -> None:
    moved = reply(b"", status="302 Found", headers="Location: /debug/pprof/elsewhere\r\n")
    with HostileServer({"/debug/pprof/goroutine": moved, "/debug/pprof/elsewhere": reply(b"here")}) as server:
        assert get(server) == b"here"


def test_redirect_loop_ends() -> None:
    moved = reply(b"", status="302 Found", headers="Location: /debug/pprof/goroutine\r\n")
    with goroutine_answers(moved) as server:
        get(server)
        assert len(server.requests) < 10


def test_redirect_to_another_host_is_not_followed() -> None:
    with HostileServer({}) as other:
        moved = reply(b"", status="302 Found", headers=f"Location: {other.url}goroutine?token=s3cret\r\n")
        with (
            goroutine_answers(moved) as server,
            pytest.raises(EndpointMismatch, match="redirects to") as caught,
        ):
            capture(server)
        assert other.requests == []
        assert "s3cret" not in str(caught.value)


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with closed_port() as port, goroutine_answers(reply(b"direct")) as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
        assert get(server) == b"direct"


def test_refused_connection() -> None:
    with closed_port() as port:
        capability = probe(f"http://127.0.0.1:{port}")
    assert not capability.usable
    assert "cannot be reached: connection refused" in capability.reason
    assert capability.remedy


def test_name_that_does_not_resolve() -> None:
    capability = probe("http://nowhere.invalid:6060")
    assert "does not resolve" in capability.reason


def test_page_that_is_not_pprof() -> None:
    def missing(server: HostileServer, connection: socket.socket) -> None:
        server.send(connection, reply(b"nothing here", status="404 Not Found"))

    paths = ("threadcreate", "cmdline", "")
    with HostileServer({f"/debug/pprof/{path}": missing for path in paths}) as server:
        capability = probe(server.url)
        assert not capability.usable
        assert "answers HTTP 404, not a profile" in capability.reason
        assert all(path.startswith("/debug/pprof/") for path in server.paths())


def test_every_way_to_fail_is_one_printable_line() -> None:
    ways: list[Answer] = [
        b"\x1b]0;title\x07\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        reset,
        b"HTTP/1.1 200 OK\r\n",
        b"\0",
    ]

    def sentences() -> Iterator[str]:
        for way in ways:
            with goroutine_answers(way) as server:
                with pytest.raises(LeaktuiError) as caught:
                    get(server)
                yield str(caught.value)

    for sentence in sentences():
        assert sentence.isprintable(), sentence
