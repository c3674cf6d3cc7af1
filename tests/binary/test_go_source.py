"""Functions and their results in Go source, against go/parser and on awkward text."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaktui.binary.go_source import find_declaration, iter_declarations
from leaktui.binary.signature import hands_over_body
from tests.binary.go_builds import Builder
from tests.go_toolchain import go_environment

SOURCE = """package shop

import (
	"errors"
	"io"
	web "net/http" // not http
	"example.com/api/v2"
	"gopkg.in/yaml.v3"
)

// func commented() *web.Response { return nil }

const text = "func quoted() int {" + `
func raw() error {
` + "}"

func plain() {}

func (c *Client[K, V]) Get(url string, options ...func(*web.Request) error) (*web.Response, error) {
	check := func(r *web.Response) bool { return r != nil && '{' != '}' }
	for _, f := range []func() int{nil, nil} {
		_ = f
	}
	return nil, errors.New("}{")
}

func named(a, b int) (body io.ReadCloser, sizes map[string][]int, _ error) {
	return
}

func grouped() (x, y int, s struct{ a, b int }) { return }

func makes() func(int) (*web.Response, error) {
	return func(int) (*web.Response, error) {
		return nil, nil
	}
}

func Map[T any, U comparable](in []T, f func(T) U) (out chan<- U) { return nil }

func modules() (api.Thing, *yaml.Node) { panic(0) }

func external(int) int
"""


def line_of(text: str) -> int:
    (line,) = (number for number, content in enumerate(SOURCE.splitlines(), 1) if text in content)
    return line


@pytest.mark.parametrize(
    ("text", "name", "results"),
    [
        ("func plain", "plain", ()),
        ('errors.New("}{")', "Client.Get", ("*net/http.Response", "error")),
        ("_ = f", "Client.Get", ("*net/http.Response", "error")),
        ("check := func", "", ("bool",)),
        ("func named", "named", ("io.ReadCloser", "map[string][]int", "error")),
        ("func grouped", "grouped", ("int", "int", "struct{a,b int}")),
        ("func makes", "makes", ("func(int)(*net/http.Response,error)",)),
        ("return nil, nil", "", ("*net/http.Response", "error")),
        ("func Map[", "Map", ("chan<-U",)),
        ("func modules", "modules", ("example.com/api/v2.Thing", "*gopkg.in/yaml.v3.Node")),
    ],
)
def test_find_declaration(text: str, name: str, results: tuple[str, ...]) -> None:
    found = find_declaration(SOURCE, line_of(text))
    assert found is not None
    assert (found.name, found.results) == (name, results)
    assert found.line <= line_of(text) <= found.end_line


@pytest.mark.parametrize(
    "text", ["package shop", "func commented", "const text", "func raw", "func external"]
)
def test_outside_functions(text: str) -> None:
    assert find_declaration(SOURCE, line_of(text)) is None


def test_handing_over_a_body() -> None:
    owners = {found.name for found in iter_declarations(SOURCE) if hands_over_body(found.results)}
    assert owners == {"Client.Get", "named", ""}


@given(st.text(alphabet="func(){}[]*,.; \n\"'`/ab<-chan", max_size=200))
def test_any_text(text: str) -> None:
    for found in iter_declarations(text):
        assert 1 <= found.line <= found.end_line <= text.count("\n") + 1


def test_deep_nesting_ends() -> None:
    assert list(iter_declarations("func f() " + "*" * 5000 + "int {}")) == []
    assert len(list(iter_declarations("func f() {" * 3000 + "}" * 3000))) == 3000


@pytest.mark.go
def test_agrees_with_go_parser(builder: Builder) -> None:
    """Every function of some packages of the standard library, declared or literal."""
    goroot = subprocess.run(
        [builder.toolchain.go, "env", "GOROOT"],
        env=go_environment(),
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    files = [
        path
        for package in ("net/http", "go/types", "slices", "runtime")
        for path in Path(goroot, "src", package).glob("*.go")
    ]
    done = subprocess.run([builder("signatures"), *files], capture_output=True, check=True, text=True)
    told: dict[str, list[tuple[int, int, str]]] = {}
    for line in done.stdout.splitlines():
        file, start, end, results = line.split("\t")
        told.setdefault(file, []).append((int(start), int(end), re.sub(r"\s", "", results)))
    assert sum(map(len, told.values())) > 5000
    for file, functions in told.items():
        ours = [
            (
                found.line,
                found.end_line,
                re.sub(r"[\w./-]+/(\w+)\.", r"\1.", "|".join(found.results)).replace(" ", ""),
            )
            for found in iter_declarations(Path(file).read_text())
        ]
        assert sorted(ours) == sorted(functions), file
