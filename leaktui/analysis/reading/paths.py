"""Every way through a function, with how things stand on each.

Law: loops are walked until nothing new comes of it, the number of states is bounded, and what this cannot follow
(goto, statements left opaque) ends the path and says so in `followed`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from leaktui.analysis.go_syntax.statement import Clause, Kind, Range, Statement
from leaktui.analysis.reading.conditions import Conditions, State, States, bounded
from leaktui.analysis.reading.effect import OWED, Departure, Effect, Exit, Hold, Touch
from leaktui.analysis.reading.unit import Unit

_ROUNDS = 8
_ENDINGS = (
    "panic",
    "os.Exit",
    "runtime.Goexit",
    "log.Fatal",
    "log.Fatalf",
    "log.Fatalln",
    "log.Panic",
    "log.Panicf",
)
_NOTHING: States = frozenset()
_HANDED_ON = frozenset({Hold.STORED, Hold.PASSED, Hold.RETURNED})


@dataclass
class Outcome:
    """What all paths together did. `ends` are the holds with which the function was left without owing anything."""

    departures: list[Departure] = field(default_factory=list)
    ends: set[Hold] = field(default_factory=set)
    touches: list[Touch] = field(default_factory=list)
    risky: list[Statement] = field(default_factory=list)
    released_at: list[Touch] = field(default_factory=list)
    wrapper_released: bool = False
    followed: bool = True
    mixed: set[int] = field(default_factory=set)
    """Starts of the departures that other paths come to with nothing left to release: doing it there would be wrong."""
    taken_back: bool = False
    """Whether it is closed on a path that stored, sent or returned it, too."""
    reclaimed: set[int] = field(default_factory=set)
    """Positions at which it was passed on, and yet closed here afterwards: passing it on gave nothing away."""

    def lines(self, *exits: Exit) -> list[int]:
        """Lines of the departures of these kinds, in order."""
        return sorted({item.line for item in self.departures if not exits or item.exit in exits})


@dataclass
class _Target:
    """A statement that break or continue can go to."""

    label: str
    loop: Statement | None
    is_plain: bool = False
    """A labeled statement that only a break with its label leaves."""
    breaks: set[State] = field(default_factory=set)
    continues: set[State] = field(default_factory=set)


class PathWalk:
    """Walks *unit* from the states it is given. `read` tells what a statement does."""

    def __init__(
        self,
        unit: Unit,
        conditions: Conditions,
        read: Callable[[Statement], tuple[Touch, ...]],
        *,
        subject: int | None = None,
        declared: int = -1,
        ignored: frozenset[int] = frozenset(),
        acquired: Hold = Hold.UNCHECKED,
        spoils: frozenset[Hold] = _HANDED_ON,
    ) -> None:
        self._unit = unit
        self._lexemes = unit.lexemes
        self._conditions = conditions
        self._read = read
        self._subject = subject
        self._declared = declared
        self._ignored = ignored
        self._acquired = acquired
        self._spoils = spoils
        self._touches: dict[int, tuple[Touch, ...]] = {}
        self._targets: list[_Target] = []
        self._clause_entry: States = _NOTHING
        self._falls: States = _NOTHING
        self._label = ""
        self.outcome = Outcome()

    def run(self, start: State) -> Outcome:
        """Walk the whole body beginning with *start*."""
        left = self._list(self._unit.body, frozenset({start}))
        end = self._unit.end - 1
        self._leave(left, Exit.END, self._lexemes.lines[end], end)
        unique = {
            (item.exit, item.start, item.truths, item.unchecked): item for item in self.outcome.departures
        }
        self.outcome.departures = sorted(unique.values(), key=lambda item: (item.start, item.exit.value))
        return self.outcome

    # -- statements ----------------------------------------------------------------------------------

    def _list(self, statements: Iterable[Statement], states: States) -> States:
        for statement in statements:
            if not states:
                break
            states = self._statement(statement, bounded(states))
        return states

    def _statement(self, statement: Statement, states: States) -> States:
        kind = statement.kind
        label, self._label = self._label, ""
        if kind is Kind.BLOCK:
            return self._list(statement.body, states)
        if kind is Kind.LABELED:
            inner = statement.body[0] if statement.body else None
            if inner is None:
                return states
            if inner.kind in (Kind.FOR, Kind.RANGE, Kind.SWITCH, Kind.TYPE_SWITCH, Kind.SELECT):
                self._label = statement.label
                return self._statement(inner, states)
            target = _Target(statement.label, None, is_plain=True)
            self._targets.append(target)
            left = self._statement(inner, states)
            self._targets.pop()
            return left | frozenset(target.breaks)
        if kind is Kind.IF:
            return self._if(statement, states)
        if kind in (Kind.FOR, Kind.RANGE):
            return self._loop(statement, states, label)
        if kind in (Kind.SWITCH, Kind.TYPE_SWITCH, Kind.SELECT):
            return self._choice(statement, states, label)
        if kind is Kind.BRANCH:
            return self._branch(statement, states)
        if kind is Kind.OPAQUE:
            self.outcome.followed = False
            return _NOTHING
        states = self._apply(statement, states)
        if kind is Kind.RETURN:
            self._leave(states, Exit.RETURN, statement.line, statement.start)
            return _NOTHING
        if kind is Kind.EXPRESSION and (ending := self._ending(statement)):
            if ending == "panic" or ending.startswith("log.Panic"):
                self._leave(states, Exit.PANIC, statement.line, statement.start)
            return _NOTHING
        return states

    def _ending(self, statement: Statement) -> str:
        """The name of a call after which nothing comes, empty for other statements."""
        at = statement.start
        while self._lexemes.is_name(at) or self._lexemes.text(at) == ".":
            at += 1
        if self._lexemes.text(at) != "(" or self._lexemes.closing.get(at) != statement.end - 1:
            return ""
        name = "".join(self._lexemes.texts[statement.start : at])
        last = name.rpartition(".")[2]
        in_test = name[:2] in ("t.", "b.") and last in (
            "Fatal",
            "Fatalf",
            "FailNow",
            "Skip",
            "Skipf",
            "SkipNow",
        )
        return name if name in _ENDINGS or in_test else ""

    def _if(self, statement: Statement, states: States) -> States:
        if statement.init is not None:
            states = self._statement(statement.init, states)
        states = self._apply(statement, states)
        yes, no = self._conditions.split(states, statement.condition)
        left = self._list(statement.body, yes)
        if statement.orelse is not None:
            return left | self._statement(statement.orelse, no)
        return left | no

    def _loop(self, statement: Statement, states: States, label: str) -> States:
        if statement.init is not None:
            states = self._statement(statement.init, states)
        target = _Target(label, statement)
        self._targets.append(target)
        endless = statement.kind is Kind.FOR and statement.condition is None
        seen: set[State] = set()
        out: set[State] = set()
        work = states
        for _ in range(_ROUNDS):
            seen |= work
            work = self._apply(statement, work)
            if statement.kind is Kind.RANGE:
                out |= work
                work = self._assigned(statement, work)
                yes: States = work
            else:
                yes, no = self._conditions.split(work, statement.condition)
                if not endless:
                    out |= no
            left = self._list(statement.body, yes)
            left = self._turn(statement, left, Exit.TURN, statement.end_line, statement.end - 1)
            left |= frozenset(target.continues)
            target.continues.clear()
            if statement.post is not None and left:
                left = self._statement(statement.post, left)
            work = frozenset(left - seen)
            if not work:
                break
        self._targets.pop()
        return bounded(out | target.breaks)

    def _choice(self, statement: Statement, states: States, label: str) -> States:
        if statement.init is not None:
            states = self._statement(statement.init, states)
        states = self._apply(statement, states)
        target = _Target(label, None)
        self._targets.append(target)
        left: set[State] = set()
        rest = states
        fallen: States = _NOTHING
        default: Clause | None = None
        default_fallen: States = _NOTHING
        plain = statement.kind is Kind.SWITCH and statement.condition is None
        for clause in statement.clauses:
            entry = states
            if clause.comm is not None:
                entry = self._statement(clause.comm, entry)
            elif plain and not clause.is_default:
                entry, rest = self._conditions.split(rest, clause.values)
            elif clause.is_default and statement.kind is not Kind.SELECT:
                default, default_fallen = clause, fallen
                fallen = _NOTHING
                continue
            fallen = self._clause(clause, entry | fallen, left)
        if default is not None:
            self._clause(default, (rest if plain else states) | default_fallen, left)
        elif statement.kind is not Kind.SELECT:
            left |= rest if plain else states
        self._targets.pop()
        return bounded(left | target.breaks)

    def _clause(self, clause: Clause, entry: States, left: set[State]) -> States:
        """Walk a clause; returns what falls through to the next one."""
        before, self._falls = self._falls, _NOTHING
        left |= self._list(clause.body, entry)
        fallen, self._falls = self._falls, before
        return fallen

    def _branch(self, statement: Statement, states: States) -> States:
        word = statement.operator
        if word == "fallthrough":
            self._falls = states
            return _NOTHING
        if word == "goto":
            self.outcome.followed = False
            return _NOTHING
        for target in reversed(self._targets):
            if statement.label and target.label != statement.label:
                if target.loop is not None:
                    states = self._scope_end(target.loop, states, Exit.BREAK, statement.line, statement.start)
                continue
            if word == "continue" and target.loop is None:
                continue
            if not statement.label and target.is_plain:
                continue
            if word == "break":
                if target.loop is not None:
                    states = self._scope_end(target.loop, states, Exit.BREAK, statement.line, statement.start)
                target.breaks |= states
            elif target.loop is not None:
                target.continues |= self._turn(
                    target.loop, states, Exit.CONTINUE, statement.line, statement.start
                )
            return _NOTHING
        return _NOTHING

    # -- leaving -------------------------------------------------------------------------------------

    def _turn(self, loop: Statement, states: States, exit: Exit, line: int, start: int) -> States:
        """A turn of *loop* ends: a variable of the loop's body is gone."""
        return self._scope_end(loop, states, exit, line, start)

    def _scope_end(self, loop: Statement, states: States, exit: Exit, line: int, start: int) -> States:
        if not loop.start <= self._declared < loop.end:
            return states
        if any(state.hold in self._spoils for state in states):
            self.outcome.mixed.add(start)
        self.outcome.ends |= {state.hold for state in states if state.hold in _HANDED_ON}
        self._depart([state for state in states if state.hold in OWED], exit, line, start)
        return frozenset(
            replace(state, hold=Hold.NONE) if state.hold is not Hold.DEFERRED else state for state in states
        )

    def _leave(self, states: States, exit: Exit, line: int, start: int) -> None:
        for state in states:
            if state.hold not in OWED:
                self.outcome.ends.add(state.hold)
        if any(state.hold in self._spoils for state in states):
            self.outcome.mixed.add(start)
        owing = [state for state in states if state.hold in OWED and not state.covered]
        if any(state.hold in OWED and state.covered for state in states):
            self.outcome.ends.add(Hold.DEFERRED)
        self._depart(owing, exit, line, start)

    def _depart(self, states: Iterable[State], exit: Exit, line: int, start: int) -> None:
        for state in states:
            unchecked = state.hold is Hold.UNCHECKED
            self.outcome.departures.append(Departure(exit, line, start, state.truths, unchecked))

    # -- effects -------------------------------------------------------------------------------------

    def _assigned(self, statement: Statement, states: States) -> States:
        names, lexemes = self._unit.names, self._lexemes
        changed = {index for part in statement.targets if (index := names.at.get(part[0])) is not None}
        states = self._conditions.forget(states, changed)
        for target, value in zip(statement.targets, statement.values, strict=False):
            variable, text = names.variable(target), lexemes.spelled(*value)
            if (
                variable is not None
                and text in ("true", "false")
                and statement.operator in ("=", ":=", "var")
            ):
                name = names.variables[variable].name
                states = self._conditions.learn(states, variable, name, text == "true")
        return states

    def touches_of(self, statement: Statement) -> tuple[Touch, ...]:
        if statement.start not in self._touches:
            found = tuple(item for item in self._read(statement) if item.position not in self._ignored)
            self._touches[statement.start] = found
            self.outcome.touches += found
        return self._touches[statement.start]

    def _apply(self, statement: Statement, states: States) -> States:
        touches = self.touches_of(statement)
        if any(state.hold in OWED for state in states) and self._may_panic(statement, touches):
            self.outcome.risky.append(statement)
        acquires = False
        for touch in touches:
            if touch.effect is Effect.ACQUIRED:
                acquires = True
                continue
            states = frozenset(self._touched(state, touch, statement) for state in states)
        if statement.kind in (Kind.ASSIGN, Kind.INCREMENT, Kind.DECLARATION):
            if acquires:
                states = frozenset(self._reacquired(state, statement) for state in states)
            states = self._assigned(statement, states)
        elif acquires:
            states = frozenset(self._reacquired(state, statement) for state in states)
        if acquires:
            states = frozenset(
                replace(state, hold=self._acquired, wrapper_released=False) for state in states
            )
        return states

    def _reacquired(self, state: State, statement: Statement) -> State:
        if state.hold in OWED:
            self._depart([state], Exit.AGAIN, statement.line, statement.start)
        elif state.hold is Hold.DEFERRED:
            self._depart([state], Exit.DEFERRED_AGAIN, statement.line, statement.start)
        return state

    def _touched(self, state: State, touch: Touch, statement: Statement) -> State:
        effect = touch.effect
        if effect is Effect.COVERED:
            if state.hold in OWED:
                return replace(state, hold=Hold.DEFERRED, covered=True)
            return replace(state, covered=True)
        if effect is Effect.WRAPPER_RELEASED:
            self.outcome.wrapper_released = True
            return replace(state, wrapper_released=True)
        if state.hold not in OWED:
            if effect in (Effect.RELEASED, Effect.DEFERRED) and state.hold in (Hold.STORED, Hold.PASSED):
                self.outcome.taken_back |= state.hold is Hold.STORED
                if state.hold is Hold.PASSED:
                    self.outcome.reclaimed |= self._passed_before(touch.position)
                return replace(state, hold=Hold.RELEASED)
            if effect in (Effect.STORED, Effect.RETURNED) and state.hold is Hold.DEFERRED:
                self.outcome.taken_back = True
            return state
        if effect is Effect.RELEASED:
            self.outcome.released_at.append(touch)
            return replace(state, hold=Hold.RELEASED)
        if effect is Effect.DEFERRED:
            return replace(state, hold=Hold.DEFERRED)
        if effect is Effect.STORED:
            return replace(state, hold=Hold.STORED)
        if effect is Effect.PASSED:
            return replace(state, hold=Hold.PASSED)
        if effect is Effect.RETURNED:
            return replace(state, hold=Hold.RETURNED)
        if effect is Effect.RETURNED_WRAPPED:
            self._depart([state], Exit.WRAPPED, statement.line, statement.start)
            return replace(state, hold=Hold.RETURNED)
        if effect is Effect.OVERWRITTEN:
            self._depart([state], Exit.OVERWRITTEN, statement.line, statement.start)
            return replace(state, hold=Hold.NONE)
        if effect is Effect.WRAPPED_OVER:
            self._depart([state], Exit.WRAPPED_OVER, statement.line, statement.start)
            return replace(state, hold=Hold.NONE)
        return state

    def _passed_before(self, position: int) -> set[int]:
        return {
            item.position
            for touches in self._touches.values()
            for item in touches
            if item.effect is Effect.PASSED and item.position < position
        }

    def _may_panic(self, statement: Statement, touches: tuple[Touch, ...]) -> bool:
        """Whether something in *statement* other than the release can panic: a call, an index, an assertion."""
        if any(touch.effect in (Effect.RELEASED, Effect.DEFERRED, Effect.ACQUIRED) for touch in touches):
            return False
        if statement.kind in (Kind.BRANCH, Kind.EMPTY, Kind.DECLARATION, Kind.RETURN):
            return False
        compound = (Kind.FOR, Kind.RANGE, Kind.SELECT, Kind.SWITCH, Kind.TYPE_SWITCH, Kind.IF)
        if statement.kind in compound and statement.condition is None:
            return False
        part: Range = statement.condition or (statement.start, statement.end)
        return any(
            self._lexemes.texts[at] in ("(", "[") and self._lexemes.ends_operand(at - 1)
            for at in range(*part)
        )
