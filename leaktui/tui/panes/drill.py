"""The lower levels every pane shares: one goroutine, what holds an object, and the source of a frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual.app import ComposeResult

from leaktui.engines.protocol import Want
from leaktui.model.frame import Frame
from leaktui.model.goroutine import Goroutine
from leaktui.model.holder import Holder
from leaktui.model.wait import GoroutineDetail
from leaktui.sources import HERE, SourceFile, Sources
from leaktui.tui.details import goroutine_lines
from leaktui.tui.facts import Facts
from leaktui.tui.highlight import highlight_go
from leaktui.tui.holder_lines import HolderLook, holder_lines, holder_name, look_of, object_lines
from leaktui.tui.links import GoroutineLink, HitLink, ObjectLink
from leaktui.tui.panes.level import DocumentLevel, Level, find_goroutines
from leaktui.tui.tracepoint_lines import hit_lines, hit_name
from leaktui.tui.wait_lines import detail_lines
from leaktui.tui.widgets.document import DocLine, Document
from leaktui.tui.widgets.toned import Line, Span
from leaktui.tui.wording import frame_path, frame_place, function_name, owner_of, source_root_hint


def level_for(target: object, facts: Facts | None) -> Level | None:
    """The level a document's line leads to."""
    if isinstance(target, Frame):
        return SourceLevel(target)
    if isinstance(target, Goroutine):
        return GoroutineLevel(target.goid, target)
    if isinstance(target, GoroutineLink):
        return GoroutineLevel(target.goid)
    if isinstance(target, Holder):
        return holder_level(target)
    if isinstance(target, ObjectLink):
        return object_level(target)
    if isinstance(target, HitLink):
        return hit_level(target)
    return None


def hit_level(link: HitLink) -> Level:
    """One hit of a tracepoint."""
    owner = owner_of(link.hit.stack)
    return DocumentLevel(
        hit_name(link.hit, link.point), lambda facts: hit_lines(link.hit, link.point, owner), frame=owner
    )


def goroutine_level(goroutine: Goroutine) -> Level:
    """One goroutine of a dump."""
    return GoroutineLevel(goroutine.goid, goroutine)


def find_detail(facts: Facts, goid: int) -> GoroutineDetail | None:
    """The closest look at goroutine *goid* so far."""
    return next((item for item in reversed(facts.snapshot.details) if item.goid == goid), None)


class GoroutineLevel(DocumentLevel):
    """One goroutine as the newest dump has it, looked at closely with each dump; *known* is what it was before."""

    def __init__(self, goid: int, known: Goroutine | None = None) -> None:
        owner = owner_of(known.stack) if known is not None else None
        super().__init__(f"goroutine {goid}", self._describe_newest, frame=owner)
        self._goid = goid
        self._known = known
        self._looked = float("-inf")

    @property
    def inspected(self) -> int | None:
        return self._goid

    def _describe_newest(self, facts: Facts) -> Sequence[DocLine]:
        found = find_goroutines(facts, (self._goid,))
        self._known = found[0] if found else self._known
        closer = detail_lines(find_detail(facts, self._goid))
        if self._known is None:
            text = f"Goroutine {self._goid} is not in the newest dump: r takes one."
            return [DocLine(((text, "muted"),)), *closer]
        owner = owner_of(self._known.stack)
        return goroutine_lines(self._known, owner, closer)

    def show(self, facts: Facts) -> None:
        super().show(facts)
        due = facts.snapshot.goroutines_time
        if due > self._looked and facts.offers(Want.DETAIL) and Want.DETAIL not in facts.under_way:
            self._looked = due
            self.ask(self.DetailWanted(self._goid))


class ObjectLevel(DocumentLevel):
    """A heap object at *address*, described by *describe*; what holds it is looked for when it is opened."""

    def __init__(self, crumb: str, address: int, describe: Callable[[HolderLook], Sequence[DocLine]]) -> None:
        super().__init__(crumb, lambda facts: describe(look_of(facts, address)))
        self._address = address
        self._asked = False

    @property
    def held(self) -> int | None:
        return self._address

    def show(self, facts: Facts) -> None:
        super().show(facts)
        if not self._asked and not facts.searching and facts.offers(Want.HOLDERS):
            self._asked = True
            search = look_of(facts, self._address).search
            if search is None or not search.done:
                self.ask(self.HoldersWanted(self._address))


def holder_level(holder: Holder) -> ObjectLevel:
    """An object on the way to a root."""
    return ObjectLevel(holder_name(holder), holder.object, lambda look: holder_lines(holder, look))


def object_level(link: ObjectLink) -> ObjectLevel:
    """An object of which little more is known than where it lies."""
    return ObjectLevel(f"object {link.address:#x}", link.address, lambda look: object_lines(link, look))


class SourceLevel(Level):
    """The source of a frame with its line marked, or how to get it."""

    def __init__(self, frame: Frame) -> None:
        super().__init__(frame_place(frame))
        self._frame = frame
        self._asked = self._missing = False

    @property
    def frame(self) -> Frame | None:
        return self._frame

    def compose(self) -> ComposeResult:
        yield Document()

    def caption(self) -> Line:
        return ((function_name(self._frame.function), "muted"),)

    def show(self, facts: Facts) -> None:
        super().show(facts)
        # The source of a capture comes with its end: what was not there yet is asked for again.
        if self._asked and not (self._missing and facts.capture):
            return
        self._asked, self._missing = True, False
        sources: Sources = getattr(self.app, "sources", HERE).of_module(facts.snapshot.target.module)
        frame = self._frame

        def work() -> None:
            found = sources.read(frame.file)
            lines, centre = source_lines(frame, found)
            self._missing = found is None
            self.app.call_from_thread(self._draw, lines, centre)

        self.run_worker(work, thread=True, group="source")

    def _draw(self, lines: list[DocLine], centre: int | None) -> None:
        if self.is_attached:
            self.query_one(Document).set_lines(lines, centre=centre)


def source_lines(frame: Frame, source: SourceFile | None) -> tuple[list[DocLine], int | None]:
    """The document of a source file and the index of the marked line."""
    where: Line = ((frame_path(frame), "accent"), (f"   {function_name(frame.function)}", "muted"))
    if source is None or not source.lines:
        return [DocLine(where), DocLine(), *_missing_lines(frame)], None
    code = highlight_go(source.lines)
    digits = len(str(len(code)))
    lines: list[DocLine] = []
    for number, spans in enumerate(code, start=1):
        here = number == frame.line
        gutter: Span = (f"{'▶' if here else ' '} {number:>{digits}}  ", "danger" if here else "comment")
        lines.append(DocLine((gutter, *spans), wrap=False, marked=here))
    if frame.line > len(code):
        note = f"The file here has {len(code)} lines: it is not the one the program was built from."
        return [DocLine(((note, "warning"),)), *lines], 0
    return lines, frame.line - 1 if frame.line else None


def _missing_lines(frame: Frame) -> list[DocLine]:
    if not frame.file:
        return [DocLine((("The binary does not say which file this function comes from.", "plain"),))]
    how = source_root_hint(frame.file)
    return [
        DocLine((("The source is not on this machine.", "plain"),)),
        DocLine(
            (
                ("Start leaktui with ", "muted"),
                (how, "strong"),
                (" to say where a copy of it lies.", "muted"),
            ),
            indent=2,
        ),
    ]
