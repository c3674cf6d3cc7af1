"""The other files of a package: where a helper is declared, and who else touches a field or a global.

Law: a file is read when something is asked of the package, and its statements when a word asked for stands in it. What
was left out (too much text, a file that is not here) makes the package "not whole", and then nothing is concluded from
what was not found in it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from leaktui.analysis.reading.unit import GoFile

ReadSource = Callable[[str], "str | None"]
"""The text of the source file that a frame names; None where it is not at hand."""

ListPackage = Callable[[str], "Sequence[str] | None"]
"""The Go files beside the one a frame names, tests left out, by the names that ReadSource takes; None where that is
not known."""

LONGEST_SOURCE = 4 << 20
"""Characters; what is longer was generated, and nobody's to fix."""

_MOST_TEXT = 4 << 20
"""Characters of a package; a larger one is not whole."""

_CLAUSE = re.compile(r"^package[ \t]+(\w+)", re.MULTILINE)
_WORD = r"(?<![\w]){}(?![\w])"


class GoPackage:
    """The package that the file *path*, of that *text*, belongs to."""

    def __init__(self, path: str, text: str, read: ReadSource, beside: ListPackage) -> None:
        self._read = read
        self._beside = beside
        self._path = path
        self._clause = _clause_of(text)
        self._files: dict[str, GoFile] = {}
        self._texts: dict[str, str] | None = None
        self._is_whole = False
        self.add(path, text)

    def add(self, path: str, text: str) -> GoFile:
        """One of the package's files."""
        if path not in self._files:
            self._files[path] = GoFile(text, path, self)
        return self._files[path]

    @property
    def is_whole(self) -> bool:
        """Whether every file of the package could be read."""
        self._load()
        return self._is_whole

    def others(self, path: str, words: Sequence[str]) -> Iterator[GoFile]:
        """The files but *path* in which all of *words* stand."""
        patterns = [re.compile(_WORD.format(re.escape(word))) for word in words]
        for name, text in self._load().items():
            if name != path and all(pattern.search(text) for pattern in patterns):
                yield self.add(name, text)

    def _load(self) -> dict[str, str]:
        if self._texts is not None:
            return self._texts
        self._texts = {}
        names = self._beside(self._path)
        self._is_whole = names is not None
        size = 0
        for name in dict.fromkeys((self._path, *(names or ()))):
            known = self._files.get(name)
            text = known.lexemes.source if known is not None else self._read(name)
            if text is None or len(text) > LONGEST_SOURCE or size + len(text) > _MOST_TEXT:
                self._is_whole = False
                continue
            if _clause_of(text) == self._clause:
                size += len(text)
                self._texts[name] = text
        return self._texts


def _clause_of(text: str) -> str:
    found = _CLAUSE.search(text)
    return found[1] if found is not None else ""
