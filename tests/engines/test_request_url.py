"""URLs put together again from the strings of an url.URL."""

from __future__ import annotations

import json
import subprocess
from dataclasses import astuple, replace
from pathlib import Path

import pytest

from leaktui.engines.request_url import RequestUrl, escape_user, format_method
from tests.go_toolchain import Toolchain, go_environment

PLAIN = RequestUrl(b"https", b"", b"shop.example:8443", b"/a", b"", b"x=1&y=%20")

CASES = (
    PLAIN,
    replace(PLAIN, path=b""),
    replace(PLAIN, path=b"no/slash"),
    replace(PLAIN, path=b"*", host=b"h"),
    replace(PLAIN, path="/käse/ß &?#[]!()*'%".encode()),
    replace(PLAIN, path=b"/a/b", raw_path=b"/a%2Fb"),
    replace(PLAIN, path=b"/a/b", raw_path=b"/a%2Fc"),
    replace(PLAIN, path=b"/a b", raw_path=b"/a b"),
    replace(PLAIN, raw_query=b""),
    replace(PLAIN, host=b"[fe80::1]:80"),
    replace(PLAIN, opaque=b"//other.example/%7e", path=b""),
    replace(PLAIN, fragment="top/of?the (ß) #1".encode()),
)
USERS = ((b"me:you@home", b""), (b"me", b"p:w/d?"), (b"", b"only"))

PROGRAM = """
package main

import ("encoding/json"; "fmt"; "net/url"; "os")

func main() {
	var cases [][]string
	if err := json.NewDecoder(os.Stdin).Decode(&cases); err != nil { panic(err) }
	for _, c := range cases {
		u := url.URL{Scheme: c[0], Opaque: c[1], Host: c[2], Path: c[3], RawPath: c[4], RawQuery: c[5], Fragment: c[6]}
		if c[8] != "" { u.User = url.UserPassword(c[7], c[8]) } else if c[7] != "" { u.User = url.User(c[7]) }
		text, _ := json.Marshal(u.String())
		fmt.Println(string(text))
	}
}
"""


@pytest.mark.go
def test_it_is_what_go_makes_of_it(tmp_path: Path, go_toolchain: Toolchain) -> None:
    source = tmp_path / "main.go"
    source.write_text(PROGRAM)
    cases = [(*astuple(case)[:7], b"", b"") for case in CASES]
    cases += [(*astuple(PLAIN)[:7], *user) for user in USERS]
    ours = [case.format() for case in CASES]
    for name, password in USERS:
        user = escape_user(name) + (f":{escape_user(password)}" if password else "")
        ours.append(replace(PLAIN, userinfo=user).format())
    said = subprocess.run(
        [go_toolchain.go, "run", source],
        input=json.dumps([[field.decode() for field in case] for case in cases]),
        capture_output=True,
        text=True,
        check=True,
        env=go_environment(),
    )
    assert ours == [json.loads(line) for line in said.stdout.splitlines()]


@pytest.mark.parametrize(
    "url",
    [
        RequestUrl(b""),
        RequestUrl(b"", host=b"h"),
        replace(PLAIN, scheme=b"\x1b[2J"),
        replace(PLAIN, scheme=b"HTTP"),
        replace(PLAIN, host=b""),
    ],
)
def test_what_makes_no_url_is_none(url: RequestUrl) -> None:
    assert url.format() == ""


def test_it_cannot_move_a_cursor() -> None:
    hostile = replace(PLAIN, host=b"\x1b[2Jh", raw_query=b"\x9b\r\n", path=b"/\x07", fragment=b"\x1b]0;")
    assert hostile.format().isprintable()


@pytest.mark.parametrize(
    ("method", "shown"), [(b"", "GET"), (b"PATCH", "PATCH"), (b"GET /", ""), (b"\x1b", "")]
)
def test_a_method_is_a_token(method: bytes, shown: str) -> None:
    assert format_method(method) == shown
