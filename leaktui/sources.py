"""The source files a target was built from, as they can be had here, and what the source of a suspect says.

Law: the path comes from the target's binary, so what it leads to is read through `source_text` alone.
Paths as `-trimpath` leaves them (`example.com/app/user.go`) are looked for beside the module.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from leaktui.model.explanation import Explanation
from leaktui.model.finding import Finding
from leaktui.source_text import list_package, read_source


@dataclass(frozen=True, slots=True)
class SourceRoot:
    """`--source-root FROM=TO`: paths that begin with *build* are read below *local*.

    An empty *build* maps relative paths, as a build with -trimpath leaves them.
    """

    build: str
    local: str


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A readable file and its lines. `modified` is seconds since 1970, 0 for what a capture holds."""

    path: Path
    lines: tuple[str, ...]
    modified: float = 0.0


KeptSource = Callable[[str], Mapping[int, str]]
"""The lines by number that a capture holds of a file, empty where it holds none."""

KeptExplanation = Callable[[Finding], "Explanation | None"]
"""What the source of a suspect said where the capture was made, where all of it was at hand; None for nothing."""

_NOT_KEPT = "// … not in the capture …"


def parse_source_root(text: str) -> SourceRoot:
    """`FROM=TO` as a SourceRoot; raises ValueError when a half is missing."""
    build, separator, local = text.partition("=")
    if not separator or not local:
        raise ValueError("expected FROM=TO")
    return SourceRoot(build.rstrip("/") or build[:1], local.rstrip("/") or "/")


class Sources:
    """Maps paths of the build to files here; the longest of *roots* goes first.

    *module* is the target's main module. What *kept* holds of a file goes before what lies here: it is what the program
    was built from; and *explained* goes before what could be read out of it.
    """

    def __init__(
        self,
        roots: Sequence[SourceRoot] = (),
        *,
        module: str = "",
        here: Path | None = None,
        kept: KeptSource | None = None,
        explained: KeptExplanation | None = None,
    ) -> None:
        self._roots = tuple(sorted(roots, key=lambda root: len(root.build), reverse=True))
        self._module = module
        self._here = here if here is not None else Path()
        self._kept = kept
        self._explained = explained

    def of_module(self, module: str) -> Sources:
        """The same for a target whose main module is *module*."""
        return Sources(
            self._roots, module=module, here=self._here, kept=self._kept, explained=self._explained
        )

    # -- files -----------------------------------------------------------------------------------

    def find(self, file: str) -> Path | None:
        """The first readable candidate for *file*."""
        if not file or "\0" in file:
            return None
        for candidate in self._iter_candidates(file):
            try:
                if stat.S_ISREG(candidate.stat().st_mode) and os.access(candidate, os.R_OK):
                    return candidate
            except (OSError, ValueError):
                continue
        return None

    def read(self, file: str) -> SourceFile | None:
        """The lines of *file*, None when it is not here, not a text, or too large."""
        kept = self._kept_of(file)
        if kept:
            last = max(kept)
            lines = [kept.get(number, "") for number in range(1, last + 1)]
            for number in range(1, last + 1):
                if number not in kept and (number == 1 or number - 1 in kept):
                    lines[number - 1] = _NOT_KEPT
            return SourceFile(Path(file), (*lines, _NOT_KEPT))
        path = self.find(file)
        found = read_source(str(path.absolute())) if path is not None else None
        if path is None or found is None or "\0" in found[0]:
            return None
        return SourceFile(path, tuple(found[0].split("\n")), found[1])

    def text(self, file: str) -> str | None:
        """The text of *file*, None where it cannot be read."""
        found = self.read(file)
        return "\n".join(found.lines) if found is not None else None

    def package(self, file: str) -> tuple[str, ...] | None:
        """The Go files beside *file*, by the names the target has for them; None where that is not known."""
        path = self.find(file) if not self._kept_of(file) else None
        names = list_package(str(path.absolute())) if path is not None else None
        if names is None:
            return None
        directory = file.rpartition("/")[0]
        return tuple(f"{directory}/{name}" if directory else name for name in names)

    # -- what they say ---------------------------------------------------------------------------

    def explain(self, finding: Finding) -> Explanation | None:
        """Why what *finding* names is not given back; None where the source is not at hand or does not say."""
        # The reader of Go source is not needed for the first picture.
        from leaktui.analysis.explain import explain_finding

        known = self._explained(finding) if self._explained is not None else None
        return known if known is not None else explain_finding(finding, self.text, self.package)

    # -- where they may be -----------------------------------------------------------------------

    def _kept_of(self, file: str) -> Mapping[int, str]:
        return self._kept(file) if self._kept is not None else {}

    def _iter_candidates(self, file: str) -> Iterator[Path]:
        for root in self._roots:
            build = root.build.rstrip("/")
            if not root.build:
                if not file.startswith("/"):
                    yield Path(root.local) / file
                    yield from self._beside_module(file, Path(root.local))
            elif file == root.build or file.startswith(build + "/"):
                yield Path(root.local) / file[len(build) :].lstrip("/")
        if file.startswith("/"):
            yield Path(file)
            return
        yield from self._beside_module(file, self._here)
        for cache in _module_caches():
            yield cache / file
        if root_of_go := os.environ.get("GOROOT"):
            yield Path(root_of_go) / "src" / file

    def _beside_module(self, file: str, directory: Path) -> Iterator[Path]:
        """`-trimpath` names the module's own files by its path, and a main package outside one by `./`."""
        if self._module and file.startswith(self._module + "/"):
            yield directory / file[len(self._module) + 1 :]
        if file.startswith("./"):
            yield directory / file[2:]


HERE = Sources()
"""Paths as they are, on this machine."""


def _module_caches() -> Iterator[Path]:
    if cache := os.environ.get("GOMODCACHE"):
        yield Path(cache)
    for directory in os.environ.get("GOPATH", str(Path.home() / "go")).split(os.pathsep):
        if directory:
            yield Path(directory) / "pkg" / "mod"
