"""Where a channel is made, sent to, received from and closed, as far as its package shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from leaktui.analysis.go_syntax.statement import Kind, Literal, Range, Statement, iter_statements
from leaktui.analysis.reading.subject import type_of
from leaktui.analysis.reading.unit import GoFile, Unit, iter_positions, unit_of


@dataclass(frozen=True)
class Made:
    """A `make(chan T, n)`: `capacity` is the range of n, None where there is none; `closed` its parenthesis."""

    unit: Unit
    statement: Statement
    line: int
    capacity: Range | None
    closed: int
    conditional: bool = False


@dataclass(frozen=True)
class Site:
    """A place in a function."""

    file: GoFile
    function: str
    line: int
    position: int


def words_of(file: GoFile, part: Range) -> tuple[str, ...]:
    """The words of an expression: `p`, `.`, `jobs`."""
    return tuple(file.lexemes.texts[part[0] : part[1]])


def find_made(unit: Unit, channel: Range) -> Made | None:
    """Where the channel of this expression is made: the variable's assignment, or the field's in its package."""
    file, names = unit.file, unit.names
    variable = names.variable(channel)
    outer = unit_of(file, unit.function)
    if variable is not None:
        return _made_in(outer, lambda s, i: names.variable(s.targets[i]) == variable)
    last = file.lexemes.text(channel[1] - 1)
    if channel[1] - channel[0] < 3:
        return None
    holder = type_of(unit, channel[0]) if channel[1] - channel[0] == 3 else ""
    # A field of that name may be another type's: in the other files it has to be of this one.
    others = file.others(last, holder, "make") if holder else iter(())
    for item, wanted in ((file, ""), *((other, holder) for other in others)):
        for function in item.functions:
            made = _field_made(unit_of(item, function), last, wanted)
            if made is not None:
                return made
    return None


def _field_made(unit: Unit, field: str, holder: str) -> Made | None:
    """Where *unit* makes the field's channel; with *holder* only where it is clear that the field is of that type."""

    def is_it(statement: Statement, index: int) -> bool:
        target = statement.targets[index]
        return _last(unit.file, target) == field and (not holder or type_of(unit, target[0]) == holder)

    made = _made_in(unit, is_it)
    return made if made is not None else _made_in_literal(unit, field, holder)


def _last(file: GoFile, target: Range) -> str:
    """The field a target names, empty for a plain variable."""
    return file.lexemes.text(target[1] - 1) if target[1] - target[0] >= 3 else ""


def _made_in(unit: Unit, is_it: Callable[[Statement, int], bool]) -> Made | None:
    lexemes = unit.lexemes
    for statement in iter_statements(unit.body):
        if statement.kind not in (Kind.ASSIGN, Kind.DECLARATION) or len(statement.targets) != len(
            statement.values
        ):
            continue
        for index, (first, last) in enumerate(statement.values):
            if not is_it(statement, index):
                continue
            if (
                lexemes.texts[first : first + 2] == ["make", "("]
                and lexemes.closing.get(first + 1) == last - 1
            ):
                return _made(unit, statement, first + 1)
    return None


def _made_in_literal(unit: Unit, field: str, holder: str) -> Made | None:
    """`T{jobs: make(chan string)}`."""
    lexemes = unit.lexemes
    for statement in iter_statements(unit.body):
        for position in iter_positions(statement):
            if lexemes.texts[position : position + 4] == [field, ":", "make", "("] and (
                not holder or lexemes.text(lexemes.parents[position] - 1) == holder
            ):
                return _made(unit, statement, position + 3)
    return None


def _made(unit: Unit, statement: Statement, opened: int) -> Made | None:
    lexemes = unit.lexemes
    closed = lexemes.closing.get(opened)
    if closed is None:
        return None
    parts = lexemes.split(opened + 1, closed)
    path = unit.path_to(statement)
    conditional = any(item.kind in (Kind.IF, Kind.SWITCH) for item in path[:-1])
    capacity = parts[1] if len(parts) > 1 else None
    return Made(unit, statement, lexemes.lines[opened], capacity, closed, conditional)


def iter_closes(file: GoFile, channel: tuple[str, ...]) -> Iterator[Site]:
    """`close(x.jobs)` wherever the last word is the same; in the package's other files only of a field."""
    for item in (file, *file.others("close", channel[-1])):
        lexemes = item.lexemes
        for function in item.functions:
            for position in range(function.body_start, function.end):
                if lexemes.texts[position] != "close" or lexemes.text(position + 1) != "(":
                    continue
                closed = lexemes.closing.get(position + 1)
                if closed is None or lexemes.text(closed - 1) != channel[-1]:
                    continue
                if item is file or (len(channel) > 1 and lexemes.text(closed - 2) == "."):
                    yield Site(item, function.name, lexemes.lines[position], position)


def iter_receives(unit: Unit, channel: tuple[str, ...]) -> Iterator[tuple[Statement, int]]:
    """Statements that receive from *channel* with the position of the arrow, literals not included."""
    lexemes, size = unit.lexemes, len(channel)
    for statement in iter_statements(unit.body, literals=False):
        if statement.kind is Kind.RANGE and words_of(unit.file, statement.values[0]) == channel:
            yield statement, statement.values[0][0]
        for position in iter_positions(statement):
            if lexemes.texts[position] != "<-" or lexemes.ends_operand(position - 1):
                continue
            end = position + 1 + size
            if tuple(lexemes.texts[position + 1 : end]) == channel and lexemes.text(end) != ".":
                yield statement, position


def iter_sends(unit: Unit, channel: tuple[str, ...], *, literals: bool = False) -> Iterator[Statement]:
    """Statements that send to *channel*."""
    for statement in iter_statements(unit.body, literals=literals):
        if statement.kind is Kind.SEND and words_of(unit.file, statement.targets[0]) == channel:
            yield statement


def literal_around(unit: Unit, position: int) -> tuple[Statement, Literal] | None:
    """The outermost literal of *unit* that holds *position*, and the statement it is written in."""
    for statement in iter_statements(unit.body, literals=False):
        for literal in statement.literals:
            if literal.start <= position < literal.end:
                return statement, literal
    return None
