"""The lines around a place in the source, where the source can be read here.

Law: the path comes from the target, so every file is read through `source_text`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from leaktui.model.frame import Frame
from leaktui.source_text import read_source
from leaktui.text import printable

_LONGEST_LINE = 400
_TAB = 4


@dataclass(frozen=True, slots=True)
class SourceRoot:
    """`--source-root FROM=TO`: paths that begin with *build* are read below *local*.

    An empty *build* maps relative paths, as a build with -trimpath leaves them.
    """

    build: str
    local: str


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


def parse_source_root(text: str) -> SourceRoot:
    """`FROM=TO` as a SourceRoot; raises ValueError when a half is missing."""
    build, separator, local = text.partition("=")
    if not separator or not local:
        raise ValueError("expected FROM=TO")
    return SourceRoot(build.rstrip("/") or build[:1], local.rstrip("/") or "/")


def map_source_path(path: str, roots: Sequence[SourceRoot]) -> str:
    """*path* with the longest matching root replaced; unchanged when none matches."""
    for root in sorted(roots, key=lambda item: len(item.build), reverse=True):
        if not root.build:
            if path.startswith("/"):
                continue
            return root.local.rstrip("/") + "/" + path.removeprefix("./")
        prefix = root.build if root.build.endswith("/") else root.build + "/"
        if path.startswith(prefix):
            return root.local.rstrip("/") + "/" + path[len(prefix) :]
    return path


def read_excerpt(
    frame: Frame | None,
    *,
    roots: Sequence[SourceRoot] = (),
    context: int = 4,
    started_at: float | None = None,
) -> Excerpt | None:
    """±*context* lines around *frame*, or None when they cannot be read here.

    `started_at` is when the target began, in seconds since 1970.
    """
    if frame is None or frame.line <= 0 or not frame.file:
        return None
    path = map_source_path(frame.file, roots)
    # A relative path (a -trimpath build) means something only through a source root.
    found = read_source(path)
    if found is None:
        return None
    text, modified = found
    lines = text.split("\n")
    if frame.line > len(lines):
        return None
    first = max(1, frame.line - context)
    chosen = tuple(
        (number, printable(lines[number - 1].rstrip("\r").expandtabs(_TAB), _LONGEST_LINE))
        for number in range(first, min(len(lines), frame.line + context) + 1)
    )
    return Excerpt(path, frame.line, chosen, newer=started_at is not None and modified > started_at)
