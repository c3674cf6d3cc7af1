"""Why the suspects of a report leak, read from their source where that is at hand.

Law: like every source here it is read through `sources`; without it there is one sentence on how to get it.
"""

from __future__ import annotations

from dataclasses import dataclass

from leaktui.model.explanation import Explanation
from leaktui.model.finding import Finding
from leaktui.report.redaction import MASKED, Redaction
from leaktui.sources import HERE, Sources

_TAB = 4
_LONGEST_LINE = 400
_MOST_DIFF_LINES = 80

SOURCE_MISSING = "The source is not at hand: --source-root FROM=TO says where a copy of it lies."


@dataclass(frozen=True, slots=True)
class Explained:
    """`missing` says that the source could not be read; `lines` are the marked ones as (number, text, note)."""

    explanation: Explanation | None = None
    missing: bool = False
    lines: tuple[tuple[int, str, str], ...] = ()


def explain_suspect(finding: Finding, sources: Sources = HERE, redaction: Redaction = MASKED) -> Explained:
    """The explanation of *finding* with the text of its marked lines, masked and safe to print."""
    location = finding.location
    if location is None or not location.file:
        return Explained()
    explanation = sources.explain(finding)
    if explanation is None:
        return Explained(missing=sources.read(location.file) is None)
    found = sources.read(explanation.file)
    text = found.lines if found is not None else ()
    lines = tuple(
        (mark.line, _shown(text[mark.line - 1], redaction), mark.note)
        for mark in explanation.marks
        if 1 <= mark.line <= len(text)
    )
    return Explained(explanation, lines=lines)


def reason_text(explanation: Explanation, redaction: Redaction) -> str:
    """The reason in one sentence, `Possible:` before it where the source allows another reading."""
    text = redaction.text(explanation.text)
    return text if explanation.certain else f"Possible: {text}"


def diff_title(explanation: Explanation) -> str:
    """What stands over a suggested change."""
    return "Suggested change" if explanation.diff_certain else "Suggested change, to be looked over"


def diff_lines(explanation: Explanation, redaction: Redaction) -> list[str]:
    """The lines of the change, masked and safe to print; tabs stay, so that it can be applied."""
    lines = explanation.diff.rstrip("\n").split("\n") if explanation.diff else []
    return ["\t".join(redaction.text(part) for part in line.split("\t")) for line in lines[:_MOST_DIFF_LINES]]


def _shown(text: str, redaction: Redaction) -> str:
    return redaction.text(text.rstrip("\r").expandtabs(_TAB), _LONGEST_LINE)
