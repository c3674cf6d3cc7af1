"""The Suspects pane: the verdict in plain words, the suspects, and what the chosen one rests on."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Container

from leaktui.model.assessment import Assessment
from leaktui.model.capability import Source, SourceState
from leaktui.model.finding import Finding, LeakKind, Verdict
from leaktui.model.frame import Frame
from leaktui.session.history import Metric
from leaktui.text import format_bytes, format_count, format_rate, printable
from leaktui.tui.details import finding_lines
from leaktui.tui.facts import PROBES, Facts
from leaktui.tui.panes.level import Level
from leaktui.tui.panes.suspect import SuspectLevel, WhyReader, reason_lines
from leaktui.tui.probe_words import probes_state
from leaktui.tui.strip import recent_slope
from leaktui.tui.widgets.columns import UNKNOWN, Column, name_column, number_column
from leaktui.tui.widgets.document import DocLine, Document
from leaktui.tui.widgets.line_table import LineTable
from leaktui.tui.widgets.line_view import Lines
from leaktui.tui.widgets.toned import Line, Span, fit_line
from leaktui.tui.wording import (
    CONFIDENCE_TONES,
    IMPACT_WORDS,
    KIND_NAMES,
    STATE_MARKS,
    age_text,
    finding_amount,
    finding_key,
    frame_place,
    function_name,
    heading,
)

_SIDE_WIDTH = 140

_SEEN: tuple[tuple[Metric, str, bool], ...] = (
    (Metric.OPEN_BODIES, "response bodies open, read by nobody", False),
    (Metric.GOROUTINES, "goroutines", False),
    (Metric.LIVE_HEAP, "live heap", True),
    (Metric.FDS, "file descriptors", False),
    (Metric.RSS, "memory of the process", True),
)


def verdict_lines(facts: Facts, width: int) -> tuple[Line, ...]:
    """The answer so far in two lines."""
    assessment = facts.assessment
    watched = age_text(facts.watched_seconds)
    if assessment.suspects:
        return _suspect_lines(assessment, width)
    if assessment.verdict is Verdict.CLEAN:
        return (
            fit_line((("CLEAN", "success"), (f"  nothing grows: watched for {watched}", "strong")), width),
            fit_line((("       the sources below can see leaks, and saw none", "muted"),), width),
        )
    if facts.exited is not None or (assessment.settled and assessment.verdict is Verdict.UNDECIDED):
        return (
            fit_line(
                (("UNDECIDED", "warning"), ("  what could be seen is not enough for an answer", "strong")),
                width,
            ),
            fit_line((("           what was missing is listed below", "muted"),), width),
        )
    return (
        fit_line(
            (("LOOKING", "accent"), ("  no suspect yet", "strong"), (f"  watching for {watched}", "muted")),
            width,
        ),
        fit_line(((f"         {_doing(facts)}", "muted"),), width),
    )


def _suspect_lines(assessment: Assessment, width: int) -> tuple[Line, ...]:
    first, more = assessment.suspects[0], len(assessment.suspects) - 1
    word: Span = ("LEAK", "danger") if assessment.verdict is Verdict.LEAK else ("SUSPECT", "warning")
    where = frame_place(first.location)
    what: Line = (
        word,
        (f"  {KIND_NAMES[first.kind]}", "strong"),
        (f"  {first.confidence.value}", CONFIDENCE_TONES[first.confidence]),
    )
    place: Line = (
        (" " * (len(word[0]) + 2), "plain"),
        (function_name(first.function), "strong"),
        (f"  {where}" if where != UNKNOWN else "  line not known yet", "accent"),
        (f"  {finding_amount(first)}", "muted"),
        (f"   and {more} more" if more else "", "muted"),
    )
    return fit_line(what, width), fit_line(place, width)


def _doing(facts: Facts) -> str:
    snapshot = facts.snapshot
    if facts.finding_sources:
        return "finding out which sources work on this process"
    if snapshot.groups is None and snapshot.heap is None:
        if any(source.state is SourceState.USED for source in snapshot.sources):
            return "waiting for the first facts"
        return "no source works on this process; the reasons are below"
    return "comparing goroutines, live heap, fds and bodies over time"


def seen_lines(facts: Facts) -> list[DocLine]:
    """What was looked at so far, the sources, the notes, and what could not be seen."""
    lines = [DocLine(heading("Seen so far"))]
    for metric, name, in_bytes in _SEEN:
        points = facts.points(metric)
        if not points:
            lines.append(DocLine(((f"  {UNKNOWN:>9}  {name}", "muted"),), wrap=False))
            continue
        value = format_bytes(points[-1][1]) if in_bytes else format_count(points[-1][1])
        slope = recent_slope(points)
        rate: Span = ("", "muted")
        if slope is not None:
            rate = (
                f"  {format_rate(slope.per_minute, as_bytes=in_bytes)}",
                "warning" if slope.rising else "muted",
            )
        lines.append(DocLine(((f"  {value:>9}", "strong"), (f"  {name}", "plain"), rate), wrap=False))
    return lines + remark_lines(facts)


def remark_lines(facts: Facts) -> list[DocLine]:
    """Sources, notes and what could not be seen."""
    impacts = {item.engine: IMPACT_WORDS[item.impact] for item in facts.capabilities}
    lines = [DocLine(), DocLine(heading("Sources"))]
    for source in facts.snapshot.sources:
        mark, tone = STATE_MARKS[source.state]
        if source.name == PROBES and source.state is SourceState.WAITING and facts.offers_probes:
            off, (word, _) = probes_state(facts, wordy=True)
            lines.append(_source_line(off, source, f"{word} · a arms them"))
            continue
        words = [source.state.value]
        if source.state is SourceState.USED and source.name in impacts:
            words.append(impacts[source.name])
        if source.pause_ms >= 0.5:
            words.append(f"paused the target {source.pause_ms:.0f} ms")
        if source.detail:
            words.append(printable(source.detail, 400))
        lines.append(_source_line((mark, tone), source, " · ".join(words)))
        if source.remedy and source.state is not SourceState.USED:
            lines.append(DocLine(((f"{'':14}→ {printable(source.remedy, 400)}", "accent"),), indent=16))
    if facts.assessment.missing:
        lines += [DocLine(), DocLine(heading("Not seen"))]
        lines += [
            DocLine((("  – ", "muted"), (printable(text, 600), "plain")), indent=4)
            for text in facts.assessment.missing
        ]
    if facts.assessment.notes:
        lines += [DocLine(), DocLine(heading("Notes"))]
        lines += [
            DocLine((("  – ", "muted"), (printable(text, 600), "plain")), indent=4)
            for text in facts.assessment.notes
        ]
    return lines


def _source_line(mark: Span, source: Source, words: str) -> DocLine:
    return DocLine(
        (
            (f"  {mark[0]} ", mark[1]),
            (f"{printable(source.name, 20):<8}", "plain"),
            (f"  {words}", "muted"),
        ),
        indent=14,
    )


def _growth(finding: Finding) -> Span:
    if finding.growth_per_minute is None:
        return UNKNOWN, "muted"
    return format_rate(finding.growth_per_minute, as_bytes=finding.kind is LeakKind.HEAP), "warning"


_KIND_SHORT = {
    LeakKind.HTTP_BODY: "body",
    LeakKind.GOROUTINE: "goroutine",
    LeakKind.FD: "fd",
    LeakKind.HEAP: "heap",
}


def _sureness(finding: Finding) -> Span:
    return finding.confidence.value, CONFIDENCE_TONES[finding.confidence]


COLUMNS: tuple[Column[Finding], ...] = (
    name_column("kind", lambda row: _KIND_SHORT[row.kind], 9, tone="strong"),
    Column("sure", _sureness, lambda row: row.confidence.value, 8),
    name_column("function", lambda row: row.function, 18, 20, show=function_name),
    name_column("where", lambda row: frame_place(row.location), 14, 1, tone="accent", cut="start"),
    number_column("held", lambda row: row.count, format_count, 6, rank=1),
    Column("growth", _growth, lambda row: row.growth_per_minute, 11, align="right", rank=2, descending=True),
)


class SuspectsRoot(Level):
    """Verdict on top, suspects, and beside or below them the chosen one's evidence."""

    def __init__(self) -> None:
        super().__init__("Suspects")
        self._table = LineTable(
            COLUMNS,
            key=finding_key,
            search=lambda row: (
                f"{row.kind.value} {row.confidence.value} {row.function} {frame_place(row.location)}"
            ),
        )
        self._document = Document()
        self._verdict = Lines(id="verdict")
        self._shown: Finding | None = None
        self._reader = WhyReader(self, self._reason_read)

    def compose(self) -> ComposeResult:
        yield self._verdict
        with Container(id="suspect-parts"):
            yield self._table
            yield self._document

    @property
    def table(self) -> LineTable[Finding]:
        return self._table

    @property
    def frame(self) -> Frame | None:
        target = self._document.cursor_target
        if self._document.has_focus and isinstance(target, Frame):
            return target
        row = self._table.cursor_row
        return row.location if row is not None else None

    def caption(self) -> Line:
        count = len(self._table.rows)
        what = "1 suspect" if count == 1 else f"{count} suspects" if count else "no suspect so far"
        return ((what, "muted"),)

    def on_resize(self) -> None:
        self.set_class(self.size.width >= _SIDE_WIDTH, "-wide")
        if self.facts is not None:
            self._verdict.set_lines(verdict_lines(self.facts, max(20, self.size.width - 2)))

    def show(self, facts: Facts) -> None:
        super().show(facts)
        self._verdict.set_lines(verdict_lines(facts, max(20, self.size.width - 2)))
        suspects = facts.assessment.suspects
        emptied = self.has_class("-empty") != (not suspects)
        self.set_class(not suspects, "-empty")
        self._table.set_rows(suspects)
        if not suspects:
            self._shown = None
            self._document.set_lines(seen_lines(facts))
        elif (row := self._table.cursor_row) is not None:
            self._describe(row, facts)
        if emptied and self.display and self.screen.focused in (None, self._table, self._document):
            self.focus_first()

    def _describe(self, finding: Finding, facts: Facts) -> None:
        self._reader.ask(finding, facts)
        reason = reason_lines(self._reader.of(finding))
        self._document.set_lines([*finding_lines(finding, reason=reason)[1:], *remark_lines(facts)])

    def _reason_read(self) -> None:
        row = self._table.cursor_row
        if row is not None and self.facts is not None:
            self._describe(row, self.facts)

    def on_line_table_highlighted(self, message: LineTable.Highlighted) -> None:
        message.stop()
        if self.facts is not None and self.facts.assessment.suspects:
            self._describe(message.row, self.facts)

    def on_line_table_chosen(self, message: LineTable.Chosen) -> None:
        message.stop()
        finding: Finding = message.row
        self.post_message(self.Descended(SuspectLevel(finding, remark_lines)))

    def open_fix(self) -> None:
        """Go down to why the chosen suspect leaks, and the change."""
        row = self._table.cursor_row
        if row is not None:
            self.post_message(self.Descended(SuspectLevel(row, remark_lines, only_why=True)))
