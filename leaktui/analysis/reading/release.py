"""Why a body or a descriptor is not closed: the reason, the lines that show it, and a change."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from leaktui.analysis.reading.effect import Departure, Effect, Exit, Hold, Touch
from leaktui.analysis.reading.follow import Follower, Reading
from leaktui.analysis.reading.repair import (
    Repair,
    close_before,
    close_before_again,
    defer_after_check,
    keep_dropped,
    move_close_up,
    move_defer_up,
    undefer,
)
from leaktui.analysis.reading.subject import Form, Subject, find_subjects
from leaktui.analysis.reading.told import exit_words, make_explanation, tidy_marks
from leaktui.analysis.reading.unit import GoFile, Unit, unit_of
from leaktui.analysis.reading.waiting import lines_words
from leaktui.model.explanation import Explanation, MarkedLine, SkipReason
from leaktui.model.finding import LeakKind

_LOOP_EXITS = (Exit.CONTINUE, Exit.BREAK, Exit.TURN)
_OWING_EXITS = (Exit.RETURN, Exit.END, Exit.PANIC, *_LOOP_EXITS)


def explain_release(file: GoFile, path: str, line: int, kind: LeakKind) -> Explanation | None:
    """What the function around *line* of *file* does with what it opens there; None where nothing can be said."""
    unit = file.unit_at(line)
    statement = unit.statement_at(line) if unit is not None else None
    if unit is None or statement is None:
        return None
    follower = Follower(file)
    for subject in find_subjects(unit, statement, line, kind):
        found = _explain(follower, unit, subject, path)
        if found is not None:
            return found
    return _replaced(follower, unit, path, line) if kind is LeakKind.HTTP_BODY else None


def _replaced(follower: Follower, unit: Unit, path: str, line: int) -> Explanation | None:
    """A body that comes in with a parameter and is put aside for another, here or elsewhere in the file."""
    reading = follower.response_parameter(unit)
    if reading is not None and reading.exits(Exit.OVERWRITTEN, Exit.WRAPPED_OVER):
        return _Teller(follower, reading, path, line, opens=False).tell()
    for function in follower.file.functions:
        reading = follower.response_parameter(unit_of(follower.file, function))
        if reading is not None and reading.exits(Exit.OVERWRITTEN):
            told = _Teller(
                follower, reading, path, reading.exits(Exit.OVERWRITTEN)[0].line, opens=False
            ).tell()
            return replace(told, certain=False, diff_certain=False) if told is not None else None
    return None


def _explain(follower: Follower, unit: Unit, subject: Subject, path: str) -> Explanation | None:
    if subject.name in ("", "_"):
        return _dropped(unit, subject, path)
    if subject.variable < 0:
        return _stored_at_once(unit, subject, path)
    if unit.names.variables[subject.variable].owner != unit.owner:
        return _captured(unit, subject, path)
    return _Teller(follower, follower.follow(unit, subject), path, subject.statement.line).tell()


# -- results that are in no variable of the function ------------------------------------------------


def _dropped(unit: Unit, subject: Subject, path: str) -> Explanation:
    what = "the response" if subject.form is Form.RESPONSE else "what it opens"
    part = "its Body is never closed" if subject.form is Form.RESPONSE else "nobody can close it"
    line = subject.statement.line
    text = f"The result of {subject.call.name} is dropped: {what} cannot be reached any more, so {part}."
    return make_explanation(
        unit,
        path,
        line,
        SkipReason.DISCARDED,
        text,
        [MarkedLine(line, "opened here, and dropped")],
        # A method may be called like those of net/http and be none.
        certain=subject.name == "_"
        or subject.call.name.split(".")[0] in ("http", "os", "net")
        or _is_client(unit, subject),
        repair=keep_dropped(unit, subject),
    )


def _is_client(unit: Unit, subject: Subject) -> bool:
    """Whether the call is on a variable that is declared an http.Client."""
    index = unit.names.at.get(subject.call.start)
    written = unit.names.variables[index].type_range if index is not None else None
    return written is not None and unit.lexemes.spelled(*written) in ("*http.Client", "http.Client")


def _stored_at_once(unit: Unit, subject: Subject, path: str) -> Explanation | None:
    lexemes, line = unit.lexemes, subject.statement.line
    first, last = subject.statement.targets[subject.target]
    words = lexemes.texts[first:last]
    for position in range(unit.owner, unit.end):
        if subject.statement.start <= position < subject.statement.end:
            continue
        if lexemes.texts[position : position + len(words)] == words:
            rest = lexemes.texts[position + len(words) : position + len(words) + 4]
            if (
                rest[:2] == [".", "Close"]
                or rest[:4] == [".", "Body", ".", "Close"]
                or rest[:1] in ([","], [")"])
            ):
                return None  # it is closed, or handed on, from there
    text = f"It is put into {subject.name} at once and not closed in this function; a later one replaces it unclosed."
    return make_explanation(
        unit,
        path,
        line,
        SkipReason.STORED,
        text,
        [MarkedLine(line, f"opened into {subject.name}")],
        certain=False,
    )


def _captured(unit: Unit, subject: Subject, path: str) -> Explanation | None:
    """Assigned to a variable of the function around the literal: its owner is out there."""
    lexemes, names, line = unit.lexemes, unit.names, subject.statement.line
    for position, index in names.at.items():
        if index == subject.variable and lexemes.text(position + 1) == ".":
            rest = lexemes.texts[position + 2 : position + 5]
            if rest[:1] == ["Close"] or rest[:3] == ["Body", ".", "Close"]:
                return None
    text = f"{subject.name} belongs to the function around this one, and nothing in it closes it."
    return make_explanation(
        unit, path, line, SkipReason.NEVER_RELEASED, text, [MarkedLine(line, "opened here")], certain=False
    )


# -- a value in a variable ---------------------------------------------------------------------------


class _Teller:
    """Turns a reading into an explanation."""

    def __init__(
        self, follower: Follower, reading: Reading, path: str, line: int, *, opens: bool = True
    ) -> None:
        self._follower = follower
        self._reading = reading
        self._unit = reading.unit
        self._path = path
        self._line = line
        self._marks = [MarkedLine(line, "opened here")] if opens else []

    def tell(self) -> Explanation | None:
        reading = self._reading
        outcome = reading.outcome
        ends = outcome.ends
        owing = reading.exits(*_OWING_EXITS)
        if again := reading.exits(Exit.OVERWRITTEN, Exit.AGAIN):
            return self._overwritten(again)
        if over := reading.exits(Exit.WRAPPED_OVER, Exit.WRAPPED):
            return self._wrapped_over(over)
        loops = reading.exits(Exit.DEFERRED_AGAIN)
        if loops and not owing:
            return self._deferred_in_loop(loops)
        stored = [touch for touch in reading.touches if touch.effect is Effect.STORED]
        sent = bool(stored) and all(touch.sends for touch in stored)
        closes = bool(reading.releases)
        if owing:
            if stored and not sent and not closes and Hold.STORED in ends:
                return self._stored(stored, owing)
            if closes or sent or ends & {Hold.RETURNED, Hold.PASSED, Hold.RELEASED, Hold.DEFERRED}:
                return self._left_early(owing, stored)
            return self._never(owing)
        if not outcome.followed:
            return None
        if Hold.STORED in ends:
            return self._stored(stored, ())
        if Hold.PASSED in ends:
            return self._passed_on()
        if reading.panics and not ends & {Hold.RETURNED, Hold.DEFERRED}:
            return self._panics()
        return None

    # -- the reasons ---------------------------------------------------------------------------------

    def _never(self, owing: Sequence[Departure]) -> Explanation:
        reading = self._reading
        noun = reading.noun
        if reading.outcome.wrapper_released or self._wrapper_closes():
            self._mark_touches(Effect.WRAPPER_RELEASED, f"does not close {noun}")
            self._mark_exits(owing)
            text = f"What is closed is a reader around {noun}; closing it does not close {noun}."
            return self._make(SkipReason.WRAPPED, text, defer_after_check(reading))
        flag = self._flag_words()
        shadow = self._shadowed()
        if shadow:
            self._marks.append(MarkedLine(shadow, f"closes another {reading.name}, declared outside"))
            text = (
                f"{noun} is never closed: := makes a new {reading.name} here, and the Close at line {shadow} "
                "looks at the outer one."
            )
        elif flag:
            text = f"{noun} is closed only where {flag}; on every other path it is not."
            self._mark_flagged(flag)
        else:
            text = f"{noun} is never closed in this function."
        if self._reading.form is Form.UNKNOWN:
            text = f"Nothing in this function closes {reading.name}."
        self._mark_exits(owing)
        repair = defer_after_check(reading)
        if repair is None:
            repair = close_before(reading, owing)
            repair = (repair[0], False) if repair is not None else None
        return self._make(SkipReason.NEVER_RELEASED, text, repair, certain=self._is_certain())

    def _left_early(self, owing: Sequence[Departure], stored: Sequence[Touch]) -> Explanation:
        reading = self._reading
        noun = reading.noun
        loops = [item for item in owing if item.exit in _LOOP_EXITS]
        in_loop = bool(loops) and len(loops) == len(owing)
        self._mark_exits(owing)
        last = max(item.line for item in owing)
        late = [touch for touch in reading.releases if touch.line > min(item.line for item in owing)]
        for touch in late[:3]:
            word = "deferred only here" if touch.effect is not Effect.RELEASED else "the Close it goes past"
            self._marks.append(MarkedLine(touch.line, word))
        leaves = f"{exit_words(owing)} {noun} open"
        if stored and not reading.releases:
            place = stored[0].text
            text = f"What is not handed to {place} is dropped: {leaves[:1].lower()}{leaves[1:]}."
            self._marks.append(MarkedLine(stored[0].line, f"goes to {place}"))
        elif Hold.RETURNED in reading.outcome.ends and not reading.releases:
            text = f"{leaves}; only the other paths hand it to the caller."
        elif late and late[0].line > last:
            text = f"{leaves}: the Close at line {late[0].line} is not reached from there."
        else:
            text = f"{leaves}; other paths close it."
        reason = SkipReason.LOOP if in_loop else SkipReason.EARLY_RETURN
        if all(item.exit is Exit.PANIC for item in owing):
            reason = SkipReason.PANIC
        repair: Repair | None = None
        if not in_loop and not stored and Hold.RETURNED not in reading.outcome.ends:
            repair = move_defer_up(reading)
        if repair is None:
            repair = close_before(reading, owing)
        checked = not all(item.unchecked for item in owing)
        certain = (
            self._is_certain()
            and checked
            and (bool(reading.releases or stored) or Hold.RETURNED in reading.outcome.ends)
        )
        return self._make(reason, text, repair, certain=certain)

    def _overwritten(self, again: Sequence[Departure]) -> Explanation:
        reading = self._reading
        noun = reading.noun
        line = again[0].line
        body = again[0].exit is Exit.OVERWRITTEN and any(
            touch.effect is Effect.OVERWRITTEN and touch.text.endswith(".Body") for touch in reading.touches
        )
        self._marks += [
            MarkedLine(item.line, "overwrites the one before" if not body else "the old Body is lost here")
            for item in again
            if item.line != self._line or body
        ]
        for touch in reading.releases[:2]:
            self._marks.append(
                MarkedLine(touch.line, "closes the last one only" if not body else "closed here")
            )
        if body:
            text = f"Line {line} puts another Body in place of {noun}, which is not closed before."
        elif again[0].exit is Exit.AGAIN:
            if line == self._line:
                text = f"The next turn of the loop assigns {reading.name} again before {noun} is closed."
            else:
                text = f"Line {line} assigns {reading.name} again before {noun} is closed."
        else:
            text = f"Line {line} overwrites {reading.name} before {noun} is closed."
        return self._make(
            SkipReason.OVERWRITTEN, text, close_before_again(reading), certain=self._is_certain()
        )

    def _wrapped_over(self, over: Sequence[Departure]) -> Explanation:
        reading = self._reading
        line = over[0].line
        returned = over[0].exit is Exit.WRAPPED
        self._marks += [MarkedLine(item.line, "the wrapper does not close it") for item in over]
        if returned:
            text = f"Line {line} returns a reader around {reading.noun} that does not close it, and so nobody can."
        else:
            text = f"Line {line} puts a wrapper in place of {reading.noun} that does not close it."
        return self._make(SkipReason.WRAPPED, text, None, certain=self._is_certain())

    def _deferred_in_loop(self, loops: Sequence[Departure]) -> Explanation:
        reading = self._reading
        deferred = [touch for touch in reading.touches if touch.effect in (Effect.DEFERRED, Effect.COVERED)]
        at = deferred[0].line if deferred else loops[0].line
        loop = self._unit.loop_around(reading.acquired) if reading.acquired is not None else None
        self._marks.append(MarkedLine(at, "runs when the function returns, not now"))
        if loop is not None:
            self._marks.append(MarkedLine(loop.line, "the loop"))
        text = (
            f"The deferred Close at line {at} stands in a loop: it runs when the function returns, "
            "and every turn opens one more."
        )
        return self._make(SkipReason.LOOP, text, undefer(reading, self._follower))

    def _stored(self, stored: Sequence[Touch], owing: Sequence[Departure]) -> Explanation:
        reading = self._reading
        place = stored[0].text if stored else "a place that outlives the call"
        for touch in stored[:3]:
            self._marks.append(MarkedLine(touch.line, f"kept in {touch.text}"))
        self._mark_exits(owing)
        verb = "is sent to" if stored and stored[0].sends else "is kept in"
        what = reading.name
        text = f"{what} {verb} {place}, and nothing in this function closes it: whoever takes it out has to."
        flag = self._flag_words()
        if not flag and len(stored) and reading.releases:
            text = f"{what} {verb} {place} on a path that does not close it."
        return self._make(SkipReason.STORED, text, None, certain=True)

    def _passed_on(self) -> Explanation | None:
        reading = self._reading
        for touch in reading.touches:
            if touch.effect is not Effect.PASSED or touch.callee is None:
                continue
            form = reading.form
            inner = None
            for guess in (Form.CLOSER, Form.RESPONSE, form):
                found = self._follower.parameter(self._unit.file, touch.callee, touch.argument, guess)
                if found is not None and found.departures:
                    inner = found
                    break
            if inner is None:
                continue
            there = inner.unit.file
            here = there is self._unit.file
            told = _Teller(self._follower, inner, self._path if here else there.path, inner.unit.line).tell()
            if told is None:
                continue
            whom = touch.callee.last
            self._marks.append(MarkedLine(touch.line, f"{whom} is to close it"))
            if here:
                self._marks += [mark for mark in told.marks if mark.line != inner.unit.line]
            place = "" if here else f" ({there.place(inner.unit.line, self._unit.file)})"
            text = f"{whom}{place} is handed {reading.noun} and is to close it, but: {told.text}"
            return Explanation(
                self._function_name(),
                self._path,
                self._unit.line,
                self._unit.end_line,
                self._line,
                told.reason,
                text,
                tidy_marks(self._marks),
                told.certain,
                told.diff,
                told.diff_certain,
            )
        passed = next((touch for touch in reading.touches if touch.effect is Effect.PASSED), None)
        if passed is None:
            return None
        whom = passed.callee.last if passed.callee is not None else passed.text
        self._marks.append(MarkedLine(passed.line, f"handed to {whom}"))
        scope = self._unit.file.scope
        text = f"{reading.noun} is handed to {whom}, which may not close it: its source is not in {scope}."
        return self._make(SkipReason.NEVER_RELEASED, text, None, certain=False)

    def _panics(self) -> Explanation | None:
        reading = self._reading
        risky = [item for item in reading.risky if not self._is_check(item.line)]
        if not risky:
            return None
        released = reading.outcome.released_at[0].line
        self._marks += [MarkedLine(item.line, "a panic here goes past the Close") for item in risky[:3]]
        self._marks.append(MarkedLine(released, "not deferred"))
        text = (
            f"{reading.noun} is closed at line {released}, but not by a defer: "
            f"a panic in between ({lines_words([item.line for item in risky[:3]])}) leaves it open."
        )
        return self._make(SkipReason.PANIC, text, move_close_up(reading), certain=False)

    # -- parts ---------------------------------------------------------------------------------------

    def _is_check(self, line: int) -> bool:
        return line <= self._line

    def _is_certain(self) -> bool:
        reading = self._reading
        return reading.outcome.followed and not reading.lent and reading.form is not Form.UNKNOWN

    def _wrapper_closes(self) -> bool:
        return any(touch.effect is Effect.WRAPPER_RELEASED for touch in self._reading.touches)

    def _flag_words(self) -> str:
        """`fixed is true`, where a release depends on bare flags that were taken the other way."""
        flags = [f"{name} is {'false' if value else 'true'}" for name, value in self._reading.flags]
        return " and ".join(flags)

    def _mark_flagged(self, flag: str) -> None:
        seen = {touch.position for touch in self._reading.touches}
        for touch in self._reading.all_touches:
            if touch.position not in seen and touch.effect in (
                Effect.RELEASED,
                Effect.DEFERRED,
                Effect.COVERED,
            ):
                self._marks.append(MarkedLine(touch.line, f"only where {flag}"))

    def _shadowed(self) -> int:
        """The line on which a variable of the same name, declared further out, is closed; 0 for none."""
        reading = self._reading
        lexemes, names = self._unit.lexemes, self._unit.names
        for position, index in names.at.items():
            other = names.variables[index]
            if other.name != reading.name or other.position == reading.variable.position:
                continue
            if other.position > reading.variable.position:
                continue
            rest = lexemes.texts[position + 1 : position + 5]
            closed = rest[:2] == [".", "Close"] or rest[:4] == [".", "Body", ".", "Close"]
            if closed and self._unit.owner <= position < self._unit.end:
                return lexemes.lines[position]
        return 0

    def _mark_exits(self, owing: Iterable[Departure]) -> None:
        for item in {item.start: item for item in owing}.values():
            note = {
                Exit.END: "ends here without Close",
                Exit.TURN: "the turn ends without Close",
                Exit.CONTINUE: "goes on without Close",
                Exit.BREAK: "leaves the loop without Close",
                Exit.PANIC: "panics without Close",
            }.get(item.exit, "returns here without Close")
            self._marks.append(MarkedLine(item.line, note))

    def _mark_touches(self, effect: Effect, note: str) -> None:
        self._marks += [
            MarkedLine(touch.line, note) for touch in self._reading.touches if touch.effect is effect
        ]

    def _function_name(self) -> str:
        return self._unit.function.name

    def _make(
        self, reason: SkipReason, text: str, repair: Repair | None, *, certain: bool = True
    ) -> Explanation:
        return make_explanation(
            self._unit,
            self._path,
            self._line,
            reason,
            text,
            self._marks,
            certain=certain,
            repair=repair,
            reading=self._reading,
        )
