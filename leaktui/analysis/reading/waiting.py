"""A goroutine that waits: the line, who started it, and what is said of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from leaktui.analysis.go_syntax.statement import Kind, Range
from leaktui.analysis.reading.edits import Edits
from leaktui.analysis.reading.unit import GoFile, Unit
from leaktui.model.explanation import Explanation, MarkedLine, SkipReason

_CONTEXTS = frozenset({"WithCancel", "WithTimeout", "WithDeadline", "WithCancelCause"})


@dataclass(frozen=True)
class Place:
    """A line of a file whose text is at hand."""

    file: GoFile
    path: str
    line: int


class Waiting:
    """What all readings of a wait share. `callers` are the frames outward of *place*."""

    def __init__(self, place: Place, unit: Unit, created: Place | None, callers: Sequence[Place]) -> None:
        self._place = place
        self._file = place.file
        self._lexemes = place.file.lexemes
        self._unit = unit
        self._created = created
        self._callers = callers
        self._line = place.line

    def _operand(self, position: int) -> Range:
        """The operand of the arrow before *position*: names, selectors and calls."""
        lexemes = self._lexemes
        first = position
        while lexemes.is_name(position) or lexemes.text(position) in (".", "(", "["):
            position = lexemes.closing.get(position, position) + 1
        return first, position

    def _in_creator(self, part: Range) -> tuple[Unit, Range]:
        """*part*, or, where it is a parameter of the goroutine's function, the argument of its go statement."""
        unit, names = self._unit, self._unit.names
        variable = names.variable(part)
        if variable is None or not names.variables[variable].is_parameter or self._created is None:
            return unit, part
        created = self._created
        outer = created.file.unit_at(created.line)
        statement = outer.statement_at(created.line) if outer is not None else None
        if outer is None or statement is None or statement.kind is not Kind.GO or not statement.values:
            return unit, part
        lexemes = created.file.lexemes
        closed = statement.end - 1
        opened = lexemes.opening.get(closed)
        if opened is None:
            return unit, part
        owner = names.variables[variable].owner
        parameters = [
            index
            for index, item in enumerate(names.variables)
            if item.is_parameter
            and item.owner == owner
            and (unit.parameters[0] <= item.position < unit.parameters[1])
        ]
        arguments = lexemes.split(opened + 1, closed)
        if variable not in parameters or parameters.index(variable) >= len(arguments):
            return unit, part
        return outer, arguments[parameters.index(variable)]

    def _mark(self, file: GoFile, line: int, note: str) -> list[MarkedLine]:
        """The mark, where it is in the file that is shown."""
        return [MarkedLine(line, note)] if file is self._file else []

    def _make(
        self,
        text: str,
        marks: Sequence[MarkedLine],
        edits: Edits | None,
        *,
        unit: Unit | None = None,
        certain: bool = True,
        diff_certain: bool = False,
    ) -> Explanation:
        owner, created = unit if unit is not None else self._unit, self._created
        path, line = self._place.path, self._line
        diff = edits.diff(owner.file.path or path) if edits is not None else ""
        if owner.file is not self._file:
            if created is not None and created.file is owner.file:
                path, line = created.path, created.line
            else:  # a third file: what is shown stays with the goroutine
                owner = self._unit
        found: dict[int, MarkedLine] = {}
        for mark in marks:
            found.setdefault(mark.line, mark)
        return Explanation(
            owner.function.name,
            path,
            owner.function.line,
            owner.function.end_line,
            line,
            SkipReason.BLOCKED,
            text,
            tuple(found[number] for number in sorted(found)),
            certain,
            diff,
            bool(diff) and diff_certain,
        )


def places_words(places: Sequence[tuple[GoFile, int]], seen_from: GoFile) -> str:
    """`line 41`, `lines 41 and 47`, `line 41 and stop.go:12`."""
    own = [line for file, line in places if file is seen_from]
    parts = [lines_words(own)] if own else []
    parts += [file.place(line, seen_from) for file, line in places if file is not seen_from]
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def lines_words(lines: Sequence[int]) -> str:
    """`line 41`, `lines 41 and 47`."""
    unique = sorted(set(lines))
    if len(unique) == 1:
        return f"line {unique[0]}"
    return f"lines {', '.join(map(str, unique[:-1]))} and {unique[-1]}"
