"""The heap's census as lines: one size class, or one type, and what it is a share of. Pure."""

from __future__ import annotations

from leaktui.model.heap_census import HeapCensus, SizeClass, TypeCount
from leaktui.text import format_bytes, format_count, printable
from leaktui.tui.details import field
from leaktui.tui.links import ObjectLink
from leaktui.tui.widgets.document import DocLine
from leaktui.tui.widgets.toned import Line
from leaktui.tui.wording import heading

_MOST_SAMPLES = 10


def size_name(row: SizeClass) -> str:
    """`48 B`, or that the objects are large."""
    return format_bytes(row.size) if row.size else "large"


def percent_text(share: float) -> str:
    """Four columns: `3.4`, `62`, `100`."""
    percent = share * 100
    return f"{percent:.1f}" if percent < 9.95 else f"{percent:.0f}"


def census_summary(census: HeapCensus) -> str:
    """`36.8 MB live in 41.2k objects`."""
    return f"{format_bytes(census.live_bytes)} live in {format_count(census.objects)} objects"


def class_lines(row: SizeClass, census: HeapCensus | None) -> list[DocLine]:
    """A size class."""
    size = f"{format_bytes(row.size)} each" if row.size else "larger than every size class, a span each"
    lines = [
        field("objects of", size, "strong"),
        field("live", _live(row.live_bytes, row.objects)),
        field("spans", format_count(row.spans)),
        field(
            "pointers",
            "they may hold pointers" if row.scannable else "they hold none: the GC does not scan them",
        ),
    ]
    if not row.size and row.objects:
        lines.append(field("mean size", f"about {format_bytes(row.live_bytes / row.objects)}"))
    if row.samples:
        lines += [DocLine(), DocLine(heading("Some of them, to see who holds them"))]
        lines += [
            DocLine(((f"  object at {address:#x}", "plain"),), ObjectLink(address, row.size), wrap=False)
            for address in row.samples[:_MOST_SAMPLES]
        ]
    return lines + _whole_lines(row.live_bytes, census)


def type_lines(row: TypeCount, census: HeapCensus | None) -> list[DocLine]:
    """A type."""
    lines = [
        field("type", printable(row.type_name, 400) or "not known", "strong"),
        field("live", _live(row.live_bytes, row.objects)),
    ]
    if row.objects:
        lines.append(field("mean size", f"about {format_bytes(row.live_bytes / row.objects)}"))
    lines += _whole_lines(row.live_bytes, census)
    if census is not None:
        text = (
            f"The type is known of {format_bytes(census.typed_bytes)} of them: the runtime keeps it only for "
            "objects of more than 512 bytes that may hold pointers."
        )
        lines += [DocLine(), DocLine(((text, "muted"),))]
    return lines


def _live(size: int, objects: int) -> str:
    return f"{format_bytes(size)} in {format_count(objects)} objects"


def _whole_lines(part: int, census: HeapCensus | None) -> list[DocLine]:
    """What the row is a share of."""
    if census is None:
        return []
    lines = [DocLine(), DocLine(heading("The whole heap"))]
    whole: list[Line] = [((f"  {census_summary(census)}", "plain"),)]
    if census.live_bytes:
        whole.append(((f"  {percent_text(part / census.live_bytes)} % of it is in this row", "plain"),))
    if census.stack_bytes:
        whole.append(((f"  {format_bytes(census.stack_bytes)} beside it are goroutine stacks", "muted"),))
    if census.gc_cycles is not None:
        whole.append(((f"  {format_count(census.gc_cycles)} garbage collections so far", "muted"),))
    return lines + [DocLine(line, indent=2) for line in whole]
