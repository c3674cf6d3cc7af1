"""Go source text cut into tokens.

Law: pure, and linear in the text whatever it holds. Comments are no tokens, literals are one each, so nothing inside
them is taken for code (Go spec: "Lexical elements"). Broken text still gives tokens; who reads them decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_TOKEN = re.compile(
    r"""
      (?P<skip>[ \t\r\ufeff]+ | //[^\n]*)
    | (?P<newline>\n)
    | (?P<long>/\*.*?(?:\*/|\Z) | `[^`]*(?:`|\Z))
    | (?P<text>"(?:[^"\\\n]|\\.)*"? | '(?:[^'\\\n]|\\.)*'?)
    | (?P<word>[^\W\d]\w*)
    | (?P<number>0[xX][\w.]*(?:(?<=[pP])[+-]\w*)? | (?:\d|\.\d)[\w.]*(?:(?<=[eE])[+-]\w*)?)
    | (?P<other><<= | >>= | &\^= | \.\.\. | && | \|\| | <- | \+\+ | -- | := | [=!<>+\-*/%&|^]= | << | >> | &\^ | .)
    """,
    re.VERBOSE | re.DOTALL,
)


class Token(NamedTuple):
    """A token and where it begins: `line` is 1-based, `start` an index into the text."""

    text: str
    line: int
    start: int


def iter_tokens(source: str) -> Iterator[Token]:
    """The tokens of *source*, without comments and line breaks."""
    line = 1
    for match in _TOKEN.finditer(source):
        kind = match.lastgroup
        if kind == "newline":
            line += 1
        elif kind != "skip":
            text = match.group()
            if kind != "long" or text[0] == "`":
                yield Token(text, line, match.start())
            if kind in ("long", "text"):
                line += text.count("\n")
