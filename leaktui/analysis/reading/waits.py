"""Why a goroutine waits for ever: what it waits for, and why nobody does that any more.

Law: the line it waits at is a fact; why nothing comes is read from its package and from where the goroutine was
started, and is called possible wherever somebody else could do it.
"""

from __future__ import annotations

from collections.abc import Sequence

from leaktui.analysis.go_syntax.statement import Kind, Range, Statement, iter_statements
from leaktui.analysis.reading.channel_waits import ChannelWaits
from leaktui.analysis.reading.channels import (
    iter_closes,
    words_of,
)
from leaktui.analysis.reading.pairs import (
    PAIRS,
)
from leaktui.analysis.reading.subject import find_call
from leaktui.analysis.reading.unit import GoFile, iter_positions
from leaktui.analysis.reading.waiting import Place, places_words
from leaktui.model.explanation import Explanation, MarkedLine

_CONTEXTS = frozenset({"WithCancel", "WithTimeout", "WithDeadline", "WithCancelCause"})


def explain_wait(places: Sequence[Place], created: Place | None) -> Explanation | None:
    """Why the goroutine blocked at the first of *places* (the others are its callers) stays there."""
    if not places:
        return None
    for index, place in enumerate(places[:3]):
        unit = place.file.unit_at(place.line)
        statement = unit.statement_at(place.line) if unit is not None else None
        if unit is None or statement is None:
            continue
        found = _Waiter(place, unit, created, places[index + 1 :]).explain(statement)
        if found is not None:
            return found
    return None


class _Waiter(ChannelWaits):
    def explain(self, statement: Statement, depth: int = 0) -> Explanation | None:
        if statement.kind is Kind.SEND:
            return self._send(statement, statement.targets[0])
        if statement.kind is Kind.SELECT:
            return self._select(statement)
        if statement.kind is Kind.RANGE:
            return self._receive(statement, statement.values[0], ranges=True)
        for position in iter_positions(statement):
            if self._lexemes.texts[position] == "<-" and not self._lexemes.ends_operand(position - 1):
                return self._receive(statement, self._operand(position + 1), ranges=False)
        if (
            statement.kind in (Kind.EXPRESSION, Kind.ASSIGN, Kind.RETURN, Kind.DECLARATION)
            and statement.values
        ):
            return self._call(statement, depth)
        if statement.kind is Kind.IF and statement.init is not None:
            return self.explain(statement.init, depth)
        return None

    def _call(self, statement: Statement, depth: int) -> Explanation | None:
        call = find_call(self._file, statement.values[0])
        if call is None:
            return None
        words = tuple(self._lexemes.texts[call.start : call.opened])
        base, last = words[:-2], call.last
        if last == "Wait" and base:
            return self._wait(base)
        if last in PAIRS and base and (found := self._pair(base, last, PAIRS[last])) is not None:
            return found
        inner = self._file.unit_named(last)
        if inner is None or depth > 1:
            return None
        for blocking in iter_statements(inner.body, literals=False):
            if blocking.kind in (Kind.SEND, Kind.SELECT) or _waits(self._file, blocking):
                waiter = _Waiter(
                    Place(self._file, self._place.path, blocking.line), inner, self._created, (self._place,)
                )
                return waiter.explain(blocking, depth + 1)
        return None

    def _select(self, statement: Statement) -> Explanation | None:
        marks = [MarkedLine(statement.line, "waits here")]
        names: list[str] = []
        context: Range | None = None
        for clause in statement.clauses:
            comm = clause.comm
            if comm is None:
                continue
            if comm.kind is Kind.SEND:
                names.append("".join(words_of(self._file, comm.targets[0])))
                continue
            for position in iter_positions(comm):
                if self._lexemes.texts[position] == "<-" and not self._lexemes.ends_operand(position - 1):
                    part = self._operand(position + 1)
                    name = "".join(words_of(self._file, part))
                    names.append(name)
                    if name.endswith(".Done()"):
                        context = (part[0], part[1] - 4)
                        marks.append(MarkedLine(clause.line, "the way out"))
                    break
        if not statement.clauses:
            return self._make(
                "An empty select waits for ever, by intention or not.", marks, None, certain=False
            )
        if context is not None:
            return self._context(context, marks)
        if names and all(name.endswith(".C") or name.startswith("time.") for name in names):
            return self._make(
                "Only the clock wakes it: this select has no way out.", marks, None, certain=False
            )
        closes = [site for name in names for site in iter_closes(self._file, _ends(name))]
        where = [(site.file, site.line) for site in closes]
        text = f"It waits for {' or '.join(names)}; " + (
            f"closed only at {places_words(list(dict.fromkeys(where)), self._file)}."
            if closes
            else f"nothing in {self._file.scope} closes any of them, and there is no case for a context's end."
        )
        marks += [MarkedLine(site.line, "closed here") for site in closes[:3] if site.file is self._file]
        return self._make(text, marks, None, certain=False)


def _ends(name: str) -> tuple[str, ...]:
    """`p`, `.`, `jobs` of `p.jobs`."""
    return tuple(part for part in name.rpartition(".") if part)


def _waits(file: GoFile, statement: Statement) -> bool:
    lexemes = file.lexemes
    for position in iter_positions(statement):
        text = lexemes.texts[position]
        if text == "<-" and not lexemes.ends_operand(position - 1):
            return True
        if (
            text in ("Wait", "Lock", "RLock")
            and lexemes.text(position + 1) == "("
            and lexemes.text(position - 1) == "."
        ):
            return True
    return False
