"""Goroutine labels as Go writes them in text.

Law: three spellings, one parser, no exception: what cannot be parsed is no label.
    debug=1           {"key":"value", "key":"value"}   strconv.Quote (runtime/pprof/label.go)
    1.26 traceback    labels:{"key": "value"}          printquoted (runtime/traceback.go)
    1.27 traceback    {key: value, "a key": "x y"}     quoted only where a character asks for it
"""

from __future__ import annotations

import re

from leaktui.model.goroutine import Labels
from leaktui.text import printable

# An empty string needs no quotes in 1.27: `{key: , other: x}`.
_STRING = r'"(?:[^"\\]|\\.)*"|[^\s",:{}\\]*'
_PAIR = re.compile(rf"({_STRING}): ?({_STRING})(?:, |\}}|$)")
_ESCAPE = re.compile(r"\\(x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8}|[0-7]{3}|.)", re.DOTALL)
_SIMPLE = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def parse_label_text(text: str) -> Labels:
    """The labels in *text*, which begins at the opening brace; sorted by key."""
    position = text.find("{") + 1
    pairs = []
    while position and (match := _PAIR.match(text, position)):
        pairs.append((_unquote(match[1]), _unquote(match[2])))
        position = match.end()
    return tuple(sorted(pairs))


def _unquote(token: str) -> str:
    if token.startswith('"'):
        token = _ESCAPE.sub(_unescape, token[1:-1])
    return printable(token)


def _unescape(match: re.Match[str]) -> str:
    escape = match[1]
    kind, digits = escape[0], escape[1:]
    if kind in "xuU" and digits:
        code = int(digits, 16)
        return chr(code) if code < 0x110000 else "\ufffd"
    if digits:
        return chr(int(escape, 8))
    return _SIMPLE.get(kind, kind)
