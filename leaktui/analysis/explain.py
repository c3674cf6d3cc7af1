"""Why a suspect's line leaks: the source of its function, read for the reason and a fix.

Law: pure; the source comes through a function that is given, and no source means no explanation.
"""

from __future__ import annotations

from leaktui.analysis.reading.package import LONGEST_SOURCE, GoPackage, ListPackage, ReadSource
from leaktui.analysis.reading.release import explain_release
from leaktui.analysis.reading.retention import explain_growth
from leaktui.analysis.reading.unit import GoFile
from leaktui.analysis.reading.waiting import Place
from leaktui.analysis.reading.waits import explain_wait
from leaktui.model.explanation import Explanation
from leaktui.model.finding import Finding, LeakKind
from leaktui.model.frame import Frame

_MOST_FRAMES = 6


def _unknown(path: str) -> None:
    return None


def explain_finding(
    finding: Finding, read_source: ReadSource, list_package: ListPackage = _unknown
) -> Explanation | None:
    """Why what *finding* names is not given back; None where the source is not at hand or does not say.

    Without *list_package* one file is read, and nothing is called certain that another one could contradict.
    """
    location = finding.location
    if location is None or location.line <= 0:
        return None
    files = _Files(read_source, list_package)
    if finding.kind in (LeakKind.HTTP_BODY, LeakKind.FD):
        file = files.file(location.file)
        return explain_release(file, location.file, location.line, finding.kind) if file is not None else None

    def place(frame: Frame | None) -> Place | None:
        if frame is None or frame.line <= 0:
            return None
        file = files.file(frame.file)
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


class _Files:
    """Files by the names that frames give them, those of a package together."""

    def __init__(self, read_source: ReadSource, list_package: ListPackage) -> None:
        self._read = read_source
        self._list = list_package
        self._packages: dict[str, GoPackage] = {}
        self._files: dict[str, GoFile | None] = {}

    def file(self, path: str) -> GoFile | None:
        """None where it is not at hand, or too long to be anybody's own."""
        if path not in self._files:
            text = self._read(path) if path else None
            self._files[path] = (
                self._add(path, text) if text is not None and len(text) <= LONGEST_SOURCE else None
            )
        return self._files[path]

    def _add(self, path: str, text: str) -> GoFile:
        directory = path.rpartition("/")[0]
        if directory not in self._packages:
            self._packages[directory] = GoPackage(path, text, self._read, self._list)
        return self._packages[directory].add(path, text)
