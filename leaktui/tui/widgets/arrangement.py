"""Which rows a table shows and in which order. Pure; runs off the UI thread when there are many."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Arrangement(Generic[T]):
    """The rows to show, in order, and where the row with the wanted key went (None: it is gone)."""

    rows: Sequence[T]
    position: int | None


class Haystack(Generic[T]):
    """The searchable text of a sequence of rows, built once for each sequence."""

    def __init__(self, search: Callable[[T], str]) -> None:
        self._search = search
        self._rows: Sequence[T] | None = None
        self._texts: list[str] = []

    def find(self, rows: Sequence[T], needle: str) -> Sequence[T]:
        """The rows that hold every word of *needle*, case ignored."""
        words = needle.casefold().split()
        if not words:
            return rows
        if rows is not self._rows:
            search = self._search
            self._texts = [search(row).casefold() for row in rows]
            self._rows = rows
        first, *others = words
        hits = [index for index, text in enumerate(self._texts) if first in text]
        for word in others:
            hits = [index for index in hits if word in self._texts[index]]
        return [rows[index] for index in hits]


def sort_rows(rows: Sequence[T], value: Callable[[T], Any] | None, *, descending: bool) -> Sequence[T]:
    """*rows* by *value*, rows without one (None) last; equal rows keep their order."""
    if value is None:
        return rows
    values = [value(row) for row in rows]
    known = [index for index, item in enumerate(values) if item is not None]
    known.sort(key=values.__getitem__, reverse=descending)
    ordered = [rows[index] for index in known]
    if len(known) < len(rows):
        ordered += [rows[index] for index, item in enumerate(values) if item is None]
    return ordered


def find_position(rows: Sequence[T], key: Callable[[T], Hashable], wanted: Hashable | None) -> int | None:
    """Index of the row whose key is *wanted*."""
    if wanted is None:
        return None
    return next((index for index, row in enumerate(rows) if key(row) == wanted), None)
