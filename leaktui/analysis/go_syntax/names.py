"""Which variable a name means: scopes as Go has them, within one declared function and its literals.

Law: only variables of the function are known; what is not found there is a field, a package or a global (Go spec:
"Declarations and scope").
"""

from __future__ import annotations

from dataclasses import dataclass

from leaktui.analysis.go_syntax.lexemes import Lexemes
from leaktui.analysis.go_syntax.statement import Function, Kind, Literal, Range, Statement
from leaktui.analysis.go_syntax.types import find_type_end


@dataclass(frozen=True, slots=True)
class Variable:
    """A parameter, result or local. `owner` is where the function (or literal) that declares it starts.

    `position` is that of its declaration; `type_range` its written type, None where it has none.
    """

    name: str
    position: int
    owner: int
    is_parameter: bool = False
    is_result: bool = False
    type_range: Range | None = None


class Names:
    """The variables of one declared function. `at` maps positions to indices into `variables`."""

    def __init__(self, lexemes: Lexemes, function: Function) -> None:
        self.variables: list[Variable] = []
        self.at: dict[int, int] = {}
        self._lexemes = lexemes
        self._scopes: list[dict[str, int]] = []
        self._owner = function.start
        self._enter()
        for part in (function.receiver, function.parameters):
            self._parameters(part)
        self._parameters(function.results, is_result=True)
        self._list(function.body)
        self._scopes.pop()

    def variable(self, part: Range) -> int | None:
        """The variable that *part* is, when it is nothing but its name."""
        return self.at.get(part[0]) if part[1] == part[0] + 1 else None

    def declared_by(self, statement: Statement, part: Range) -> bool:
        """Whether *part*, a target of *statement*, is declared there."""
        index = self.variable(part)
        return index is not None and self.variables[index].position == part[0]

    # -- scopes --------------------------------------------------------------------------------------

    def _enter(self) -> None:
        self._scopes.append({})

    def _declare(self, position: int, **kind: object) -> None:
        name = self._lexemes.text(position)
        if name == "_" or not self._lexemes.is_name(position):
            return
        self.at[position] = len(self.variables)
        self._scopes[-1][name] = len(self.variables)
        self.variables.append(Variable(name, position, self._owner, **kind))  # type: ignore[arg-type]

    def _parameters(self, part: Range, *, is_result: bool = False) -> None:
        entries = self._lexemes.split(*part)
        if all(find_type_end(self._lexemes, first) == last for first, last in entries):
            return  # types without names
        waiting: list[int] = []
        for first, last in entries:
            waiting.append(first)
            if last > first + 1:
                for position in waiting:
                    self._declare(
                        position,
                        is_parameter=not is_result,
                        is_result=is_result,
                        type_range=(first + 1, last),
                    )
                waiting.clear()

    # -- statements ----------------------------------------------------------------------------------

    def _list(self, statements: tuple[Statement, ...]) -> None:
        for statement in statements:
            self._visit(statement)

    def _block(self, statements: tuple[Statement, ...]) -> None:
        self._enter()
        self._list(statements)
        self._scopes.pop()

    def _visit(self, statement: Statement) -> None:
        kind = statement.kind
        if kind is Kind.LABELED:
            self._list(statement.body)
        elif kind is Kind.BLOCK:
            self._block(statement.body)
        elif kind is Kind.ASSIGN:
            self._values(statement)
            for target in statement.targets:
                self._target(statement, target)
        elif kind is Kind.DECLARATION:
            self._values(statement)
            last = statement.end if not statement.values else statement.values[0][0] - 1
            for first, end in statement.targets:
                following = self._lexemes.text(end) not in (",", "=", ";")
                self._declare(first, type_range=(end, last) if following and end < last else None)
        elif kind in (Kind.IF, Kind.FOR, Kind.SWITCH, Kind.TYPE_SWITCH, Kind.SELECT, Kind.RANGE):
            self._enter()
            self._compound(statement)
            self._scopes.pop()
        else:
            self._uses((statement.start, statement.end), statement)

    def _compound(self, statement: Statement) -> None:
        if statement.init is not None:
            self._visit(statement.init)
        if statement.kind is Kind.RANGE:
            self._values(statement)
            for target in statement.targets:
                self._target(statement, target)
        if statement.condition is not None:
            if statement.kind is Kind.TYPE_SWITCH and statement.targets:
                self._uses((statement.condition[0] + 2, statement.condition[1]), statement)
                self._declare(statement.condition[0])
            else:
                self._uses(statement.condition, statement)
        if statement.post is not None:
            self._visit(statement.post)
        if statement.kind not in (Kind.SWITCH, Kind.TYPE_SWITCH, Kind.SELECT):
            self._block(statement.body)
        if statement.orelse is not None:
            self._visit(statement.orelse)
        for clause in statement.clauses:
            self._enter()
            if clause.comm is not None:
                self._visit(clause.comm)
            else:
                self._uses(clause.values, statement)
            self._list(clause.body)
            self._scopes.pop()

    def _values(self, statement: Statement) -> None:
        for value in statement.values:
            self._uses(value, statement)

    def _target(self, statement: Statement, target: Range) -> None:
        first, last = target
        if statement.operator == ":=" and last == first + 1:
            known = self._scopes[-1].get(self._lexemes.text(first))
            if known is None or statement.kind is Kind.RANGE:
                self._declare(first)
            else:
                self.at[first] = known
        else:
            self._uses(target, statement)

    def _uses(self, part: Range, statement: Statement) -> None:
        lexemes = self._lexemes
        literals = {literal.start: literal for literal in statement.literals}
        position = part[0]
        while position < part[1]:
            literal = literals.get(position)
            if literal is not None:
                self._literal(literal)
                position = literal.end
                continue
            if lexemes.is_name(position) and lexemes.text(position - 1) != "." and not self._is_key(position):
                index = self._find(lexemes.text(position))
                if index is not None:
                    self.at[position] = index
            position += 1

    def _is_key(self, position: int) -> bool:
        """Whether it names a field in a composite literal."""
        lexemes = self._lexemes
        if lexemes.text(position + 1) != ":" or lexemes.text(lexemes.parents[position]) != "{":
            return False
        return lexemes.text(position - 1) in ("{", ",")

    def _find(self, name: str) -> int | None:
        return next((scope[name] for scope in reversed(self._scopes) if name in scope), None)

    def _literal(self, literal: Literal) -> None:
        owner, self._owner = self._owner, literal.start
        self._enter()
        self._parameters(literal.parameters)
        self._parameters(literal.results, is_result=True)
        self._list(literal.body)
        self._scopes.pop()
        self._owner = owner
