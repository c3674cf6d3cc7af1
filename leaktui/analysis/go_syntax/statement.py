"""The statements of a function, as facts. Positions are indices into the file's `Lexemes`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

Range = tuple[int, int]
"""Positions from the first to the one after the last."""


class Kind(Enum):
    """What a statement is, by the names of go/ast without `Stmt`."""

    ASSIGN = "Assign"
    BLOCK = "Block"
    BRANCH = "Branch"
    DECLARATION = "Decl"
    DEFER = "Defer"
    EMPTY = "Empty"
    EXPRESSION = "Expr"
    FOR = "For"
    GO = "Go"
    IF = "If"
    INCREMENT = "IncDec"
    LABELED = "Labeled"
    OPAQUE = "opaque"
    """Nested too deep to be read."""
    RANGE = "Range"
    RETURN = "Return"
    SELECT = "Select"
    SEND = "Send"
    SWITCH = "Switch"
    TYPE_SWITCH = "TypeSwitch"


@dataclass(frozen=True, slots=True)
class Literal:
    """A function literal: from its `func` at `start` to past its brace. `parameters` are the ranges in parentheses."""

    start: int
    end: int
    line: int
    end_line: int
    parameters: Range
    results: Range
    body: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Clause:
    """A case. `values` is what stands between `case` and the colon, empty for default; `comm` a select's operation."""

    start: int
    line: int
    end_line: int
    values: Range
    comm: Statement | None
    body: tuple[Statement, ...]
    is_default: bool


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement from `start` to `end` (positions), on `line` to `end_line`.

    `operator` is that of an assignment, or a branch's keyword; `targets` and `values` what stands left and right of
    it: of an assignment, a range clause, a send, a var; `values` alone of a return, go, defer or expression. `label`
    is its own or the one a branch goes to. `init`, `condition` and `post` are a header's; a switch's tag is its
    condition. `literals` are the functions written in its own expressions, in order.
    """

    kind: Kind
    start: int
    end: int
    line: int
    end_line: int
    operator: str = ""
    targets: tuple[Range, ...] = ()
    values: tuple[Range, ...] = ()
    label: str = ""
    init: Statement | None = None
    condition: Range | None = None
    post: Statement | None = None
    body: tuple[Statement, ...] = ()
    orelse: Statement | None = None
    clauses: tuple[Clause, ...] = ()
    literals: tuple[Literal, ...] = ()


@dataclass(frozen=True, slots=True)
class Function:
    """A declared function with a body. `name` is `Type.Name` for a method; `start` is its `func`."""

    name: str
    start: int
    end: int
    line: int
    end_line: int
    receiver: Range
    parameters: Range
    results: Range
    body_start: int
    body: tuple[Statement, ...]


def iter_inner(statement: Statement) -> Iterator[Statement]:
    """The statements directly inside *statement*, in order, function literals not included."""
    if statement.init is not None:
        yield statement.init
    if statement.post is not None:
        yield statement.post
    yield from statement.body
    if statement.orelse is not None:
        yield statement.orelse
    for clause in statement.clauses:
        if clause.comm is not None:
            yield clause.comm
        yield from clause.body


def iter_statements(statements: tuple[Statement, ...], *, literals: bool = True) -> Iterator[Statement]:
    """Every statement at any depth, outer ones first; those of function literals if *literals*."""
    waiting = list(reversed(statements))
    while waiting:
        statement = waiting.pop()
        yield statement
        inner = list(iter_inner(statement))
        if literals:
            for literal in statement.literals:
                inner += literal.body
        waiting += reversed(inner)


def iter_literals(statements: tuple[Statement, ...]) -> Iterator[Literal]:
    """Every function literal at any depth."""
    for statement in iter_statements(statements):
        yield from statement.literals
