"""Text as the widgets draw it: spans of literal text, each with a tone.

Law: nothing here is markup. A tone is a meaning (muted, danger, …); its colour is decided in the style
sheet, and no meaning rests on the tone alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Literal

from rich.cells import cell_len, chop_cells, set_cell_size

Tone = Literal[
    "plain",
    "strong",
    "muted",
    "accent",
    "danger",
    "warning",
    "success",
    "graph",
    "chip",
    "keyword",
    "string",
    "number",
    "comment",
    "hue-0",
    "hue-1",
    "hue-2",
    "hue-3",
    "hue-4",
    "hue-5",
]
TONES: tuple[Tone, ...] = (
    "plain",
    "strong",
    "muted",
    "accent",
    "danger",
    "warning",
    "success",
    "graph",
    "chip",
    "keyword",
    "string",
    "number",
    "comment",
    "hue-0",
    "hue-1",
    "hue-2",
    "hue-3",
    "hue-4",
    "hue-5",
)

Span = tuple[str, Tone]
Line = tuple[Span, ...]

_WORD = re.compile(r"\s*\S+|\s+$")


def plain(text: str) -> Line:
    """*text* as a line of one plain span."""
    return ((text, "plain"),)


def line_width(line: Line) -> int:
    """Terminal columns of *line*."""
    return sum(cell_len(text) for text, _ in line)


def line_text(line: Line) -> str:
    """*line* without its tones."""
    return "".join(text for text, _ in line)


def fit_text(
    text: str, width: int, *, align: Literal["left", "right"] = "left", cut: Literal["end", "start"] = "end"
) -> str:
    """*text* in exactly *width* columns; what is cut off is marked by an ellipsis."""
    if width <= 0:
        return ""
    cells = cell_len(text)
    if cells <= width:
        pad = " " * (width - cells)
        return pad + text if align == "right" else text + pad
    if width == 1:
        return "…"
    if cut == "end":
        return set_cell_size(text, width - 1) + "…"
    kept = text[-width:]
    while cell_len(kept) > width - 1:
        kept = kept[1:]
    return "…" + kept + " " * (width - 1 - cell_len(kept))


def fit_line(line: Line, width: int) -> Line:
    """*line* in at most *width* columns, the cut marked by an ellipsis."""
    if line_width(line) <= width:
        return line
    fitted: list[Span] = []
    room = width
    for text, tone in line:
        cells = cell_len(text)
        if cells >= room:
            fitted.append((fit_text(text + " " * room, room), tone))
            break
        fitted.append((text, tone))
        room -= cells
    return tuple(fitted)


def spread(left: Line, right: Line, width: int) -> Line:
    """*left* and *right* at the two ends of *width* columns; left gives way."""
    room = width - line_width(right)
    if room < 8:
        return fit_line(left, width)
    left = fit_line(left, room - 1)
    return (*left, (" " * (room - line_width(left)), "plain"), *right)


def wrap_line(line: Line, width: int, indent: int = 0) -> list[Line]:
    """*line* broken at words into lines of at most *width* columns; all but the first indented."""
    if line_width(line) <= width or width < 8:
        return [line]
    indent = min(indent, width // 2)
    lines: list[Line] = []
    current: list[Span] = []
    room = width

    def close() -> None:
        nonlocal current, room
        lines.append(tuple(current))
        current = [(" " * indent, "plain")] if indent else []
        room = width - indent

    for text, tone in line:
        for word in _WORD.findall(text):
            if cell_len(word) > room and room < width - indent:
                close()
                word = word.lstrip()
            while cell_len(word) > room:
                head = chop_cells(word, room)[0]
                current.append((head, tone))
                word = word[len(head) :]
                close()
            if word:
                current.append((word, tone))
                room -= cell_len(word)
    if line_text(tuple(current)).strip():
        lines.append(tuple(current))
    return lines


def changed_columns(old: Line, new: Line, width: int) -> tuple[int, int] | None:
    """First column and number of columns in which two drawn lines differ; None when they do not."""
    if old == new:
        return None
    before, after = list(_cells(old)), list(_cells(new))
    length = max(len(before), len(after))
    filler = (" ", "plain")
    before += [filler] * (length - len(before))
    after += [filler] * (length - len(after))
    first = next((index for index in range(length) if before[index] != after[index]), None)
    if first is None or first >= width:
        return None
    last = next(index for index in range(length - 1, -1, -1) if before[index] != after[index])
    return first, min(last + 1, width) - first


def _cells(line: Line) -> Iterable[tuple[str, str]]:
    """One entry a terminal column; a wide character fills two."""
    for text, tone in line:
        if text.isascii():
            for character in text:
                yield character, tone
            continue
        for character in text:
            for _ in range(cell_len(character)):
                yield character, tone


def join(parts: Sequence[Line], separator: Span) -> Line:
    """*parts* one after the other with *separator* between those that are not empty."""
    joined: list[Span] = []
    for part in parts:
        if not part:
            continue
        if joined:
            joined.append(separator)
        joined.extend(part)
    return tuple(joined)
