"""The lines around a place in the source, where the source can be read here.

Law: the path comes from the target, so every file is read through `sources`.
"""

from __future__ import annotations

from dataclasses import dataclass

from leaktui.model.frame import Frame
from leaktui.sources import HERE, Sources
from leaktui.text import printable

_LONGEST_LINE = 400
_TAB = 4


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Consecutive lines of a file. `lines` are (number, text); `line` is the one meant.

    `path` is where they were read; `newer` says the file changed after the target began, so that the
    numbers may be off.
    """

    path: str
    line: int
    lines: tuple[tuple[int, str], ...]
    newer: bool = False


def read_excerpt(
    frame: Frame | None,
    *,
    sources: Sources = HERE,
    context: int = 4,
    started_at: float | None = None,
) -> Excerpt | None:
    """±*context* lines around *frame*, or None when they cannot be read here.

    `started_at` is when the target began, in seconds since 1970.
    """
    if frame is None or frame.line <= 0 or not frame.file:
        return None
    found = sources.read(frame.file)
    if found is None or frame.line > len(found.lines):
        return None
    lines, first = found.lines, max(1, frame.line - context)
    chosen = tuple(
        (number, printable(lines[number - 1].rstrip("\r").expandtabs(_TAB), _LONGEST_LINE))
        for number in range(first, min(len(lines), frame.line + context) + 1)
    )
    newer = started_at is not None and found.modified > started_at
    return Excerpt(str(found.path), frame.line, chosen, newer=newer)
