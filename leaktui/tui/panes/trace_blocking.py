"""Blocking in a trace, by stack or by what was waited for: how often, how long, and who is still at it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from leaktui.model.frame import Frame, Stack
from leaktui.model.trace import TraceSummary
from leaktui.text import format_count, printable
from leaktui.tui.details import field, stack_lines
from leaktui.tui.facts import Facts
from leaktui.tui.panes.level import DocumentLevel, Level, Listing, TableLevel
from leaktui.tui.remembered import remembered
from leaktui.tui.trace_words import moment_text, named_by, span_text
from leaktui.tui.widgets.columns import UNKNOWN, Column, name_column, number_column
from leaktui.tui.widgets.document import DocLine
from leaktui.tui.widgets.toned import Span
from leaktui.tui.wording import frame_place, function_name, heading

BEFORE = "since before"
"""The reason of those that were blocked when the trace began and never woke: it does not say what for."""


@dataclass(frozen=True, slots=True)
class BlockRow:
    """Blocks of one reason at one stack, or at all of them (then `stacks` many).

    `p50_ns` and `p99_ns` are None for a sum of several stacks, `oldest_ns` is how long the oldest is at it, at
    least.
    """

    reason: str
    stack: Stack
    stacks: int
    count: int
    total_ns: int
    p50_ns: int | None
    p99_ns: int | None
    parked: int
    oldest_ns: int | None

    @property
    def mean_ns(self) -> float | None:
        return self.total_ns / self.count if self.count else None

    @property
    def owner(self) -> Frame | None:
        return named_by(self.stack)


@remembered
def block_rows(trace: TraceSummary | None) -> list[BlockRow]:
    """A row a reason and stack: where most are still blocked first, then where most time went."""
    if trace is None:
        return []
    rows = [
        BlockRow(
            stat.reason, stat.stack, 1, stat.count, stat.total_ns, stat.p50_ns if stat.count else None,
            stat.p99_ns if stat.count else None, stat.parked,
            trace.end_ns - stat.oldest_ns if stat.oldest_ns is not None else None,
        )
        for stat in trace.blocks
    ]  # fmt: skip
    rows += [
        BlockRow(BEFORE, item.stack, 1, 0, 0, None, None, item.count, trace.duration_ns)
        for item in trace.sleepers
    ]
    rows.sort(key=lambda row: (-row.parked, -row.total_ns))
    return rows


@remembered
def reason_rows(trace: TraceSummary | None) -> list[BlockRow]:
    """The same summed up by reason."""
    found: dict[str, list[BlockRow]] = {}
    for row in block_rows(trace):
        found.setdefault(row.reason, []).append(row)
    rows = [
        BlockRow(
            reason, items[0].stack, len(items), sum(item.count for item in items),
            sum(item.total_ns for item in items),
            items[0].p50_ns if len(items) == 1 else None, items[0].p99_ns if len(items) == 1 else None,
            sum(item.parked for item in items),
            max((item.oldest_ns for item in items if item.oldest_ns is not None), default=None),
        )
        for reason, items in found.items()
    ]  # fmt: skip
    rows.sort(key=lambda row: (-row.parked, -row.total_ns))
    return rows


def _reason_text(row: BlockRow) -> str:
    return printable(row.reason, 60)


def _owner_name(row: BlockRow) -> str:
    if row.owner is not None:
        return row.owner.function
    return ""


def _parked(row: BlockRow) -> Span:
    return (format_count(row.parked), "warning") if row.parked else ("0", "muted")


def _oldest(row: BlockRow) -> Span:
    if row.oldest_ns is None:
        return UNKNOWN, "muted"
    return f"{'>' if row.reason == BEFORE else ''}{span_text(row.oldest_ns)}", "muted"


def _figures() -> tuple[Column[BlockRow], ...]:
    return (
        Column("still", _parked, lambda row: row.parked, 6, align="right", descending=True),
        Column("oldest", _oldest, lambda row: row.oldest_ns, 7, align="right", descending=True),
        number_column("ended", lambda row: row.count, format_count, 6),
        number_column("total", lambda row: row.total_ns if row.count else None, span_text, 7, tone="strong"),
        number_column("mean", lambda row: row.mean_ns, span_text, 7),
        number_column("p50", lambda row: row.p50_ns, span_text, 7, rank=1, tone="muted"),
        number_column("p99", lambda row: row.p99_ns, span_text, 7),
    )


_STACK_COLUMNS: tuple[Column[BlockRow], ...] = (
    *_figures(),
    name_column("waits for", _reason_text, 12, 1, tone="muted"),
    name_column("at", _owner_name, 14, 3, show=function_name),
    name_column("where", lambda row: frame_place(row.owner), 14, 1, rank=2, tone="muted", cut="start"),
    name_column(
        "innermost", lambda row: row.stack[0].function if row.stack else "", 16, 1, show=function_name,
        rank=3, tone="muted",
    ),
)  # fmt: skip
_REASON_COLUMNS: tuple[Column[BlockRow], ...] = (
    *_figures(),
    number_column("stacks", lambda row: row.stacks, format_count, 6, tone="muted"),
    name_column("waits for", _reason_text, 14, 1),
)


def block_lines(row: BlockRow, trace: TraceSummary | None) -> list[DocLine]:
    """One row in full, with its stack."""
    lines = [field("waits for", _reason_text(row) or UNKNOWN)]
    if row.reason == BEFORE:
        lines = [field("waits for", "not in the trace: blocked when it began, and still at its end")]
    if row.parked:
        oldest = (
            f", the oldest for {'more than ' if row.reason == BEFORE else ''}{span_text(row.oldest_ns or 0)}"
        )
        lines.append(field("still there", f"{format_count(row.parked)} at the end{oldest}", "warning"))
    if row.count:
        lines.append(field("ended", f"{format_count(row.count)} times, {span_text(row.total_ns)} in all"))
        lines.append(field("mean", span_text(row.mean_ns or 0)))
    if row.p50_ns is not None and row.p99_ns is not None:
        lines.append(field("p50, p99", f"{span_text(row.p50_ns)}, {span_text(row.p99_ns)}"))
    if row.oldest_ns is not None and trace is not None and row.reason != BEFORE:
        lines.append(field("since", f"{moment_text(trace, trace.end_ns - row.oldest_ns)} of the trace"))
    lines += [DocLine(), DocLine(heading("Stack")), *stack_lines(row.stack, row.owner)]
    if not row.stack and row.reason == BEFORE:
        lines.append(DocLine((("  Traces of Go 1.22 do not show where.", "muted"),)))
    return lines


def _search(row: BlockRow) -> str:
    return "\n".join((row.reason, *(f"{frame.function} {frame.file}" for frame in row.stack)))


def _empty(text: str) -> Callable[[Facts], str]:
    return lambda facts: "Nothing was blocked in this trace." if facts.snapshot.trace else text


def blocking_listing(empty: str, only: str | None = None) -> Listing[BlockRow]:
    """Blocks by stack; *only* those for one reason."""

    def rows(facts: Facts) -> Sequence[BlockRow]:
        every = block_rows(facts.snapshot.trace)
        return every if only is None else [row for row in every if row.reason == only]

    def open_row(row: BlockRow) -> Level:
        return DocumentLevel(
            function_name(_owner_name(row)),
            lambda facts: block_lines(row, facts.snapshot.trace),
            frame=row.owner,
        )

    return Listing(
        "blocking, by stack" if only is None else "", "stacks", _STACK_COLUMNS, rows,
        lambda row: (row.reason, row.stack), _search,
        lambda row, facts: block_lines(row, facts.snapshot.trace), open_row, lambda row: row.owner,
        sort=None, empty=_empty(empty),
    )  # fmt: skip


def reasons_listing(empty: str) -> Listing[BlockRow]:
    """Blocks by what was waited for."""

    def describe(row: BlockRow, facts: Facts) -> Sequence[DocLine]:
        if row.stacks == 1:
            return block_lines(row, facts.snapshot.trace)
        return [
            field("waits for", _reason_text(row) or UNKNOWN),
            field("stacks", f"{format_count(row.stacks)}: Enter lists them"),
        ]

    return Listing(
        "blocking, by reason", "reasons", _REASON_COLUMNS, lambda facts: reason_rows(facts.snapshot.trace),
        lambda row: row.reason, lambda row: row.reason, describe,
        lambda row: TableLevel(_reason_text(row) or UNKNOWN, [blocking_listing("", row.reason)]),
        lambda row: row.owner, sort=None, empty=_empty(empty),
    )  # fmt: skip
