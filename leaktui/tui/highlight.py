"""Go source as toned lines. Pygments (a dependency of rich) is imported on first use only."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from leaktui.text import printable
from leaktui.tui.widgets.toned import Line, Span, Tone

_LONGEST_TEXT = 400_000


def highlight_go(lines: Sequence[str]) -> list[Line]:
    """*lines* of Go source with tones; very long files stay plain."""
    text = "\n".join(lines)
    if len(text) > _LONGEST_TEXT:
        return [((_safe(line), "plain"),) for line in lines]
    lexer, tones = _lexer()
    toned: list[list[Span]] = [[]]
    for token, value in lexer.get_tokens(text):
        tone = _tone_of(token, tones)
        first, *rest = value.split("\n")
        if first:
            toned[-1].append((_safe(first), tone))
        for piece in rest:
            toned.append([(_safe(piece), tone)] if piece else [])
    return [tuple(spans) for spans in toned[: len(lines)]] + [()] * max(0, len(lines) - len(toned))


def _safe(text: str) -> str:
    return printable(text.replace("\t", "    "), 2000)


@lru_cache(maxsize=1)
def _lexer() -> tuple[Any, tuple[tuple[Any, Tone], ...]]:
    from pygments.lexers.go import GoLexer  # type: ignore[import-untyped]
    from pygments.token import Comment, Keyword, Number, String  # type: ignore[import-untyped]

    tones: tuple[tuple[Any, Tone], ...] = (
        (Comment, "comment"),
        (String, "string"),
        (Number, "number"),
        (Keyword, "keyword"),
    )
    return GoLexer(stripnl=False, ensurenl=False), tones


def _tone_of(token: Any, tones: tuple[tuple[Any, Tone], ...]) -> Tone:
    return next((tone for kind, tone in tones if token in kind), "plain")
