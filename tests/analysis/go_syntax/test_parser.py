"""The statement parser against go/parser, on the standard library's own source.

`astdump` prints what go/ast holds; the same is asked of ours. A sample is compared as a rule, everything with
--go-matrix.
"""

from __future__ import annotations

import subprocess
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leaktui.analysis.go_syntax.lexemes import Lexemes
from leaktui.analysis.go_syntax.names import Names
from leaktui.analysis.go_syntax.parser import parse_functions
from leaktui.analysis.go_syntax.statement import Function, Kind, iter_statements
from tests.go_toolchain import Toolchain, go_environment

DUMP = Path(__file__).parent / "astdump" / "main.go"
Counted = Counter[tuple[str, int, int]]
FunctionKey = tuple[str, int, int]


@pytest.fixture(scope="module")
def astdump(go_toolchain: Toolchain, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("astdump")
    (directory / "go.mod").write_text("module astdump\n", encoding="utf-8")
    (directory / "main.go").write_text(DUMP.read_text(encoding="utf-8"), encoding="utf-8")
    binary = directory / "astdump"
    subprocess.run(
        [str(go_toolchain.go), "build", "-o", str(binary), "."],
        cwd=directory,
        check=True,
        env=go_environment(),
    )
    return binary


def go_files(toolchain: Toolchain) -> list[Path]:
    root = toolchain.go.parents[1] / "src"
    if not root.is_dir():  # a link: ask
        said = subprocess.run(
            [str(toolchain.go), "env", "GOROOT"], capture_output=True, text=True, check=True
        )
        root = Path(said.stdout.strip()) / "src"
    return [path for path in sorted(root.rglob("*.go")) if "testdata" not in path.parts]


def theirs(astdump: Path, files: list[Path]) -> dict[Path, dict[FunctionKey, Counted]]:
    said = subprocess.run(
        [str(astdump)],
        input="\n".join(map(str, files)),
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    )
    found: dict[Path, dict[FunctionKey, Counted]] = {}
    functions: dict[FunctionKey, Counted] = {}
    statements: Counted = Counter()
    for line in said.stdout.splitlines():
        word, *rest = line.split(" ")
        if word == "FILE":
            functions = found[Path(line[5:])] = {}
        elif word == "FUNC":
            statements = functions[(rest[0], int(rest[1]), int(rest[2]))] = Counter()
        elif word != "BROKEN":
            statements[(word, int(rest[0]), int(rest[1]))] += 1
    return found


def ours(function: Function) -> Counted:
    return Counter(
        # Go ends a label that nothing follows at the brace behind it.
        (item.kind.value, item.line, item.line if item.kind is Kind.LABELED else item.end_line)
        for item in iter_statements(function.body)
    )


def check_files(astdump: Path, files: list[Path]) -> tuple[int, int]:
    functions = statements = 0
    for path, expected in theirs(astdump, files).items():
        lexemes = Lexemes(path.read_text(encoding="utf-8", errors="replace"))
        found = parse_functions(lexemes)
        keys = [(item.name.rpartition(".")[2], item.line, item.end_line) for item in found]
        assert keys == list(expected), path
        for key, function in zip(keys, found, strict=True):
            assert ours(function) == expected[key], (path, key)
            Names(lexemes, function)
            functions += 1
            statements += sum(expected[key].values())
    return functions, statements


@pytest.mark.go
def test_agrees_with_go_parser_on_a_sample_of_the_standard_library(
    astdump: Path, go_toolchain: Toolchain
) -> None:
    functions, statements = check_files(astdump, go_files(go_toolchain)[::20])
    assert functions > 2000
    assert statements > 30_000


@pytest.mark.go
@pytest.mark.matrix
def test_agrees_with_go_parser_on_the_whole_standard_library(
    astdump: Path, matrix_toolchain: Toolchain
) -> None:
    functions, statements = check_files(astdump, go_files(matrix_toolchain))
    assert functions > 50_000
    assert statements > 600_000


TRICKY = """package p

import "fmt"

func generic[K comparable, V any](m map[K]V, f func(K) (V, error)) (out []V, _ error) {
	for k, v := range m {
		out = append(out, v)
		_ = k
	}
	for range 3 {
	}
	for i := range seq(func(yield func(int) bool) { yield(1) }) {
		fmt.Println(i)
	}
	return out, nil
}

func headers(ch chan struct{}) {
	if x := (struct{ a int }{1}); x.a == 1 {
		fmt.Println(`raw
string {`)
	}
	for _, v := range []struct{ a int }{{1}, {2}} {
		_ = v
	}
	switch x := any(ch).(type) {
	case interface{ Close() error }:
		x.Close()
	case func() func():
		x()()
	}
	for _, f := range []func() func(){nil} {
		defer f()
	}
outer:
	for {
		select {
		case ch <- struct{}{}:
			break outer
		case v, ok := <-ch:
			_, _ = v, ok
			goto done
		default:
		}
	}
	switch {
	}
	select {}
done:
}
"""


@pytest.mark.go
def test_agrees_on_what_is_easily_got_wrong(astdump: Path, tmp_path: Path) -> None:
    path = tmp_path / "tricky.go"
    path.write_text(TRICKY, encoding="utf-8")
    assert check_files(astdump, [path]) == (2, 29)


@pytest.mark.parametrize(
    "text",
    [
        "func f() {" + "{" * 5000,
        "func f() {" + "{" * 3000 + "}" * 3000 + "}",
        "func f() { x := " + "func() { y := " * 500 + "1" + "}" * 500 + "}",
        "func f() {" + "if a { } else " * 3000 + "{ } }",
        "func f() { " + "a(" * 20000,
        "func f() { switch { case",
        "func f() { for ;;; { } }",
        "func f() {\n\n`unterminated",
        "\x00\x01func (",
        "func" * 10000,
        "func f(" + "[" * 5000 + "]" * 5000 + ") {}",
        "func f() { " + "x" * 1_000_000 + " }",
    ],
    ids=lambda text: text[:24],
)
def test_hostile_text_ends(text: str) -> None:
    parse_functions(Lexemes("package p\n" + text + "\n"))


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="func()[]{}:=;\n,.<-`\"'/* ifrangeswitchcasexy1", max_size=300))
def test_any_text_ends(text: str) -> None:
    lexemes = Lexemes("package p\nfunc f() {\n" + text + "\n}\n")
    for function in parse_functions(lexemes):
        Names(lexemes, function)
        for statement in iter_statements(function.body):
            assert 0 <= statement.start <= statement.end <= len(lexemes)


def test_a_function_that_is_broken_leaves_the_others() -> None:
    text = "package p\nfunc a() { x := 1 }\nfunc b() { switch { x } }\nfunc c() { y() }\n"
    assert [item.name for item in parse_functions(Lexemes(text))] == ["a", "c"]
