"""A walkthrough as text, a step at a time, and as JSON.

Law: what the process could have chosen passes `Redaction` on its way out; the JSON is `leaktui.guide/1`, with the
diagnosis as `leaktui.diagnosis/1` in it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from leaktui.guide import CLOCK_SECONDS, Progress, State, StepState, Weight
from leaktui.guide.graph import draw_curves
from leaktui.guide.script import Name
from leaktui.model.explanation import Explanation
from leaktui.model.finding import Diagnosis
from leaktui.report.json_form import diagnosis_document, explanation_document
from leaktui.report.redaction import MASKED, Redaction
from leaktui.report.wrapping import wrap_text
from leaktui.sources import HERE, Sources
from leaktui.text import printable

SCHEMA = "leaktui.guide/1"

_CODES = {
    Weight.MAIN: "1",
    Weight.GOOD: "32",
    Weight.BAD: "31",
    Weight.UNSURE: "33",
    Weight.SIDE: "2",
    Weight.PLAIN: "",
}
_MARKS = {Progress.DONE: "✓", Progress.SKIPPED: "–", Progress.DOING: "…", Progress.TO_DO: "·"}
_CONTEXT = 1
_LONGEST_LINE = 200


def format_clock(seconds: float) -> str:
    """`1:12`."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02d}"


def format_step(
    state: State,
    index: int,
    *,
    sources: Sources = HERE,
    redaction: Redaction = MASKED,
    colour: bool = False,
    width: int = 80,
) -> str:
    """Step *index* (from 0) as it ended, for a terminal or a log; ends with a blank line."""
    form = _StepForm(state, state.steps[index], sources, redaction, colour, max(40, width))
    return "\n".join(line.rstrip() for line in form.lines(index)) + "\n\n"


class _StepForm:
    def __init__(
        self,
        state: State,
        step: StepState,
        sources: Sources,
        redaction: Redaction,
        colour: bool,
        width: int,
    ) -> None:
        self._state = state
        self._step = step
        self._sources = sources
        self._redaction = redaction
        self._colour = colour
        self._width = width

    def lines(self, index: int) -> Iterator[str]:
        step = self._step
        ended = format_clock(step.ended if step.ended is not None else self._state.seconds)
        title = f"{_MARKS[step.progress]} {index + 1}/{len(self._state.steps)} {step.step.title}"
        clock = f"{ended} of {format_clock(CLOCK_SECONDS)}"
        yield self._paint(title.ljust(self._width - len(clock) - 1), "1") + " " + clock
        if step.progress is Progress.SKIPPED:
            yield from self._field("skipped", step.reason)
            return
        yield from self._field("what", step.what)
        yield from self._field("why", step.why)
        for number, seen in enumerate(step.seen):
            source = f" [{printable(seen.source, 40)}]" if seen.source else ""
            text = self._redaction.text(seen.text) + source
            yield from self._field("saw" if number == 0 else "", text, _CODES[seen.weight])
        if (graph := draw_curves(self._state, step, self._width - 12)) is not None:
            yield ""
            yield from (f"{'':10}{line}" for line in graph)
        if step.step.name is Name.FIX and self._state.explanation is not None:
            yield from self._source(self._state.explanation)
        for number, command in enumerate(step.by_hand):
            # Never broken: it is there to be copied. What could be secret in it was masked when it was made.
            yield f"  {'by hand' if number == 0 else '':<8}{printable(command)}"
        if step.reason:
            yield from self._field("note", step.reason)

    def _field(self, name: str, text: str, code: str = "") -> Iterator[str]:
        for number, line in enumerate(wrap_text(text, self._width - 10) or [""]):
            yield f"  {name if number == 0 else '':<8}{self._paint(line, code)}"

    def _source(self, explanation: Explanation) -> Iterator[str]:
        notes = {mark.line: mark.note for mark in explanation.marks}
        lines = (self._sources.text(explanation.file) or "").split("\n")
        wanted = sorted(
            {
                number
                for line in (explanation.acquire_line, *notes)
                for number in range(line - _CONTEXT, line + _CONTEXT + 1)
                if explanation.first_line <= number <= min(explanation.last_line, len(lines))
            }
        )
        if wanted:
            yield from self._field("source", printable(explanation.file, 400))
        before = 0
        for number in wanted:
            if before and number != before + 1:
                yield f"{'':10}     ⋮"
            before = number
            text = self._redaction.code(lines[number - 1].rstrip("\r").expandtabs(4), _LONGEST_LINE)
            note = f"  ◀ {printable(notes[number], 120)}" if number in notes else ""
            mark = ">" if number in notes or number == explanation.acquire_line else " "
            yield self._paint(f"{'':10}{mark}{number:>4} │ {text}{note}", "1" if mark == ">" else "")
        if explanation.diff:
            yield from self._field("change", "certain" if explanation.diff_certain else "to be looked over")
            for line in explanation.diff.splitlines():
                code = {"+": "32", "-": "31"}.get(line[:1], "")
                text = self._redaction.code(line.expandtabs(4), _LONGEST_LINE)
                yield f"{'':10}{self._paint(text, code)}"

    def _paint(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._colour and code and text else text


def format_guide_json(state: State, diagnosis: Diagnosis, *, redaction: Redaction = MASKED) -> str:
    """The whole walkthrough, ending with a line break."""
    form: dict[str, Any] = {
        "schema": SCHEMA,
        "outcome": state.outcome.value,
        "seconds": round(state.seconds, 1),
        "steps": [_step_form(item, redaction) for item in state.steps],
        "explanation": explanation_document(state.explanation, redaction=redaction),
        "diagnosis": diagnosis_document(diagnosis, redaction=redaction),
    }
    return json.dumps(form, indent=2, allow_nan=False) + "\n"


def _step_form(step: StepState, redaction: Redaction) -> dict[str, Any]:
    return {
        "name": step.step.name.value,
        "title": step.step.title,
        "state": step.progress.value,
        "reason": redaction.text(step.reason),
        "what": step.what,
        "why": step.why,
        "saw": [
            {"text": redaction.text(seen.text), "source": redaction.name(seen.source)} for seen in step.seen
        ],
        "by_hand": [printable(command) for command in step.by_hand],
        "began": step.began,
        "ended": step.ended,
    }
