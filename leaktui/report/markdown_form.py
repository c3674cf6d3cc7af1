"""A diagnosis as Markdown: a ticket to paste.

Law: what the target named stands in code spans or is escaped, so that no symbol or path can become markup,
break a table or close a fence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from leaktui.model.finding import Diagnosis, Finding, Verdict
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
    format_held,
    format_notes_title,
    format_pause,
    format_place,
    format_source_detail,
)
from leaktui.report.redaction import MASKED, Redaction
from leaktui.report.source_excerpt import read_excerpt
from leaktui.sources import HERE, Sources
from leaktui.text import format_duration, short_function

# Escaping every dot and hyphen would make the raw ticket unreadable; they matter only at a line's start.
_INLINE_SPECIAL = re.compile(r"[\\`*_\[\]<>|~&#]")
_RUN_OF_TICKS = re.compile(r"`+")
_MOST_FRAMES = 30


def format_markdown(diagnosis: Diagnosis, *, sources: Sources = HERE, redaction: Redaction = MASKED) -> str:
    """*diagnosis* as a Markdown document, ending with a line break."""
    form = _MarkdownForm(diagnosis, sources, redaction)
    return "\n".join(form.lines()) + "\n"


def escape_markdown(text: str) -> str:
    """*text* as it reads, with nothing left that Markdown or HTML would act on within a line."""
    escaped = _INLINE_SPECIAL.sub(lambda match: "\\" + match.group(), text)
    # A list marker or heading counts only at the very start.
    return "\\" + escaped if escaped[:1] in "+-=" else escaped


def code_span(text: str, *, in_table: bool = False) -> str:
    """*text* as inline code, whatever backticks it holds; pipes are escaped inside tables."""
    if not text:
        return ""
    if in_table:
        text = text.replace("|", "\\|")
    ticks = "`" * (max((len(run) for run in _RUN_OF_TICKS.findall(text)), default=0) + 1)
    pad = " " if text[0] == "`" or text[-1] == "`" else ""
    return f"{ticks}{pad}{text}{pad}{ticks}"


def fence_for(text: str) -> str:
    """A fence longer than any run of backticks in *text*."""
    longest = max((len(run) for run in _RUN_OF_TICKS.findall(text)), default=0)
    return "`" * max(3, longest + 1)


class _MarkdownForm:
    def __init__(self, diagnosis: Diagnosis, sources: Sources, redaction: Redaction) -> None:
        self._diagnosis = diagnosis
        self._sources = sources.of_module(diagnosis.target.module)
        self._redaction = redaction

    def lines(self) -> Iterator[str]:
        diagnosis = self._diagnosis
        yield f"# {self._title()}"
        yield ""
        yield from self._facts()
        suspects = diagnosis.suspects
        if diagnosis.verdict is Verdict.LEAK and suspects:
            yield from self._culprit(suspects[0])
            suspects = suspects[1:]
        if suspects:
            yield from self._others(suspects)
        yield from self._looked_at()
        if diagnosis.notes:
            yield from ("", f"## {format_notes_title(diagnosis.verdict)}", "")
            for note in diagnosis.notes:
                yield f"- {escape_markdown(self._redaction.text(note))}"

    def _title(self) -> str:
        diagnosis = self._diagnosis
        if diagnosis.verdict is Verdict.LEAK and diagnosis.suspects:
            culprit = diagnosis.suspects[0]
            function = code_span(self._redaction.name(short_function(culprit.function)))
            return f"Leak: {KIND_TITLES[culprit.kind]}" + (f" in {function}" if function else "")
        return {
            Verdict.LEAK: "Leak: something grows, but no suspect could be named",
            Verdict.CLEAN: "Clean: nothing leaks",
            Verdict.UNDECIDED: "Undecided",
        }[diagnosis.verdict]

    def _facts(self) -> Iterator[str]:
        target, redaction = self._diagnosis.target, self._redaction
        rows: list[tuple[str, str]] = []
        if target.pid is not None:
            rows.append(("Process", f"pid {target.pid}"))
        if target.exe:
            rows.append(("Executable", code_span(redaction.name(target.exe), in_table=True)))
        if target.url:
            rows.append(("Endpoint", code_span(redaction.url(target.url), in_table=True)))
        build = [
            code_span(redaction.name(item), in_table=True)
            for item in (target.go_version, target.module)
            if item
        ]
        if target.stripped:
            build.append("stripped")
        if build:
            rows.append(("Build", ", ".join(build)))
        watched = format_duration(self._diagnosis.elapsed_seconds)
        stopped = format_pause(self._diagnosis.target_pause_ms)
        rows.append(("Watched", f"{watched}, the target stopped for {stopped}"))
        yield "| | |"
        yield "|---|---|"
        for name, text in rows:
            yield f"| {name} | {text} |"

    def _culprit(self, finding: Finding) -> Iterator[str]:
        redaction = self._redaction
        place = format_place(finding.location, redaction)
        yield from ("", "## Where", "")
        yield f"- **Line**: {code_span(place) if place else 'not known'}"
        if finding.function:
            yield f"- **Function**: {code_span(redaction.name(finding.function))}"
        yield f"- **Confidence**: {finding.confidence.value}"
        yield f"- **Held**: {format_held(finding)}"
        if finding.created_by is not None:
            creator = code_span(redaction.name(finding.created_by.function))
            at = format_place(finding.created_by, redaction)
            yield f"- **Created by**: {creator}" + (f" at {code_span(at)}" if at else "")
        yield from self._excerpt(finding)
        if finding.evidence:
            yield from ("", "## Evidence", "", "| Source | Observed |", "|---|---|")
            for item in finding.evidence:
                source = escape_markdown(redaction.name(item.source))
                yield f"| {source} | {escape_markdown(redaction.text(item.text))} |"
        yield from self._explained(finding)
        if finding.advice:
            yield from ("", "## What to do", "", escape_markdown(redaction.text(finding.advice)))
        if finding.stack:
            yield from ("", "## Stack", "")
            yield from self._stack(finding.stack)
        if finding.candidates:
            yield from ("", "## Lines it may be", "")
            yield from self._stack(finding.candidates)

    def _explained(self, finding: Finding) -> Iterator[str]:
        """Why it leaks, the lines that say so, and a change."""
        explained = explain_suspect(finding, self._sources, self._redaction)
        explanation = explained.explanation
        if explanation is None:
            if explained.missing:
                yield from ("", escape_markdown(SOURCE_MISSING))
            return
        yield from ("", "## Why it leaks", "")
        yield escape_markdown(reason_text(explanation, self._redaction))
        body = [f"{number:>5} | {text}  // {note}" for number, text, note in explained.lines]
        fence = fence_for("\n".join(body))
        yield from ("", f"{fence}go", *body, fence)
        for sentence in explanation.seen:
            yield f"- {escape_markdown(self._redaction.text(sentence))}"
        if explanation.diff:
            change = diff_lines(explanation, self._redaction)
            fence = fence_for("\n".join(change))
            yield from ("", f"## {diff_title(explanation)}", "", f"{fence}diff", *change, fence)

    def _excerpt(self, finding: Finding) -> Iterator[str]:
        excerpt = read_excerpt(
            finding.location,
            sources=self._sources,
            started_at=self._diagnosis.target.started_at,
        )
        if excerpt is None:
            return
        digits = len(str(excerpt.lines[-1][0]))
        body = [
            f"{'>' if number == excerpt.line else ' '} {number:>{digits}} | {self._redaction.text(text)}".rstrip()
            for number, text in excerpt.lines
        ]
        fence = fence_for("\n".join(body))
        yield from ("", f"{fence}go", *body, fence)
        if excerpt.newer:
            yield from ("", "The file changed after the process began: lines may have moved.")

    def _stack(self, stack: Stack) -> Iterator[str]:
        body = []
        for frame in stack[:_MOST_FRAMES]:
            body.append(self._redaction.name(frame.function))
            place = format_place(frame, self._redaction)
            if place:
                body.append(f"    {place}")
        if len(stack) > _MOST_FRAMES:
            body.append(f"… {len(stack) - _MOST_FRAMES} more")
        fence = fence_for("\n".join(body))
        yield from (fence, *body, fence)

    def _others(self, suspects: Sequence[Finding]) -> Iterator[str]:
        leak = self._diagnosis.verdict is Verdict.LEAK
        yield from ("", "## Other suspects" if leak else "## Not proven, but worth a look", "")
        yield from ("| Kind | Confidence | Function | Line | Held |", "|---|---|---|---|---|")
        for finding in suspects:
            function = code_span(self._redaction.name(finding.function), in_table=True)
            place = code_span(format_place(finding.location, self._redaction), in_table=True)
            yield (
                f"| {KIND_TITLES[finding.kind]} | {finding.confidence.value} | {function} | {place or 'not known'}"
                f" | {format_held(finding)} |"
            )

    def _looked_at(self) -> Iterator[str]:
        yield from ("", "## Looked at", "", "| Source | State | Detail | Pause |", "|---|---|---|---|")
        for source in self._diagnosis.sources:
            name = escape_markdown(self._redaction.name(source.name))
            detail = escape_markdown(format_source_detail(source, self._redaction))
            yield f"| {name} | {source.state.value} | {detail} | {format_pause(source.pause_ms)} |"
