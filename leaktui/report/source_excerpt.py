"""The lines around a place in the source, where the source can be read here.

Law: the path comes from the target, so it is not trusted: only regular files whose *real* name ends like a
source file's are opened (a symbolic link to somebody's secrets is not), never through a FIFO or device that
could block, and never more than a bounded number of bytes.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from leaktui.model.frame import Frame
from leaktui.text import printable

_SUFFIXES = (".go", ".s", ".c", ".cc", ".cpp", ".h", ".y", ".tmpl", ".templ")
_LARGEST_FILE = 8 << 20
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
    if not path.startswith("/") or "\0" in path or not path.endswith(_SUFFIXES):
        return None
    found = _read_source(path)
    if found is None:
        return None
    text, modified = found
    lines = text.decode("utf-8", "replace").split("\n")
    if frame.line > len(lines):
        return None
    first = max(1, frame.line - context)
    chosen = tuple(
        (number, printable(lines[number - 1].rstrip("\r").expandtabs(_TAB), _LONGEST_LINE))
        for number in range(first, min(len(lines), frame.line + context) + 1)
    )
    return Excerpt(path, frame.line, chosen, newer=started_at is not None and modified > started_at)


def _read_source(path: str) -> tuple[bytes, float] | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except (OSError, ValueError):
        return None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > _LARGEST_FILE:
            return None
        # Where the path really led: a link from x.go to a private file must not be quoted in a ticket.
        if not Path(f"/proc/self/fd/{descriptor}").readlink().name.endswith(_SUFFIXES):
            return None
        with os.fdopen(os.dup(descriptor), "rb") as stream:
            return stream.read(_LARGEST_FILE), status.st_mtime
    except OSError:
        return None
    finally:
        os.close(descriptor)
