"""Why a suspect leaks and what would mend it: the reason, the marked source lines, the change. Pure.

A marked line's target is its place in the source; the change is coloured, and marked + and - without colour, too.
"""

from __future__ import annotations

from collections.abc import Sequence

from leaktui.model.explanation import Explanation
from leaktui.model.finding import Finding
from leaktui.model.frame import Frame
from leaktui.text import printable
from leaktui.tui.highlight import highlight_go
from leaktui.tui.widgets.document import DocLine
from leaktui.tui.widgets.toned import Line, Span, Tone, fit_line, line_width
from leaktui.tui.wording import heading

_NEAR = 1
"""Lines shown around a marked one."""
_CODE_WIDTH = 40
"""Columns of a marked line before its note."""
_MOST_DIFF_LINES = 200


def why_lines(explanation: Explanation, source: Sequence[str]) -> list[DocLine]:
    """The whole section; *source* are the lines of the explanation's file."""
    lines = [DocLine(heading("Why and fix"))]
    sure: Line = () if explanation.certain else (("possible: ", "warning"),)
    lines.append(DocLine((*sure, (printable(explanation.text, 1000), "plain"))))
    lines += [DocLine(), *_marked_lines(explanation, source)]
    for sentence in explanation.seen:
        lines.append(DocLine((("• seen: ", "muted"), (printable(sentence, 600), "plain")), indent=2))
    if explanation.diff:
        title = "Suggested change" + ("" if explanation.diff_certain else ", to be looked over")
        lines += [DocLine(), DocLine(heading(title)), *diff_lines(explanation.diff)]
    return lines


def missing_lines(finding: Finding, how: str) -> list[DocLine]:
    """What is said where the source is not at hand: one sentence. *how* is the option that would help."""
    text = f"Why it leaks can be read from the source, which is not on this machine: {how} says where a copy lies."
    return [DocLine(heading("Why and fix")), DocLine(((printable(text, 600), "muted"),))]


def silent_lines() -> list[DocLine]:
    """What is said where the source is there and gives no reason."""
    text = "The function's source does not say why: who calls it, or what it hands on, may."
    return [DocLine(heading("Why and fix")), DocLine(((text, "muted"),))]


def diff_lines(diff: str) -> list[DocLine]:
    """A unified diff, a line each."""
    found = diff.rstrip("\n").split("\n")
    lines = [_diff_line(text) for text in found[:_MOST_DIFF_LINES]]
    if len(found) > _MOST_DIFF_LINES:
        lines.append(DocLine(((f"… {len(found) - _MOST_DIFF_LINES} more lines", "muted"),)))
    return lines


def _diff_line(text: str) -> DocLine:
    tone: Tone = "plain"
    if text.startswith(("+++", "---", "@@", "\\")):
        tone = "muted"
    elif text.startswith("+"):
        tone = "success"
    elif text.startswith("-"):
        tone = "danger"
    return DocLine(((f"  {text[:1]}{_safe(text[1:])}", tone),), wrap=False)


def _marked_lines(explanation: Explanation, source: Sequence[str]) -> list[DocLine]:
    """The marked lines with their neighbours; what is between them is left out."""
    notes = {mark.line: mark for mark in explanation.marks if 1 <= mark.line <= len(source)}
    shown = sorted(
        {
            line
            for number in notes
            for line in range(number - _NEAR, number + _NEAR + 1)
            if 1 <= line <= len(source) and (line in notes or source[line - 1].strip())
        }
    )
    if not shown:
        return []
    code = dict(zip(shown, highlight_go([source[line - 1] for line in shown]), strict=True))
    common = min(
        (len(text) - len(text.lstrip("\t")) for line in shown if (text := source[line - 1]).strip()),
        default=0,
    )
    digits = len(str(shown[-1]))
    marked = [line_width(_unindented(code[line], common)) for line in notes]
    room = min(max(marked, default=0), _CODE_WIDTH)
    lines: list[DocLine] = []
    before = 0
    for line in shown:
        if before and line > before + 1:
            lines.append(DocLine(((f"  {'⋮':>{digits}}", "comment"),), wrap=False))
        before = line
        gutter: Span = (f"{'▶' if line in notes else ' '} {line:>{digits}}  ", "comment")
        if line in notes:
            gutter = (gutter[0], "danger")
        spans = _unindented(code[line], common)
        mark = notes.get(line)
        if mark is None:
            lines.append(DocLine((gutter, *spans), wrap=False))
            continue
        spans = fit_line(spans, room)
        pad: Span = (" " * (room - line_width(spans)), "plain")
        note: Span = (f"  ← {printable(mark.note, 120)}", "warning")
        target = Frame(explanation.function, explanation.file, line)
        lines.append(DocLine((gutter, *spans, pad, note), target, wrap=False))
    return lines


def _unindented(code: Line, tabs: int) -> Line:
    """*code* without the indentation all lines share; a tab was drawn as four spaces."""
    if not code or not tabs:
        return code
    (text, tone), *rest = code
    blanks = min(len(text) - len(text.lstrip(" ")), 4 * tabs)
    return ((text[blanks:], tone), *rest) if text[blanks:] else tuple(rest)


def _safe(text: str) -> str:
    return printable(text.replace("\t", "    "), 400)
