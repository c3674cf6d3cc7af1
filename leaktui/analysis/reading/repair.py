"""The smallest idiomatic change that makes a function give back what it acquired.

Law: nothing is proposed that would not compile: names are in scope where they are used, lines are whole statements,
and where the shape allows no safe edit there is none.
"""

from __future__ import annotations

from collections.abc import Iterable

from leaktui.analysis.go_syntax.statement import Kind, Statement, iter_statements
from leaktui.analysis.reading.edits import Edits
from leaktui.analysis.reading.effect import Departure, Effect, Exit, Touch
from leaktui.analysis.reading.follow import Follower, Reading
from leaktui.analysis.reading.subject import Form, Subject
from leaktui.analysis.reading.unit import Unit

Repair = tuple[Edits, bool]
"""The changes, and whether they are certain to be what is wanted."""


def close_text(reading: Reading) -> str:
    """The call that closes it; empty where it is not known how."""
    return "" if reading.form is Form.UNKNOWN else f"{reading.noun}.Close()"


def defer_after_check(reading: Reading, edits: Edits | None = None) -> Repair | None:
    """`defer resp.Body.Close()` right after the error check; not in a loop."""
    unit, statement = reading.unit, reading.acquired
    close = close_text(reading)
    if statement is None or not close or unit.loop_around(statement) is not None:
        return None
    edits = edits if edits is not None else Edits(unit.lexemes.source)
    defer = f"defer {close}"
    if _is_init(unit, statement):
        return _after_init(reading, edits, defer)
    siblings = unit.siblings(statement)
    index = next((i for i, item in enumerate(siblings) if item is statement), None)
    if index is None or not whole_lines(unit, edits, statement):
        return None
    following = siblings[index + 1] if index + 1 < len(siblings) else None
    if following is not None and following.kind is Kind.IF and following.init is None:
        says = error_condition(reading, following)
        if says == "failed" and _leaves(following.body) and whole_lines(unit, edits, following):
            edits.insert_after(following.end_line, [defer], edits.indent(following.line))
            return edits, True
        if says == "succeeded" and following.body and following.body[0].line > following.line:
            edits.insert_after(following.line, [defer], edits.indent(following.body[0].line))
            return edits, True
    indent = edits.indent(statement.line)
    failure = reading.subject.failure_name if reading.subject is not None else ""
    ok = reading.subject is not None and reading.subject.ok
    if failure and failure != "_":
        lines = [f"if {failure} {{" if ok else f"if {failure} == nil {{", f"\t{defer}", "}"]
    elif reading.subject is not None and len(statement.targets) == 1:
        lines = [defer]
    else:
        lines = [f"if {reading.name} != nil {{", f"\t{defer}", "}"]
    edits.insert_after(statement.end_line, lines, indent)
    return edits, bool(failure)


def _after_init(reading: Reading, edits: Edits, defer: str) -> Repair | None:
    """The acquiring statement stands in the header of an if."""
    unit, statement = reading.unit, reading.acquired
    assert statement is not None
    outer = unit.path_to(statement)[-2]
    if outer.kind is not Kind.IF or not whole_lines(unit, edits, outer):
        return None
    says = error_condition(reading, outer)
    inside = reading.variable.position >= outer.start
    if says == "succeeded" and outer.body and outer.body[0].line > outer.line:
        edits.insert_after(outer.line, [defer], edits.indent(outer.body[0].line))
        return edits, True
    if says != "failed":
        return None
    orelse = outer.orelse
    if orelse is not None:
        if orelse.kind is not Kind.BLOCK or not orelse.body or orelse.body[0].line <= orelse.line:
            return None
        edits.insert_after(orelse.line, [defer], edits.indent(orelse.body[0].line))
        return edits, True
    if inside or not _leaves(outer.body):
        return None
    edits.insert_after(outer.end_line, [defer], edits.indent(outer.line))
    return edits, True


def move_defer_up(reading: Reading) -> Repair | None:
    """The deferred Close that comes too late, moved to the error check."""
    unit, statement = reading.unit, reading.acquired
    deferred = [touch for touch in reading.touches if touch.effect is Effect.DEFERRED]
    if statement is None or len(deferred) != 1:
        return None
    late = unit.statement_at(deferred[0].line)
    edits = Edits(unit.lexemes.source)
    if late is None or late.kind is not Kind.DEFER or not whole_lines(unit, edits, late):
        return None
    if late.line != late.end_line or late not in unit.siblings(statement):
        return None
    repaired = defer_after_check(reading, edits)
    if repaired is None:
        return None
    edits.delete(late.line)
    return edits, repaired[1]


def move_close_up(reading: Reading) -> Repair | None:
    """A Close at the end made a deferred one after the error check."""
    unit, statement = reading.unit, reading.acquired
    if statement is None or unit.loop_around(statement) is not None:
        return None
    edits = Edits(unit.lexemes.source)
    repaired = defer_after_check(reading, edits)
    if repaired is None:
        return None
    for touch in {item.position: item for item in reading.outcome.released_at}.values():
        late = unit.statement_at(touch.line)
        if late is None or late.kind is not Kind.EXPRESSION or late.start != touch.position:
            continue
        if late.line == late.end_line and whole_lines(unit, edits, late) and len(unit.siblings(late)) > 1:
            edits.delete(late.line)
    return edits, False


def close_before(
    reading: Reading, departures: Iterable[Departure], edits: Edits | None = None
) -> Repair | None:
    """A Close in front of every statement by which it is left behind."""
    unit = reading.unit
    close = _close_like_others(reading)
    if not close:
        return None
    edits = edits if edits is not None else Edits(unit.lexemes.source)
    unchecked = False
    if any(item.start in reading.outcome.mixed for item in departures):
        return _close_in_default(reading, edits)
    for departure in {item.start: item for item in departures}.values():
        unchecked |= departure.unchecked
        if departure.exit in (Exit.END, Exit.TURN):
            if not _only_on_line(unit, edits, departure.start, departure.start + 1):
                return None
            indent = edits.indent(departure.line) + "\t"
            edits.insert_before(departure.line, _guarded(reading, close, departure), indent)
            continue
        statement = _statement_from(unit, departure.start)
        if statement is None or not _only_on_line(unit, edits, statement.start, statement.end):
            return None
        text = close
        if statement.kind is Kind.RETURN and _mentions(reading, statement):
            text = f"defer {close_text(reading)}"  # what is returned still reads from it
        elif not _in_scope(reading, statement, close):
            text = close_text(reading)
        edits.insert_before(statement.line, _guarded(reading, text, departure), edits.indent(statement.line))
    return (edits, not unchecked) if edits.any else None


def _close_in_default(reading: Reading, edits: Edits) -> Repair | None:
    """A Close where a select finds nobody to send it to."""
    unit = reading.unit
    sent = [touch for touch in reading.touches if touch.effect is Effect.STORED and touch.sends]
    if len(sent) != 1 or edits.any:
        return None
    for statement in iter_statements(unit.body, literals=False):
        if statement.kind is not Kind.SELECT or not statement.start < sent[0].position < statement.end:
            continue
        others = [
            clause
            for clause in statement.clauses
            if clause.comm is None or not clause.comm.start <= sent[0].position < clause.comm.end
        ]
        for clause in others:
            if not clause.body or clause.body[0].line <= clause.line:
                return None
            edits.insert_before(clause.body[0].line, [close_text(reading)], edits.indent(clause.body[0].line))
        return (edits, True) if others else None
    return None


def undefer(reading: Reading, follower: Follower) -> Repair | None:
    """A defer in a loop, replaced by a Close wherever the turn ends."""
    unit = reading.unit
    deferred = [touch for touch in reading.all_touches if touch.effect in (Effect.DEFERRED, Effect.COVERED)]
    if len(deferred) != 1:
        return None
    late = unit.statement_at(deferred[0].line)
    edits = Edits(unit.lexemes.source)
    if late is None or late.kind is not Kind.DEFER or late.line != late.end_line:
        return None
    if not whole_lines(unit, edits, late) or unit.loop_around(late) is None:
        return None
    plain = follower.follow_without(reading, frozenset({deferred[0].position}))
    again = plain.exits(Exit.AGAIN, Exit.OVERWRITTEN)
    if again or not plain.departures:
        return None
    edits.delete(late.line)
    repaired = close_before(plain, plain.departures, edits)
    return None if repaired is None else (edits, False)


def close_before_again(reading: Reading) -> Repair | None:
    """The previous one closed in front of the statement that overwrites it."""
    unit = reading.unit
    close = close_text(reading)
    departures = [item for item in reading.departures if item.exit in (Exit.AGAIN, Exit.OVERWRITTEN)]
    if not close or not departures:
        return None
    edits = Edits(unit.lexemes.source)
    for departure in {item.start: item for item in departures}.values():
        statement = _statement_from(unit, departure.start)
        if statement is None:
            return None
        outer = statement
        while _is_init(unit, outer):
            outer = unit.path_to(outer)[-2]
        if not whole_lines(unit, edits, outer) or reading.variable.position >= outer.start:
            return None
        lines = [close]
        if departure.exit is Exit.AGAIN or departure.unchecked:
            lines = [f"if {reading.name} != nil {{", f"\t{close}", "}"]
        edits.insert_before(outer.line, lines, edits.indent(outer.line))
    return edits, False


def keep_dropped(unit: Unit, subject: Subject) -> Repair | None:
    """A result nobody looks at, taken and closed."""
    lexemes, statement = unit.lexemes, subject.statement
    edits = Edits(lexemes.source)
    response = subject.form is Form.RESPONSE
    name = _fresh_name(unit, ("resp", "response", "answer") if response else ("file", "closer", "opened"))
    close = f"{name}.Body.Close()" if response else f"{name}.Close()"
    if statement.kind is Kind.EXPRESSION or (
        statement.kind is Kind.ASSIGN and all(lexemes.spelled(*target) == "_" for target in statement.targets)
    ):
        if not whole_lines(unit, edits, statement) or _is_init(unit, statement):
            return None
        indent, first = edits.indent(statement.line), subject.call.start
        if statement.kind is Kind.EXPRESSION and first != statement.start:
            return None
        if statement.line != statement.end_line:
            if statement.kind is not Kind.EXPRESSION:
                return None
            head = edits.line(statement.line).strip()
            edits.replace(statement.line, f"{indent}if {name}, err := {head}")
            edits.replace(statement.end_line, edits.line(statement.end_line).rstrip() + "; err == nil {")
        else:
            call = lexemes.source[lexemes.starts[first] : lexemes.end(subject.call.end - 1)]
            edits.replace(statement.line, f"{indent}if {name}, err := {call}; err == nil {{")
        edits.insert_after(statement.end_line, [f"\t{close}", "}"], indent)
        return edits, True
    if statement.kind is not Kind.ASSIGN or statement.operator != ":=":
        return None
    return _name_dropped(unit, subject, edits, name, close)


def _name_dropped(unit: Unit, subject: Subject, edits: Edits, name: str, close: str) -> Repair | None:
    """`_, err := …` becomes `resp, err := …`, with a Close behind the check."""
    lexemes, statement = unit.lexemes, subject.statement
    start = lexemes.starts[subject.statement.targets[subject.target][0]]
    line = edits.line(statement.line)
    column = start - (lexemes.source.rfind("\n", 0, start) + 1)
    if line[column : column + 1] != "_" or not subject.failure_name or subject.ok:
        return None
    failure = subject.failure_name
    if _is_init(unit, statement):
        outer = unit.path_to(statement)[-2]
        if outer.kind is not Kind.IF or outer.orelse is not None or outer.init is not statement:
            return None
        if (
            not whole_lines(unit, edits, outer)
            or statement.line != outer.line
            or statement.end_line != outer.line
        ):
            return None
        condition = lexemes.spelled(*(outer.condition or (0, 0)))
        indent = edits.indent(outer.line)
        renamed = line[:column] + name + line[column + 1 :]
        if condition == f"{failure} == nil":
            edits.replace(outer.line, renamed)
            edits.insert_after(outer.line, [close], indent + "\t")
            return edits, True
        if condition != f"{failure} != nil" or not _leaves(outer.body):
            return None
        if outer.body[0].line <= outer.line:
            return None
        edits.insert_after(outer.end_line, ["} else {", f"\t{close}", "}"], indent)
        closing = edits.line(outer.end_line)
        if closing.strip() != "}":
            return None
        edits.replace(outer.line, renamed)
        edits.delete(outer.end_line)
        return edits, True
    if not whole_lines(unit, edits, statement):
        return None
    siblings = unit.siblings(statement)
    index = next((i for i, item in enumerate(siblings) if item is statement), None)
    if index is None:
        return None
    edits.replace(statement.line, line[:column] + name + line[column + 1 :])
    following = siblings[index + 1] if index + 1 < len(siblings) else None
    indent = edits.indent(statement.line)
    if following is not None and following.kind is Kind.IF and following.init is None and following.condition:
        text = lexemes.spelled(*following.condition)
        if text == f"{failure} != nil" and _leaves(following.body) and whole_lines(unit, edits, following):
            edits.insert_after(following.end_line, [close], indent)
            return edits, True
    edits.insert_after(statement.end_line, [f"if {failure} == nil {{", f"\t{close}", "}"], indent)
    return edits, True


# -- shapes ------------------------------------------------------------------------------------------


def error_condition(reading: Reading, statement: Statement) -> str:
    """`failed` or `succeeded` when the condition of *statement* says just that of the acquiring; else empty."""
    failure = reading.subject.failure_name if reading.subject is not None else ""
    if statement.condition is None or not failure:
        return ""
    text = reading.unit.lexemes.spelled(*statement.condition)
    if reading.subject is not None and reading.subject.ok:
        return "succeeded" if text == failure else "failed" if text == f"!{failure}" else ""
    return {f"{failure} != nil": "failed", f"{failure} == nil": "succeeded"}.get(text, "")


def whole_lines(unit: Unit, edits: Edits, statement: Statement) -> bool:
    """Whether *statement* has its lines to itself."""
    return _only_on_line(unit, edits, statement.start, statement.end)


def _only_on_line(unit: Unit, edits: Edits, start: int, end: int) -> bool:
    """Whether nothing stands before position *start* on its line, and nothing but a comment behind *end*."""
    lexemes = unit.lexemes
    before, after = start - 1, end
    if before >= 0 and not lexemes.is_inserted(before) and lexemes.end_line(before) == lexemes.lines[start]:
        return False
    while after < len(lexemes) and lexemes.text(after) == ";" and lexemes.is_inserted(after):
        after += 1
    return after >= len(lexemes) or lexemes.lines[after] > lexemes.end_line(end - 1)


def _is_init(unit: Unit, statement: Statement) -> bool:
    path = unit.path_to(statement)
    return len(path) > 1 and statement in (path[-2].init, path[-2].post)


def _leaves(body: tuple[Statement, ...]) -> bool:
    """Whether a block surely goes elsewhere at its end."""
    if not body:
        return False
    last = body[-1]
    if last.kind is Kind.RETURN or (last.kind is Kind.BRANCH and last.operator != "fallthrough"):
        return True
    if last.kind is Kind.IF and last.orelse is not None:
        return _leaves(last.body) and (
            _leaves(last.orelse.body) if last.orelse.kind is Kind.BLOCK else _leaves((last.orelse,))
        )
    return last.kind is Kind.EXPRESSION and bool(last.values) and last.end - last.start > 2


def _statement_from(unit: Unit, start: int) -> Statement | None:
    """The smallest statement that begins at position *start*."""
    found = [item for item in iter_statements(unit.body, literals=False) if item.start == start]
    return min(found, key=lambda item: item.end - item.start) if found else None


def _mentions(reading: Reading, statement: Statement) -> bool:
    """Whether *statement* reads from the value, or through something that does."""
    names, lexemes = reading.unit.names, reading.unit.lexemes
    for position in range(statement.start, statement.end):
        index = names.at.get(position)
        if index is None:
            continue
        if index in reading.readers:
            return True
        if names.variables[index].position == reading.variable.position:
            part = lexemes.text(position + 2) if lexemes.text(position + 1) == "." else ""
            if reading.form is not Form.RESPONSE or part in ("", "Body"):
                return True
    return False


def _guarded(reading: Reading, text: str, departure: Departure) -> list[str]:
    """*text*, under a nil check where it is not known whether there is anything to close."""
    if not departure.unchecked:
        return [text]
    failure = reading.subject.failure_name if reading.subject is not None else ""
    condition = f"{failure} == nil" if failure and failure != "_" else f"{reading.name} != nil"
    return [f"if {condition} {{", f"\t{text}", "}"]


def _close_like_others(reading: Reading) -> str:
    """The closing call as the function writes it elsewhere: `im.discard(resp)`."""
    for touch in reading.all_touches:
        if touch.effect is Effect.RELEASED and touch.callee is not None:
            return touch.text
    return close_text(reading)


def _in_scope(reading: Reading, statement: Statement, text: str) -> bool:
    """Whether a call copied from elsewhere has only names that are known at *statement* as well."""
    if text == close_text(reading):
        return True
    touch: Touch | None = next((item for item in reading.all_touches if item.text == text), None)
    if touch is None:
        return False
    names, lexemes = reading.unit.names, reading.unit.lexemes
    source = reading.unit.statement_at(touch.line)
    if source is None:
        return False
    for position in range(source.start, source.end):
        index = names.at.get(position)
        if index is None or names.variables[index].position == reading.variable.position:
            continue
        if not names.variables[index].is_parameter:
            return False
    return bool(lexemes.texts)


def _fresh_name(unit: Unit, names: tuple[str, ...]) -> str:
    used = {variable.name for variable in unit.names.variables}
    return next((name for name in names if name not in used), names[0] + "2")
