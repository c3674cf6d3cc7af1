"""A diagnosis as one HTML page that stands alone: graphs, suspects, source, evidence, what it cost.

Law: a page has no script, fetches nothing and says so to the browser (Content-Security-Policy). Every text goes
through `_Page.text`, `.name` or `.url`: masked, printable, then escaped; a tag is only ever written here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from html import escape

from leaktui import __version__
from leaktui.model.capability import SourceState
from leaktui.model.explanation import Explanation
from leaktui.model.finding import Diagnosis, Finding, Verdict
from leaktui.model.frame import Frame, Stack
from leaktui.report.by_hand import list_commands
from leaktui.report.explained import explain_suspect
from leaktui.report.graphs import Graph
from leaktui.report.html_graph import draw_graph
from leaktui.report.html_source import draw_diff, draw_excerpt, read_function
from leaktui.report.html_style import content_policy, style_sheet
from leaktui.report.phrases import (
    KIND_TITLES,
    format_headline,
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

_MOST_FRAMES = 40
_MOST_SUSPECTS = 30
_OPEN_FRAMES = 12
_QUOTED = re.compile(r"`([^`]+)`")


def format_html(
    diagnosis: Diagnosis,
    *,
    graphs: Sequence[Graph] = (),
    sources: Sources = HERE,
    redaction: Redaction = MASKED,
    written: datetime | None = None,
    endpoint: str = "",
) -> str:
    """*diagnosis* as an HTML document, ending with a line break.

    *written* is the moment to put below it, *endpoint* the pprof endpoint that was found (for what to do by hand).
    """
    page = _Page(diagnosis, tuple(graphs), sources, redaction, written, endpoint)
    return "\n".join(page.lines()) + "\n"


class _Page:
    def __init__(
        self,
        diagnosis: Diagnosis,
        graphs: Sequence[Graph],
        sources: Sources,
        redaction: Redaction,
        written: datetime | None,
        endpoint: str,
    ) -> None:
        self._diagnosis = diagnosis
        self._graphs = graphs
        self._sources = sources.of_module(diagnosis.target.module)
        self._redaction = redaction
        self._written = written
        self._endpoint = endpoint

    # -- words ---------------------------------------------------------------------------------

    def text(self, text: str) -> str:
        """A sentence that may quote the target; what stands in backticks is code."""
        return _QUOTED.sub(r"<code>\1</code>", escape(self._redaction.text(text)))

    def name(self, text: str) -> str:
        """A symbol, a path, a version."""
        return escape(self._redaction.name(text))

    def url(self, url: str) -> str:
        """A URL."""
        return escape(self._redaction.url(url))

    def place(self, frame: Frame | None) -> str:
        """`file:line`."""
        return escape(format_place(frame, self._redaction))

    # -- the page ------------------------------------------------------------------------------

    def lines(self) -> Iterator[str]:
        diagnosis = self._diagnosis
        headline = escape(format_headline(diagnosis, self._redaction))
        yield "<!DOCTYPE html>"
        yield '<html lang="en"><head><meta charset="utf-8">'
        yield f'<meta http-equiv="Content-Security-Policy" content="{escape(content_policy())}">'
        yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
        yield '<meta name="referrer" content="no-referrer"><meta name="robots" content="noindex">'
        yield f"<title>{headline}</title>"
        yield f"<style>{style_sheet()}</style></head>"
        yield "<body><main>"
        yield from self._verdict(headline)
        if self._graphs:
            yield "<h2>While it was watched</h2>"
            yield f'<section class="graphs of{len(self._graphs)}">{"".join(map(draw_graph, self._graphs))}</section>'
            yield (
                '<p class="aside">Growth is of the last three minutes (Theil–Sen); a dashed line is the trend where '
                "it rises for sure.</p>"
            )
        yield from self._suspects()
        yield from self._looked_at()
        yield from self._limits()
        yield from self._by_hand()
        yield from self._footer()
        yield "</main></body></html>"

    def _verdict(self, headline: str) -> Iterator[str]:
        diagnosis = self._diagnosis
        yield f'<header class="card verdict {diagnosis.verdict.value}">'
        yield f'<span class="pill">{escape(diagnosis.verdict.value)}</span>'
        if diagnosis.verdict is Verdict.LEAK and diagnosis.suspects:
            culprit = diagnosis.suspects[0]
            function = self.name(short_function(culprit.function))
            where = f' in <span class="symbol">{function}</span>' if function else ""
            yield f"<h1>{self._title(culprit)}{where}</h1>"
            yield f'<p class="place">{self.place(culprit.location) or "the line is not known"}</p>'
            yield f"<p>{self._rating(culprit)}</p>"
        else:
            yield f"<h1>{headline}</h1>"
        yield '<dl class="facts">'
        for term, html in self._facts():
            yield f"<dt>{term}</dt><dd>{html}</dd>"
        yield "</dl></header>"

    def _facts(self) -> Iterator[tuple[str, str]]:
        diagnosis, target = self._diagnosis, self._diagnosis.target
        if target.pid is not None:
            yield "Process", f"pid {target.pid}"
        if target.exe:
            yield "Executable", f"<code>{self.name(target.exe)}</code>"
        if target.url:
            yield "Endpoint", f"<code>{self.url(target.url)}</code>"
        build = [self.name(item) for item in (target.go_version, target.module) if item]
        if target.stripped:
            build.append("stripped")
        if build:
            yield "Build", ", ".join(build)
        yield (
            "Watched",
            f"{escape(format_duration(diagnosis.elapsed_seconds))}, "
            f"the target stopped for {escape(format_pause(diagnosis.target_pause_ms))}",
        )

    def _title(self, finding: Finding) -> str:
        title = KIND_TITLES[finding.kind]
        return escape(title[:1].upper() + title[1:])

    def _rating(self, finding: Finding) -> str:
        rating = finding.confidence.value
        return (
            f'<span class="pill {rating}">{rating}</span>'
            f'<span class="held">{escape(format_held(finding))}</span>'
        )

    # -- suspects ------------------------------------------------------------------------------

    def _suspects(self) -> Iterator[str]:
        diagnosis = self._diagnosis
        if not diagnosis.suspects:
            return
        leak = diagnosis.verdict is Verdict.LEAK
        yield f"<h2>{'Suspects, the culprit first' if leak else 'Not proven, but worth a look'}</h2>"
        for number, finding in enumerate(diagnosis.suspects[:_MOST_SUSPECTS], 1):
            yield from self._suspect(number, finding)
        left = len(diagnosis.suspects) - _MOST_SUSPECTS
        if left > 0:
            yield f'<p class="aside">… {left} more; --json lists them all.</p>'

    def _suspect(self, number: int, finding: Finding) -> Iterator[str]:
        function = self.name(short_function(finding.function))
        yield '<article class="card suspect">'
        yield f"<h3>{number}. {self._title(finding)}</h3>"
        yield f"<p>{self._rating(finding)}</p>"
        yield '<dl class="facts">'
        if function:
            yield f"<dt>Function</dt><dd><code>{self.name(finding.function)}</code></dd>"
        yield f"<dt>Line</dt><dd><code>{self.place(finding.location) or 'not known'}</code></dd>"
        if finding.created_by is not None:
            creator = f"<code>{self.name(finding.created_by.function)}</code>"
            at = self.place(finding.created_by)
            yield f"<dt>Created by</dt><dd>{creator}{f' at <code>{at}</code>' if at else ''}</dd>"
        yield "</dl>"
        explanation = explain_suspect(finding, self._sources).explanation
        yield from self._source(finding, explanation)
        if explanation is not None:
            yield from self._reason(explanation)
        if finding.evidence:
            yield '<h4>Evidence</h4><ul class="evidence">'
            for item in finding.evidence:
                yield f'<li><span class="by">{self.name(item.source)}</span><span>{self.text(item.text)}</span></li>'
            yield "</ul>"
        if finding.advice:
            yield f'<h4>What to do</h4><p class="advice">{self.text(finding.advice)}</p>'
        if explanation is not None and explanation.diff:
            sure = "Suggested change" if explanation.diff_certain else "Possible change: look it over"
            yield f"<h4>{sure}</h4>{draw_diff(explanation.diff, self._redaction)}"
        if finding.candidates:
            title = "Lines it may be" if finding.location is None else "Other lines it may be"
            yield f"<h4>{title}</h4>{self._stack(finding.candidates, None)}"
        if finding.stack:
            yield from self._calls(finding)
        yield "</article>"

    def _source(self, finding: Finding, explanation: Explanation | None) -> Iterator[str]:
        started_at = self._diagnosis.target.started_at
        excerpt = read_function(explanation, self._sources, started_at) if explanation is not None else None
        if excerpt is None:
            excerpt = read_excerpt(finding.location, sources=self._sources, started_at=started_at)
        if excerpt is not None:
            notes = {mark.line: mark.note for mark in explanation.marks} if explanation is not None else {}
            yield draw_excerpt(excerpt, notes, self._redaction)

    def _reason(self, explanation: Explanation) -> Iterator[str]:
        sure = "" if explanation.certain else " (possible)"
        yield f"<h4>Why{sure}: {escape(explanation.reason.value)}</h4>"
        yield f"<p>{self.text(explanation.text)}</p>"
        if explanation.seen:
            yield f"<ul>{''.join(f'<li>{self.text(item)}</li>' for item in explanation.seen)}</ul>"

    def _calls(self, finding: Finding) -> Iterator[str]:
        stack = self._stack(finding.stack, finding.location)
        if len(finding.stack) <= _OPEN_FRAMES:
            yield f"<h4>Stack</h4>{stack}"
        else:
            yield f"<details><summary>Stack, {len(finding.stack)} calls</summary>{stack}</details>"

    def _stack(self, stack: Stack, owner: Frame | None) -> str:
        items = []
        for frame in stack[:_MOST_FRAMES]:
            mine = owner is not None and (frame.function, frame.line) == (owner.function, owner.line)
            place = self.place(frame)
            at = f'<span class="at mono">{place}</span>' if place else ""
            opening = '<code class="owner">' if mine else "<code>"
            inlined = ' <span class="aside">inlined</span>' if frame.inlined else ""
            items.append(f"<li>{opening}{self.name(frame.function)}</code>{inlined}{at}</li>")
        left = len(stack) - _MOST_FRAMES
        if left > 0:
            items.append(f'<li class="aside">… {left} more</li>')
        return f'<ol class="stack">{"".join(items)}</ol>'

    # -- what it rests on ----------------------------------------------------------------------

    def _looked_at(self) -> Iterator[str]:
        diagnosis = self._diagnosis
        yield '<h2>Looked at, and what it cost</h2><section class="card tablewrap"><table class="sources">'
        yield (
            '<thead><tr><th>Source</th><th>State</th><th>What it saw</th><th class="cost">Target stopped</th>'
            "</tr></thead><tbody>"
        )
        for source in diagnosis.sources:
            state = source.state.value
            yield (
                f'<tr><td>{self.name(source.name)}</td><td class="state {state}">{state}</td>'
                f"<td>{escape(format_source_detail(source, self._redaction))}</td>"
                f'<td class="cost">{escape(format_pause(source.pause_ms))}</td></tr>'
            )
        total = escape(format_pause(diagnosis.target_pause_ms))
        yield f'<tr class="total"><td>in all</td><td></td><td></td><td class="cost">{total}</td></tr>'
        yield "</tbody></table></section>"

    def _limits(self) -> Iterator[str]:
        diagnosis = self._diagnosis
        if diagnosis.notes:
            yield f'<h2>{format_notes_title(diagnosis.verdict)}</h2><section class="card"><ul>'
            yield from (f"<li>{self.text(note)}</li>" for note in diagnosis.notes)
            yield "</ul></section>"
        blind = [item for item in diagnosis.sources if item.state is not SourceState.USED]
        yield '<h2>Limits</h2><section class="card"><ul>'
        if blind:
            names = ", ".join(self.name(item.name) for item in blind)
            yield f"<li>Not seen through: {names}. What only they see is not in this report.</li>"
        yield (
            f"<li>It tells of {escape(format_duration(diagnosis.elapsed_seconds))} of one process; what did not "
            "happen in that time cannot be in it.</li>"
        )
        yield "<li>“Proven” is seen itself, “likely” rests on figures that fit, “possible” is worth a look.</li>"
        if not self._redaction.show_secrets:
            yield "<li>Query values, user info and credentials are masked (…).</li>"
        yield "</ul></section>"

    def _by_hand(self) -> Iterator[str]:
        yield '<h2>See it by hand</h2><section class="card"><ul class="commands">'
        for item in list_commands(self._diagnosis, self._redaction, self._endpoint):
            yield f"<li>{escape(item.shows)}<code>{escape(item.command)}</code></li>"
        yield "</ul></section>"

    def _footer(self) -> Iterator[str]:
        when = f", {self._written:%Y-%m-%d %H:%M %Z}".rstrip() if self._written is not None else ""
        yield f"<footer>leaktui {escape(__version__)}{escape(when)}. One file: no scripts, nothing is fetched.</footer>"
