"""Why a suspect's line leaks: the source of its function, read for the reason and a fix.

Law: pure; the source comes through a function that is given, and no source means no explanation.
"""

from __future__ import annotations

from collections.abc import Callable

from leaktui.analysis.reading.release import explain_release
from leaktui.analysis.reading.retention import explain_growth
from leaktui.analysis.reading.unit import GoFile
from leaktui.analysis.reading.waiting import Place
from leaktui.analysis.reading.waits import explain_wait
from leaktui.model.explanation import Explanation
from leaktui.model.finding import Finding, LeakKind
from leaktui.model.frame import Frame

ReadSource = Callable[[str], "str | None"]
"""The text of the source file that a frame names; None where it is not at hand."""

LONGEST_SOURCE = 4 << 20
"""Characters; what is longer was generated, and nobody's to fix."""


_MOST_FRAMES = 6


def explain_finding(finding: Finding, read_source: ReadSource) -> Explanation | None:
    """Why what *finding* names is not given back; None where the source is not at hand or does not say."""
    return _explain(finding, read_source)


def _explain(finding: Finding, read_source: ReadSource) -> Explanation | None:
    location = finding.location
    if location is None or location.line <= 0:
        return None
    if finding.kind in (LeakKind.HTTP_BODY, LeakKind.FD):
        file = _file(location.file, read_source)
        return explain_release(file, location.file, location.line, finding.kind) if file is not None else None
    files: dict[str, GoFile | None] = {}

    def place(frame: Frame | None) -> Place | None:
        if frame is None or frame.line <= 0:
            return None
        if frame.file not in files:
            files[frame.file] = _file(frame.file, read_source)
        file = files[frame.file]
        return Place(file, frame.file, frame.line) if file is not None else None

    around = [item for frame in _outward(finding, location) if (item := place(frame)) is not None]
    if finding.kind is LeakKind.GOROUTINE:
        return explain_wait(around, place(finding.created_by))
    return explain_growth(around)


def _outward(finding: Finding, location: Frame) -> tuple[Frame, ...]:
    """The suspect's frame and its callers."""
    for index, frame in enumerate(finding.stack):
        if (frame.file, frame.line) == (location.file, location.line):
            return finding.stack[index : index + _MOST_FRAMES]
    return (location,)


def _file(path: str, read_source: ReadSource) -> GoFile | None:
    text = read_source(path) if path else None
    return GoFile(text) if text is not None and len(text) <= LONGEST_SOURCE else None
