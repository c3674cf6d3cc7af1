"""Waits for the other side of a channel: a receiver that left, a sender or a close that never comes."""

from __future__ import annotations

from leaktui.analysis.go_syntax.statement import Kind, Range, Statement, iter_statements
from leaktui.analysis.reading.channels import (
    Made,
    find_made,
    iter_closes,
    iter_receives,
    iter_sends,
    literal_around,
    words_of,
)
from leaktui.analysis.reading.contexts import ContextWaits
from leaktui.analysis.reading.edits import Edits
from leaktui.analysis.reading.pairs import (
    PAIRS,
    follow_pair,
    iter_first_halves,
    iter_units,
    second_before_exits,
)
from leaktui.analysis.reading.repair import whole_lines
from leaktui.analysis.reading.subject import find_call
from leaktui.analysis.reading.unit import Unit, unit_of
from leaktui.analysis.reading.waiting import lines_words
from leaktui.model.explanation import Explanation, MarkedLine

_CONTEXTS = frozenset({"WithCancel", "WithTimeout", "WithDeadline", "WithCancelCause"})


class ChannelWaits(ContextWaits):
    """Sends and receives."""

    def _send(self, statement: Statement, channel: Range) -> Explanation | None:
        words = words_of(self._file, channel)
        semaphore = self._semaphore(statement, words)
        if semaphore is not None:
            return semaphore
        unit, channel = self._in_creator(channel)
        words = words_of(unit.file, channel)
        made = find_made(unit, channel)
        marks = [MarkedLine(self._line, "waits for a receiver")]
        if made is None:
            text = f"The send waits for somebody to receive from {''.join(words)}, and nobody does any more."
            return self._make(text, marks, None, certain=False)
        owner = unit_of(made.unit.file, made.unit.function)
        here = owner.file is self._file
        where = owner.file.place(made.line, self._file)
        marks.append(MarkedLine(made.line, "made here" + ("" if made.capacity else ", without room")))
        receives = list(iter_receives(owner, words))
        name = "".join(words)
        many = self._sender_loop(owner, words)
        alternatives = [
            (select, clause_line)
            for select, clause_line in _selects_with(owner, [item.start for item, _ in receives])
        ]
        marks += [MarkedLine(item.line, f"receives from {name}") for item, _ in receives[:2]]
        if alternatives:
            select, other = alternatives[0]
            marks.append(MarkedLine(other, "when this comes first, nobody receives"))
            text = (
                f"When the select at line {select.line} takes another case, nobody is left to receive from {name}: "
                "the send waits for ever."
            )
        elif many is not None and receives:
            text = (
                f"The loop at line {many.line} starts one sender a turn, and {name} is received from only "
                f"{'once' if len(receives) == 1 else 'here'} (line {receives[0][0].line}): the others wait for ever."
            )
            marks.append(MarkedLine(many.line, "a sender every turn"))
        else:
            made_at = "" if here else f" (made at {where})"
            text = f"Nobody receives from {name}{made_at} any more, and it has no room left: the send waits for ever."
        certain = bool(alternatives or (many is not None and receives))
        if unit.file is not self._file:
            marks = [mark for mark in marks if mark.line != self._line]
        elif not here:
            marks = marks[:1]
        return self._make(
            text, marks, self._make_room(made, many), unit=owner, certain=certain, diff_certain=certain
        )

    def _semaphore(self, statement: Statement, words: tuple[str, ...]) -> Explanation | None:
        """A send that takes a token, and a path that does not give it back."""
        for unit in iter_units(self._file):
            for first in iter_first_halves(unit, words, "<-"):
                pairing = follow_pair(unit, words, "<-", first)
                if not pairing.releases or not pairing.departures:
                    continue
                lines = sorted({item.line for item in pairing.departures})
                marks = [MarkedLine(first.line, "takes a token")]
                marks += [MarkedLine(line, "leaves without giving it back") for line in lines]
                text = (
                    f"{unit.function.name} leaves at {lines_words(lines)} "
                    f"without taking its token out of {pairing.subject}."
                )
                return self._make(text, marks, second_before_exits(pairing), unit=unit)
        # The send is all there is to a method like enter: look at who calls it.
        if len(self._unit.body) == 1 and self._callers:
            caller = self._callers[0]
            unit_there = caller.file.unit_at(caller.line)
            outer = unit_there.statement_at(caller.line) if unit_there is not None else None
            if unit_there is not None and outer is not None and outer.kind is Kind.EXPRESSION:
                waiter = type(self)(caller, unit_there, self._created, self._callers[1:])
                call = find_call(caller.file, outer.values[0])
                if call is not None and call.last in PAIRS:
                    base = tuple(caller.file.lexemes.texts[call.start : call.opened])[:-2]
                    return waiter._pair(base, call.last, PAIRS[call.last]) if base else None
        return None

    def _sender_loop(self, owner: Unit, words: tuple[str, ...]) -> Statement | None:
        """The loop of *owner* that starts the senders."""
        for statement in iter_sends(owner, words, literals=True):
            around = literal_around(owner, statement.start)
            if around is not None and around[0].kind is Kind.GO:
                return owner.loop_around(around[0])
        if self._created is not None and self._created.file is owner.file:
            started = owner.statement_at(self._created.line)
            if started is not None and started.kind is Kind.GO:
                return owner.loop_around(started)
        return None

    def _make_room(self, made: Made, many: Statement | None) -> Edits | None:
        lexemes = made.unit.lexemes
        room = "1" if many is None else _turns(made, many)
        if room is None:
            return None
        edits = Edits(lexemes.source)
        if made.capacity is None:
            start = lexemes.starts[made.closed]
            return edits if edits.replace_span(start, start, f", {room}") else None
        first, last = made.capacity
        old = lexemes.spelled(first, last)
        if not old.isdigit():
            room = f"max({old}, {room})"
        return edits if edits.replace_span(lexemes.starts[first], lexemes.end(last - 1), room) else None

    def _receive(self, statement: Statement, channel: Range, *, ranges: bool) -> Explanation | None:
        name = "".join(words_of(self._file, channel))
        if name.endswith(".Done()"):
            return self._context(
                (channel[0], channel[1] - 4), [MarkedLine(self._line, "waits for the context")]
            )
        if name.endswith(".C"):
            marks = [MarkedLine(self._line, "waits for the next tick")]
            text = f"{name} is never closed: this loop has no way out."
            return self._make(text, marks, None, certain=ranges)
        unit, channel = self._in_creator(channel)
        words = words_of(unit.file, channel)
        name = "".join(words)
        marks = [MarkedLine(self._line, f"waits for {name}")] if unit.file is self._file else []
        made = find_made(unit, channel)
        closes = list(iter_closes(unit.file, words))
        if made is not None and made.conditional:
            place = made.unit.file.place(made.line, self._file)
            marks += self._mark(made.unit.file, made.line, "made only under this condition")
            text = (
                f"{name} is made only under a condition ({place}): where it is not, it is nil, "
                "and a receive from nil waits for ever."
            )
            return self._make(text, marks, None, certain=False)
        if made is not None:
            marks += self._mark(made.unit.file, made.line, "made here")
        for site in closes[:3]:
            marks += self._mark(site.file, site.line, "closed here")
        verb = "The loop ends" if ranges else "The receive ends"
        if not closes:
            until = "when it is closed" if ranges else "when something is sent or it is closed"
            text = f"{verb} only {until}, and nothing in {unit.file.scope} closes {name}."
            edits = self._close_after_sends(made, words) if made is not None and ranges else None
            return self._make(text, marks, edits, unit=made.unit if edits and made else None, certain=False)
        where = ", ".join(
            f"{site.function} ({site.file.place(site.line, self._file)})" for site in closes[:3]
        )
        text = f"{verb} when {name} is closed; that is done only in {where}, which was not reached for these."
        return self._make(text, marks, None, certain=False)

    def _close_after_sends(self, made: Made, words: tuple[str, ...]) -> Edits | None:
        """`close(jobs)` behind the last statement that sends, where all of it is in one function."""
        owner = unit_of(made.unit.file, made.unit.function)
        if len(words) != 1 or made.statement not in owner.body:
            return None
        if any(literal_around(owner, item.start) for item in iter_sends(owner, words, literals=True)):
            return None
        sends = list(iter_sends(owner, words))
        if not sends or self._escapes(owner, words[0], made):
            return None
        last = max(item.start for item in sends)
        top = next((item for item in owner.body if item.start <= last < item.end), None)
        edits = Edits(owner.lexemes.source)
        if top is None or not whole_lines(owner, edits, top):
            return None
        edits.insert_after(top.end_line, [f"close({words[0]})"], edits.indent(top.line))
        return edits

    def _escapes(self, owner: Unit, name: str, made: Made) -> bool:
        """Whether the channel is returned or stored, so that others may send."""
        for statement in iter_statements(owner.body, literals=False):
            for first, last in statement.values if statement.kind in (Kind.RETURN, Kind.ASSIGN) else ():
                if statement is not made.statement and name in owner.lexemes.texts[first:last]:
                    before = [
                        owner.lexemes.text(at - 1)
                        for at in range(first, last)
                        if owner.lexemes.texts[at] == name
                    ]
                    if "<-" not in before:
                        return True
        return False


def _selects_with(owner: Unit, starts: list[int]) -> list[tuple[Statement, int]]:
    """Selects one of whose cases is at one of *starts*, with the line of another case."""
    found: list[tuple[Statement, int]] = []
    for statement in iter_statements(owner.body, literals=False):
        if statement.kind is not Kind.SELECT:
            continue
        mine = [
            clause for clause in statement.clauses if clause.comm is not None and clause.comm.start in starts
        ]
        others = [clause for clause in statement.clauses if clause not in mine]
        if mine and others:
            found.append((statement, others[0].line))
    return found


def _turns(made: Made, loop: Statement) -> str | None:
    """How often *loop* turns, as an expression in scope where the channel is made; None where unknown."""
    lexemes, names = made.unit.lexemes, made.unit.names
    part: Range | None = None
    counts = False
    if loop.kind is Kind.RANGE:
        part = loop.values[0]
        text = lexemes.spelled(*part)
        if len(part) == 2 and part[1] == part[0] + 1:
            variable = names.variable(part)
            written = names.variables[variable].type_range if variable is not None else None
            counts = text.isdigit() or (written is not None and lexemes.text(written[0]).startswith("int"))
        counts = counts or text.startswith("len(")
        if not counts and len(loop.targets) < 2:
            return None
    elif loop.condition is not None:
        first, last = loop.condition
        if lexemes.text(first + 1) != "<":
            return None
        part, counts = (first + 2, last), True
    if part is None:
        return None
    for position in range(*part):
        index = names.at.get(position)
        if index is not None and names.variables[index].position > made.statement.start:
            return None
    text = lexemes.spelled(*part)
    return text if counts else f"len({text})"
