"""The variables that stand for one value: those it is assigned to whole, and those that hold or wrap it.

Law: aliases (`body := resp.Body`), holders (a struct or slice with it inside) and wrappers (a reader around it) are
found within the function; what leaves it is a mention (see `mentions`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from leaktui.analysis.go_syntax.names import Names
from leaktui.analysis.go_syntax.statement import Kind, Range, Statement, iter_statements
from leaktui.analysis.reading.callees import WRAPS
from leaktui.analysis.reading.effect import Callee, Effect
from leaktui.analysis.reading.subject import Call, Form, call_at, callee_of
from leaktui.analysis.reading.unit import Unit


@dataclass
class Followed:
    """The variables that stand for the value: `direct` are it (mapped to how they are closed)."""

    direct: dict[int, Form]
    holders: set[int]
    wrappers: set[int]


class Followers:
    """Finds what stands for a value that begins in one variable."""

    def __init__(
        self,
        unit: Unit,
        variable: int,
        form: Form,
        *,
        acquired: Statement | None,
        resolve: Callable[[Callee, int, Form], Effect | None] = lambda callee, argument, form: None,
    ) -> None:
        self._unit = unit
        self._lexemes = unit.lexemes
        self._names: Names = unit.names
        self._acquired = acquired
        self._resolve = resolve
        self.followed = Followed({variable: form}, set(), set())
        self._find_followers()

    @property
    def subjects(self) -> frozenset[int]:
        """The variables that are the value itself."""
        return frozenset(self.followed.direct)

    def _find_followers(self) -> None:
        """Variables the value is assigned to, until no new one is found."""
        statements = [
            item
            for item in iter_statements(self._unit.body)
            if item.kind in (Kind.ASSIGN, Kind.DECLARATION) and item is not self._acquired
        ]
        for _ in range(4):
            grown = [self._follow(statement) for statement in statements]
            if not any(grown):
                break

    def _follow(self, statement: Statement) -> bool:
        followed, grown = self.followed, False
        for index, (first, last) in enumerate(statement.values):
            targets = statement.targets
            target = (
                targets[index] if len(targets) == len(statement.values) else targets[0] if targets else None
            )
            variable = self._names.variable(target) if target is not None else None
            owner = self._field_of_new(target) if target is not None and variable is None else None
            if owner is not None and owner not in followed.holders | followed.direct.keys():
                if self._kind_of_value(statement, first, last) not in (None, "wrapper"):
                    followed.holders.add(owner)
                    grown = True
                continue
            if variable is None or not self._is_local(variable):
                continue
            if variable in followed.direct or variable in followed.holders or variable in followed.wrappers:
                continue
            kind = self._kind_of_value(statement, first, last)
            if kind is None:
                continue
            grown = True
            if isinstance(kind, Form):
                followed.direct[variable] = kind
            elif kind == "holder":
                followed.holders.add(variable)
            else:
                followed.wrappers.add(variable)
        return grown

    def _kind_of_value(self, statement: Statement, first: int, last: int) -> Form | str | None:
        lexemes, followed = self._lexemes, self.followed
        for position in range(first, last):
            index = self._names.at.get(position)
            if index is None:
                continue
            if index in followed.direct:
                end, closable = self._value_end(position, followed.direct[index])
                if (first, last) == (position, end):
                    return Form.CLOSER if closable and end > position + 1 else followed.direct[index]
            elif index in followed.holders or index in followed.wrappers:
                end = position + 1
            else:
                continue
            if lexemes.text(end) in (".", "["):
                continue
            if (found := self._inside(statement, position, end, (first, last))) is not None:
                return "wrapper" if index in followed.wrappers and found == "holder" else found
        return None

    def _inside(self, statement: Statement, start: int, end: int, whole: Range) -> str | None:
        """`wrapper` or `holder` when the value from *start* to *end* makes up *whole* with something around it."""
        lexemes, position = self._lexemes, start
        kind: str | None = None
        for _ in range(20):
            while lexemes.text(start - 1) in ("&", "*") and not lexemes.ends_operand(start - 2):
                start -= 1
            if (start, end) == whole:
                return kind or "holder"
            bracket = lexemes.parents[start]
            closed = lexemes.closing.get(bracket)
            if bracket < whole[0] or closed is None or lexemes.text(bracket) == "[":
                return None
            if lexemes.text(bracket) == "{":
                start, end, kind = self._literal_start(bracket), closed + 1, kind or "holder"
                continue
            call = call_at(self._unit.file, bracket, whole[0])
            if call is None:
                start, end = bracket, closed + 1
            elif call.name == "append":
                start, end, kind = call.start, call.end, kind or "holder"
            elif call.name in WRAPS:
                start, end, kind = call.start, call.end, "wrapper"
            elif kind != "wrapper" and self._gives_back(call, start, position):
                start, end, kind = call.start, call.end, "holder"
            else:
                return None
        return None

    # -- parts ---------------------------------------------------------------------------------------

    def _value_end(self, position: int, form: Form) -> tuple[int, bool]:
        """Where the value at *position* ends, and whether a Close after it is the one."""
        lexemes = self._lexemes
        if form is Form.CLOSER:
            return position + 1, True
        if lexemes.text(position + 1) == "." and lexemes.text(position + 2) == "Body":
            return position + 3, True
        return position + 1, form is Form.UNKNOWN

    def _literal_start(self, brace: int) -> int:
        """Where the composite literal of *brace* begins."""
        lexemes = self._lexemes
        start = brace
        while True:
            before = lexemes.text(start - 1)
            if lexemes.is_name(start - 1) or before in (".", "struct", "map"):
                start -= 1
            elif before in ("]", "}") and (opened := lexemes.opening.get(start - 1)) is not None:
                start = opened
            elif before in ("&", "*") and not lexemes.ends_operand(start - 2):
                start -= 1
            else:
                return start

    def _gives_back(self, call: Call, start: int, position: int) -> bool:
        """Whether the function called does nothing but return what it is given, in something or as it is."""
        argument, form = self._argument(call, start, position)
        return self._resolve(callee_of(self._unit, call), argument, form) is Effect.RETURNED

    def _argument(self, call: Call, start: int, position: int) -> tuple[int, Form]:
        """Which argument of *call* the value is, and how it is closed there."""
        lexemes = self._lexemes
        entries = lexemes.split(call.opened + 1, call.end - 1)
        argument = next((i for i, (first, last) in enumerate(entries) if first <= start < last), -1)
        if lexemes.text(position + 2) == "Body":
            return argument, Form.CLOSER
        return argument, self.followed.direct.get(self._names.at.get(position, -1), Form.UNKNOWN)

    def _field_of_new(self, target: Range) -> int | None:
        """The local variable a field of which *target* is, when it was made in this function or is returned by it."""
        lexemes, names = self._lexemes, self._names
        index = names.at.get(target[0])
        if index is None or target[1] - target[0] < 3 or lexemes.text(target[0] + 1) != ".":
            return None
        variable = names.variables[index]
        if variable.is_parameter or variable.owner != self._unit.owner or variable.is_result:
            return None
        for statement in iter_statements(self._unit.body, literals=False):
            if statement.kind is Kind.RETURN and any(
                names.variable(part) == index for part in statement.values
            ):
                return index
            if statement.kind not in (Kind.ASSIGN, Kind.DECLARATION):
                continue
            for at, part in enumerate(statement.targets):
                if part[0] != variable.position:
                    continue
                if not statement.values:
                    return index
                if len(statement.values) == len(statement.targets):
                    first, last = statement.values[at]
                    if lexemes.texts[first] in ("&", "new") or lexemes.text(last - 1) == "}":
                        return index
        return None

    def _is_local(self, variable: int) -> bool:
        """Whether it ends with this call: declared in this unit."""
        return self._names.variables[variable].owner == self._unit.owner
