"""The thing that is followed: the variable an acquiring call was assigned to, and how it is given back."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from leaktui.analysis.go_syntax.statement import Kind, Range, Statement
from leaktui.analysis.reading.effect import Callee
from leaktui.analysis.reading.unit import GoFile, Unit
from leaktui.model.finding import LeakKind


class Form(Enum):
    """What kind of value it is."""

    RESPONSE = "response"
    """An *http.Response: its Body is closed."""
    CLOSER = "closer"
    """It has a Close of its own."""
    UNKNOWN = "unknown"


_RESPONSE_CALLS = frozenset({"Get", "Post", "PostForm", "Head", "Do", "RoundTrip", "DoRequest"})
_RESPONSE_PARTS_TEXT = (
    "Body StatusCode Header Status ContentLength Request Location Cookies TLS Proto ProtoMajor Trailer Uncompressed "
    "TransferEncoding"
)
_RESPONSE_PARTS = frozenset(_RESPONSE_PARTS_TEXT.split())
_CLOSER_CALLS_TEXT = (
    "Open OpenFile Create CreateTemp OpenInRoot OpenRoot NewFile Dial DialTimeout DialTCP DialUDP DialUnix DialIP "
    "DialContext Listen ListenTCP ListenUDP ListenUnix ListenPacket Accept AcceptTCP AcceptUnix Pipe StdoutPipe "
    "StderrPipe StdinPipe FileConn FileListener File TempFile Query QueryContext Client Server"
)
_CLOSER_CALLS = frozenset(_CLOSER_CALLS_TEXT.split())
_PAIRS = frozenset({"os.Pipe", "net.Pipe"})


@dataclass(frozen=True, slots=True)
class Call:
    """A call: `name` as it is written without type arguments, `last` its final word, from `start` to `end`."""

    name: str
    last: str
    start: int
    opened: int
    end: int


@dataclass(frozen=True, slots=True)
class Subject:
    """`variable` indexes the unit's names; -1 where the result was dropped. `failure` is the error's variable.

    `parts` says how many results the call has, `target` which one it is; `ok` that `failure` is a bool.
    """

    statement: Statement
    call: Call
    form: Form
    variable: int
    name: str
    failure: int | None = None
    failure_name: str = ""
    ok: bool = False
    target: int = 0


def find_call(file: GoFile, part: Range) -> Call | None:
    """The call that *part* is, looking through parentheses; None where it is something else."""
    lexemes = file.lexemes
    first, last = part
    while lexemes.text(first) == "(" and lexemes.closing.get(first) == last - 1:
        first, last = first + 1, last - 1
    if lexemes.text(last - 1) != ")":
        return None
    opened = lexemes.opening.get(last - 1)
    if opened is None or opened <= first:
        return None
    return call_at(file, opened, first)


def call_at(file: GoFile, opened: int, first: int = 0) -> Call | None:
    """The call whose arguments begin at the parenthesis *opened*; None where none is called by a name."""
    lexemes = file.lexemes
    closed = lexemes.closing.get(opened)
    at = opened
    if (
        lexemes.text(at - 1) == "]"
        and (bracket := lexemes.opening.get(at - 1)) is not None
        and bracket > first
    ):
        at = bracket  # type arguments
    if closed is None or not lexemes.is_name(at - 1):
        return None
    start = at - 1
    while lexemes.text(start - 1) == "." and start - 2 >= first:
        before = start - 2
        if lexemes.is_name(before):
            start = before
        elif lexemes.text(before) in (")", "]") and (bracket := lexemes.opening.get(before)) is not None:
            start = bracket
            while start > first and (lexemes.is_name(start - 1) or lexemes.text(start - 1) == "."):
                start -= 1
        else:
            break
    return Call("".join(lexemes.texts[start:at]), lexemes.text(at - 1), start, opened, closed + 1)


def callee_of(unit: Unit, call: Call) -> Callee:
    """Who *call* calls, as far as *unit* says it: a method is known by the written type of what it is called on."""
    if call.name == call.last:
        local = unit.names.at.get(call.start) is not None
        return Callee(call.last, "" if local else call.last)
    if call.opened - call.start >= 3 and unit.lexemes.texts[call.start + 1 : call.start + 3] == [
        ".",
        call.last,
    ]:
        receiver = type_of(unit, call.start)
        return Callee(call.last, f"{receiver}.{call.last}" if receiver else "")
    return Callee(call.last)


def called_unit(unit: Unit, call: Call) -> Unit | None:
    """The function that *call* calls, where its source is at hand and there is no doubt."""
    return unit.file.unit_named(*callee_of(unit, call))


def type_of(unit: Unit, position: int) -> str:
    """The written type of the variable at *position*, without pointer and type arguments; empty where unknown."""
    index = unit.names.at.get(position)
    written = unit.names.variables[index].type_range if index is not None else None
    if written is None:
        return ""
    return unit.lexemes.spelled(*written).lstrip("*").partition("[")[0]


def find_subjects(unit: Unit, statement: Statement, line: int, kind: LeakKind) -> tuple[Subject, ...]:
    """What *statement* acquires at *line*, most likely first; none where nothing is recognised."""
    lexemes = unit.lexemes
    if statement.kind in (Kind.ASSIGN, Kind.DECLARATION) and statement.values:
        return _assigned(unit, statement, line, kind)
    if statement.kind in (Kind.EXPRESSION, Kind.GO, Kind.DEFER) and statement.values:
        call = find_call(unit.file, statement.values[0])
        if call is not None and lexemes.text(call.opened + 1) == "func":
            return ()  # sync.Once has a Do as well
        if call is not None and (form := _dropped_form(call, kind)) is not None:
            return (Subject(statement, call, form, -1, ""),)
    return ()


def _assigned(unit: Unit, statement: Statement, line: int, kind: LeakKind) -> tuple[Subject, ...]:
    lexemes, names = unit.lexemes, unit.names
    if len(statement.values) == len(statement.targets):
        values = [
            index
            for index, value in enumerate(statement.values)
            if lexemes.lines[value[0]] <= line <= lexemes.end_line(value[1] - 1)
        ]
        found: list[Subject] = []
        for index in values:
            call = find_call(unit.file, statement.values[index])
            if call is not None:
                found += _subject(unit, statement, call, index, None, kind)
        return tuple(found)
    if len(statement.values) != 1:
        return ()
    call = find_call(unit.file, statement.values[0])
    if call is None:
        return ()
    targets = statement.targets
    last = len(targets) - 1
    wanted = range(last) if call.name in _PAIRS else (_result_index(unit, call, last),)
    found = []
    for index in wanted:
        found += _subject(unit, statement, call, index, names.variable(targets[last]), kind)
    return tuple(found)


def _subject(
    unit: Unit, statement: Statement, call: Call, index: int, failure: int | None, kind: LeakKind
) -> list[Subject]:
    lexemes, names = unit.lexemes, unit.names
    target = statement.targets[index]
    text = lexemes.spelled(*target)
    variable = names.variable(target)
    failure_name = names.variables[failure].name if failure is not None else ""
    ok = failure_name in ("ok", "found", "exists")
    if text == "_":
        form = _dropped_form(call, kind)
        if form is None:
            return []
        return [Subject(statement, call, form, -1, "_", failure, failure_name, ok, index)]
    if variable is None:
        # Straight into a field or a global: stored as it is acquired.
        form = _form(unit, call, None, kind)
        return [Subject(statement, call, form, -1, text, failure, failure_name, ok, index)]
    if variable == failure:
        failure, failure_name = None, ""
    form = _form(unit, call, variable, kind)
    return [Subject(statement, call, form, variable, text, failure, failure_name, ok, index)]


def _dropped_form(call: Call, kind: LeakKind) -> Form | None:
    if "once" in call.name.lower():
        return None
    if kind is LeakKind.HTTP_BODY and call.last in _RESPONSE_CALLS:
        return Form.RESPONSE
    if call.last in _CLOSER_CALLS:
        return Form.CLOSER
    return None


def _result_index(unit: Unit, call: Call, last: int) -> int:
    """Which result is the one to close, from the function's own signature where that is at hand."""
    function = called_unit(unit, call)
    if function is not None:
        types = [_spelled_type(function, entry) for entry in function.lexemes.split(*function.results)]
        for index, text in enumerate(types):
            if index <= last and (
                text.endswith(".Response") or "Closer" in text or text in ("*os.File", "net.Conn")
            ):
                return index
    return 0


def _spelled_type(unit: Unit, entry: Range) -> str:
    return "".join(unit.lexemes.texts[entry[0] : entry[1]])


def _form(unit: Unit, call: Call, variable: int | None, kind: LeakKind) -> Form:
    lexemes = unit.lexemes
    function = called_unit(unit, call)
    if function is not None and function.results[0] < function.results[1]:
        results = "".join(function.lexemes.texts[function.results[0] : function.results[1]])
        if "http.Response" in results:
            return Form.RESPONSE
        if "Closer" in results or "os.File" in results or "net." in results:
            return Form.CLOSER
    closes = False
    for position, index in unit.names.at.items():
        if variable is None or index != variable or lexemes.text(position + 1) != ".":
            continue
        word = lexemes.text(position + 2)
        if word in _RESPONSE_PARTS and kind is LeakKind.HTTP_BODY:
            return Form.RESPONSE
        closes |= word in ("Close", "Read", "Write")
    written = unit.names.variables[variable].type_range if variable is not None else None
    if written is not None:
        text = "".join(lexemes.texts[written[0] : written[1]])
        if text.endswith("http.Response"):
            return Form.RESPONSE
        if text in ("*os.File", "net.Conn", "net.Listener", "io.ReadCloser", "io.Closer"):
            return Form.CLOSER
    if kind is LeakKind.FD:
        return Form.CLOSER if call.last in _CLOSER_CALLS or closes else Form.UNKNOWN
    if call.last in _RESPONSE_CALLS and "func" not in lexemes.texts[call.opened : call.end]:
        return Form.RESPONSE
    return Form.CLOSER if closes else Form.UNKNOWN
