"""An explanation put together: marks in order, a change that was read again, and a few words on lines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from leaktui.analysis.reading.edits import Edits
from leaktui.analysis.reading.effect import Departure, Exit
from leaktui.analysis.reading.follow import Follower, Reading
from leaktui.analysis.reading.repair import (
    Repair,
)
from leaktui.analysis.reading.subject import find_subjects
from leaktui.analysis.reading.unit import GoFile, Unit
from leaktui.analysis.reading.waiting import lines_words
from leaktui.model.explanation import Explanation, MarkedLine, SkipReason
from leaktui.model.finding import LeakKind

_MOST_MARKS = 12
_EXIT_WORDS = {
    Exit.RETURN: ("The return", "The returns"),
    Exit.CONTINUE: ("The continue", "The continues"),
    Exit.BREAK: ("The break", "The breaks"),
    Exit.END: ("The function's end", "The function's ends"),
    Exit.TURN: ("The end of the loop's turn", "The ends of the loops' turns"),
    Exit.PANIC: ("The panic", "The panics"),
}


def make_explanation(
    unit: Unit,
    path: str,
    line: int,
    reason: SkipReason,
    text: str,
    marks: Sequence[MarkedLine],
    *,
    certain: bool = True,
    repair: Repair | None = None,
    reading: Reading | None = None,
) -> Explanation:
    """The explanation of what *unit* opens at *line*; a change that leaves the leak is left out."""
    if repair is not None and _still_leaks(repair[0], unit, line, reading):
        repair = None
    diff = repair[0].diff(path) if repair is not None else ""
    return Explanation(
        unit.function.name,
        path,
        unit.line,
        unit.end_line,
        line,
        reason,
        text,
        tidy_marks(marks),
        certain,
        diff,
        bool(diff) and repair is not None and repair[1],
    )


def _still_leaks(edits: Edits, unit: Unit, line: int, reading: Reading | None) -> bool:
    """Whether the same reading of the changed text still finds it left open, or closed after it was handed on."""
    changed = GoFile(edits.result(), unit.file.path, unit.file.package)
    follower = Follower(changed)
    again: Reading | None = None
    if reading is not None and reading.acquired is None:
        again = follower.parameter_named(unit.function.name, reading.name, reading.form)
        exits = {item.exit for item in again.departures} if again is not None else set()
        if reading.exits(Exit.OVERWRITTEN):  # it is the caller's to close: leaving with it is right
            exits &= {Exit.OVERWRITTEN}
        return again is None or bool(exits) or again.outcome.taken_back
    moved = edits.moved(line)
    after = changed.unit_at(moved)
    statement = after.statement_at(moved) if after is not None else None
    if after is None or statement is None:
        return True
    for kind in (LeakKind.HTTP_BODY, LeakKind.FD):
        for subject in find_subjects(after, statement, moved, kind):
            if reading is not None and subject.name != reading.name:
                continue
            if subject.variable < 0 or after.names.variables[subject.variable].owner != after.owner:
                return True
            again = follower.follow(after, subject)
            return bool(again.departures) or again.outcome.taken_back
    return True


def tidy_marks(marks: Iterable[MarkedLine]) -> tuple[MarkedLine, ...]:
    """One mark a line, in order; the first note for a line wins."""
    found: dict[int, MarkedLine] = {}
    for mark in marks:
        found.setdefault(mark.line, mark)
    return tuple(found[line] for line in sorted(found)[:_MOST_MARKS])


def exit_words(owing: Sequence[Departure]) -> str:
    """`The returns at lines 41 and 47 leave`, whatever the ways out are."""
    exits = {item.exit for item in owing}
    lines = sorted({item.line for item in owing})
    many = len(lines) > 1
    one, several = _EXIT_WORDS[exits.pop()] if len(exits) == 1 else ("The way out", "The ways out")
    return f"{several if many else one} at {lines_words(lines)} {'leave' if many else 'leaves'}"
