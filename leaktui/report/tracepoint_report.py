"""A recorded burst of tracepoints, made ready to be reported: who called, what belongs together, what it cost.

Law: the tables are made once, as text, and every form (terminal, Markdown, TSV) writes these.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from leaktui.analysis.program import Program
from leaktui.analysis.tracepoint_bodies import pair_bodies
from leaktui.analysis.tracepoint_groups import Grouping, HitGroup, caller_of, group_hits
from leaktui.analysis.tracepoint_presets import told_values
from leaktui.model.assessment import BodyPairs
from leaktui.model.frame import Frame, Stack
from leaktui.model.snapshot import Snapshot
from leaktui.model.target import Target
from leaktui.model.tracepoint import TracepointHit, TracepointRun
from leaktui.report.redaction import MASKED, Redaction
from leaktui.text import format_bytes, format_count, short_function

_SHOWN_CALLERS = 4
_VALUE_LIMIT = 80
_ROOTS = frozenset({"runtime.main", "runtime.goexit"})
"""Below them lies nothing of the program's."""


@dataclass(frozen=True, slots=True)
class TextTable:
    """Cells as they are printed. The columns of `numbers` are set to the right."""

    titles: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class TracepointReport:
    """A burst with its analysis. `by` is None where both the hits and their groups are wanted."""

    target: Target
    run: TracepointRun
    callers: tuple[Frame | None, ...]
    groups: tuple[HitGroup, ...]
    pairs: BodyPairs | None = None
    by: Grouping | None = None

    @property
    def shows_hits(self) -> bool:
        return self.by in (None, Grouping.NONE)

    @property
    def shows_groups(self) -> bool:
        return self.by is not Grouping.NONE


def build_report(
    target: Target,
    run: TracepointRun,
    *,
    by: Grouping | None = None,
    program: Program | None = None,
    snapshot: Snapshot | None = None,
) -> TracepointReport:
    """*run* analysed; *snapshot* was taken right after it."""
    grouping = Grouping.STACK if by in (None, Grouping.NONE) else by
    assert grouping is not None
    return TracepointReport(
        target,
        run,
        tuple(caller_of(hit.stack, program) for hit in run.hits),
        group_hits(run, grouping, program),
        pair_bodies(run, snapshot, program),
        by,
    )


# -- tables --------------------------------------------------------------------------------------


def hits_table(report: TracepointReport, redaction: Redaction = MASKED) -> TextTable:
    """The hits one by one. Columns nobody has anything for are left out."""
    sized = any(hit.size is not None for hit in report.run.hits)
    titles = ("time", "function", "goroutine", *(["size"] if sized else []), "caller", "values")
    rows = []
    for hit, caller in zip(report.run.hits, report.callers, strict=True):
        size = [format_bytes(hit.size) if hit.size is not None else ""] if sized else []
        rows.append(
            (
                f"{hit.time:.3f} s",
                redaction.name(short_function(traced_function(report.run, hit))),
                str(hit.goid),
                *size,
                place_text(caller, redaction),
                values_cell(report.run, hit, redaction),
            )
        )
    return TextTable(titles, tuple(rows), frozenset({0, 2, 3} if sized else {0, 2}))


def groups_table(report: TracepointReport, redaction: Redaction = MASKED) -> TextTable:
    """The hits added up."""
    sized = any(group.bytes is not None for group in report.groups)
    titles = ("hits", "a second", *(["bytes"] if sized else []), "first", "last", "function", "called by")
    rows = tuple(
        (
            format_count(group.hits),
            f"{group.per_second:.1f}",
            *([format_bytes(group.bytes) if group.bytes is not None else ""] if sized else []),
            f"{group.first:.2f} s",
            f"{group.last:.2f} s",
            redaction.name(short_function(group.function)),
            callers_text(group, redaction, by_stack=report.by is not Grouping.FUNCTION),
        )
        for group in report.groups
    )
    return TextTable(titles, rows, frozenset(range(5 if sized else 4)))


def pairs_table(pairs: BodyPairs, redaction: Redaction = MASKED) -> TextTable:
    """Who opened bodies, and how many of them were left open."""
    titles = ("opened", "closed", "open", "left open", "in use", "sure", "owner")
    rows = []
    for owner in pairs.owners:
        row = owner.row
        figures = (row.opened, row.closed, row.open, row.left_open, row.busy)
        sure = owner.confidence.value if owner.confidence is not None else ""
        rows.append((*(format_count(figure) for figure in figures), sure, place_text(row.owner, redaction)))
    return TextTable(titles, tuple(rows), frozenset(range(5)))


def place_text(frame: Frame | None, redaction: Redaction = MASKED) -> str:
    """`main.render  main.go:47`; empty where no frame of the program was seen."""
    if frame is None:
        return ""
    name = redaction.name(short_function(frame.function))
    return f"{name} {file_line(frame, redaction)}".rstrip()


def file_line(frame: Frame, redaction: Redaction = MASKED) -> str:
    """`main.go:47`."""
    name = redaction.name(frame.file.rpartition("/")[2])
    return f"{name}:{frame.line}" if name and frame.line else name


def callers_text(group: HitGroup, redaction: Redaction, *, by_stack: bool) -> str:
    """A group's stack from the program's own frame outwards, shortened."""
    if not by_stack:
        stacks = f" ({group.stacks} stacks)" if group.stacks > 1 else ""
        return (place_text(group.caller, redaction) or stack_text(group.stack[1:], redaction)) + stacks
    stack = group.stack
    if group.caller is not None:
        stack = stack[stack.index(group.caller) :]
    return stack_text(stack, redaction)


def stack_text(stack: Stack, redaction: Redaction) -> str:
    stack = tuple(frame for frame in stack if frame.function not in _ROOTS)
    shown = " ← ".join(place_text(frame, redaction) for frame in stack[:_SHOWN_CALLERS])
    return shown + (" ← …" if len(stack) > _SHOWN_CALLERS else "")


def values_cell(run: TracepointRun, hit: TracepointHit, redaction: Redaction = MASKED) -> str:
    """What was recorded with *hit*, but for the size, which has a column of its own."""
    points = run.plan.tracepoints
    values = told_values(points[hit.tracepoint], hit.values) if hit.tracepoint < len(points) else hit.values
    skip = ("size",) if hit.size is not None else ()
    return ", ".join(
        f"{redaction.name(name)}={redaction.text(value, _VALUE_LIMIT)}"
        for name, value in values
        if name not in skip
    )


def traced_function(run: TracepointRun, hit: TracepointHit) -> str:
    """The function of the tracepoint that was hit."""
    points: Sequence[object] = run.plan.tracepoints
    return run.plan.tracepoints[hit.tracepoint].function if 0 <= hit.tracepoint < len(points) else ""
