"""Files, pipes and addresses: each is read within bounds, and told in one sentence when it cannot be."""

from __future__ import annotations

import base64
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from leaktui.engines.pprof_endpoint import Credentials
from leaktui.engines.span_source import describe_source, parse_query_url, read_spans
from leaktui.errors import (
    EndpointDenied,
    EndpointMismatch,
    EndpointUnreachable,
    LeaktuiError,
    LimitExceeded,
    UsageError,
)

ANSWER = b'{"data": []}'


class Jaeger(BaseHTTPRequestHandler):
    """Answers ANSWER where it is asked as Jaeger is; other paths misbehave by their name."""

    seen: list[tuple[str, str]]

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        type(self).seen.append((self.path, self.headers.get("Authorization", "")))
        if path == "/api/traces" or path.startswith("/jaeger/api/"):
            self._answer(200, ANSWER)
        elif path == "/secret/traces":
            right = "Basic " + base64.b64encode(b"ops:hunter2").decode()
            self._answer(200 if self.headers.get("Authorization") == right else 401, ANSWER)
        elif path == "/away/traces":
            self._answer(302, b"", Location="http://elsewhere.example/api/traces?token=abc")
        elif path == "/near/traces":
            self._answer(302, b"", Location="/api/traces?service=x")
        elif path == "/bad/traces":
            self._answer(400, b'{"data":null,"errors":[{"code":400,"msg":"no service"}]}')
        elif path == "/large/traces":
            self._answer(200, b" " * 5000)
        elif path == "/cut/traces":
            self.send_response(200)
            self.send_header("Content-Length", "100")
            self.end_headers()
            self.wfile.write(b"{")
        else:
            self._answer(404, b"<html>no\x1b[2J such page</html>")

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture(scope="module")
def jaeger() -> Iterator[str]:
    Jaeger.seen = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Jaeger)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


# -- addresses -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "asked"),
    [
        ("/api/traces?service=shop&limit=5", "/api/traces?service=shop&limit=5"),
        ("/search?service=shop&limit=5", "/api/traces?service=shop&limit=5"),
        ("?service=shop", "/api/traces?service=shop"),
        ("/?service=shop", "/api/traces?service=shop"),
        ("/jaeger/search?service=a", "/jaeger/api/traces?service=a"),
        ("/jaeger/trace/8cb5851d", "/jaeger/api/traces/8cb5851d"),
        ("/near/traces?service=y", "/api/traces?service=x"),
    ],
)
def test_the_api_is_asked_also_where_a_page_of_the_ui_was_given(jaeger: str, typed: str, asked: str) -> None:
    assert read_spans(jaeger + typed) == ANSWER
    assert Jaeger.seen[-1] == (asked, "")


def test_credentials_go_where_they_were_meant_to(jaeger: str) -> None:
    known = Credentials(user="ops", password="hunter2")
    assert read_spans(f"{jaeger}/secret/traces", credentials=known) == ANSWER
    assert read_spans(jaeger.replace("//", "//ops:hunter2@") + "/secret/traces") == ANSWER
    with pytest.raises(EndpointDenied, match=r"HTTP 401.*--user"):
        read_spans(f"{jaeger}/secret/traces")


REFUSALS = {
    "/away/traces": (EndpointMismatch, "sends on to http://elsewhere.example/api/traces?token=…"),
    "/nothing/here": (EndpointMismatch, "answers HTTP 404: no\\x1b[2J such page"),
    "/large/traces": (LimitExceeded, "larger than"),
    "/cut/traces": (LeaktuiError, "broke off"),
}


@pytest.mark.parametrize("path", REFUSALS)
def test_what_is_no_answer_is_one_sentence(jaeger: str, path: str) -> None:
    kind, words = REFUSALS[path]
    with pytest.raises(kind) as refused:
        read_spans(f"{jaeger}{path}?service=x", limit=1000)
    assert words in str(refused.value)
    assert "pprof" not in str(refused.value) and str(refused.value).isprintable()


def test_what_jaeger_says_is_left_to_the_decoder(jaeger: str) -> None:
    assert b"no service" in read_spans(f"{jaeger}/bad/traces")


def test_nobody_there() -> None:
    with pytest.raises(EndpointUnreachable, match="check the address, and that Jaeger runs there"):
        read_spans("http://127.0.0.1:1/api/traces?service=x")


@pytest.mark.parametrize(
    "url",
    [
        "http://h:16686",
        "http://h:16686/",
        "ftp://h/api/traces",
        "http://[bad/x",
        "http:///x",
        "http://h:99999/x",
    ],
)
def test_no_address_of_traces(url: str) -> None:
    with pytest.raises(UsageError, match="/api/traces"):
        read_spans(url)


def test_how_many_traces_an_answer_holds() -> None:
    assert parse_query_url("http://h/api/traces?service=a").most_traces == 100
    assert parse_query_url("http://h/api/traces?service=a&limit=7").most_traces == 7
    assert parse_query_url("http://h/api/traces?service=a&limit=x").most_traces == 0
    assert parse_query_url("http://h/api/traces/8cb5").most_traces == 0
    assert parse_query_url("http://h/api/v3/traces?query.service_name=a").most_traces == 0


def test_a_source_is_told_without_secrets() -> None:
    url = "https://ops:hunter2@h:8443/api/traces?service=shop&token=abc"
    assert describe_source(url) == "https://h:8443/api/traces, service shop"
    assert describe_source("-") == "standard input" and describe_source("/tmp/a\x1bb.json") == "a\\x1bb.json"


# -- files ---------------------------------------------------------------------------------------


def test_files_and_pipes(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    path.write_bytes(ANSWER)
    assert read_spans(str(path)) == ANSWER
    with pytest.raises(LimitExceeded, match="more than"):
        read_spans(str(path), limit=3)
    with pytest.raises(UsageError, match="is a directory"):
        read_spans(str(tmp_path))
    with pytest.raises(UsageError, match="No such file"):
        read_spans(str(tmp_path / "missing"))
    with pytest.raises(UsageError, match="cannot read"):
        read_spans("a\0b")
    with fifo(tmp_path / "pipe", ANSWER) as name:
        assert read_spans(name) == ANSWER


@contextmanager
def fifo(path: Path, data: bytes) -> Iterator[str]:
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(data,))
    writer.start()
    yield str(path)
    writer.join()
