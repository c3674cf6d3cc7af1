"""Reading a source file whose path the target named.

Law: the path is not trusted. Only regular files whose *real* name ends like a source file's are read (a
link from `x.go` to somebody's secrets is not), never through a FIFO or a device that could block, and
never more than a bounded number of bytes.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

_SUFFIXES = (".go", ".s", ".c", ".cc", ".cpp", ".h", ".y", ".tmpl", ".templ")
LARGEST_FILE = 8 << 20
"""Bytes; a larger file is not read at all."""


def read_source(path: str) -> tuple[str, float] | None:
    """The text of the file at the absolute *path* and its time of change (seconds since 1970).

    None when there is none, or when it is not one that may be shown.
    """
    if not path.startswith("/") or "\0" in path or not path.endswith(_SUFFIXES):
        return None
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except (OSError, ValueError):
        return None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > LARGEST_FILE:
            return None
        # Where the path really led.
        if not Path(f"/proc/self/fd/{descriptor}").readlink().name.endswith(_SUFFIXES):
            return None
        with os.fdopen(os.dup(descriptor), "rb") as stream:
            return stream.read(LARGEST_FILE).decode("utf-8", "replace"), status.st_mtime
    except OSError:
        return None
    finally:
        os.close(descriptor)
