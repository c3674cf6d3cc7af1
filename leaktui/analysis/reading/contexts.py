"""Waits for the end of a context, and who would have to cancel it."""

from __future__ import annotations

from leaktui.analysis.go_syntax.statement import Kind, Range, Statement, iter_statements
from leaktui.analysis.reading.channels import (
    words_of,
)
from leaktui.analysis.reading.edits import Edits
from leaktui.analysis.reading.missing_pairs import PairWaits
from leaktui.analysis.reading.repair import whole_lines
from leaktui.analysis.reading.subject import find_call
from leaktui.analysis.reading.unit import GoFile, Unit, iter_positions, unit_of
from leaktui.analysis.reading.waiting import places_words
from leaktui.model.explanation import Explanation, MarkedLine

_CONTEXTS = frozenset({"WithCancel", "WithTimeout", "WithDeadline", "WithCancelCause"})


class ContextWaits(PairWaits):
    """Contexts that nobody ends."""

    def _context(self, context: Range, marks: list[MarkedLine]) -> Explanation:
        unit, part = self._in_creator(context)
        name = "".join(words_of(unit.file, part))
        other = unit.file is not self._file
        if other:
            marks = []
        variable = unit.names.variable(part)
        made = self._context_made(unit, variable) if variable is not None else None
        if made is None:
            text = f"It ends when {name} is done, and that has not come."
            return self._make(text, marks, None, certain=False)
        statement, call = made
        if call in ("Background", "TODO"):
            marks.append(MarkedLine(statement.line, "never done"))
            text = f"It ends when {name} is done, and context.{call}() never is."
            return self._make(text, marks, None, unit=unit)
        cancel = statement.targets[1] if len(statement.targets) > 1 else None
        cancel_name = unit.lexemes.spelled(*cancel) if cancel is not None else ""
        if cancel_name == "_" and cancel is not None:
            marks.append(MarkedLine(statement.line, "cancel is thrown away"))
            text = f"It ends when {name} is cancelled, and the cancel function of line {statement.line} is thrown away."
            return self._make(text, marks, self._keep_cancel(unit, statement, cancel), unit=unit)
        sites = self._cancel_sites(unit, cancel_name, statement)
        marks.append(MarkedLine(statement.line, f"{cancel_name} would end it"))
        if not sites:
            text = (
                f"It ends when {cancel_name} of line {statement.line} is called, "
                f"and nothing in {unit.file.scope} calls it."
            )
            return self._make(text, marks, None, unit=unit, certain=False)
        marks += [
            MarkedLine(line, f"{cancel_name} is called here") for file, line in sites[:3] if file is unit.file
        ]
        text = (
            f"It ends when {cancel_name} of line {statement.line} is called; "
            f"that is done only at {places_words(sites, unit.file)}, which was not reached for these."
        )
        return self._make(text, marks, None, unit=unit, certain=False)

    def _context_made(self, unit: Unit, variable: int) -> tuple[Statement, str] | None:
        names = unit.names
        for statement in iter_statements(unit_of(unit.file, unit.function).body):
            if statement.kind not in (Kind.ASSIGN, Kind.DECLARATION) or not statement.values:
                continue
            if not any(names.variable(target) == variable for target in statement.targets[:1]):
                continue
            call = find_call(unit.file, statement.values[0])
            if call is not None and call.last in _CONTEXTS | {"Background", "TODO"}:
                return statement, call.last
        return None

    def _cancel_sites(self, unit: Unit, name: str, made: Statement) -> list[tuple[GoFile, int]]:
        """Where it, or the field it was kept in, is called."""
        lexemes = unit.lexemes
        kept: set[str] = set()
        function = unit.function
        for statement in iter_statements(unit_of(unit.file, unit.function).body):
            for position in iter_positions(statement):
                if lexemes.texts[position] == name and lexemes.text(position - 1) == ":":
                    kept.add(lexemes.text(position - 2))
            if statement.kind is Kind.ASSIGN:
                for target, value in zip(statement.targets, statement.values, strict=False):
                    if lexemes.texts[value[0] : value[1]] == [name]:
                        kept.add(lexemes.text(target[1] - 1))
        own = {
            lexemes.lines[position]
            for position, text in enumerate(lexemes.texts)
            if text in kept | {name}
            and lexemes.text(position + 1) == "("
            and (lexemes.text(position - 1) == "." or made.end < position < function.end)
        }
        sites = [(unit.file, line) for line in sorted(own)]
        for field in sorted(kept):
            for other in unit.file.others(field):
                texts, lines = other.lexemes.texts, other.lexemes.lines
                sites += [
                    (other, lines[position])
                    for position in range(1, len(texts) - 1)
                    if texts[position - 1 : position + 2] == [".", field, "("]
                ]
        return sites

    def _keep_cancel(self, unit: Unit, statement: Statement, cancel: Range) -> Edits | None:
        lexemes = unit.lexemes
        edits = Edits(lexemes.source)
        used = {variable.name for variable in unit.names.variables}
        if statement.operator != ":=" or "cancel" in used or not whole_lines(unit, edits, statement):
            return None
        start = lexemes.starts[cancel[0]]
        if statement.line != statement.end_line or not edits.replace_span(start, start + 1, "cancel"):
            return None
        edits.insert_after(statement.end_line, ["defer cancel()"], edits.indent(statement.line))
        return edits
