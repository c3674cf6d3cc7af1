"""Listings of the heap's census: live objects by size class, and by the types the runtime keeps."""

from __future__ import annotations

from collections.abc import Sequence

from leaktui.engines.protocol import Want
from leaktui.model.heap_census import HeapCensus, SizeClass, TypeCount
from leaktui.text import format_bytes, format_count
from leaktui.tui.census_lines import class_lines, percent_text, size_name, type_lines
from leaktui.tui.facts import Facts
from leaktui.tui.panes.level import DocumentLevel, Level, Listing
from leaktui.tui.widgets.columns import Column, name_column, number_column
from leaktui.tui.widgets.document import DocLine
from leaktui.tui.widgets.toned import Span
from leaktui.tui.wording import type_name

_LARGE = 1 << 62
"""Where large objects sort among the size classes."""


def _size(row: SizeClass) -> Span:
    return size_name(row), "plain"


def _pointers(row: SizeClass) -> str:
    return "may hold some" if row.scannable else "none"


def _mean(row: TypeCount) -> float | None:
    return row.live_bytes / row.objects if row.objects else None


_CLASS_COLUMNS: tuple[Column[SizeClass], ...] = (
    number_column("live", lambda row: row.live_bytes, format_bytes, 9, tone="strong"),
    number_column("objects", lambda row: row.objects, format_count, 9),
    Column("size", _size, lambda row: row.size or _LARGE, 9, align="right", descending=True),
    number_column("spans", lambda row: row.spans, format_count, 8, rank=1, tone="muted"),
    name_column("pointers", _pointers, 14, 1, tone="muted"),
)
_TYPE_COLUMNS: tuple[Column[TypeCount], ...] = (
    number_column("live", lambda row: row.live_bytes, format_bytes, 9, tone="strong"),
    number_column("objects", lambda row: row.objects, format_count, 9),
    number_column("mean", _mean, format_bytes, 9, rank=1, tone="muted"),
    name_column("type", lambda row: row.type_name, 24, 3, show=type_name),
)


def _census(facts: Facts) -> HeapCensus | None:
    return facts.snapshot.heap_census


def _empty(facts: Facts) -> str:
    if _census(facts) is not None:
        return "No row matches."
    if facts.offers(Want.HEAP_CENSUS):
        return "The heap is being counted."
    return "The heap is counted in memory, which is not read here. Suspects (1) says why."


def _class_key(row: SizeClass) -> tuple[int, bool]:
    return row.size, row.scannable


def _open_class(row: SizeClass) -> Level:
    key = _class_key(row)

    def describe(facts: Facts) -> Sequence[DocLine] | None:
        census = _census(facts)
        rows = census.classes if census is not None else ()
        newest = next((item for item in rows if _class_key(item) == key), None)
        return class_lines(newest, census) if newest is not None else None

    return DocumentLevel(f"{size_name(row)} objects", describe)


def _open_type(row: TypeCount) -> Level:
    name = row.type_name

    def describe(facts: Facts) -> Sequence[DocLine] | None:
        census = _census(facts)
        rows = census.types if census is not None else ()
        newest = next((item for item in rows if item.type_name == name), None)
        return type_lines(newest, census) if newest is not None else None

    return DocumentLevel(type_name(name), describe)


def _classes(facts: Facts) -> Sequence[SizeClass]:
    census = _census(facts)
    return [row for row in census.classes if row.objects] if census is not None else ()


def _types(facts: Facts) -> Sequence[TypeCount]:
    census = _census(facts)
    return census.types if census is not None else ()


def classes_listing() -> Listing[SizeClass]:
    """Live objects by size class."""
    return Listing(
        "by size class", "size classes", _CLASS_COLUMNS, _classes, _class_key,
        lambda row: f"{size_name(row)} {_pointers(row)}",
        lambda row, facts: class_lines(row, _census(facts)),
        _open_class, lambda row: None, empty=_empty,
    )  # fmt: skip


def types_listing() -> Listing[TypeCount]:
    """Live objects by type, for those whose type the runtime keeps."""
    return Listing(
        "by type", "types", _TYPE_COLUMNS, _types, lambda row: row.type_name,
        lambda row: row.type_name, lambda row, facts: type_lines(row, _census(facts)),
        _open_type, lambda row: None, empty=_empty,
    )  # fmt: skip


def coverage_text(census: HeapCensus) -> str:
    """How much of the heap the types account for."""
    share = census.typed_bytes / census.live_bytes if census.live_bytes else 0.0
    return f"known of {percent_text(share)} % of {format_bytes(census.live_bytes)} live"
