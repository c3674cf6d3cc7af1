"""Text broken into lines of so many terminal columns.

Law: columns, not characters; nothing is dropped by wrapping, a word wider than the line is broken.
"""

from __future__ import annotations

from leaktui.text import cell_width, short_path


def wrap_text(text: str, width: int) -> list[str]:
    """*text* as lines of at most *width* columns, broken at spaces where there are any."""
    width = max(width, 8)
    lines: list[str] = []
    line = ""
    room = width
    for word in text.split():
        taken = cell_width(word)
        if line and taken + 1 <= room:
            line += " " + word
            room -= taken + 1
            continue
        if line:
            lines.append(line)
        while taken > width:
            head = _head_columns(word, width)
            lines.append(head)
            word = word[len(head) :]
            taken = cell_width(word)
        line, room = word, width - taken
    if line:
        lines.append(line)
    return lines


def fit_path(place: str, width: int) -> str:
    """A `file:line` cut from the left to *width* columns; its end says most."""
    return short_path(place, width) if cell_width(place) > width else place


def _head_columns(word: str, width: int) -> str:
    taken = 0
    for index, character in enumerate(word):
        taken += cell_width(character)
        if taken > width:
            return word[: max(1, index)]
    return word
