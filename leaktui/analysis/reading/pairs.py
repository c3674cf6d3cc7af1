"""Calls that come in pairs, and the path on which the second is missing: Lock and Unlock, enter and leave.

Law: the two are on the same words (`a.mu`); a lock taken under one name and given back under another is not seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from leaktui.analysis.go_syntax.statement import Kind, Literal, Statement, iter_statements
from leaktui.analysis.reading.conditions import Conditions, State
from leaktui.analysis.reading.edits import Edits
from leaktui.analysis.reading.effect import Departure, Effect, Exit, Hold, Touch
from leaktui.analysis.reading.paths import Outcome, PathWalk
from leaktui.analysis.reading.repair import whole_lines
from leaktui.analysis.reading.unit import GoFile, Unit, iter_positions, literal_unit, unit_of

PAIRS = {
    "Lock": "Unlock",
    "RLock": "RUnlock",
    "Acquire": "Release",
    "acquire": "release",
    "enter": "leave",
    "Enter": "Leave",
    "take": "give",
    "Take": "Give",
    "lock": "unlock",
    "begin": "end",
    "Begin": "End",
    "Wait": "Done",
}


_SPOILS = frozenset({Hold.RELEASED, Hold.DEFERRED, Hold.PASSED})
"""Unlocking twice is worse than once too few."""


@dataclass(frozen=True)
class Pairing:
    """What became of one first half. `acquired` is None where it is owed from the function's beginning."""

    unit: Unit
    words: tuple[str, ...]
    second: str
    acquired: Statement | None
    outcome: Outcome

    @property
    def subject(self) -> str:
        return "".join(self.words)

    @property
    def releases(self) -> tuple[Touch, ...]:
        return tuple(
            touch
            for touch in self.outcome.touches
            if touch.effect in (Effect.RELEASED, Effect.DEFERRED, Effect.COVERED)
        )

    @property
    def departures(self) -> tuple[Departure, ...]:
        return tuple(
            item for item in self.outcome.departures if item.exit not in (Exit.DEFERRED_AGAIN, Exit.PANIC)
        )

    @property
    def second_text(self) -> str:
        """The second half as it is written: `a.mu.Unlock()`, `<-tokens`."""
        return f"<-{self.subject}" if self.second == "<-" else f"{self.subject}.{self.second}()"


def follow_pair(unit: Unit, words: tuple[str, ...], second: str, acquired: Statement | None) -> Pairing:
    """Every way from *acquired* on, and whether it comes by *second* on *words*."""
    reader = _Reader(unit, words, second, acquired)
    conditions = Conditions(unit.lexemes, unit.names, frozenset(), None)
    walk = PathWalk(unit, conditions, reader.read, acquired=Hold.HELD, spoils=_SPOILS)
    outcome = walk.run(State(Hold.NONE if acquired is not None else Hold.HELD))
    return Pairing(unit, words, second, acquired, outcome)


def iter_units(file: GoFile) -> Iterator[Unit]:
    """Every declared function and every literal of *file* as a unit."""
    for function in file.functions:
        outer = unit_of(file, function)
        yield outer
        for statement in iter_statements(function.body):
            for literal in statement.literals:
                yield literal_unit(outer, literal)


def iter_first_halves(unit: Unit, words: tuple[str, ...], first: str) -> Iterator[Statement]:
    """The statements of *unit* that are just `words.first()`; for "<-" those that send to *words*."""
    lexemes = unit.lexemes
    for statement in iter_statements(unit.body, literals=False):
        if first == "<-":
            if statement.kind is Kind.SEND and _texts(unit, statement.targets[0]) == words:
                yield statement
        elif statement.kind is Kind.EXPRESSION:
            texts = lexemes.texts[statement.start : statement.end]
            if tuple(texts[: len(words)]) == words and texts[len(words) : len(words) + 3] == [
                ".",
                first,
                "(",
            ]:
                yield statement


def second_before_exits(pairing: Pairing) -> Edits | None:
    """The second half in front of every way out that goes without it."""
    unit = pairing.unit
    edits = Edits(unit.lexemes.source)
    if any(item.start in pairing.outcome.mixed for item in pairing.departures):
        return None
    for start in {item.start for item in pairing.departures}:
        found = [item for item in iter_statements(unit.body, literals=False) if item.start == start]
        statement = min(found, key=lambda item: item.end - item.start) if found else None
        if statement is None:  # a closing brace
            line = unit.lexemes.lines[start]
            if edits.line(line).strip() not in ("}", "}()", "})"):
                return None
            edits.insert_before(line, [pairing.second_text], edits.indent(line) + "\t")
            continue
        if statement.kind not in (Kind.RETURN, Kind.BRANCH) or not whole_lines(unit, edits, statement):
            return None
        edits.insert_before(statement.line, [pairing.second_text], edits.indent(statement.line))
    return edits if edits.any else None


def defer_second(pairing: Pairing) -> Edits | None:
    """`defer wg.Done()` as the first statement, in place of the call at the end."""
    unit = pairing.unit
    plain = [touch for touch in pairing.releases if touch.effect is Effect.RELEASED]
    if len(plain) != 1 or not unit.body or len(pairing.releases) != 1:
        return None
    edits = Edits(unit.lexemes.source)
    late = unit.statement_at(plain[0].line)
    if late is None or late.kind is not Kind.EXPRESSION or late.line != late.end_line:
        return None
    if late not in unit.body or not whole_lines(unit, edits, late):
        return None
    if unit.body[0].line <= unit.line or not whole_lines(unit, edits, unit.body[0]):
        return None
    edits.insert_before(unit.body[0].line, [f"defer {pairing.second_text}"], edits.indent(unit.body[0].line))
    edits.delete(late.line)
    return edits


def _texts(unit: Unit, part: tuple[int, int]) -> tuple[str, ...]:
    return tuple(unit.lexemes.texts[part[0] : part[1]])


class _Reader:
    def __init__(self, unit: Unit, words: tuple[str, ...], second: str, acquired: Statement | None) -> None:
        self._unit = unit
        self._words = words
        self._second = second
        self._acquired = acquired

    def read(self, statement: Statement) -> tuple[Touch, ...]:
        found: list[Touch] = []
        deferred = statement.kind is Kind.DEFER
        for position in iter_positions(statement):
            if self._is_second(position):
                effect = Effect.DEFERRED if deferred else Effect.RELEASED
                found.append(self._touch(effect, position))
        for literal in statement.literals:
            inside = self._in_literal(literal)
            if inside is not None:
                called = self._unit.lexemes.text(literal.end) == "("
                effect = Effect.COVERED if deferred and called else Effect.PASSED
                found.append(self._touch(effect, inside))
        if self._acquired is not None and statement.start == self._acquired.start:
            found.append(Touch(Effect.ACQUIRED, statement.start, statement.line))
        return tuple(found)

    def _in_literal(self, literal: Literal) -> int | None:
        return next((at for at in range(literal.start, literal.end) if self._is_second(at)), None)

    def _touch(self, effect: Effect, position: int) -> Touch:
        return Touch(effect, position, self._unit.lexemes.lines[position], "".join(self._words))

    def _is_second(self, position: int) -> bool:
        texts, size = self._unit.lexemes.texts, len(self._words)
        if self._second == "<-":
            return (
                texts[position] == "<-"
                and tuple(texts[position + 1 : position + 1 + size]) == self._words
                and (not self._unit.lexemes.ends_operand(position - 1))
            )
        if tuple(texts[position : position + size]) != self._words or texts[position - 1] == ".":
            return False
        return texts[position + size : position + size + 3] == [".", self._second, "("]
