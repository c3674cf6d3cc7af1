"""Source lines, stacks of lines and a suggested change as HTML.

Law: every line is escaped before a tag is put around any part of it; colour is decoration only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape

from leaktui.model.explanation import Explanation
from leaktui.model.frame import Frame
from leaktui.report.redaction import Redaction
from leaktui.report.source_excerpt import Excerpt, read_excerpt
from leaktui.sources import Sources

_MOST_CONTEXT = 45
_MOST_DIFF_LINES = 200
_KEYWORDS = (
    "break|case|chan|const|continue|default|defer|else|fallthrough|for|func|go|goto|if|import|interface|map|package|"
    "range|return|select|struct|switch|type|var|nil|true|false"
)
_TOKEN = re.compile(
    r"(?P<comment>//.*|/\*.*?(?:\*/|$))"
    r"|(?P<string>\"(?:\\.|[^\"\\])*\"?|`[^`]*`?|'(?:\\.|[^'\\])+')"
    rf"|(?P<keyword>\b(?:{_KEYWORDS})\b)"
)


def draw_excerpt(excerpt: Excerpt, notes: Mapping[int, str], redaction: Redaction) -> str:
    """The lines of *excerpt* with the one meant marked; *notes* stand in the margin of their lines."""
    rows = []
    for number, text in excerpt.lines:
        note = notes.get(number, "")
        kind = "here" if number == excerpt.line else "noted" if note else ""
        said = f'<span class="note">{escape(redaction.text(note))}</span>' if note else ""
        mark = '<span class="mark">▸</span>' if number == excerpt.line else '<span class="mark"> </span>'
        rows.append(
            f'<span class="row{" " + kind if kind else ""}">{mark}<span class="number">{number}</span>'
            f"<code>{paint_go(redaction.code(text))}</code>{said}</span>"
        )
    name = escape(redaction.name(excerpt.path))
    newer = (
        '<p class="aside">The file changed after the process began: lines may have moved.</p>'
        if excerpt.newer
        else ""
    )
    return (
        f'<figure class="source"><figcaption>{name}</figcaption><div class="rows">{"".join(rows)}</div></figure>'
        f"{newer}"
    )


def read_function(explanation: Explanation, sources: Sources, started_at: float | None) -> Excerpt | None:
    """The function an explanation speaks of, as far as it is within reach of the line; None if unreadable."""
    line = explanation.acquire_line
    reach = max(line - explanation.first_line, explanation.last_line - line, 4)
    excerpt = read_excerpt(
        Frame(explanation.function, explanation.file, line),
        sources=sources,
        context=min(reach, _MOST_CONTEXT),
        started_at=started_at,
    )
    if excerpt is None:
        return None
    inside = tuple(
        item for item in excerpt.lines if explanation.first_line <= item[0] <= explanation.last_line
    )
    return Excerpt(excerpt.path, excerpt.line, inside or excerpt.lines, excerpt.newer)


def draw_diff(diff: str, redaction: Redaction) -> str:
    """A change in unified form, added and removed lines coloured."""
    rows = []
    lines = diff.splitlines()
    for line in lines[:_MOST_DIFF_LINES]:
        kind = {"+": "added", "-": "removed", "@": "hunk"}.get(line[:1], "")
        if line.startswith(("+++", "---")):
            kind = "hunk"
        text = escape(redaction.code(line.expandtabs(4)))
        rows.append(f'<span class="row{" " + kind if kind else ""}"><code>{text or " "}</code></span>')
    if len(lines) > _MOST_DIFF_LINES:
        rows.append(f'<span class="row"><code>… {len(lines) - _MOST_DIFF_LINES} more lines</code></span>')
    return f'<figure class="source diff"><div class="rows">{"".join(rows)}</div></figure>'


def paint_go(line: str) -> str:
    """One line of Go, escaped, with comments, strings and keywords in spans."""
    parts = []
    end = 0
    for match in _TOKEN.finditer(line):
        parts.append(escape(line[end : match.start()]))
        parts.append(f'<span class="{match.lastgroup}">{escape(match.group())}</span>')
        end = match.end()
    return "".join((*parts, escape(line[end:])))
