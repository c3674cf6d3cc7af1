"""Why memory stays: what the function adds it to, and whether anything in the package takes it out again.

Law: "only ever added to" is certain only of a package whose every file was read, and of a name that is its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from leaktui.analysis.go_syntax.statement import Kind, Range, Statement, iter_statements
from leaktui.analysis.reading.containers import Reach, Shape, holder_of, reach_of, shape_of
from leaktui.analysis.reading.edits import Edits
from leaktui.analysis.reading.subject import find_call, type_of
from leaktui.analysis.reading.unit import GoFile, Unit, iter_positions, unit_of
from leaktui.analysis.reading.waiting import Place
from leaktui.model.explanation import Explanation, MarkedLine, SkipReason

_ADDS = frozenset({"PushBack", "PushFront", "Store", "LoadOrStore", "ReplaceOrInsert", "Swap"})
_MAY_ADD = frozenset({"Add", "Set", "Put", "Push", "Enqueue", "Append", "Insert", "Remember", "Register"})
_TAKES_OUT = "Remove Delete LoadAndDelete CompareAndDelete Init Clear Pop Reset Evict Purge RemoveOldest"
_REMOVES = frozenset(_TAKES_OUT.split())
_BYTES = frozenset(
    {"io.ReadAll", "os.ReadFile", "ioutil.ReadAll", "ioutil.ReadFile", "bytes.Clone", "json.Marshal"}
)


@dataclass(frozen=True)
class Growth:
    """A statement that adds to `container` (`c.entries`), whose last word is `name`.

    `holder` is the written type of `c`, empty where it is not known; `reach` who else can name the container.
    """

    statement: Statement
    container: str
    name: str
    values: tuple[Range, ...]
    sure: bool = True
    holder: str = ""
    reach: Reach = Reach.FIELD


@dataclass(frozen=True)
class Removal:
    """A place that takes out again, and the condition it stands under."""

    file: GoFile
    line: int
    function: str
    condition: str


def explain_growth(places: Sequence[Place]) -> Explanation | None:
    """What keeps the memory allocated at the first of *places* (the others are its callers)."""
    for index, place in enumerate(places[:5]):
        unit = place.file.unit_at(place.line)
        statement = unit.statement_at(place.line) if unit is not None else None
        if unit is None or statement is None:
            continue
        timer = _timer(unit, statement)
        if timer is not None:
            return _explain_timer(unit, place, timer)
        growth = _growth_of(unit, statement, alone=index > 0)
        if growth is not None:
            return _explain_growth(unit, place, statement, growth)
    return None


# -- finding it --------------------------------------------------------------------------------------


def _growth_of(unit: Unit, allocating: Statement, *, alone: bool) -> Growth | None:
    """Where what *allocating* makes is added; the only growth of the unit does where the way is not seen."""
    found = [growth for item in iter_statements(unit.body) if (growth := _growth(unit, item)) is not None]
    for growth in found:
        if growth.statement.start <= allocating.start < growth.statement.end:
            return growth
    names = unit.names
    carried = {names.variable(target) for target in allocating.targets} - {None}
    for _ in range(3):
        for statement in iter_statements(unit.body):
            if statement.kind in (Kind.ASSIGN, Kind.DECLARATION) and any(
                names.at.get(position) in carried for value in statement.values for position in range(*value)
            ):
                carried |= {names.variable(target) for target in statement.targets} - {None}
    for growth in found:
        if growth.statement.start < allocating.start:
            continue
        if any(names.at.get(position) in carried for value in growth.values for position in range(*value)):
            return growth
    return found[0] if len(found) == 1 and (alone or found[0].sure) and not carried else None


def _growth(unit: Unit, statement: Statement) -> Growth | None:
    lexemes = unit.lexemes
    if statement.kind is Kind.ASSIGN and statement.operator == "=":
        for index, target in enumerate(statement.targets):
            if lexemes.text(target[1] - 1) == "]":
                opened = lexemes.opening.get(target[1] - 1, target[0])
                base = (target[0], opened)
                shape = shape_of(unit, base) if _outlives(unit, base) else Shape.SEQUENCE
                if shape is not Shape.SEQUENCE:
                    return _grown(unit, statement, base, statement.values, sure=shape is Shape.MAP)
                continue
            value = statement.values[index] if len(statement.values) > index else statement.values[0]
            call = find_call(unit.file, value)
            if call is None or call.name != "append" or not _outlives(unit, target):
                continue
            arguments = lexemes.split(call.opened + 1, call.end - 1)
            if arguments and lexemes.spelled(*arguments[0]) == lexemes.spelled(*target):
                return _grown(unit, statement, target, tuple(arguments[1:]))
    if statement.kind in (Kind.EXPRESSION, Kind.ASSIGN, Kind.DECLARATION) and statement.values:
        call = find_call(unit.file, statement.values[0])
        if (
            call is not None
            and (call.last in _ADDS or call.last in _MAY_ADD)
            and call.opened - call.start >= 3
        ):
            base = (call.start, call.opened - 2)
            if _outlives(unit, base) and unit.file.unit_named(call.last) is None:
                values = lexemes.split(call.opened + 1, call.end - 1)
                return _grown(unit, statement, base, values, sure=call.last in _ADDS)
    return None


def _grown(
    unit: Unit, statement: Statement, base: Range, values: tuple[Range, ...], *, sure: bool = True
) -> Growth:
    lexemes = unit.lexemes
    name = lexemes.text(base[1] - 1)
    container = lexemes.spelled(*base)
    return Growth(statement, container, name, values, sure, holder_of(unit, base), reach_of(unit, base))


def _outlives(unit: Unit, part: Range) -> bool:
    """Whether what *part* names is there after the call: a field, a global, a parameter, a captured variable."""
    names, lexemes = unit.names, unit.lexemes
    index = names.at.get(part[0])
    if index is None:
        return lexemes.is_name(part[0])
    variable = names.variables[index]
    if part[1] - part[0] >= 3:
        # A field: of a parameter or receiver, or of something a local points to.
        return variable.is_parameter or variable.owner != unit.owner or variable.type_range is None
    return variable.is_parameter or variable.owner != unit.owner


def _timer(unit: Unit, allocating: Statement) -> Statement | None:
    """The statement that gives time.AfterFunc a function which uses what *allocating* made."""
    names, lexemes = unit.names, unit.lexemes
    made = {names.variable(target) for target in allocating.targets} - {None}
    if not made:
        return None
    for statement in iter_statements(unit.body, literals=False):
        for position in iter_positions(statement):
            if lexemes.texts[position : position + 3] != ["time", ".", "AfterFunc"]:
                continue
            for literal in statement.literals:
                if any(names.at.get(at) in made for at in range(literal.start, literal.end)):
                    return statement
    return None


def _removals(unit: Unit, growth: Growth) -> list[Removal]:
    """Where the package takes things out of a container of that name, this file first."""
    own, name = unit.file, growth.name
    found: list[Removal] = []
    for file in (own, *(() if growth.reach is Reach.LOCAL else own.others(name))):
        texts = file.lexemes.texts
        for function in file.functions:
            outer = unit_of(file, function)
            for statement in iter_statements(function.body):
                if file is own and statement.start == growth.statement.start:
                    continue
                if not any(texts[position] == name for position in iter_positions(statement)):
                    continue
                if _takes_out(outer, statement, growth):
                    condition = _condition_around(outer, statement)
                    found.append(Removal(file, statement.line, function.name, condition))
    return found


def _may_be_it(outer: Unit, position: int, growth: Growth) -> bool:
    """Whether what is named at *position* can be the container: not a variable of a function, nor another type's."""
    lexemes = outer.lexemes
    if lexemes.text(position) != growth.name:
        return False
    if growth.reach is Reach.GLOBAL:
        return position not in outer.names.at and lexemes.text(position - 1) != "."
    if growth.reach is Reach.LOCAL:
        return True
    if lexemes.text(position - 1) != ".":
        return False
    holder = type_of(outer, position - 2) if lexemes.text(position - 3) != "." else ""
    return not (holder and growth.holder) or holder == growth.holder


def _takes_out(outer: Unit, statement: Statement, growth: Growth) -> bool:
    lexemes = outer.lexemes
    texts = lexemes.texts
    for position in iter_positions(statement):
        if texts[position] in ("delete", "clear") and lexemes.text(position + 1) == "(":
            parts = lexemes.split(position + 2, lexemes.closing.get(position + 1, position + 2))
            if parts and _may_be_it(outer, parts[0][1] - 1, growth):
                return True
        if (
            _may_be_it(outer, position, growth)
            and lexemes.text(position + 1) == "."
            and lexemes.text(position + 2) in _REMOVES
        ):
            return True
    if statement.kind is not Kind.ASSIGN or statement.operator != "=":
        return False
    for index, target in enumerate(statement.targets):
        if not _may_be_it(outer, target[1] - 1, growth):
            continue
        value = statement.values[index] if len(statement.values) > index else statement.values[0]
        words = texts[value[0] : value[1]]
        call = find_call(outer.file, value)
        if call is not None and call.name == "append":
            arguments = lexemes.split(call.opened + 1, call.end - 1)
            if arguments and lexemes.text(arguments[0][1] - 1) == growth.name:
                continue  # it adds, too
        if call is not None and call.name == "make" and "nil" in _condition_around(outer, statement):
            continue  # made on first use
        if words:
            return True
    return False


def _condition_around(outer: Unit, statement: Statement) -> str:
    """The condition of the innermost if or loop around *statement*, empty for none."""
    path = outer.path_to(statement)
    for item in reversed(path[:-1]):
        if item.kind in (Kind.IF, Kind.FOR) and item.condition is not None:
            return outer.lexemes.spelled(*item.condition)
    return ""


# -- telling it --------------------------------------------------------------------------------------


def _explain_growth(unit: Unit, place: Place, allocating: Statement, growth: Growth) -> Explanation:
    removals = _removals(unit, growth)
    line = growth.statement.line
    marks = [MarkedLine(place.line, "allocated here")]
    if line != place.line:
        marks.append(MarkedLine(line, f"kept in {growth.container}"))
    else:
        marks = [MarkedLine(line, f"added to {growth.container}")]
    edits, slice_text = _subslice(unit, growth, marks)
    own = unit.file
    if not removals:
        scope = own.scope if growth.reach is not Reach.LOCAL else "this file"
        text = (
            f"{growth.container} only ever grows: "
            f"line {line} adds to it, and nothing in {scope} takes anything out."
        )
    else:
        marks += [MarkedLine(item.line, "takes out again") for item in removals[:3] if item.file is own]
        first = removals[0]
        when = f", only where {first.condition}" if first.condition and len(removals) == 1 else ""
        where = "at " + ", ".join(
            f"{item.file.place(item.line, own)} ({item.function})" for item in removals[:3]
        )
        text = f"{growth.container} grows at line {line}; it is taken out of {where}{when}, which does not keep up."
    if slice_text:
        text += " " + slice_text
    found: dict[int, MarkedLine] = {}
    for mark in marks:
        found.setdefault(mark.line, mark)
    return Explanation(
        unit.function.name,
        place.path,
        unit.line,
        unit.end_line,
        place.line,
        SkipReason.GROWS,
        text,
        tuple(found[number] for number in sorted(found)),
        not removals and growth.sure and _is_all_seen(own, growth),
        edits.diff(place.path) if edits is not None else "",
    )


def _is_all_seen(file: GoFile, growth: Growth) -> bool:
    """Whether whoever can name the container was read: an exported one is anybody's, a parameter the caller's."""
    if growth.reach is Reach.LOCAL:
        return False
    exported = growth.name[:1].isupper() and (growth.reach is Reach.GLOBAL or growth.holder[:1].isupper())
    return file.is_whole and not exported


def _explain_timer(unit: Unit, place: Place, timer: Statement) -> Explanation:
    text = f"The function given to time.AfterFunc at line {timer.line} holds it until it runs or its timer is stopped."
    marks = (MarkedLine(place.line, "allocated here"), MarkedLine(timer.line, "held by the timer's function"))
    return Explanation(
        unit.function.name,
        place.path,
        unit.line,
        unit.end_line,
        place.line,
        SkipReason.STORED,
        text,
        marks,
        certain=False,
    )


def _subslice(unit: Unit, growth: Growth, marks: list[MarkedLine]) -> tuple[Edits | None, str]:
    """What is kept is a slice of something larger: where it was cut, and a copy instead."""
    names, lexemes = unit.names, unit.lexemes
    kept = {names.at.get(part[0]) for part in growth.values if part[1] == part[0] + 1} - {None}
    for statement in iter_statements(unit.body, literals=False):
        if statement.kind is not Kind.ASSIGN or len(statement.targets) != 1 or len(statement.values) != 1:
            continue
        if names.variable(statement.targets[0]) not in kept:
            continue
        first, last = statement.values[0]
        opened = lexemes.opening.get(last - 1, -1)
        if lexemes.text(last - 1) != "]" or opened <= first:
            continue
        if not any(lexemes.texts[at] == ":" for at in lexemes.iter_level(opened + 1, last - 1)):
            continue
        whole, part = lexemes.spelled(first, opened), lexemes.spelled(*statement.targets[0])
        marks.append(MarkedLine(statement.line, f"a slice: it keeps all of {whole}"))
        edits: Edits | None = None
        if _is_bytes(unit, first):
            edits = Edits(lexemes.source)
            start, end = lexemes.starts[first], lexemes.end(last - 1)
            old = lexemes.source[start:end]
            if not edits.replace_span(start, end, f"append([]byte(nil), {old}...)"):
                edits = None
        return edits, f"{part} is a slice of {whole} and keeps all of it alive."
    return None, ""


def _is_bytes(unit: Unit, position: int) -> bool:
    """Whether the variable at *position* is surely a []byte."""
    names, lexemes = unit.names, unit.lexemes
    index = names.at.get(position)
    if index is None:
        return False
    written = names.variables[index].type_range
    if written is not None:
        return lexemes.texts[written[0] : written[1]] == ["[", "]", "byte"]
    for statement in iter_statements(unit.body):
        if (
            statement.kind is Kind.ASSIGN
            and statement.targets
            and names.variable(statement.targets[0]) == index
        ):
            call = find_call(unit.file, statement.values[0])
            if call is not None and call.name in _BYTES:
                return True
            first = statement.values[0][0]
            if lexemes.texts[first : first + 5] == ["make", "(", "[", "]", "byte"]:
                return True
    return False
