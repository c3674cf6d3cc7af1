"""Which declaration a name means."""

from __future__ import annotations

from leaktui.analysis.go_syntax.lexemes import Lexemes
from leaktui.analysis.go_syntax.names import Names
from leaktui.analysis.go_syntax.parser import parse_functions


def lines_of(source: str, name: str) -> list[int]:
    """For each use of *name*, in order, the line it is declared on; 0 where it is no variable of the function."""
    lexemes = Lexemes("package p\n" + source)
    (function,) = parse_functions(lexemes)
    names = Names(lexemes, function)
    found = []
    for position, text in enumerate(lexemes.texts):
        if text == name and lexemes.text(position - 1) != "func":
            index = names.at.get(position)
            found.append(lexemes.lines[names.variables[index].position] - 1 if index is not None else 0)
    return found


def test_define_reuses_what_the_same_scope_has() -> None:
    source = "func f() {\na, err := g()\nb, err := g()\nuse(a, b, err)\n}\n"
    assert lines_of(source, "err") == [2, 2, 2]


def test_an_inner_scope_shadows() -> None:
    source = "func f() (err error) {\nif x, err := g(); err != nil {\nuse(err)\n}\nreturn err\n}\n"
    assert lines_of(source, "err") == [1, 2, 2, 2, 1]


def test_the_value_of_a_define_is_read_before_it() -> None:
    source = "func f(x int) {\nfor {\nx := x + 1\nuse(x)\n}\n}\n"
    assert lines_of(source, "x") == [1, 3, 1, 3]


def test_a_literal_captures_and_has_parameters_of_its_own() -> None:
    source = "func f(a int) {\nb := 1\ngo func(b int) {\nuse(a, b)\n}(b)\n}\n"
    assert lines_of(source, "a") == [1, 1]
    assert lines_of(source, "b") == [2, 3, 3, 2]


def test_a_field_and_a_key_are_no_variables() -> None:
    source = "func f(x int) {\nuse(s.x, T{x: x})\n}\n"
    assert lines_of(source, "x") == [1, 0, 0, 1]


def test_cases_are_scopes() -> None:
    source = (
        "func f(v any) {\nswitch v := v.(type) {\ncase int:\nx := v\nuse(x)\ncase string:\nuse(x)\n}\n}\n"
    )
    assert lines_of(source, "x") == [4, 4, 0]
    assert lines_of(source, "v") == [1, 2, 1, 2]
