"""URLs put together again from what a probe read of them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from leaktui.engines.probes.body_url import LIMITS, UrlPieces, format_method, format_url
from tests.go_toolchain import Toolchain, go_environment

PLAIN = UrlPieces(b"GET", b"https", b"", b"shop.example:8443", b"/a", b"", b"x=1&y=%20", b"")

# What net/url makes of each is asked of Go itself.
CASES = (
    PLAIN,
    PLAIN._replace(path=b""),
    PLAIN._replace(path=b"no/slash"),
    PLAIN._replace(path=b"*", host=b"h"),
    PLAIN._replace(path="/käse/ß &?#[]!()*'%".encode()),
    PLAIN._replace(path=b"/a/b", raw_path=b"/a%2Fb"),
    PLAIN._replace(path=b"/a/b", raw_path=b"/a%2Fc"),
    PLAIN._replace(path=b"/a b", raw_path=b"/a b"),
    PLAIN._replace(raw_query=b""),
    PLAIN._replace(host=b"[fe80::1]:80"),
    PLAIN._replace(username=b"me:you@home"),
    PLAIN._replace(opaque=b"//other.example/%7e", path=b""),
)

PROGRAM = """
package main

import ("encoding/json"; "fmt"; "net/url"; "os")

func main() {
	var cases [][]string
	if err := json.NewDecoder(os.Stdin).Decode(&cases); err != nil { panic(err) }
	for _, c := range cases {
		u := url.URL{Scheme: c[1], Opaque: c[2], Host: c[3], Path: c[4], RawPath: c[5], RawQuery: c[6]}
		if c[7] != "" { u.User = url.User(c[7]) }
		text, _ := json.Marshal(u.String())
		fmt.Println(string(text))
	}
}
"""


@pytest.mark.go
def test_it_is_what_go_makes_of_it(tmp_path: Path, go_toolchain: Toolchain) -> None:
    source = tmp_path / "main.go"
    source.write_text(PROGRAM)
    cases = json.dumps([[piece.decode() for piece in case] for case in CASES])
    said = subprocess.run(
        [go_toolchain.go, "run", source],
        input=cases,
        capture_output=True,
        text=True,
        check=True,
        env=go_environment(),
    )
    assert [format_url(case) for case in CASES] == [json.loads(line) for line in said.stdout.splitlines()]


def test_a_password_is_shown_as_one() -> None:
    assert format_url(PLAIN._replace(username=b"me", path=b"", raw_query=b""), with_password=True) == (
        "https://me:…@shop.example:8443"
    )


@pytest.mark.parametrize("piece", ["host", "path", "raw_query", "opaque"])
def test_what_was_cut_off_says_so(piece: str) -> None:
    limit = LIMITS[piece]
    whole, cut = (
        format_url(PLAIN._replace(**{piece: b"/" + b"a" * (size - 1)})) for size in (limit - 1, limit)
    )
    assert "…" not in whole
    assert "a…" in cut


def test_a_cut_spelling_is_not_taken_for_the_path() -> None:
    raw = b"/" + b"%2F" * 100
    path = b"/" * 101
    assert format_url(PLAIN._replace(path=path, raw_path=raw[: LIMITS["raw_path"]], raw_query=b"")).endswith(
        "/" * 101 + "…"
    )


@pytest.mark.parametrize(
    "pieces",
    [
        UrlPieces(),
        PLAIN._replace(scheme=b"", host=b"h"),
        PLAIN._replace(scheme=b"\x1b[2J"),
        PLAIN._replace(host=b""),
    ],
)
def test_what_makes_no_url_is_none(pieces: UrlPieces) -> None:
    assert format_url(pieces) == ""


def test_it_cannot_move_a_cursor() -> None:
    text = format_url(PLAIN._replace(host=b"\x1b[2Jh", raw_query=b"\x9b\r\n", path=b"/\x07"))
    assert text.isprintable()


@pytest.mark.parametrize(
    ("method", "shown"), [(b"", "GET"), (b"PATCH", "PATCH"), (b"GET /", ""), (b"\x1b", "")]
)
def test_a_method_is_a_token(method: bytes, shown: str) -> None:
    assert format_method(PLAIN._replace(method=method)) == shown
