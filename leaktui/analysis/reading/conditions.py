"""What a condition says on each of its ways out.

Law: a condition splits at && and || and !; an atom is remembered by its words, with variables told apart, as long
as nothing in it is assigned. Atoms that call are never remembered.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from leaktui.analysis.go_syntax.lexemes import Lexemes
from leaktui.analysis.go_syntax.names import Names
from leaktui.analysis.go_syntax.statement import Range
from leaktui.analysis.reading.effect import OWED, Hold

_FAILS = ("errors.Is", "errors.As", "os.IsNotExist", "os.IsExist", "os.IsPermission", "os.IsTimeout")
_MOST_STATES = 400


@dataclass(frozen=True, slots=True)
class State:
    """A path so far. `covered`: a deferred literal releases what the variable holds in the end."""

    hold: Hold
    truths: frozenset[tuple[str, bool]] = frozenset()
    covered: bool = False
    wrapper_released: bool = False


States = frozenset[State]


def bounded(states: Iterable[State]) -> States:
    """*states* without their memory of conditions when there are too many."""
    found = frozenset(states)
    if len(found) > _MOST_STATES:
        found = frozenset(replace(state, truths=frozenset()) for state in found)
    return found


class Conditions:
    """Splits states at conditions. `subject` is the followed variable, `failure` the error (or ok) beside it."""

    def __init__(
        self,
        lexemes: Lexemes,
        names: Names,
        subjects: frozenset[int],
        failure: int | None,
        *,
        ok: bool = False,
    ) -> None:
        self._lexemes = lexemes
        self._names = names
        self._subjects = subjects
        self._failure = failure
        self._ok = ok
        self._mentions: dict[str, frozenset[int]] = {}

    def split(self, states: States, condition: Range | None) -> tuple[States, States]:
        """The states in which *condition* holds, and those in which it does not."""
        if condition is None:
            return states, frozenset()
        yes: set[State] = set()
        no: set[State] = set()
        for state in states:
            yes |= self._assume(state, condition, True, 0)
            no |= self._assume(state, condition, False, 0)
        return bounded(yes), bounded(no)

    def forget(self, states: States, variables: Iterable[int]) -> States:
        """*states* after *variables* were assigned."""
        gone = frozenset(variables)
        if not gone:
            return states
        return frozenset(self._forgotten(state, gone) for state in states)

    def flag_of(self, key: str) -> frozenset[int] | None:
        """The variables of a remembered atom that is a bare name or selector; None for other atoms."""
        return self._mentions.get(key) if key.replace(".", "").replace("#", "").isidentifier() else None

    def learn(self, states: States, variable: int, name: str, value: bool) -> States:
        """*states* after the *variable* of that *name* was made true or false."""
        key = f"{name}#{variable}"
        self._mentions[key] = frozenset({variable})
        return frozenset(replace(state, truths=state.truths | {(key, value)}) for state in states)

    def _forgotten(self, state: State, gone: frozenset[int]) -> State:
        kept = frozenset(
            truth for truth in state.truths if not self._mentions.get(truth[0], frozenset()) & gone
        )
        hold = state.hold
        if hold is Hold.UNCHECKED and self._failure in gone:
            hold = Hold.HELD  # whether it failed can no longer be told
        if kept == state.truths and hold is state.hold:
            return state
        return replace(state, truths=kept, hold=hold)

    def _assume(self, state: State, part: Range, value: bool, depth: int) -> set[State]:
        lexemes = self._lexemes
        first, last = part
        while lexemes.text(first) == "(" and lexemes.closing.get(first) == last - 1:
            first, last = first + 1, last - 1
        if first >= last or depth > 20:
            return {state}
        for operator, all_of in (("||", False), ("&&", True)):
            parts = lexemes.split(first, last, operator)
            if len(parts) < 2:
                continue
            if value is all_of:
                return self._all(state, parts, value, depth)
            found: set[State] = set()
            for index in range(len(parts)):
                before = self._all(state, parts[:index], not value, depth)
                for item in before:
                    found |= self._assume(item, parts[index], value, depth + 1)
            return found
        if lexemes.text(first) == "!" and lexemes.text(first + 1) != "=":
            return self._assume(state, (first + 1, last), not value, depth + 1)
        return self._atom(state, first, last, value)

    def _all(self, state: State, parts: tuple[Range, ...], value: bool, depth: int) -> set[State]:
        states = {state}
        for part in parts:
            states = {after for item in states for after in self._assume(item, part, value, depth + 1)}
        return states

    def _atom(self, state: State, first: int, last: int, value: bool) -> set[State]:
        lexemes, at = self._lexemes, self._names.at
        texts = lexemes.texts[first:last]
        if len(texts) == 1 and texts[0] in ("true", "false"):
            return {state} if (texts[0] == "true") is value else set()
        if len(texts) >= 3 and texts[1] in ("==", "!=") and "(" not in texts and not {"<", ">"} & set(texts):
            if texts[0] == "nil" and len(texts) == 3:
                first, texts = first + 2, [texts[2], texts[1], texts[0]]
            if texts[2:] == ["nil"]:
                is_nil = value is (texts[1] == "==")
                variable = at.get(first)
                if variable is not None and variable == self._failure and not self._ok:
                    return self._failed(state, not is_nil)
                if variable is not None and variable in self._subjects and state.hold in OWED:
                    return {replace(state, hold=Hold.NONE if is_nil else Hold.HELD)}
            elif at.get(first) == self._failure and self._failure is not None and not self._ok:
                some_error = value is (texts[1] == "==")
                return self._failed(state, True) if some_error else {state}
        if (
            texts[1:4] == [".", "Body", "=="]
            and texts[4:] == ["nil"]
            and value
            and at.get(first) in self._subjects
        ):
            return {replace(state, hold=Hold.NONE)} if state.hold in OWED else {state}
        if len(texts) == 1 and self._ok and at.get(first) == self._failure:
            return self._failed(state, not value)
        if value and "(" in texts and "".join(texts[: texts.index("(")]) in _FAILS:
            inside = {at.get(position) for position in range(first, last)}
            if self._failure is not None and self._failure in inside:
                return self._failed(state, True)
        if "(" in texts or "<-" in texts:
            return {state}
        key, negated = self._key(first, last)
        truth = value is not negated
        known = dict(state.truths).get(key)
        if known is not None:
            return {state} if known is truth else set()
        return {replace(state, truths=state.truths | {(key, truth)})}

    def _failed(self, state: State, failed: bool) -> set[State]:
        key = f"failure#{self._failure}"
        known = dict(state.truths).get(key)
        if known is not None:
            return {state} if known is failed else set()
        if state.hold is not Hold.UNCHECKED:
            return {state}
        self._mentions[key] = frozenset() if self._failure is None else frozenset({self._failure})
        hold = Hold.NONE if failed else Hold.HELD
        return {replace(state, hold=hold, truths=state.truths | {(key, failed)})}

    def _key(self, first: int, last: int) -> tuple[str, bool]:
        """The atom's words, `!=` turned into `==`."""
        lexemes, at = self._lexemes, self._names.at
        words: list[str] = []
        variables: set[int] = set()
        negated = False
        for position in range(first, last):
            text = lexemes.texts[position]
            variable = at.get(position)
            if variable is not None:
                variables.add(variable)
                text = f"{text}#{variable}"
            elif text == "!=":
                text, negated = "==", not negated
            words.append(text)
        key = "".join(words)
        self._mentions[key] = frozenset(variables)
        return key, negated
