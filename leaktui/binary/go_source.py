"""Go source text: the function around a line, and what it returns.

Law: pure, and only as much grammar as a signature needs (Go spec: "Function types", "Types"). Comments
and literals are tokens of their own, so nothing inside them is taken for code. Types come out spelled as
DWARF spells them, with import paths in full: `*net/http.Response`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from leaktui.binary.go_tokens import Token, iter_tokens

_OPENING = {"(": ")", "[": "]", "{": "}"}
_TYPE_KEYWORDS = frozenset({"chan", "func", "interface", "map", "struct"})
_DEPTH_LIMIT = 100
_VERSION = re.compile(r"v\d+")


@dataclass(frozen=True, slots=True)
class Declaration:
    """A function declaration or literal; `name` is empty for a literal, `Type.Name` for a method."""

    name: str
    line: int
    end_line: int
    results: tuple[str, ...]


def find_declaration(source: str, line: int) -> Declaration | None:
    """The innermost function, declared or literal, whose text covers *line* (1-based); None between functions."""
    best: Declaration | None = None
    for declaration in iter_declarations(source):
        if declaration.line <= line <= declaration.end_line and (
            best is None or declaration.line >= best.line
        ):
            best = declaration
    return best


def iter_declarations(source: str) -> Iterator[Declaration]:
    """Every function with a body in *source*, in the order they begin; broken code ends the list early."""
    tokens = list(iter_tokens(source))
    closing = _match_brackets(tokens)
    reader = _Reader(tokens, closing, _imports(tokens, closing))
    position = 0
    while position < len(tokens):
        token, before = tokens[position], tokens[position - 1]
        # After a bracket it is an element type, and what follows in braces are elements: `[]func(){f, g}`.
        is_element = before.text == "]" and before.line == token.line
        if token.text == "func" and not is_element:
            found = reader.declaration(position)
            if found is not None:
                declaration, position = found
                yield declaration
        position += 1


def _match_brackets(tokens: list[Token]) -> dict[int, int]:
    """Index of each opening bracket → index of its closing one."""
    found: dict[int, int] = {}
    open_brackets: list[int] = []
    for position, token in enumerate(tokens):
        if token.text in _OPENING:
            open_brackets.append(position)
        elif open_brackets and token.text == _OPENING[tokens[open_brackets[-1]].text]:
            found[open_brackets.pop()] = position
    return found


def _imports(tokens: list[Token], closing: dict[int, int]) -> dict[str, str]:
    """Name in this file → import path."""
    found: dict[str, str] = {}
    for position, token in enumerate(tokens):
        if token.text != "import" or position + 1 >= len(tokens):
            continue
        start = position + 1
        end = closing.get(start, start + 2)
        for index in range(start, min(end + 1, len(tokens))):
            text = tokens[index].text
            if len(text) < 3 or text[0] not in '"`':
                continue
            path = text[1:-1]
            before = tokens[index - 1]
            named = before.line == tokens[index].line and re.fullmatch(r"[^\W\d]\w*", before.text)
            found[before.text if named and before.text != "import" else _package_name(path)] = path
    return found


def _package_name(path: str) -> str:
    """What a package is most likely called: the last element, or the one before a major version."""
    *parents, last = path.split("/")
    if _VERSION.fullmatch(last) and parents:
        last = parents[-1]
    return last.split(".", 1)[0].replace("-", "_")


class _Reader:
    """Reads signatures; every method takes a token position and returns the one after what it read."""

    def __init__(self, tokens: list[Token], closing: dict[int, int], imports: dict[str, str]) -> None:
        self._tokens = tokens
        self._closing = closing
        self._imports = imports

    def declaration(self, position: int) -> tuple[Declaration, int] | None:
        """The function whose `func` stands at *position*, and where its body begins.

        None for a function type, and for a declaration without a body.
        """
        line = self._tokens[position].line
        position += 1
        receiver = ""
        name = ""
        if self._text(position) == "(" and self._is_method(position):
            words = [token.text for token in self._tokens[position + 1 : self._closing[position]]]
            base = words[: words.index("[")] if "[" in words else words
            receiver = next((word for word in reversed(base) if word.isidentifier()), "")
            position = self._closing[position] + 1
        if self._text(position).isidentifier():
            name = self._text(position)
            position += 1
            if self._text(position) == "[":
                position = self._closing.get(position, len(self._tokens)) + 1
        if self._text(position) != "(" or position not in self._closing:
            return None
        position = self._closing[position] + 1
        results: tuple[str, ...] = ()
        if self._text(position) == "(":
            end = self._closing.get(position)
            if end is None:
                return None
            results = self._result_list(position + 1, end)
            position = end + 1
        elif self._text(position) != "{":
            same_line = (
                position < len(self._tokens)
                and self._tokens[position].line == self._tokens[position - 1].line
            )
            end = self._type_end(position) if same_line else None
            if end is None:
                return None
            results = (self._spell(position, end),)
            position = end
        if self._text(position) != "{" or position not in self._closing:
            return None
        full_name = f"{receiver}.{name}" if receiver else name
        return Declaration(full_name, line, self._tokens[self._closing[position]].line, results), position

    def _is_method(self, position: int) -> bool:
        """Whether the parentheses at *position* are a receiver: a name and another pair follow."""
        end = self._closing.get(position)
        if end is None or not self._text(end + 1).isidentifier() or self._text(end + 1) in _TYPE_KEYWORDS:
            return False
        if self._text(end + 2) == "[":  # a literal returning `Bar[T]`, unless parameters follow
            return self._text(self._closing.get(end + 2, end) + 1) == "("
        return self._text(end + 2) == "("

    def _result_list(self, start: int, end: int) -> tuple[str, ...]:
        """`*http.Response, error` or `resp *http.Response, err error` or `a, b int`."""
        entries: list[tuple[int, int]] = []
        first = position = start
        while position < end:
            if self._text(position) == ",":
                entries.append((first, position))
                first = position + 1
            position = self._closing.get(position, position) + 1
        if first < end:
            entries.append((first, end))
        if all(self._type_end(begin) == stop for begin, stop in entries):
            return tuple(self._spell(begin, stop) for begin, stop in entries)
        found: list[str] = []
        kind = ""
        for begin, stop in reversed(entries):  # a lone name has the type of the entry after it
            if stop - begin > 1:
                kind = self._spell(begin + 1, stop)
            found.append(kind)
        return tuple(reversed(found))

    def _type_end(self, position: int, depth: int = 0) -> int | None:
        """The position after the type at *position*; None where there is none."""
        if depth > _DEPTH_LIMIT:
            return None
        text = self._text(position)
        if text in ("*", "<-", "..."):
            return self._type_end(position + 1, depth + 1)
        if text == "chan":
            return self._type_end(position + (2 if self._text(position + 1) == "<-" else 1), depth + 1)
        if text in ("(", "["):
            end = self._closing.get(position)
            if end is None or text == "(":
                return None if end is None else end + 1
            return self._type_end(end + 1, depth + 1)
        if text == "map":
            end = self._closing.get(position + 1)
            return None if end is None else self._type_end(end + 1, depth + 1)
        if text in ("interface", "struct"):
            end = self._closing.get(position + 1)
            return None if end is None else end + 1
        if text == "func":
            end = self._closing.get(position + 1)
            if end is None:
                return None
            following = self._type_end(end + 1, depth + 1) if self._text(end + 1) != "{" else None
            return end + 1 if following is None else following
        if not text.isidentifier():
            return None
        position += 1
        if self._text(position) == "." and self._text(position + 1).isidentifier():
            position += 2
        if self._text(position) == "[":
            return self._closing.get(position, len(self._tokens)) + 1
        return position

    def _spell(self, start: int, end: int) -> str:
        """The type between two positions, packages by their import paths."""
        parts: list[str] = []
        for position in range(start, end):
            text = self._text(position)
            if self._text(position + 1) == "." and self._text(position - 1) != ".":
                text = self._imports.get(text, text)
            if parts and text[0].isalnum() and parts[-1][-1].isalnum():
                parts.append(" ")
            parts.append(text)
        return "".join(parts)

    def _text(self, position: int) -> str:
        return self._tokens[position].text if 0 <= position < len(self._tokens) else ""
