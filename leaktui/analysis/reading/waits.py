"""Why a goroutine waits for ever: what it waits for, and why nobody does that any more.

Law: the line it waits at is a fact; why nothing comes is read from the same file and from where the goroutine was
started, and is called possible wherever somebody else could do it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
from leaktui.analysis.reading.edits import Edits
from leaktui.analysis.reading.pairs import (
    PAIRS,
    Pairing,
    defer_second,
    follow_pair,
    iter_first_halves,
    iter_units,
    second_before_exits,
)
from leaktui.analysis.reading.repair import whole_lines
from leaktui.analysis.reading.subject import call_at, find_call
from leaktui.analysis.reading.unit import GoFile, Unit, iter_positions, unit_of
from leaktui.model.explanation import Explanation, MarkedLine, SkipReason

_CONTEXTS = frozenset({"WithCancel", "WithTimeout", "WithDeadline", "WithCancelCause"})


@dataclass(frozen=True)
class Place:
    """A line of a file whose text is at hand."""

    file: GoFile
    path: str
    line: int


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


class _Waiter:
    def __init__(self, place: Place, unit: Unit, created: Place | None, callers: Sequence[Place]) -> None:
        self._place = place
        self._file = place.file
        self._lexemes = place.file.lexemes
        self._unit = unit
        self._created = created
        self._callers = callers
        self._line = place.line

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

    # -- calls ---------------------------------------------------------------------------------------

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
        function = self._file.function_named(last)
        if function is None or depth > 1:
            return None
        inner = unit_of(self._file, function)
        for blocking in iter_statements(inner.body, literals=False):
            if blocking.kind in (Kind.SEND, Kind.SELECT) or _waits(self._file, blocking):
                waiter = _Waiter(
                    Place(self._file, self._place.path, blocking.line), inner, self._created, (self._place,)
                )
                return waiter.explain(blocking, depth + 1)
        return None

    def _pair(self, base: tuple[str, ...], first: str, second: str) -> Explanation | None:
        """A lock or a token somebody did not give back."""
        name = base[-1]
        pairings: list[Pairing] = []
        for unit in iter_units(self._file):
            if self._is_local(base) and unit.function.start != self._unit.function.start:
                continue
            for words in _bases(unit, name, first):
                for statement in iter_first_halves(unit, words, first):
                    pairings.append(follow_pair(unit, words, second, statement))
        missing = [item for item in pairings if item.departures]
        if not missing:
            return None
        pairing = missing[0]
        what = f"{pairing.subject} {'locked' if 'ock' in first else 'taken'}"
        lines = sorted({item.line for item in pairing.departures})
        marks = [MarkedLine(self._line, "waits here")]
        marks.append(MarkedLine(pairing.acquired.line, f"{first} here") if pairing.acquired else marks[0])
        marks += [MarkedLine(line, f"leaves without {pairing.second_text}") for line in lines]
        text = (
            f"{pairing.unit.function.name} leaves at {_lines(lines)} with {what}: "
            f"{pairing.second_text} is missing there, and whoever comes next waits for ever."
        )
        return self._make(text, marks, second_before_exits(pairing), unit=pairing.unit)

    def _wait(self, base: tuple[str, ...]) -> Explanation | None:
        name = base[-1]
        if self._is_cond(name):
            return self._cond(name)
        missing: list[Pairing] = []
        seen: list[int] = []
        for unit, words in self._who_is_done(base):
            pairing = follow_pair(unit, words, "Done", None)
            seen += [touch.line for touch in pairing.releases]
            if pairing.departures and pairing.releases:
                missing.append(pairing)
        if not seen:
            text = f"Nothing in this file calls Done on {''.join(base)}, and Wait waits for it."
            return self._make(text, [MarkedLine(self._line, "waits here")], None, certain=False)
        if not missing:
            return None
        pairing = missing[0]
        lines = sorted({item.line for item in pairing.departures})
        marks = [MarkedLine(self._line, "waits for every Done")]
        marks += [MarkedLine(line, "returns here without Done") for line in lines]
        marks += [MarkedLine(touch.line, "Done, on the other path") for touch in pairing.releases]
        text = f"{pairing.unit.function.name} leaves at {_lines(lines)} without Done, so Wait waits for ever."
        edits = defer_second(pairing) or second_before_exits(pairing)
        return self._make(text, marks, edits, unit=pairing.unit)

    def _is_local(self, base: tuple[str, ...]) -> bool:
        """Whether *base* is a variable of this function alone."""
        return len(base) == 1 and any(
            variable.name == base[0] and not variable.is_parameter for variable in self._unit.names.variables
        )

    def _who_is_done(self, base: tuple[str, ...]) -> list[tuple[Unit, tuple[str, ...]]]:
        """The functions that call Done on the group of this name, and what they call it."""
        found: list[tuple[Unit, tuple[str, ...]]] = []
        local = self._is_local(base)
        for unit in iter_units(self._file):
            if local and unit.function.start != self._unit.function.start:
                continue
            found += [
                (unit, words)
                for words in _bases(unit, base[-1], "Done")
                if not unit.is_outer_of(words, "Done")
            ]
        lexemes, function = self._lexemes, self._unit.function
        for position in range(function.body_start, function.end):
            if lexemes.texts[position] != base[-1] or lexemes.text(position + 1) not in (",", ")"):
                continue
            call = call_at(self._file, lexemes.parents[position])
            named = self._file.function_named(call.last) if call is not None else None
            if call is None or named is None:
                continue
            entries = lexemes.split(call.opened + 1, call.end - 1)
            index = next((i for i, (first, last) in enumerate(entries) if first <= position < last), -1)
            unit = unit_of(self._file, named)
            parameters = [
                item for item in unit.names.variables if item.is_parameter and item.owner == unit.owner
            ]
            parameters = [
                item for item in parameters if named.parameters[0] <= item.position < named.parameters[1]
            ]
            if 0 <= index < len(parameters):
                found.append((unit, (parameters[index].name,)))
        return found

    def _is_cond(self, name: str) -> bool:
        texts = self._lexemes.texts
        return any(
            texts[position] == name
            and texts[position + 1 : position + 3] in ([".", "Signal"], [".", "Broadcast"])
            for position in range(len(texts) - 2)
        ) or any(
            texts[position] == name and "Cond" in texts[position + 1 : position + 5]
            for position in range(len(texts) - 4)
        )

    def _cond(self, name: str) -> Explanation:
        texts, lines = self._lexemes.texts, self._lexemes.lines
        marks = [MarkedLine(self._line, "waits for a signal")]
        words: list[str] = []
        for position in range(len(texts) - 3):
            if texts[position] != name or texts[position + 1] != "." or texts[position + 3] != "(":
                continue
            if texts[position + 2] in ("Signal", "Broadcast"):
                who = "wakes one" if texts[position + 2] == "Signal" else "wakes all"
                marks.append(MarkedLine(lines[position], who))
                words.append(f"{texts[position + 2]} at line {lines[position]}")
        text = f"It waits until somebody signals {name}, and nobody does any more"
        text += f": this file has {', '.join(words)}." if words else "; nothing in this file does."
        return self._make(text, marks, None, certain=False)

    # -- channels ------------------------------------------------------------------------------------

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
        owner = unit_of(unit.file, made.unit.function)
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
            text = f"Nobody receives from {name} any more, and it has no room left: the send waits for ever."
        certain = bool(alternatives or (many is not None and receives))
        if unit.file is not self._file:
            marks = [mark for mark in marks if mark.line != self._line]
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
                    f"{unit.function.name} leaves at {_lines(lines)} "
                    f"without taking its token out of {pairing.subject}."
                )
                return self._make(text, marks, second_before_exits(pairing), unit=unit)
        # The send is all there is to a method like enter: look at who calls it.
        if len(self._unit.body) == 1 and self._callers:
            caller = self._callers[0]
            unit_there = caller.file.unit_at(caller.line)
            outer = unit_there.statement_at(caller.line) if unit_there is not None else None
            if unit_there is not None and outer is not None and outer.kind is Kind.EXPRESSION:
                waiter = _Waiter(caller, unit_there, self._created, self._callers[1:])
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
            marks.append(MarkedLine(made.line, "made only under this condition"))
            text = (
                f"{name} is made only under a condition (line {made.line}): where it is not, it is nil, "
                "and a receive from nil waits for ever."
            )
            return self._make(text, marks, None, certain=False)
        if made is not None:
            marks.append(MarkedLine(made.line, "made here"))
        marks += [MarkedLine(site.line, "closed here") for site in closes[:3]]
        verb = "The loop ends" if ranges else "The receive ends"
        if not closes:
            until = "when it is closed" if ranges else "when something is sent or it is closed"
            text = f"{verb} only {until}, and nothing in this file closes {name}."
            edits = self._close_after_sends(made, words) if made is not None and ranges else None
            return self._make(text, marks, edits, unit=made.unit if edits and made else None, certain=False)
        where = ", ".join(f"{site.function} (line {site.line})" for site in closes[:3])
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
        closes = [site for name in names for site in iter_closes(self._file, (name.rpartition(".")[2],))]
        text = f"It waits for {' or '.join(names)}; " + (
            f"closed only at {_lines(sorted({site.line for site in closes}))}."
            if closes
            else "nothing in this file closes any of them, and there is no case for a context's end."
        )
        marks += [MarkedLine(site.line, "closed here") for site in closes[:3]]
        return self._make(text, marks, None, certain=False)

    # -- contexts ------------------------------------------------------------------------------------

    def _context(self, context: Range, marks: list[MarkedLine]) -> Explanation:
        unit, part = self._in_creator(context)
        name = "".join(words_of(unit.file, part))
        other = unit.file is not self._file
        if other:
            marks = []
        variable = unit.names.variable(part)
        made = self._context_made(unit, variable) if variable is not None else None
        if made is None:
            text = f"It ends when {name} is done, and nothing ends that."
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
            text = f"It ends when {cancel_name} of line {statement.line} is called, and nothing in this file calls it."
            return self._make(text, marks, None, unit=unit, certain=False)
        marks += [MarkedLine(line, f"{cancel_name} is called here") for line in sites[:3]]
        text = (
            f"It ends when {cancel_name} of line {statement.line} is called; that is done only at {_lines(sites)}, "
            "which was not reached for these."
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

    def _cancel_sites(self, unit: Unit, name: str, made: Statement) -> list[int]:
        """Lines where it, or the field it was kept in, is called."""
        lexemes = unit.lexemes
        fields = {name}
        function = unit.function
        for statement in iter_statements(unit_of(unit.file, unit.function).body):
            for position in iter_positions(statement):
                if lexemes.texts[position] == name and lexemes.text(position - 1) == ":":
                    fields.add(lexemes.text(position - 2))
            if statement.kind is Kind.ASSIGN:
                for target, value in zip(statement.targets, statement.values, strict=False):
                    if lexemes.texts[value[0] : value[1]] == [name]:
                        fields.add(lexemes.text(target[1] - 1))
        return sorted(
            {
                lexemes.lines[position]
                for position, text in enumerate(lexemes.texts)
                if text in fields
                and lexemes.text(position + 1) == "("
                and (lexemes.text(position - 1) == "." or made.end < position < function.end)
            }
        )

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

    # -- parts ---------------------------------------------------------------------------------------

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
        owner = unit if unit is not None else self._unit
        elsewhere = owner.file is not self._file and self._created is not None
        path = self._created.path if elsewhere and self._created is not None else self._place.path
        line = self._created.line if elsewhere and self._created is not None else self._line
        diff = edits.diff(path) if edits is not None else ""
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


def _bases(unit: Unit, name: str, method: str, *, loose: bool = False) -> list[tuple[str, ...]]:
    """The words in *unit* that end in *name* and have *method* called on them; any words if *loose*."""
    lexemes = unit.lexemes
    found: list[tuple[str, ...]] = []
    for position in range(unit.owner, unit.end):
        if (
            lexemes.texts[position] != method
            or lexemes.text(position + 1) != "("
            or lexemes.text(position - 1) != "."
        ):
            continue
        start = position - 2
        while lexemes.text(start - 1) == "." and lexemes.is_name(start - 2):
            start -= 2
        words = tuple(lexemes.texts[start : position - 1])
        if words and (words[-1] == name or loose) and words not in found:
            found.append(words)
    return found


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


def _lines(lines: Sequence[int]) -> str:
    unique = sorted(set(lines))
    if len(unique) == 1:
        return f"line {unique[0]}"
    return f"lines {', '.join(map(str, unique[:-1]))} and {unique[-1]}"
