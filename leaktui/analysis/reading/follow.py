"""One acquired value followed through its function, and what functions of the package do with it when passed on."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial

from leaktui.analysis.go_syntax.names import Variable
from leaktui.analysis.go_syntax.statement import Kind, Statement, iter_statements
from leaktui.analysis.reading.conditions import Conditions, State
from leaktui.analysis.reading.effect import Callee, Departure, Effect, Exit, Hold, Touch
from leaktui.analysis.reading.mentions import Mentions
from leaktui.analysis.reading.paths import Outcome, PathWalk
from leaktui.analysis.reading.subject import Form, Subject
from leaktui.analysis.reading.unit import GoFile, Unit, unit_of

_DEEPEST = 3
_RELEASES = (Effect.RELEASED, Effect.DEFERRED, Effect.COVERED)


@dataclass(frozen=True)
class Reading:
    """What became of a value. `flags` are bare conditions it was read under: `fixed` is False, say.

    `acquired` is None where the value came in as a parameter. `lent`: it was passed to functions that are taken not to
    close it, because it is closed here afterwards. `readers` are the variables through which it is read.
    """

    unit: Unit
    variable: Variable
    form: Form
    acquired: Statement | None
    outcome: Outcome
    touches: tuple[Touch, ...]
    all_touches: tuple[Touch, ...]
    flags: tuple[tuple[str, bool], ...] = ()
    subject: Subject | None = None
    lent: bool = False
    readers: frozenset[int] = frozenset()

    @property
    def name(self) -> str:
        return self.variable.name

    @property
    def noun(self) -> str:
        """What has to be closed: `resp.Body`."""
        return f"{self.name}.Body" if self.form is Form.RESPONSE else self.name

    @property
    def releases(self) -> tuple[Touch, ...]:
        """The releases that are reached on some path of this reading."""
        return tuple(touch for touch in self.touches if touch.effect in _RELEASES)

    @property
    def departures(self) -> tuple[Departure, ...]:
        return tuple(self.outcome.departures)

    def exits(self, *exits: Exit) -> tuple[Departure, ...]:
        return tuple(item for item in self.outcome.departures if item.exit in exits)

    @property
    def panics(self) -> bool:
        """Whether it is released, but not by a defer, with something in between that can panic."""
        return bool(self.outcome.released_at) and bool(self.risky)

    @property
    def risky(self) -> tuple[Statement, ...]:
        """What runs while it is held and can panic, before a release that no defer makes."""
        last = max((touch.position for touch in self.outcome.released_at), default=-1)
        first = self.acquired.end if self.acquired is not None else 0
        found = {item.start: item for item in self.outcome.risky if first <= item.start < last}
        return tuple(found[start] for start in sorted(found))


@dataclass
class Follower:
    """Follows values from one file; remembers what the functions of its package do with their parameters."""

    file: GoFile
    _known: dict[tuple[GoFile, Callee, int, Form], Reading | None] = field(default_factory=dict)
    _depth: int = 0

    def follow(self, unit: Unit, subject: Subject) -> Reading:
        """Read *subject* in *unit*, under the flags on which its release depends where there are such."""
        return self._follow(unit, subject.variable, subject.form, subject.statement, subject)

    def follow_without(self, reading: Reading, positions: frozenset[int]) -> Reading:
        """*reading* as if what stands at *positions* did nothing."""
        unit, form = reading.unit, reading.form
        variable = unit.names.at[reading.variable.position]
        mentions = self._mentions(unit, variable, form, reading.acquired)
        return self._walk(unit, variable, form, reading.acquired, reading.subject, mentions, (), positions)

    def parameter(self, file: GoFile, callee: Callee, argument: int, form: Form) -> Reading | None:
        """What *callee*, called in *file*, does with the value passed as *argument*; None where not known."""
        key = (file, callee, argument, form)
        if key not in self._known:
            self._known[key] = None  # a recursive call is unknown
            if self._depth < _DEEPEST:
                self._depth += 1
                self._known[key] = self._parameter(file, callee, argument, form)
                self._depth -= 1
        return self._known[key]

    def _parameter(self, file: GoFile, callee: Callee, argument: int, form: Form) -> Reading | None:
        unit = file.unit_named(*callee)
        if unit is None or argument < 0:
            return None
        first, last = unit.parameters
        parameters = [
            index
            for index, variable in enumerate(unit.names.variables)
            if variable.is_parameter and first <= variable.position < last and variable.owner == unit.owner
        ]
        if argument >= len(parameters):
            return None
        written = unit.names.variables[parameters[argument]].type_range
        text = "".join(unit.lexemes.texts[written[0] : written[1]]) if written is not None else ""
        if text.endswith("http.Response"):
            form = Form.RESPONSE
        elif form is not Form.RESPONSE or text in ("io.ReadCloser", "io.Closer", "io.Reader", "*os.File"):
            form = Form.CLOSER
        return self._follow(unit, parameters[argument], form, None, None)

    def parameter_named(self, function: str, name: str, form: Form) -> Reading | None:
        """The parameter *name* of the declared *function* (`Type.Name`), followed."""
        for item in self.file.functions:
            if item.name != function:
                continue
            unit = unit_of(self.file, item)
            for index, variable in enumerate(unit.names.variables):
                if variable.is_parameter and variable.name == name and variable.owner == unit.owner:
                    return self._follow(unit, index, form, None, None)
        return None

    def response_parameter(self, unit: Unit) -> Reading | None:
        """The *http.Response that came into *unit* as a parameter, followed; None where none did."""
        for index, variable in enumerate(unit.names.variables):
            if variable.is_parameter and variable.owner == unit.owner and variable.type_range is not None:
                text = "".join(unit.lexemes.texts[variable.type_range[0] : variable.type_range[1]])
                if text == "*http.Response":
                    return self._follow(unit, index, Form.RESPONSE, None, None)
        return None

    def effect_of(self, file: GoFile, callee: Callee, argument: int, form: Form) -> Effect | None:
        """What calling *callee* does to the value; ACQUIRED says that it leaves it alone, None that it is unknown."""
        reading = self.parameter(file, callee, argument, form)
        if reading is None or not reading.outcome.followed:
            return None
        outcome = reading.outcome
        if not outcome.departures:
            if outcome.ends <= {Hold.RELEASED, Hold.DEFERRED}:
                return Effect.RELEASED if outcome.ends else None
            if outcome.ends == {Hold.RETURNED}:
                return Effect.RETURNED
            if outcome.ends <= {Hold.STORED, Hold.RELEASED}:
                return Effect.STORED
            return Effect.PASSED
        if reading.releases or outcome.ends & {Hold.PASSED, Hold.RETURNED, Hold.STORED}:
            return Effect.PASSED
        if reading.exits(Exit.OVERWRITTEN, Exit.WRAPPED_OVER):
            return Effect.PASSED
        return Effect.ACQUIRED

    # -- walking -------------------------------------------------------------------------------------

    def _mentions(self, unit: Unit, variable: int, form: Form, acquired: Statement | None) -> Mentions:
        resolve = partial(self.effect_of, unit.file)
        return Mentions(unit, variable, form, acquired=acquired, resolve=resolve)

    def _follow(
        self, unit: Unit, variable: int, form: Form, acquired: Statement | None, subject: Subject | None
    ) -> Reading:
        mentions = self._mentions(unit, variable, form, acquired)
        plain = self._walk(unit, variable, form, acquired, subject, mentions, ())
        ignored = frozenset(plain.outcome.reclaimed)
        if ignored:
            plain = self._walk(unit, variable, form, acquired, subject, mentions, (), ignored)
        flags = _flags(unit, mentions, plain)
        if flags:
            for value in (False, True):
                forced = self._walk(
                    unit,
                    variable,
                    form,
                    acquired,
                    subject,
                    mentions,
                    tuple((flag, value) for flag in flags),
                    ignored,
                )
                kept = plain.outcome.ends & {Hold.STORED, Hold.PASSED}
                if forced.departures or (forced.panics and not plain.departures and not kept):
                    return replace(forced, all_touches=plain.touches)
        return plain

    def _walk(
        self,
        unit: Unit,
        variable: int,
        form: Form,
        acquired: Statement | None,
        subject: Subject | None,
        mentions: Mentions,
        flags: tuple[tuple[str, bool], ...],
        ignored: frozenset[int] = frozenset(),
    ) -> Reading:
        names = unit.names
        failure, ok = (subject.failure, subject.ok) if subject is not None else (None, False)
        conditions = Conditions(unit.lexemes, names, mentions.subjects, failure, ok=ok)
        declared = names.variables[variable].position
        walk = PathWalk(unit, conditions, mentions.read, subject=variable, declared=declared, ignored=ignored)
        hold = Hold.NONE if acquired is not None else Hold.HELD
        outcome = walk.run(State(hold, frozenset(flags)))
        touches = tuple(sorted(outcome.touches, key=lambda touch: touch.position))
        shown = tuple(
            (flag.partition("#")[0] + flag.partition("#")[2].lstrip("0123456789"), value)
            for flag, value in flags
        )
        return Reading(
            unit,
            names.variables[variable],
            form,
            acquired,
            outcome,
            touches,
            touches,
            shown,
            subject,
            lent=bool(ignored),
            readers=mentions.subjects - {variable} | mentions.followed.wrappers | mentions.followed.holders,
        )


def _flags(unit: Unit, mentions: Mentions, plain: Reading) -> tuple[str, ...]:
    """Keys of bare conditions that decide about a release and are not assigned here."""
    lexemes, names = unit.lexemes, unit.names
    releases = [touch.position for touch in plain.touches if touch.effect in _RELEASES]
    assigned = {
        names.at.get(target[0])
        for statement in iter_statements(unit.body)
        if statement.kind in (Kind.ASSIGN, Kind.INCREMENT, Kind.DECLARATION, Kind.RANGE)
        for target in statement.targets
        if target[1] == target[0] + 1
    }
    found: list[str] = []
    for statement in iter_statements(unit.body, literals=False):
        if statement.kind is not Kind.IF or statement.condition is None:
            continue
        first, last = statement.condition
        if lexemes.text(first) == "!":
            first += 1
        words = lexemes.texts[first:last]
        if not words or any(not (word == "." or lexemes.is_name(first + i)) for i, word in enumerate(words)):
            continue
        if not any(last <= position < statement.end for position in releases):
            continue
        variable = names.at.get(first)
        if variable in assigned or (variable is not None and variable in mentions.subjects):
            continue
        key = "".join(
            f"{word}#{names.at[first + i]}" if first + i in names.at else word for i, word in enumerate(words)
        )
        if key not in found:
            found.append(key)
    return tuple(found)
