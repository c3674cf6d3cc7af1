"""One suspect: its evidence, why it leaks as its source says, and a change that would mend it.

Law: source is read and explained in a worker, once for each place; what the running process adds is put to it
whenever facts arrive.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from leaktui.model.explanation import Explanation
from leaktui.model.finding import Finding
from leaktui.sources import HERE, Sources
from leaktui.tui.details import finding_lines
from leaktui.tui.facts import Facts
from leaktui.tui.panes.level import DocumentLevel, Level
from leaktui.tui.why_lines import missing_lines, silent_lines, why_lines
from leaktui.tui.widgets.document import DocLine
from leaktui.tui.wording import finding_key, function_name, heading, source_root_hint

Remarks = Callable[[Facts], list[DocLine]]


@dataclass(frozen=True, slots=True)
class Why:
    """What the source of a suspect says. `here` is whether it could be read at all, `source` its file's lines."""

    here: bool
    explanation: Explanation | None = None
    source: tuple[str, ...] = ()


class WhyReader:
    """Reads the source of suspects for a level, in workers; `known` are the answers so far."""

    def __init__(self, level: Level, redraw: Callable[[], None]) -> None:
        self._level = level
        self._redraw = redraw
        self._asked: dict[object, Facts] = {}
        self.known: dict[object, Why] = {}

    def ask(self, finding: Finding, facts: Facts) -> None:
        """See to it that *finding* gets its answer; once, but that the source of a capture comes with its end."""
        key = finding_key(finding)
        if finding.location is None or not finding.location.file:
            return
        known = self.known.get(key)
        missed = known is not None and not known.here and bool(facts.capture)
        if key in self._asked and not (missed and self._asked[key] is not facts):
            return
        self._asked[key] = facts
        sources: Sources = getattr(self._level.app, "sources", HERE).of_module(facts.snapshot.target.module)

        def work() -> None:
            why = read_why(finding, sources)
            self._level.app.call_from_thread(self._answered, key, why)

        self._level.run_worker(work, thread=True, group="why")

    def of(self, finding: Finding) -> Why | None:
        """The answer for *finding*; None where there is none yet."""
        return self.known.get(finding_key(finding))

    def _answered(self, key: object, why: Why) -> None:
        self.known[key] = why
        if self._level.is_attached:
            self._redraw()


def read_why(finding: Finding, sources: Sources) -> Why:
    """The explanation of *finding* from what is at hand of *sources*."""
    explanation = sources.explain(finding)
    location = finding.location
    here = location is not None and sources.read(location.file) is not None
    found = sources.read(explanation.file) if explanation is not None else None
    return Why(here, explanation, found.lines if found is not None else ())


def section_of(finding: Finding, why: Why | None, facts: Facts) -> list[DocLine]:
    """ "Why and fix" of *finding*; empty until its source was read."""
    if why is None:
        return []
    if why.explanation is None:
        if why.here:
            return silent_lines()
        return missing_lines(finding, source_root_hint(finding.location.file if finding.location else ""))
    from leaktui.analysis.seen import with_seen

    snapshot = facts.snapshot
    explanation = with_seen(
        why.explanation, snapshot.details, snapshot.inspections, snapshot.goroutines or ()
    )
    return why_lines(explanation, why.source)


def reason_lines(why: Why | None) -> list[DocLine]:
    """The reason alone, for where there is little room; empty where there is none."""
    if why is None or why.explanation is None:
        return []
    text = why_lines(why.explanation, ())[:2]
    change = "f shows the lines and a change" if why.explanation.diff else "f shows the lines"
    return [*text, DocLine(((change, "muted"),))]


class SuspectLevel(DocumentLevel):
    """A suspect with everything known of it; with *only_why* nothing but why it leaks, and the change."""

    def __init__(self, finding: Finding, remarks: Remarks, *, only_why: bool = False) -> None:
        crumb = "fix" if only_why else function_name(finding.function)
        super().__init__(crumb, self._describe_newest, frame=finding.location)
        self._finding = finding
        self._remarks = remarks
        self._only_why = only_why
        self._reader = WhyReader(self, self._read)

    def show(self, facts: Facts) -> None:
        super().show(facts)
        self._reader.ask(self._finding, facts)

    def _read(self) -> None:
        if self.facts is not None:
            super().show(self.facts)

    def _describe_newest(self, facts: Facts) -> Sequence[DocLine] | None:
        key = finding_key(self._finding)
        newest = next((item for item in facts.assessment.suspects if finding_key(item) == key), None)
        if newest is None:
            return None
        self._finding = newest
        section = section_of(newest, self._reader.of(newest), facts)
        if not self._only_why:
            return [*finding_lines(newest, section), *self._remarks(facts)]
        if section:
            return section
        if newest.location is None or not newest.location.file:
            text = "The line of this suspect is not known yet, so there is no source to read."
            return [DocLine(heading("Why and fix")), DocLine(((text, "muted"),))]
        return [DocLine((("reading its source", "muted"),))]
