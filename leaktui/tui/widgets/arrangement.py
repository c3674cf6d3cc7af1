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
        self._made: tuple[Sequence[T] | None, list[str]] = None, []

    def find(self, rows: Sequence[T], needle: str) -> Sequence[T]:
        """The rows that hold every word of *needle*, case ignored."""
        words = needle.casefold().split()
        if not words:
            return rows
        texts = self.prepare(rows)
        first, *others = words
        hits = [index for index, text in enumerate(texts) if first in text]
        for word in others:
            hits = [index for index in hits if word in texts[index]]
        return [rows[index] for index in hits]

    def prepare(self, rows: Sequence[T]) -> list[str]:
        """The texts of *rows*, made once. Safe from any thread; at worst two make the same."""
        known, texts = self._made
        if rows is known:
            return texts
        search = self._search
        texts = [search(row).casefold() for row in rows]
        self._made = rows, texts
        return texts


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


def find_position(rows: Sequence[T], key: Callable[[T], Hashable], wanted: T | None) -> int | None:
    """Index of *wanted* itself, or else of the row with its key."""
    if wanted is None:
        return None
    same = next((index for index, row in enumerate(rows) if row is wanted), None)
    if same is not None:
        return same
    name = key(wanted)
    return next((index for index, row in enumerate(rows) if key(row) == name), None)
