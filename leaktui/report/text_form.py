"""A diagnosis as plain text: the answer first, then why, then what else there is.

Law: fits the width it is given (80 columns unless told), but never cuts the answer's own place. Colour is
decoration only: without it nothing is lost.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from leaktui.model.finding import Confidence, Diagnosis, Finding, Verdict
from leaktui.model.frame import Stack
from leaktui.report.explained import (
    SOURCE_MISSING,
    diff_lines,
    diff_title,
    explain_suspect,
    reason_text,
)
from leaktui.report.phrases import (
    KIND_TITLES,
    format_headline,
    format_held,
    format_notes_title,
    format_pause,
    format_place,
    format_source_detail,
    format_target,
)
from leaktui.report.redaction import MASKED, Redaction
from leaktui.report.source_excerpt import Excerpt, read_excerpt
from leaktui.report.wrapping import fit_path, wrap_text
from leaktui.sources import HERE, Sources
from leaktui.text import cell_width, format_duration, short_function

_BOLD, _DIM, _RED, _GREEN, _YELLOW = "1", "2", "31", "32", "33"
_VERDICT_COLOURS = {Verdict.LEAK: _RED, Verdict.CLEAN: _GREEN, Verdict.UNDECIDED: _YELLOW}
_CONFIDENCE_COLOURS = {Confidence.PROVEN: _RED, Confidence.LIKELY: _YELLOW, Confidence.POSSIBLE: _DIM}
_MOST_FRAMES = 12
_MOST_OTHERS = 8


def format_text(
    diagnosis: Diagnosis,
    *,
    sources: Sources = HERE,
    redaction: Redaction = MASKED,
    colour: bool = False,
    width: int = 80,
) -> str:
    """*diagnosis* for a terminal or a log, ending with a line break."""
    form = _TextForm(diagnosis, sources, redaction, colour, max(40, width))
    return "\n".join(line.rstrip() for line in form.lines()) + "\n"


class _TextForm:
    def __init__(
        self,
        diagnosis: Diagnosis,
        sources: Sources,
        redaction: Redaction,
        colour: bool,
        width: int,
    ) -> None:
        self._diagnosis = diagnosis
        self._sources = sources.of_module(diagnosis.target.module)
        self._redaction = redaction
        self._colour = colour
        self._width = width

    def lines(self) -> Iterator[str]:
        diagnosis = self._diagnosis
        headline = format_headline(diagnosis, self._redaction)
        for line in wrap_text(headline, self._width):
            yield self._paint(line, _BOLD, _VERDICT_COLOURS[diagnosis.verdict])
        suspects = diagnosis.suspects
        if diagnosis.verdict is Verdict.LEAK and suspects:
            yield from self._culprit(suspects[0])
            suspects = suspects[1:]
        if suspects:
            title = "Other suspects" if diagnosis.verdict is Verdict.LEAK else "Not proven, but worth a look"
            yield from self._others(title, suspects)
        yield from self._looked_at()
        if diagnosis.notes:
            yield from self._heading(format_notes_title(diagnosis.verdict))
            for note in diagnosis.notes:
                yield from self._bullet(self._redaction.text(note))

    # -- the culprit ---------------------------------------------------------------------------

    def _culprit(self, finding: Finding) -> Iterator[str]:
        place = format_place(finding.location, self._redaction)
        yield f"  {self._paint(place, _BOLD)}" if place else "  the line is not known"
        yield from self._rated(finding, format_held(finding))
        if finding.created_by is not None:
            creator = self._redaction.name(short_function(finding.created_by.function))
            at = format_place(finding.created_by, self._redaction)
            yield from self._indented(f"created by {creator}" + (f" at {at}" if at else ""))
        excerpt = read_excerpt(
            finding.location,
            sources=self._sources,
            started_at=self._diagnosis.target.started_at,
        )
        if excerpt is not None:
            yield ""
            yield from self._excerpt(excerpt)
        if finding.evidence:
            yield from self._heading("Evidence")
            for item in finding.evidence:
                source = self._redaction.name(item.source)
                yield from self._bullet(f"{source}: {self._redaction.text(item.text)}")
        yield from self._explained(finding)
        if finding.advice:
            yield from self._heading("What to do")
            yield from self._indented(self._redaction.text(finding.advice))
        if finding.stack:
            yield from self._heading("Stack")
            yield from self._stack(finding.stack)
        if finding.candidates:
            yield from self._heading("Lines it may be" if not place else "Other lines it may be")
            yield from self._stack(finding.candidates)

    def _explained(self, finding: Finding) -> Iterator[str]:
        """Why it leaks, the lines that say so, and a change."""
        explained = explain_suspect(finding, self._sources, self._redaction)
        explanation = explained.explanation
        if explanation is None:
            if explained.missing:
                yield ""
                yield from self._indented(SOURCE_MISSING)
            return
        yield from self._heading("Why it leaks")
        yield from self._indented(reason_text(explanation, self._redaction))
        yield ""
        digits = max((len(str(number)) for number, _, _ in explained.lines), default=1)
        column = min(max((cell_width(text) for _, text, _ in explained.lines), default=0), self._width - 36)
        for number, text, note in explained.lines:
            shown = _cut(text, column)
            margin = self._paint("← " + _cut(note, 28), _YELLOW)
            yield f"  {number:>{digits}} │ {shown}{' ' * (column - cell_width(shown))} {margin}"
        for sentence in explanation.seen:
            yield from self._bullet(self._redaction.text(sentence))
        if explanation.diff:
            yield from self._heading(diff_title(explanation))
            for line in diff_lines(explanation, self._redaction):
                colour = {"+": _GREEN, "-": _RED}.get(line[:1], _DIM)
                yield "  " + self._paint(_cut(line[:1] + line[1:].expandtabs(4), self._width - 2), colour)

    def _excerpt(self, excerpt: Excerpt) -> Iterator[str]:
        digits = len(str(excerpt.lines[-1][0]))
        room = self._width - digits - 5
        for number, text in excerpt.lines:
            guilty = number == excerpt.line
            shown = _cut(self._redaction.text(text), room)
            line = f"{'>' if guilty else ' '} {number:>{digits}} │ {shown}"
            yield self._paint(line, _BOLD) if guilty else line
        if excerpt.newer:
            yield from self._indented("The file changed after the process began: lines may have moved.")

    def _stack(self, stack: Stack) -> Iterator[str]:
        for frame in stack[:_MOST_FRAMES]:
            function = self._redaction.name(short_function(frame.function))
            place = format_place(frame, self._redaction)
            both = f"  {function}  {place}"
            if cell_width(both) <= self._width:
                yield f"  {function}  {self._paint(place, _DIM)}" if place else f"  {function}"
            else:
                yield "  " + _cut(function, self._width - 2)
                if place:
                    yield "      " + self._paint(fit_path(place, self._width - 6), _DIM)
        left = len(stack) - _MOST_FRAMES
        if left > 0:
            yield f"  … {left} more {'frame' if left == 1 else 'frames'}"

    # -- the rest ------------------------------------------------------------------------------

    def _others(self, title: str, suspects: Sequence[Finding]) -> Iterator[str]:
        yield from self._heading(title)
        for finding in suspects[:_MOST_OTHERS]:
            yield from self._rated(finding, f"{KIND_TITLES[finding.kind]} · {format_held(finding)}")
            function = self._redaction.name(short_function(finding.function))
            place = format_place(finding.location, self._redaction)
            if function:
                yield "    " + _cut(function, self._width - 4)
            if place:
                yield "    " + self._paint(fit_path(place, self._width - 4), _DIM)
            for item in finding.evidence[:2]:
                text = f"{self._redaction.name(item.source)}: {self._redaction.text(item.text)}"
                yield from self._bullet(text, indent=4)
            if finding.candidates and finding.location is None:
                places = [format_place(frame, self._redaction) for frame in finding.candidates[:3]]
                yield from self._bullet("maybe " + ", ".join(item for item in places if item), indent=4)
        left = len(suspects) - _MOST_OTHERS
        if left > 0:
            yield f"  … {left} more; --json lists them all"

    def _looked_at(self) -> Iterator[str]:
        diagnosis = self._diagnosis
        yield from self._heading("Looked at")
        yield from self._indented(format_target(diagnosis, self._redaction))
        names = [self._redaction.name(source.name) for source in diagnosis.sources]
        column = max((cell_width(name) for name in names), default=0)
        for name, source in zip(names, diagnosis.sources, strict=True):
            detail = format_source_detail(source, self._redaction)
            pause = f"; stopped the target for {format_pause(source.pause_ms)}" if source.pause_ms > 0 else ""
            text = source.state.value + (f": {detail}" if detail else "") + pause
            label = f"  {name}{' ' * (column - cell_width(name))}  "
            wrapped = wrap_text(text, self._width - cell_width(label)) or [""]
            yield label + wrapped[0]
            for line in wrapped[1:]:
                yield " " * cell_width(label) + line
        yield from self._indented(
            f"{format_duration(diagnosis.elapsed_seconds)} in all, "
            f"the target stopped for {format_pause(diagnosis.target_pause_ms)}"
        )

    # -- shapes --------------------------------------------------------------------------------

    def _heading(self, title: str) -> Iterator[str]:
        yield ""
        yield self._paint(title, _BOLD)

    def _rated(self, finding: Finding, text: str) -> Iterator[str]:
        """*text* behind the finding's confidence, which has a colour of its own."""
        rating = finding.confidence.value
        for index, line in enumerate(wrap_text(f"{rating} · {text}", self._width - 2)):
            painted = self._paint(rating, _CONFIDENCE_COLOURS[finding.confidence]) if index == 0 else ""
            yield "  " + painted + line[len(rating) if index == 0 else 0 :]

    def _indented(self, text: str) -> Iterator[str]:
        for line in wrap_text(text, self._width - 2):
            yield "  " + line

    def _bullet(self, text: str, *, indent: int = 2) -> Iterator[str]:
        for index, line in enumerate(wrap_text(text, self._width - indent - 2)):
            yield " " * indent + ("· " if index == 0 else "  ") + line

    def _paint(self, text: str, *codes: str) -> str:
        return f"\x1b[{';'.join(codes)}m{text}\x1b[0m" if self._colour and text else text


def _cut(text: str, width: int) -> str:
    """*text* in at most *width* columns, with an ellipsis where it was longer."""
    if cell_width(text) <= width:
        return text
    while text and cell_width(text) > width - 1:
        text = text[:-1]
    return text + "…"
