"""Reading a source file whose path the target named, and finding those of its package.

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

_MOST_FILES = 1000
_SYSTEMS_TEXT = (
    "aix android darwin dragonfly freebsd illumos ios js netbsd openbsd plan9 solaris wasip1 windows"
)
_SYSTEMS = frozenset(_SYSTEMS_TEXT.split())
"""What `_GOOS` at a file's end keeps out of a build for Linux (go/build/syslist.go, Go 1.27)."""


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


def list_package(path: str) -> tuple[str, ...] | None:
    """The names of the Go files in the directory of *path* that a build for Linux may take; tests are left out.

    None when the directory cannot be read, or has too many of them.
    """
    directory = Path(path).parent
    try:
        with os.scandir(directory) as entries:
            names = sorted(entry.name for entry in entries if entry.name.endswith(".go"))
    except (OSError, ValueError):
        return None
    if len(names) > _MOST_FILES:
        return None
    return tuple(name for name in names if not name.startswith(("_", ".")) and _may_be_built(name))


def _may_be_built(name: str) -> bool:
    words = name.removesuffix(".go").split("_")[1:]
    return not words or (words[-1] != "test" and not _SYSTEMS & set(words[-2:]))
