"""The command that opens a line in the user's editor."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path

_GOTO_EDITORS = frozenset({"code", "codium", "cursor", "windsurf"})
_COLON_EDITORS = frozenset({"subl", "hx", "helix", "zed", "micro"})


def editor_command(path: Path, line: int, environ: Mapping[str, str] = os.environ) -> list[str]:
    """`$VISUAL`, else `$EDITOR`, else vi, with *path* at *line* as that editor likes to be told."""
    words = shlex.split(environ.get("VISUAL") or environ.get("EDITOR") or "vi") or ["vi"]
    name = Path(words[0]).name
    line = max(1, line)
    if name in _GOTO_EDITORS:
        return [*words, "--goto", f"{path}:{line}"]
    if name in _COLON_EDITORS:
        return [*words, f"{path}:{line}"]
    return [*words, f"+{line}", str(path)]
