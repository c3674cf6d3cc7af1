from __future__ import annotations

import pytest

from leaktui.engines.pprof_endpoint import Credentials, Endpoint, parse_url
from leaktui.errors import UsageError

HERE = "/debug/pprof/"


@pytest.mark.parametrize(
    ("text", "urls"),
    [
        ("localhost:6060", ["http://localhost:6060/debug/pprof/"]),
        ("http://10.0.0.1:6060/", ["http://10.0.0.1:6060/debug/pprof/"]),
        ("https://example.com", ["https://example.com/debug/pprof/"]),
        ("http://example.com:80", ["http://example.com/debug/pprof/"]),
        ("http://[::1]:6060/debug/pprof", ["http://[::1]:6060/debug/pprof/"]),
        ("http://h:1/debug/pprof/heap?gc=1#x", ["http://h:1/debug/pprof/"]),
        ("http://h:1/ops/debug/pprof/goroutine", ["http://h:1/ops/debug/pprof/"]),
        ("http://h:1/ops/", ["http://h:1/ops/debug/pprof/", "http://h:1/ops/"]),
        ("http://h:1/a b\x1b", ["http://h:1/a%20b%20/debug/pprof/", "http://h:1/a%20b%20/"]),
        ("unix:/run/app.sock", ["unix:/run/app.sock"]),
        ("unix:@app", ["unix:@app"]),
        ("http+unix://%2Frun%2Fapp.sock", ["unix:/run/app.sock"]),
        (
            "https+unix://%2Frun%2Fapp.sock/ops/debug/pprof/",
            ["https+unix://%2Frun%2Fapp.sock/ops/debug/pprof/"],
        ),
    ],
)
def test_addresses(text: str, urls: list[str]) -> None:
    endpoints, credentials = parse_url(text)
    assert [endpoint.url for endpoint in endpoints] == urls
    assert not credentials
    # What is shown can be given back.
    for endpoint in endpoints[:1]:
        assert parse_url(endpoint.url)[0][0] == endpoint


@pytest.mark.parametrize(
    "text",
    [
        "",
        "http://",
        "ftp://h/",
        "http://h:99999/",
        "http://h:port/",
        "http://[::1/",
        "unix:",
        "file:///etc/passwd",
        "http://user:hunter2@h:x/",
        "http://user:hunter2@",
    ],
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_url(text)
    assert "http://HOST:PORT" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_user_info_is_taken_out() -> None:
    (endpoint,), credentials = parse_url("http://ops:p%40ss@h:6060/")
    assert (credentials.user, credentials.password) == ("ops", "p@ss")
    assert endpoint.url == "http://h:6060/debug/pprof/"
    assert "p@ss" not in repr(endpoint)


def test_credentials_are_never_shown() -> None:
    credentials = Credentials.from_environment(
        {"LEAKTUI_PPROF_USER": "ops", "LEAKTUI_PPROF_PASSWORD": "hunter2", "LEAKTUI_PPROF_TOKEN": "t0ken"}
    )
    assert credentials.password == "hunter2"
    for text in (repr(credentials), str(credentials), f"{credentials}"):
        assert "hunter2" not in text
        assert "t0ken" not in text
    assert not Credentials.from_environment({})


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("localhost", True),
        ("::1", True),
        ("10.0.0.1", False),
        ("localhost.example.com", False),
        ("127.0.0.1.example.com", False),
    ],
)
def test_local(host: str, local: bool) -> None:
    assert Endpoint(host=host).is_local is local


def test_insecure_is_for_tls() -> None:
    assert parse_url("https://h")[0][0].verify
    assert not parse_url("https://h", insecure=True)[0][0].verify


def test_name_is_printable() -> None:
    (endpoint,), _ = parse_url("unix:/run/\x1b[2J.sock")
    assert endpoint.name.isprintable()
    assert len(Endpoint(path="/" + "x" * 5000).name) <= 200
