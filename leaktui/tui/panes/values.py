"""A goroutine's frames with arguments, locals and deferred calls; and what expressions gave in them.

Law: nothing is asked of the target by being drawn: a look is ordered by v, an expression by x or Enter, and both
only after a yes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual.app import ComposeResult

from leaktui.analysis.http_frames import READ_LOOP
from leaktui.engines.protocol import Want
from leaktui.model.body import BodyHolder
from leaktui.model.frame import Frame
from leaktui.model.inspection import Inspection
from leaktui.tui.body_expressions import body_suggestions
from leaktui.tui.delve_words import said_of
from leaktui.tui.facts import DELVE, Facts
from leaktui.tui.links import ExpressionLink, FoldLink
from leaktui.tui.panes.level import Level
from leaktui.tui.value_lines import (
    Key,
    Suggestion,
    evaluation_key,
    evaluation_lines,
    first_open,
    frame_key,
    inspection_lines,
    suggestion_lines,
)
from leaktui.tui.widgets.document import DocLine, Document
from leaktui.tui.widgets.toned import Line

Suggest = Callable[[Inspection | None], Sequence[Suggestion]]


class ValuesLevel(Level):
    """Goroutine *goid* with its values; with 0 expressions alone. *suggest* says what is worth asking."""

    def __init__(self, goid: int, crumb: str = "values", suggest: Suggest = lambda inspection: ()) -> None:
        super().__init__(crumb)
        self._goid = goid
        self._suggest = suggest
        self._opened: set[Key] = set()
        self._began: Inspection | None = None
        self._evaluated = -1

    def compose(self) -> ComposeResult:
        yield Document()

    @property
    def inspected(self) -> int | None:
        return self._goid

    @property
    def frame_index(self) -> int:
        """The frame under the cursor, for expressions."""
        target = self.query_one(Document).cursor_target
        return target.frame_index if isinstance(target, FoldLink | ExpressionLink) else 0

    @property
    def frame(self) -> Frame | None:
        target = self.query_one(Document).cursor_target
        if isinstance(target, Frame):
            return target
        inspection = self._newest()
        if inspection is None or self.frame_index >= len(inspection.frames):
            return None
        return inspection.frames[self.frame_index].frame

    def caption(self) -> Line:
        return ((f"goroutine {self._goid}", "muted"),) if self._goid else (("expressions", "muted"),)

    def _newest(self) -> Inspection | None:
        if self.facts is None:
            return None
        inspections = self.facts.snapshot.inspections
        return next((item for item in reversed(inspections) if item.goid == self._goid), None)

    def show(self, facts: Facts) -> None:
        super().show(facts)
        inspection = self._newest()
        first = inspection is not None and self._began is None
        if inspection is not None and first:
            self._began = inspection
            self._opened |= first_open(inspection)
        # What was just evaluated is opened: that is what one waits for.
        if len(facts.snapshot.evaluations) and facts.snapshot.evaluations[-1].goid == self._goid:
            newest = facts.snapshot.evaluations[-1]
            if id(newest) != self._evaluated:
                self._evaluated = id(newest)
                self._opened.add(evaluation_key(newest))
        document = self.query_one(Document)
        document.set_lines(self._lines(facts, inspection))
        if first and inspection is not None:
            # Where x would ask: in the frame that is open.
            for index in range(len(inspection.frames)):
                if frame_key(index) in self._opened:
                    document.select(FoldLink(frame_key(index), index))
                    break

    def _lines(self, facts: Facts, inspection: Inspection | None) -> list[DocLine]:
        lines: list[DocLine] = []
        if self._goid and inspection is not None:
            lines += inspection_lines(inspection, self._opened)
        elif self._goid:
            lines.append(DocLine(((_awaited(facts, self._goid), "accent"),)))
        elif not facts.snapshot.evaluations:
            lines.append(
                DocLine((("x asks for an expression: main.counter, runtime.memstats.numgc", "muted"),))
            )
        evaluated = evaluation_lines(facts.snapshot.evaluations, self._goid, self._opened)
        if Want.EVALUATION in facts.under_way:
            evaluated = [DocLine(), DocLine((("evaluating…", "accent"),)), *evaluated]
        suggested = suggestion_lines(self._suggest(inspection))
        # With the answers on top: there they are seen.
        return [
            *_without_gap([*evaluated, *suggested]),
            *([DocLine()] if evaluated or suggested else []),
            *lines,
        ]

    def on_document_chosen(self, message: Document.Chosen) -> None:
        if isinstance(message.target, FoldLink):
            message.stop()
            self._opened ^= {message.target.key}
            if self.facts is not None:
                self.query_one(Document).set_lines(self._lines(self.facts, self._newest()))
            return
        super().on_document_chosen(message)


def _without_gap(lines: list[DocLine]) -> list[DocLine]:
    return lines[1:] if lines and not lines[0].spans else lines


def _awaited(facts: Facts, goid: int) -> str:
    if Want.INSPECTION in facts.under_way:
        return f"Looking at goroutine {goid}: the target stands still for a moment."
    source = next((item for item in facts.snapshot.sources if item.name == DELVE), None)
    return (
        f"No answer: {said_of(source)}"
        if source is not None and source.detail
        else "No answer came; v asks again."
    )


def body_values(body: BodyHolder) -> ValuesLevel:
    """The goroutine that waits for *body* to be closed, with what is worth asking of the body."""

    def suggest(inspection: Inspection | None) -> Sequence[Suggestion]:
        frames = inspection.frames if inspection is not None else ()
        index = next((number for number, item in enumerate(frames) if item.frame.function == READ_LOOP), 0)
        return body_suggestions(body, read_loop_frame=index)

    return ValuesLevel(body.goid, suggest=suggest)
