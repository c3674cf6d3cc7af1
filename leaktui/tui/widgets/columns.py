"""The columns of a table: how a cell is drawn, sorted and exported, and which of them fit.

Two kinds are common, figures and names; what is not known is a dash in both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from leaktui.text import printable
from leaktui.tui.widgets.toned import Span, Tone

T = TypeVar("T")

UNKNOWN = "–"
"""What no source has seen."""


@dataclass(frozen=True, slots=True)
class Column(Generic[T]):
    """One column. `cell` formats, `value` sorts and is what an export writes.

    `width` is its least width; `flex` its share of what is left over. Columns of the highest `rank` are
    left out first when the table is narrow; rank 0 always stays. `descending` is the first direction
    when sorted by it.
    """

    title: str
    cell: Callable[[T], Span]
    value: Callable[[T], Any] | None = None
    width: int = 8
    flex: int = 0
    align: Literal["left", "right"] = "left"
    cut: Literal["end", "start"] = "end"
    rank: int = 0
    descending: bool = False


def fit_columns(
    columns: Sequence[Column[Any]], width: int, gap: int = 1, empty: frozenset[int] = frozenset()
) -> list[tuple[int, int]]:
    """(index, width) of the columns that fit into *width*; of those with a rank, *empty* ones go first."""
    kept = list(range(len(columns)))
    ranks = [
        column.rank + (1000 if column.rank and index in empty else 0) for index, column in enumerate(columns)
    ]

    def least() -> int:
        return sum(columns[index].width for index in kept) + gap * (len(kept) - 1)

    while least() > width and len(kept) > 1:
        rank = max(ranks[index] for index in kept)
        if rank == 0:
            break
        kept.remove(max(index for index in kept if ranks[index] == rank))
    widths = {index: columns[index].width for index in kept}
    spare = width - least()
    flexible = [index for index in kept if columns[index].flex]
    shares = sum(columns[index].flex for index in flexible)
    for position, index in enumerate(flexible):
        last = position == len(flexible) - 1
        share = spare if last else spare * columns[index].flex // shares
        widths[index] = max(4, widths[index] + share)
        spare -= share
        shares -= columns[index].flex
    return [(index, widths[index]) for index in kept]


def number_column(
    title: str,
    value: Callable[[T], float | None],
    show: Callable[[float], str],
    width: int,
    *,
    rank: int = 0,
    tone: Tone = "plain",
) -> Column[T]:
    """A figure, to the right, largest first when sorted by."""

    def cell(row: T) -> Span:
        known = value(row)
        return (show(known), tone) if known is not None else (UNKNOWN, "muted")

    return Column(title, cell, value, width, align="right", rank=rank, descending=True)


def name_column(
    title: str,
    value: Callable[[T], str | None],
    width: int,
    flex: int = 0,
    *,
    show: Callable[[str], str] = printable,
    rank: int = 0,
    tone: Tone = "plain",
    cut: Literal["end", "start"] = "end",
) -> Column[T]:
    """A text, to the left; *show* makes it short and safe to draw."""

    def known(row: T) -> str | None:
        return value(row) or None

    def cell(row: T) -> Span:
        text = value(row)
        return (show(text), tone) if text else (UNKNOWN, "muted")

    return Column(title, cell, known, width, flex, cut=cut, rank=rank)
