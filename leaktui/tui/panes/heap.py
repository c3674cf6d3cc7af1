"""The Heap pane: allocation sites by what is live or was allocated, in bytes or objects; or memory's own count.

Measures follow pprof's names: inuse_space, inuse_objects, alloc_space, alloc_objects.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from leaktui.engines.protocol import Want
from leaktui.model.assessment import SiteRow
from leaktui.model.frame import Frame
from leaktui.text import format_bytes, format_count, format_rate, package_of, printable
from leaktui.tui.census_lines import census_summary, percent_text
from leaktui.tui.details import site_lines
from leaktui.tui.facts import Facts
from leaktui.tui.panes.call_tree import CallTreeLevel
from leaktui.tui.panes.flame import FlameLevel, FlameMeasure
from leaktui.tui.panes.heap_census import classes_listing, coverage_text, types_listing
from leaktui.tui.panes.level import DocumentLevel, Level, Listing, TableLevel
from leaktui.tui.profiles import heap_profile
from leaktui.tui.widgets.columns import Column, name_column, number_column
from leaktui.tui.widgets.document import DocLine
from leaktui.tui.widgets.toned import Line, Span
from leaktui.tui.wording import delta_text, frame_place, function_name, owner_of


class Measure(Enum):
    """What the heap is measured in: (label, short title, is it bytes)."""

    INUSE_SPACE = ("live bytes", "live", True)
    INUSE_OBJECTS = ("live objects", "live obj", False)
    ALLOC_SPACE = ("allocated bytes", "alloc", True)
    ALLOC_OBJECTS = ("allocated objects", "alloc obj", False)

    @property
    def label(self) -> str:
        return self.value[0]

    @property
    def title(self) -> str:
        return self.value[1]

    @property
    def in_bytes(self) -> bool:
        return self.value[2]


def measured(row: SiteRow, measure: Measure) -> int:
    """The value of a site in *measure*."""
    site = row.site
    if measure is Measure.INUSE_SPACE:
        return site.inuse_bytes
    if measure is Measure.INUSE_OBJECTS:
        return site.inuse_objects
    return site.alloc_bytes if measure is Measure.ALLOC_SPACE else site.alloc_objects


@dataclass(frozen=True, slots=True)
class HeapRow:
    """One site, or several that share a name. `share` is of everything measured, 0..1."""

    name: str
    frame: Frame | None
    sites: tuple[SiteRow, ...]
    amount: int
    share: float
    objects: int
    delta_bytes: int
    per_minute: float | None
    rising: bool


def heap_rows(
    sites: Sequence[SiteRow], measure: Measure, name_of: Callable[[SiteRow], str] | None
) -> list[HeapRow]:
    """Rows of the table, largest first; grouped by *name_of*, or one a site without it."""
    total = sum(measured(row, measure) for row in sites) or 1
    if name_of is None:
        members: list[tuple[str, tuple[SiteRow, ...]]] = [(_site_name(row), (row,)) for row in sites]
    else:
        grouped: dict[str, list[SiteRow]] = {}
        for row in sites:
            grouped.setdefault(name_of(row), []).append(row)
        members = [(name, tuple(rows)) for name, rows in grouped.items()]
    rows = [_heap_row(name, items, measure, total) for name, items in members]
    return sorted(rows, key=lambda row: -row.amount)


def _heap_row(name: str, sites: tuple[SiteRow, ...], measure: Measure, total: int) -> HeapRow:
    amount = sum(measured(row, measure) for row in sites)
    slopes = [row.slope for row in sites if row.slope is not None]
    largest = max(sites, key=lambda row: measured(row, measure))
    objects_of = (
        Measure.INUSE_OBJECTS
        if measure in (Measure.INUSE_SPACE, Measure.INUSE_OBJECTS)
        else Measure.ALLOC_OBJECTS
    )
    return HeapRow(
        name=name,
        frame=site_frame(largest),
        sites=sites,
        amount=amount,
        share=amount / total,
        objects=sum(measured(row, objects_of) for row in sites),
        delta_bytes=sum(row.delta_bytes for row in sites),
        per_minute=sum(slope.per_minute for slope in slopes) if slopes else None,
        rising=any(slope.rising for slope in slopes),
    )


def site_frame(row: SiteRow) -> Frame | None:
    """The frame a site is named by: its owner's, else the innermost."""
    return row.owner or owner_of(row.site.stack)


def _site_name(row: SiteRow) -> str:
    frame = site_frame(row)
    return frame.function if frame is not None else ""


def _site_key(row: SiteRow) -> tuple[tuple[str, int], ...]:
    return tuple((frame.function, frame.line) for frame in row.site.stack)


def _row_key(row: HeapRow) -> object:
    return (row.name, _site_key(row.sites[0])) if len(row.sites) == 1 else row.name


def _search(row: HeapRow) -> str:
    words = [row.name]
    for site in row.sites[:200]:
        for frame in site.site.stack:
            words += (frame.function, frame.file)
    return "\n".join(words)


def _growth(row: HeapRow) -> Span:
    if row.per_minute is None:
        return "–", "muted"
    return format_rate(row.per_minute, as_bytes=True), "warning" if row.rising else "muted"


def _delta(row: HeapRow) -> Span:
    return delta_text(row.delta_bytes, format_bytes(abs(row.delta_bytes)))


def _place(row: HeapRow) -> str:
    return frame_place(row.frame)


def _columns(measure: Measure, title: str, *, places: bool) -> tuple[Column[HeapRow], ...]:
    show: Callable[[float], str] = format_bytes if measure.in_bytes else format_count
    columns: list[Column[HeapRow]] = [
        number_column(measure.title, lambda row: row.amount, show, 9, tone="strong"),
        number_column("%", lambda row: row.share, percent_text, 4, tone="muted"),
        Column("Δ", _delta, lambda row: row.delta_bytes, 9, align="right", descending=True),
        Column("growth", _growth, lambda row: row.per_minute, 12, align="right", rank=1, descending=True),
        name_column(title, lambda row: row.name, 18, 4, show=function_name if places else printable),
    ]
    if places:
        columns.append(name_column("where", _place, 14, 1, rank=1, tone="muted", cut="start"))
    if measure.in_bytes:
        columns.append(
            number_column("objects", lambda row: row.objects, format_count, 8, rank=2, tone="muted")
        )
    if places:
        columns.append(name_column("allocates", _innermost, 18, 2, rank=3, tone="muted"))
    else:
        columns.append(
            number_column("sites", lambda row: len(row.sites), format_count, 6, rank=2, tone="muted")
        )
    return tuple(columns)


def _innermost(row: HeapRow) -> str:
    """What the owner called that allocates: the innermost frame of the site."""
    stack = row.sites[0].site.stack
    return function_name(stack[0].function) if stack and len(row.sites) == 1 else ""


def _open_site(row: SiteRow) -> Level:
    key = _site_key(row)

    def describe(facts: Facts) -> Sequence[DocLine] | None:
        newest = next((item for item in facts.assessment.sites if _site_key(item) == key), None)
        return site_lines(newest) if newest is not None else None

    return DocumentLevel(function_name(_site_name(row)), describe, frame=site_frame(row))


def _empty(facts: Facts) -> str:
    if facts.snapshot.heap is not None:
        return "No allocation site matches."
    if facts.offers(Want.HEAP):
        return "No heap profile yet."
    if facts.snapshot.heap_census is not None:
        return "This program keeps no heap profile; g shows its heap by size class and by type."
    return "No heap profile: it comes from memory or pprof. Suspects (1) says which sources work here."


def _listing(
    label: str,
    title: str,
    measure: Measure,
    name_of: Callable[[SiteRow], str] | None,
    where: Callable[[SiteRow], bool] | None = None,
) -> Listing[HeapRow]:
    def rows(facts: Facts) -> Sequence[HeapRow]:
        sites = facts.assessment.sites
        kept = sites if where is None else [row for row in sites if where(row)]
        return heap_rows(kept, measure, name_of)

    def describe(row: HeapRow, facts: Facts) -> Sequence[DocLine]:
        return site_lines(max(row.sites, key=lambda site: measured(site, measure)))

    def open_row(row: HeapRow) -> Level:
        if len(row.sites) == 1 or name_of is None:
            return _open_site(row.sites[0])
        name = row.name
        below = _listing(measure.label, "function", measure, None, lambda site: name_of(site) == name)
        return TableLevel(function_name(name), [below])

    return Listing(
        f"{label} · {measure.label}", "sites" if name_of is None else "groups",
        _columns(measure, title, places=name_of is not _package_name), rows, _row_key, _search,
        describe, open_row, lambda row: row.frame, empty=_empty,
    )  # fmt: skip


def _package_name(row: SiteRow) -> str:
    return package_of(_site_name(row))


def _listings(measure: Measure) -> list[Listing[HeapRow]]:
    return [
        _listing("by site", "function", measure, None),
        _listing("by function", "function", measure, _site_name),
        _listing("by package", "package", measure, _package_name),
    ]


class HeapRoot(TableLevel):
    """The first level of the pane; the measure is a second choice beside the grouping.

    Where no source gives a heap profile the pane begins with what memory counts.
    """

    def __init__(self) -> None:
        self._measure = 0
        self._chosen = False
        super().__init__("Heap", self._all_listings())

    def _all_listings(self) -> Sequence[Listing[Any]]:
        self._sites = _listings(self.measure)
        return [*self._sites, classes_listing(), types_listing()]

    @property
    def measure(self) -> Measure:
        return list(Measure)[self._measure]

    @property
    def by_site(self) -> bool:
        """Whether allocation sites are shown, and not the census."""
        return self._mode < len(self._sites)

    def next_mode(self) -> None:
        self._chosen = True
        super().next_mode()

    def next_measure(self) -> None:
        """Measure in the next of live/allocated, bytes/objects."""
        if not self.by_site:
            return
        self._measure = (self._measure + 1) % len(Measure)
        self._listings = tuple(self._all_listings())
        self.change_mode(self._mode)

    def show(self, facts: Facts) -> None:
        if not self._chosen and facts.snapshot.heap is None and _only_counted(facts):
            self._chosen = True
            self.change_mode(len(self._sites))
        super().show(facts)

    def caption(self) -> Line:
        census = self.facts.snapshot.heap_census if self.facts is not None else None
        if self.by_site or census is None:
            return super().caption()
        of_types = self._mode > len(self._sites)
        whole = coverage_text(census) if of_types else census_summary(census)
        return (*super().caption(), (f" · {whole}", "muted"))

    def export_profile(self, facts: Facts) -> bytes | None:
        return heap_profile(facts) if self.by_site else None

    def call_tree(self) -> Level:
        """All stacks as one tree, by the present measure."""
        return CallTreeLevel(self.measure.label, in_bytes=self.measure.in_bytes, value=self._value)

    def flame(self) -> Level:
        """All stacks as a flame graph, by the present measure first."""
        return FlameLevel([_flame_measure(measure) for measure in Measure], self._measure)

    def _value(self, row: SiteRow) -> int:
        return measured(row, self.measure)


def _flame_measure(measure: Measure) -> FlameMeasure:
    return FlameMeasure(
        measure.label,
        lambda facts: facts.assessment.sites,
        lambda facts: [(row.site.stack, measured(row, measure)) for row in facts.assessment.sites],
        format_bytes if measure.in_bytes else format_count,
    )


def _only_counted(facts: Facts) -> bool:
    """Whether the census is there and a heap profile will not come."""
    return (
        facts.snapshot.heap_census is not None and not facts.finding_sources and not facts.offers(Want.HEAP)
    )
