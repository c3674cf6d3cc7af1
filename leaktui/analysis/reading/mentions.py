"""Every mention of the followed value, and what it means for it.

Law: a mention is a use unless its surroundings say more. What stands for the value besides its variable, `followers`
finds.
"""

from __future__ import annotations

from collections.abc import Iterator

from leaktui.analysis.go_syntax.statement import Kind, Literal, Range, Statement, iter_statements
from leaktui.analysis.reading.callees import KEEPS_OPEN, WRAPS
from leaktui.analysis.reading.effect import Effect, Touch
from leaktui.analysis.reading.followers import Followers
from leaktui.analysis.reading.subject import Call, Form, call_at, callee_of
from leaktui.analysis.reading.unit import iter_positions

_COMPARISONS = frozenset({"==", "!=", "<", "<=", ">", ">=", "+", "-", "&&", "||", "*"})


class Mentions(Followers):
    """Reads what statements do with a value that begins in one variable."""

    def read(self, statement: Statement) -> tuple[Touch, ...]:
        """What *statement* (without its blocks) does, in order."""
        found: list[Touch] = []
        mine = self._acquired is not None and statement.start == self._acquired.start
        for position in iter_positions(statement):
            index = self._names.at.get(position)
            if index is None or self._names.variables[index].position == position:
                continue
            touch = self._touch(statement, position, index)
            if touch is not None:
                found.append(touch)
        if any(touch.effect is Effect.RETURNED for touch in found):
            # What is returned beside its wrapper can be closed by whoever gets both.
            found = [touch for touch in found if touch.effect is not Effect.RETURNED_WRAPPED]
        for literal in statement.literals:
            found += self._in_literal(statement, literal)
        # Another Close on the same value: the call that closes comes before what its result is assigned to.
        if not mine and (touch := self._overwritten(statement)) is not None:
            found.append(touch)
        if mine:
            found.append(Touch(Effect.ACQUIRED, statement.start, statement.line))
        return tuple(found)

    # -- one mention ---------------------------------------------------------------------------------

    def _touch(self, statement: Statement, position: int, index: int) -> Touch | None:
        followed = self.followed
        if index in followed.direct:
            return self._direct(statement, position, followed.direct[index])
        if index in followed.holders:
            return self._holder(statement, position)
        if index in followed.wrappers:
            return self._wrapper(statement, position)
        return None

    def _direct(self, statement: Statement, position: int, form: Form) -> Touch | None:
        lexemes = self._lexemes
        end, closable = self._value_end(position, form)
        if lexemes.text(end) == ".":
            if closable and lexemes.text(end + 1) == "Close":
                called = lexemes.text(end + 2) == "("
                effect = Effect.RELEASED if called else Effect.PASSED
                if statement.kind is Kind.DEFER:
                    effect = Effect.DEFERRED
                return self._made(effect, position, lexemes.spelled(position, end + 2), statement)
            return None
        if lexemes.text(end) == "[":
            return None
        return self._surroundings(statement, position, end, closable)

    def _holder(self, statement: Statement, position: int) -> Touch | None:
        lexemes = self._lexemes
        end = position + 1
        while lexemes.text(end) == "." and lexemes.is_name(end + 1):
            end += 2
        if lexemes.text(end) == "(" and lexemes.text(end - 1) in ("Close", "Stop", "Shutdown", "close"):
            effect = Effect.DEFERRED if statement.kind is Kind.DEFER else Effect.PASSED
            return self._made(effect, position, lexemes.spelled(position, end), statement)
        if end != position + 1 or lexemes.text(end) == "[":
            return None
        return self._surroundings(statement, position, end, True)

    def _wrapper(self, statement: Statement, position: int) -> Touch | None:
        lexemes = self._lexemes
        if lexemes.text(position + 1) == ".":
            if lexemes.text(position + 2) == "Close":
                spelled = lexemes.spelled(position, position + 3)
                return self._made(Effect.WRAPPER_RELEASED, position, spelled, statement)
            return None
        touch = self._surroundings(statement, position, position + 1, True)
        if touch is not None and touch.effect is Effect.RETURNED:
            return self._made(Effect.RETURNED_WRAPPED, position, touch.text, statement)
        return touch if touch is not None and touch.effect is Effect.STORED else None

    # -- what is around it ---------------------------------------------------------------------------

    def _surroundings(self, statement: Statement, start: int, end: int, closable: bool) -> Touch | None:
        """What becomes of the value from *start* to *end*, from the inside out."""
        lexemes = self._lexemes
        position, wrapped, composed = start, False, False
        for _ in range(40):
            while lexemes.text(start - 1) in ("&", "*") and not lexemes.ends_operand(start - 2):
                start -= 1
            if lexemes.text(start - 1) in _COMPARISONS or lexemes.text(end) in _COMPARISONS:
                return None
            if lexemes.text(end) == "." or lexemes.text(end) == "[":
                return None
            bracket = lexemes.parents[start]
            if bracket < statement.start or not self._within(statement, bracket):
                return self._at_top(statement, position, start, end, wrapped, composed, closable)
            text = lexemes.text(bracket)
            closed = lexemes.closing.get(bracket)
            if closed is None or text == "[":
                return None
            if text == "{":
                composed = True
                start, end = self._literal_start(bracket), closed + 1
                continue
            call = call_at(self._unit.file, bracket)
            if call is None:
                if lexemes.ends_operand(bracket - 1):
                    return self._made(Effect.PASSED, position, "a function value", statement)
                start, end = bracket, closed + 1
                continue
            if call.name == "append":
                composed, start, end = True, call.start, call.end
                continue
            if call.name in WRAPS:
                wrapped, start, end = True, call.start, call.end
                continue
            if call.name in KEEPS_OPEN or wrapped:
                return None
            if self._gives_back(call, start, position):
                composed, start, end = True, call.start, call.end
                continue
            return self._passed(statement, position, start, call, closable)
        return None

    def _within(self, statement: Statement, bracket: int) -> bool:
        return statement.start <= bracket < statement.end

    def _passed(
        self, statement: Statement, position: int, start: int, call: Call, closable: bool
    ) -> Touch | None:
        lexemes = self._lexemes
        argument, form = self._argument(call, start, position)
        callee = callee_of(self._unit, call)
        effect = self._resolve(callee, argument, form) or Effect.PASSED
        deferred = statement.kind is Kind.DEFER and call.end == statement.end
        if effect is Effect.ACQUIRED:  # the function is known, and leaves it alone
            return None
        if deferred and effect in (Effect.RELEASED, Effect.PASSED):
            effect = Effect.DEFERRED
        return Touch(
            effect,
            position,
            lexemes.lines[position],
            lexemes.spelled(call.start, call.end),
            deferred=deferred,
            callee=callee,
            argument=argument,
        )

    def _at_top(
        self,
        statement: Statement,
        position: int,
        start: int,
        end: int,
        wrapped: bool,
        composed: bool,
        closable: bool,
    ) -> Touch | None:
        lexemes = self._lexemes
        if statement.kind is Kind.RETURN:
            effect = Effect.RETURNED_WRAPPED if wrapped and not composed else Effect.RETURNED
            return self._made(effect, position, lexemes.spelled(start, end), statement)
        if statement.kind is Kind.SEND:
            if statement.values and statement.values[0][0] <= start:
                text = lexemes.spelled(*statement.targets[0])
                return Touch(Effect.STORED, position, statement.line, text, sends=True)
            return None
        if statement.kind not in (Kind.ASSIGN, Kind.DECLARATION):
            return None
        target = self._target_of(statement, start)
        if target is None:
            return None
        text = lexemes.spelled(*target)
        variable = self._names.variable(target)
        if text == "_" or (variable is not None and self._is_local(variable)):
            return None  # followed as well, see _find_followers
        if wrapped and not composed and text.endswith(".Body"):
            return self._made(Effect.WRAPPED_OVER, position, text, statement)
        if text.endswith(".Body") and self._names.at.get(target[0]) in self.followed.direct:
            return None  # put back where it came from, with something around it
        if wrapped and not composed:
            return None
        if self._field_of_new(target) is not None:
            return None  # its owner is followed as a holder
        return self._made(Effect.STORED, position, text, statement)

    def _target_of(self, statement: Statement, start: int) -> Range | None:
        """The target that the value at *start* is assigned to, when it is the whole of it."""
        for index, (first, last) in enumerate(statement.values):
            if first <= start < last:
                if len(statement.values) == len(statement.targets):
                    return statement.targets[index]
                return statement.targets[0] if statement.targets else None
        return None

    def _overwritten(self, statement: Statement) -> Touch | None:
        if statement.kind is not Kind.ASSIGN or statement.operator not in ("=", ":="):
            return None
        for index, target in enumerate(statement.targets):
            first, last = target
            variable = self._names.at.get(first)
            if variable is None or variable not in self.followed.direct:
                continue
            form = self.followed.direct[variable]
            if last == first + 1 and self._names.variables[variable].position != first:
                if self._mentions_it(statement):
                    return None
                return self._made(Effect.OVERWRITTEN, first, self._lexemes.text(first), statement)
            if form is Form.RESPONSE and last == first + 3 and self._lexemes.text(last - 1) == "Body":
                values = statement.values
                value = values[index] if len(values) == len(statement.targets) else values[0]
                if not self._mentions_it(statement, value):
                    text = self._lexemes.spelled(first, last)
                    return self._made(Effect.OVERWRITTEN, first, text, statement)
        return None

    def _mentions_it(self, statement: Statement, part: Range | None = None) -> bool:
        """Whether the right side mentions the value (or a wrapper that still leads to it)."""
        known = self.followed.direct.keys() | self.followed.holders
        for first, last in (part,) if part is not None else statement.values:
            if any(self._names.at.get(position) in known for position in range(first, last)):
                return True
        return False

    def _made(self, effect: Effect, position: int, text: str, statement: Statement) -> Touch:
        return Touch(effect, position, self._lexemes.lines[position], text)

    # -- literals ------------------------------------------------------------------------------------

    def _in_literal(self, statement: Statement, literal: Literal) -> Iterator[Touch]:
        """What a function literal in *statement* does with the value, as one."""
        inner: list[Touch] = []
        for nested in iter_statements(literal.body):
            for position in iter_positions(nested):
                index = self._names.at.get(position)
                if index is not None and (touch := self._touch(nested, position, index)) is not None:
                    inner.append(touch)
        effects = {touch.effect for touch in inner}
        released = next((t for t in inner if t.effect in (Effect.RELEASED, Effect.DEFERRED)), None)
        called_here = self._lexemes.text(literal.end) == "("
        if released is not None:
            effect = Effect.PASSED
            if statement.kind is Kind.DEFER and called_here:
                effect = Effect.COVERED
            elif called_here and statement.kind is Kind.EXPRESSION:
                effect = Effect.RELEASED
            yield Touch(
                effect, literal.start, released.line, released.text, deferred=effect is Effect.COVERED
            )
        elif Effect.PASSED in effects:
            passed = next(touch for touch in inner if touch.effect is Effect.PASSED)
            deferred = statement.kind is Kind.DEFER and called_here
            yield Touch(
                Effect.COVERED if deferred else Effect.PASSED,
                literal.start,
                passed.line,
                passed.text,
                callee=passed.callee,
                argument=passed.argument,
            )
        elif Effect.STORED in effects:
            yield next(touch for touch in inner if touch.effect is Effect.STORED)
