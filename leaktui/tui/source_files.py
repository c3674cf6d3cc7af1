"""Finding and reading a frame's source file on this machine.

Law: the path comes from the target's binary, so what it leads to is read through `source_text` alone.
Paths as `-trimpath` leaves them (`example.com/app/user.go`) are looked for beside the module.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from leaktui.source_text import read_source


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A readable file and its lines."""

    path: Path
    lines: tuple[str, ...]


KeptSource = Callable[[str], Mapping[int, str]]
"""The lines by number that a capture holds of a file, empty where it holds none."""

_NOT_KEPT = "// … not in the capture …"


class SourceFinder:
    """Maps paths of the build to files here. *roots* are FROM=TO pairs; an empty FROM maps relative names.

    What *kept* holds of a file goes before what lies here: it is what the program was built from.
    """

    def __init__(
        self,
        roots: Sequence[tuple[str, str]] = (),
        *,
        here: Path | None = None,
        kept: KeptSource | None = None,
    ) -> None:
        self._kept = kept
        self._roots = tuple(roots)
        self._here = here if here is not None else Path.cwd()

    def find(self, file: str, module: str = "") -> Path | None:
        """The first readable candidate for *file*; *module* is the target's main module path."""
        if not file or "\0" in file:
            return None
        for candidate in self._iter_candidates(file, module):
            try:
                if stat.S_ISREG(candidate.stat().st_mode) and os.access(candidate, os.R_OK):
                    return candidate
            except (OSError, ValueError):
                continue
        return None

    def read(self, file: str, module: str = "") -> SourceFile | None:
        """The lines of *file*, None when it is not here, not a text, or too large."""
        kept = self._kept(file) if self._kept is not None else {}
        if kept:
            last = max(kept)
            lines = [kept.get(number, "") for number in range(1, last + 1)]
            for number in range(1, last + 1):
                if number not in kept and (number == 1 or number - 1 in kept):
                    lines[number - 1] = _NOT_KEPT
            return SourceFile(Path(file), (*lines, _NOT_KEPT))
        path = self.find(file, module)
        found = read_source(str(path.absolute())) if path is not None else None
        if path is None or found is None or "\0" in found[0]:
            return None
        return SourceFile(path, tuple(found[0].split("\n")))

    def _iter_candidates(self, file: str, module: str) -> Iterator[Path]:
        for source, destination in self._roots:
            if not source:
                if not file.startswith("/"):
                    yield Path(destination) / file
                    yield from _beside_module(file, module, Path(destination))
            elif file == source or file.startswith(source.rstrip("/") + "/"):
                yield Path(destination) / file[len(source.rstrip("/")) :].lstrip("/")
        if file.startswith("/"):
            yield Path(file)
            return
        yield from _beside_module(file, module, self._here)
        for cache in _module_caches():
            yield cache / file
        if root := os.environ.get("GOROOT"):
            yield Path(root) / "src" / file


def _beside_module(file: str, module: str, directory: Path) -> Iterator[Path]:
    """`-trimpath` names the module's own files by its path, and a main package outside one by `./`."""
    if module and file.startswith(module + "/"):
        yield directory / file[len(module) + 1 :]
    if file.startswith("./"):
        yield directory / file[2:]


def _module_caches() -> Iterator[Path]:
    if cache := os.environ.get("GOMODCACHE"):
        yield Path(cache)
    for directory in os.environ.get("GOPATH", str(Path.home() / "go")).split(os.pathsep):
        if directory:
            yield Path(directory) / "pkg" / "mod"
