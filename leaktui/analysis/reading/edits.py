"""Changes to a file's lines, and their unified diff.

Law: a change keeps the indentation and the line ends of its neighbours. Lines are 1-based; changes are given for the
file as it was and do not move each other.
"""

from __future__ import annotations

import difflib

_CONTEXT = 3


class Edits:
    """Collects changes to *source*."""

    def __init__(self, source: str) -> None:
        self._lines = source.splitlines(keepends=True) if "\r" in source else source.split("\n")
        if "\r" not in source:
            self._lines = [line + "\n" for line in self._lines[:-1]] + (
                [self._lines[-1]] if self._lines[-1] else []
            )
        self._before: dict[int, list[str]] = {}
        self._changed: dict[int, str | None] = {}

    @property
    def any(self) -> bool:
        """Whether there is a change at all."""
        return bool(self._before or self._changed)

    def line(self, number: int) -> str:
        """The text of a line without its end; empty outside."""
        return self._lines[number - 1].rstrip("\r\n") if 1 <= number <= len(self._lines) else ""

    def indent(self, number: int) -> str:
        """The blanks a line begins with."""
        text = self.line(number)
        return text[: len(text) - len(text.lstrip())]

    def insert_before(self, number: int, texts: list[str], indent: str) -> None:
        """Put *texts* in front of line *number*, unless they are already there."""
        end = self._end(min(number, len(self._lines)))
        found = self._before.setdefault(number, [])
        added = [f"{indent}{text}{end}" for text in texts]
        if found[-len(added) :] != added:
            found += added

    def insert_after(self, number: int, texts: list[str], indent: str) -> None:
        """Put *texts* behind line *number*."""
        self.insert_before(number + 1, texts, indent)

    def replace(self, number: int, text: str) -> None:
        """Replace a whole line, its end excepted."""
        self._changed[number] = text + self._end(number)

    def replace_span(self, start: int, end: int, text: str) -> bool:
        """Replace positions *start* to *end* of the whole text, which must lie in one line; says whether they do."""
        first = 0
        for number, line in enumerate(self._lines, 1):
            if first <= start and end <= first + len(line.rstrip("\r\n")):
                old = self.line(number)
                self.replace(number, old[: start - first] + text + old[end - first :])
                return True
            first += len(line)
        return False

    def delete(self, number: int) -> None:
        """Take a line out."""
        self._changed[number] = None

    def moved(self, number: int) -> int:
        """The line that line *number* becomes."""
        added = sum(len(texts) for at, texts in self._before.items() if at <= number)
        gone = sum(1 for at, text in self._changed.items() if text is None and at < number)
        return number + added - gone

    def result(self) -> str:
        """The text with all changes."""
        parts: list[str] = []
        for number in range(1, len(self._lines) + 2):
            parts += self._before.get(number, [])
            if number <= len(self._lines):
                text = self._changed.get(number, self._lines[number - 1])
                if text is not None:
                    parts.append(text)
        return "".join(parts)

    def diff(self, path: str) -> str:
        """A unified diff with 3 lines of context that `patch -p1` applies in the file's directory."""
        if not self.any:
            return ""
        name = path.rpartition("/")[2]
        after = (
            self.result().splitlines(keepends=True) if "\r" in "".join(self._lines) else _split(self.result())
        )
        pieces: list[str] = []
        for line in difflib.unified_diff(self._lines, after, f"a/{name}", f"b/{name}", n=_CONTEXT):
            pieces.append(line if line.endswith("\n") else line + "\n\\ No newline at end of file\n")
        return "".join(pieces)

    def _end(self, number: int) -> str:
        text = self._lines[number - 1] if 1 <= number <= len(self._lines) else ""
        return "\r\n" if text.endswith("\r\n") else "\n"


def _split(text: str) -> list[str]:
    lines = text.split("\n")
    return [line + "\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])
