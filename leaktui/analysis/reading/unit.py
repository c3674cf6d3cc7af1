"""The one function that is read: a declared function, or the function literal a line stands in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from leaktui.analysis.go_syntax.lexemes import Lexemes
from leaktui.analysis.go_syntax.names import Names
from leaktui.analysis.go_syntax.parser import parse_functions
from leaktui.analysis.go_syntax.statement import (
    Function,
    Kind,
    Literal,
    Range,
    Statement,
    iter_inner,
    iter_statements,
)

_LOOPS = (Kind.FOR, Kind.RANGE)


class PackageLike(Protocol):
    """What a file asks of its package."""

    @property
    def is_whole(self) -> bool: ...

    def others(self, path: str, words: Sequence[str]) -> Iterator[GoFile]: ...


class GoFile:
    """A file's lexemes and, as they are asked for, its functions. *package* gives the files beside it."""

    def __init__(self, source: str, path: str = "", package: PackageLike | None = None) -> None:
        self.path = path
        self.package = package
        self.lexemes = Lexemes(source)
        self._functions: tuple[Function, ...] | None = None
        self._names: dict[int, Names] = {}

    @property
    def functions(self) -> tuple[Function, ...]:
        """Every declared function that could be parsed."""
        if self._functions is None:
            self._functions = parse_functions(self.lexemes)
        return self._functions

    def names_of(self, function: Function) -> Names:
        if function.start not in self._names:
            self._names[function.start] = Names(self.lexemes, function)
        return self._names[function.start]

    def unit_at(self, line: int) -> Unit | None:
        """The innermost function or literal that has a statement at *line*."""
        for function in parse_functions(self.lexemes, line):
            unit = unit_of(self, function)
            literal = _innermost_literal(function.body, line)
            return literal_unit(unit, literal) if literal is not None else unit
        return None

    def unit_named(self, name: str, declared: str = "") -> Unit | None:
        """The one function or method called *name* here, or else the one *declared* so (`Type.Name`) beside this file.

        None where there is none, or more than one.
        """
        found = [unit_of(self, item) for item in self.functions if item.name.rpartition(".")[2] == name]
        if not found and declared:
            found = [
                unit_of(file, item)
                for file in self.others("func", name)
                for item in file.functions
                if item.name == declared
            ]
        return found[0] if len(found) == 1 else None

    def others(self, *words: str) -> Iterator[GoFile]:
        """The package's other files in which all of *words* stand."""
        return self.package.others(self.path, words) if self.package is not None else iter(())

    @property
    def is_whole(self) -> bool:
        """Whether what is not found here and in the package's other files is not in the package."""
        return self.package is not None and self.package.is_whole

    @property
    def scope(self) -> str:
        """How far was looked: "this package", or "this file" where the others could not be read."""
        return "this package" if self.is_whole else "this file"

    def place(self, line: int, seen_from: GoFile) -> str:
        """What *line* is called by somebody who reads *seen_from*: `line 41`, or `stop.go:41`."""
        return f"line {line}" if self is seen_from else f"{self.path.rpartition('/')[2]}:{line}"


@dataclass(frozen=True)
class Unit:
    """A function body to read. `owner` is the position of its `func`; `function` the declared one around it."""

    file: GoFile
    function: Function
    owner: int
    end: int
    line: int
    end_line: int
    parameters: Range
    results: Range
    body: tuple[Statement, ...]
    is_literal: bool = False

    @property
    def lexemes(self) -> Lexemes:
        return self.file.lexemes

    @property
    def names(self) -> Names:
        return self.file.names_of(self.function)

    def statement_at(self, line: int) -> Statement | None:
        """The innermost statement at *line*, not in a literal; of several the one with a call."""
        best: Statement | None = None
        for statement in iter_statements(self.body, literals=False):
            if statement.line <= line <= statement.end_line and (
                best is None or statement.end - statement.start <= best.end - best.start
            ):
                best = statement
        return best

    def path_to(self, wanted: Statement) -> tuple[Statement, ...]:
        """The statements around *wanted*, outermost first, itself last; empty when it is not in this unit."""
        return _path(self.body, wanted)

    def is_outer_of(self, words: tuple[str, ...], method: str) -> bool:
        """Whether `words.method(` stands only in literals of this unit, not in its own statements."""
        size = len(words)
        for statement in iter_statements(self.body, literals=False):
            for position in iter_positions(statement):
                if tuple(self.lexemes.texts[position : position + size]) == words and self.lexemes.texts[
                    position + size : position + size + 2
                ] == [".", method]:
                    return False
            if statement.kind is Kind.DEFER and any(
                tuple(self.lexemes.texts[at : at + size]) == words
                for literal in statement.literals
                for at in range(literal.start, literal.end)
            ):
                return False
        return True

    def siblings(self, wanted: Statement) -> tuple[Statement, ...]:
        """The list of statements that *wanted* stands in."""
        path = self.path_to(wanted)
        around = self.body if len(path) < 2 else _list_of(path[-2], wanted)
        return around if wanted in around else ()

    def loop_around(self, statement: Statement) -> Statement | None:
        """The innermost loop *statement* is in the body of."""
        path = self.path_to(statement)
        for index in range(len(path) - 2, -1, -1):
            outer = path[index]
            if outer.kind in _LOOPS and path[index + 1] is not outer.init:
                return outer
        return None


def unit_of(file: GoFile, function: Function) -> Unit:
    """A declared function as a unit."""
    return Unit(
        file,
        function,
        function.start,
        function.end,
        function.line,
        function.end_line,
        function.parameters,
        function.results,
        function.body,
    )


def literal_unit(outer: Unit, literal: Literal) -> Unit:
    """A function literal in *outer* as a unit."""
    return Unit(
        outer.file,
        outer.function,
        literal.start,
        literal.end,
        literal.line,
        literal.end_line,
        literal.parameters,
        literal.results,
        literal.body,
        is_literal=True,
    )


def iter_own_ranges(statement: Statement) -> Iterator[Range]:
    """The expressions of *statement* itself, without its blocks; literals are still in them."""
    if statement.kind in (Kind.BLOCK, Kind.LABELED, Kind.OPAQUE, Kind.EMPTY):
        return
    if statement.kind is Kind.SELECT:
        return
    if statement.kind in (Kind.IF, Kind.FOR, Kind.SWITCH, Kind.TYPE_SWITCH):
        if statement.condition is not None:
            yield statement.condition
        for clause in statement.clauses:
            if clause.comm is None:
                yield clause.values
    elif statement.kind is Kind.RANGE:
        yield from statement.targets
        yield from statement.values
    else:
        yield statement.start, statement.end


def iter_positions(statement: Statement) -> Iterator[int]:
    """Positions of *statement*'s own expressions, outside its literals."""
    literals = {literal.start: literal.end for literal in statement.literals}
    for first, last in iter_own_ranges(statement):
        position = first
        while position < last:
            if position in literals:
                position = literals[position]
                continue
            yield position
            position += 1


def _innermost_literal(statements: tuple[Statement, ...], line: int) -> Literal | None:
    best: Literal | None = None
    for statement in iter_statements(statements):
        for literal in statement.literals:
            inside = any(inner.line <= line <= inner.end_line for inner in literal.body)
            if inside and (best is None or literal.end - literal.start < best.end - best.start):
                best = literal
    return best


def _path(statements: tuple[Statement, ...], wanted: Statement) -> tuple[Statement, ...]:
    for statement in statements:
        if statement is wanted:
            return (statement,)
        if statement.start <= wanted.start and wanted.end <= statement.end:
            inner = _path(tuple(iter_inner(statement)), wanted)
            if inner:
                return (statement, *inner)
    return ()


def _list_of(outer: Statement, wanted: Statement) -> tuple[Statement, ...]:
    for statements in (outer.body, *(clause.body for clause in outer.clauses)):
        if any(item is wanted for item in statements):
            return statements
    return ()
