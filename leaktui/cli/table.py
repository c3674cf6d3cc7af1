"""Columns of text on stdout.

Law: columns are as wide as their widest cell; only the last may be cut, and only for a terminal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from leaktui.text import cell_width


@dataclass(frozen=True, slots=True)
class Column:
    """A column's title, and whether its cells are numbers (set to the right)."""

    title: str
    number: bool = False


def format_table(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], *, width: int | None = None
) -> str:
    """*rows* under their titles, every line ending with a line break; cut to *width* columns if given."""
    titles = [column.title for column in columns]
    widths = [
        max([cell_width(title), *(cell_width(row[index]) for row in rows)])
        for index, title in enumerate(titles)
    ]
    lines = []
    for row in [titles, *rows]:
        cells = []
        for column, cell, wide in zip(columns, row, widths, strict=True):
            pad = " " * (wide - cell_width(cell))
            cells.append(pad + cell if column.number else cell + pad)
        line = "  ".join(cells).rstrip()
        lines.append(_cut(line, width) if width is not None else line)
    return "\n".join(lines) + "\n"


def _cut(line: str, width: int) -> str:
    if cell_width(line) <= width:
        return line
    while cell_width(line) > width - 1:
        line = line[:-1]
    return line.rstrip() + "…"
