"""The lexemes of one Go file: tokens with the semicolons Go puts at line ends, and the brackets matched.

Law: every position of this package is an index into these lists (Go spec: "Semicolons"). Brackets that do not
match are left unmatched, and whatever contains them cannot be parsed.
"""

from __future__ import annotations

from collections.abc import Iterator

from leaktui.binary.go_tokens import iter_tokens

_OPENING = {"(": ")", "[": "]", "{": "}"}
_CLOSING = frozenset(_OPENING.values())
_KEYWORDS = (
    "break case chan const continue default defer else fallthrough for func go goto if import interface map package "
    "range return select struct switch type var"
)
KEYWORDS = frozenset(_KEYWORDS.split())
_ENDS_STATEMENT = frozenset({"break", "continue", "fallthrough", "return", "++", "--", ")", "]", "}"})
LARGEST = 1_500_000
"""Tokens; what comes after is not read."""


class Lexemes:
    """Parallel lists of `texts`, `lines` (1-based) and `starts` (indices into the text).

    `closing` maps an opening bracket to its closing one and `opening` back; `parents[i]` is the innermost open
    bracket around i, -1 outside all. A semicolon that stands for a line end has the text ";" and no width.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        self.texts: list[str] = []
        self.lines: list[int] = []
        self.starts: list[int] = []
        self._cut(source)
        self.closing: dict[int, int] = {}
        self.opening: dict[int, int] = {}
        self.parents: list[int] = []
        self._match()

    def __len__(self) -> int:
        return len(self.texts)

    def text(self, position: int) -> str:
        """The lexeme at *position*, empty outside."""
        return self.texts[position] if 0 <= position < len(self.texts) else ""

    def is_name(self, position: int) -> bool:
        """Whether an identifier stands at *position*."""
        text = self.text(position)
        return bool(text) and (text[0] == "_" or text[0].isalpha()) and text not in KEYWORDS

    def ends_operand(self, position: int) -> bool:
        """Whether an operand can end at *position*, so that what follows is an operator or a selector."""
        text = self.text(position)
        return bool(text) and (
            text in ")]}" or text[0] in "\"'`." or text[0].isdigit() or self.is_name(position)
        )

    def end_line(self, position: int) -> int:
        """The line on which the lexeme at *position* ends."""
        return self.lines[position] + self.texts[position].count("\n")

    def end(self, position: int) -> int:
        """Where in the text the lexeme at *position* ends."""
        if self.is_inserted(position):
            return self.starts[position]
        return self.starts[position] + len(self.texts[position])

    def is_inserted(self, position: int) -> bool:
        """Whether the semicolon at *position* stands for a line end."""
        start = self.starts[position]
        return self.texts[position] == ";" and self.source[start : start + 1] != ";"

    def spelled(self, start: int, end: int) -> str:
        """The text of positions *start* to *end* with one space where there was any; comments are left out."""
        parts: list[str] = []
        before = -1
        for position in range(start, min(end, len(self.texts))):
            if before >= 0 and self.starts[position] > before:
                parts.append(" ")
            parts.append(self.texts[position])
            before = self.end(position)
        return "".join(parts)

    def iter_level(self, start: int, end: int) -> Iterator[int]:
        """Positions from *start* to *end* that are inside no bracket opened there; brackets themselves included."""
        position = start
        while position < end:
            yield position
            closed = self.closing.get(position)
            if closed is not None and closed < end:
                position = closed
                yield position
            position += 1

    def split(self, start: int, end: int, separator: str = ",") -> tuple[tuple[int, int], ...]:
        """The parts between *separator*s outside brackets; none for an empty range."""
        if start >= end:
            return ()
        parts: list[tuple[int, int]] = []
        first = start
        for position in self.iter_level(start, end):
            if self.texts[position] == separator:
                parts.append((first, position))
                first = position + 1
        if first < end or separator != ",":
            parts.append((first, end))
        return tuple(parts)

    def _cut(self, source: str) -> None:
        ends, last_line = False, 0
        texts, lines, starts = self.texts, self.lines, self.starts
        for text, line, start in iter_tokens(source):
            if ends and line > last_line:
                texts.append(";")
                lines.append(last_line)
                starts.append(starts[-1] + len(texts[-2]))
            texts.append(text)
            lines.append(line)
            starts.append(start)
            first = text[0]
            ends = (
                text in _ENDS_STATEMENT
                or ((first == "_" or first.isalpha()) and text not in KEYWORDS)
                or first in "\"'`"
                or first.isdigit()
                or (first == "." and len(text) > 1 and text != "...")
            )
            last_line = line + text.count("\n") if first == "`" else line
            if len(texts) >= LARGEST:
                break
        if ends:
            texts.append(";")
            lines.append(last_line)
            starts.append(starts[-1] + len(texts[-2]))

    def _match(self) -> None:
        open_brackets: list[int] = []
        parents = self.parents
        for position, text in enumerate(self.texts):
            if text in _CLOSING and open_brackets and _OPENING[self.texts[open_brackets[-1]]] == text:
                opened = open_brackets.pop()
                self.closing[opened] = position
                self.opening[position] = opened
            parents.append(open_brackets[-1] if open_brackets else -1)
            if text in _OPENING:
                open_brackets.append(position)
