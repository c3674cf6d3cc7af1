"""Where dlv is, and which one it is.

Law: it is run for `version` alone, with a time limit and in no directory of the user's.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from leaktui.errors import EngineUnavailable

HOW_TO_GET = (
    "install it with `go install github.com/go-delve/delve/cmd/dlv@latest`, or copy a dlv built with CGO_ENABLED=0 "
    "from another machine to ~/go/bin or the PATH"
)

_VERSION_SECONDS = 20.0
_VERSION = re.compile(r"^Version:\s*(\d+)\.(\d+)\.(\d+)", re.MULTILINE)
_OLDEST = (1, 20, 0)

_GO_SUPPORT = 4
"""A dlv 1.N knows the Go releases up to 1.N (or N+1 before a .0), and those down to about three before
(pkg/goversion/compat.go: 1.27 names 1.25 to 1.27)."""


@dataclass(frozen=True, slots=True)
class Dlv:
    """An executable dlv and its version."""

    path: str
    version: tuple[int, int, int]

    def __str__(self) -> str:
        return "dlv " + ".".join(map(str, self.version))


def find_dlv() -> Dlv:
    """The first dlv that runs: LEAKTUI_DLV, the PATH, GOBIN, GOPATH's bin, ~/go/bin.

    Raises EngineUnavailable, with how to get one.
    """
    failed = ""
    for path in _candidates():
        version = _version_of(path)
        if version is None:
            failed = f"{path} does not say its version"
        elif version < _OLDEST:
            failed = f"{path} is too old ({'.'.join(map(str, version))})"
        else:
            return Dlv(path, version)
    raise EngineUnavailable(failed or "there is no dlv here", remedy=HOW_TO_GET)


def mismatch_of(dlv: Dlv, go_version: str) -> str:
    """What does not work with a program of that Go release, in a sentence; empty when nothing is known to."""
    match = re.match(r"go1\.(\d+)", go_version)
    if match is None:
        return ""
    release, known = int(match.group(1)), dlv.version[1]
    if release > known:
        return (
            f"{dlv} is older than the program's Go 1.{release}: stacks and tracepoints mostly work, values may be "
            "unreadable or refused; a newer dlv reads all"
        )
    if release < known - (_GO_SUPPORT - 2):
        return (
            f"{dlv} no longer claims to support Go 1.{release}: stacks, values, deferred calls and tracepoints work "
            "on 1.22 to 1.24 all the same"
        )
    return ""


def _candidates() -> Iterator[str]:
    named = os.environ.get("LEAKTUI_DLV")
    if named:
        yield named
        return
    on_path = shutil.which("dlv")
    if on_path:
        yield on_path
    directories = [os.environ.get("GOBIN", "")]
    directories += [f"{part}/bin" for part in os.environ.get("GOPATH", "").split(os.pathsep) if part]
    with suppress(RuntimeError):  # no home
        directories.append(str(Path.home() / "go" / "bin"))
    for directory in directories:
        path = Path(directory) / "dlv"
        if directory and os.access(path, os.X_OK) and path.is_file():
            yield str(path)


def _version_of(path: str) -> tuple[int, int, int] | None:
    try:
        said = subprocess.run(
            [path, "version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_VERSION_SECONDS,
            cwd="/",
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = _VERSION.search(said.stdout)
    if match is None:
        return None
    major, minor, patch = map(int, match.groups())
    return major, minor, patch
