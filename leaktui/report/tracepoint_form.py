"""A burst of tracepoints as text, Markdown, TSV and JSON.

Law: as in every report, nothing the target could have chosen gets out but through Redaction; the JSON is the
contract `leaktui.tracepoints/1`: keys may be added, none changes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from leaktui.analysis.tracepoint_grammar import format_tracepoint
from leaktui.analysis.tracepoint_groups import HitGroup, lost_hits
from leaktui.model.frame import Frame, Stack
from leaktui.report.redaction import MASKED, Redaction
from leaktui.report.tracepoint_cost import actual_cost
from leaktui.report.tracepoint_report import (
    TextTable,
    TracepointReport,
    groups_table,
    hits_table,
    pairs_table,
    traced_function,
)
from leaktui.report.wrapping import wrap_text
from leaktui.text import cell_width, format_count, format_duration

SCHEMA = "leaktui.tracepoints/1"
_FIRST_HITS = 20
_FIRST_GROUPS = 20


def format_text(
    report: TracepointReport, *, redaction: Redaction = MASKED, width: int | None = None, every: bool = False
) -> str:
    """For a terminal or a log, lines cut to *width*; the first hits only, unless *every* one is wanted."""
    lines = [*wrap_text(headline(report), width or 100)]
    for title, table in _tables(report, redaction):
        shown = table.rows
        if report.by is None and not every:
            shown = shown[: _FIRST_HITS if title == "Hits" else _FIRST_GROUPS]
        lines += ["", title]
        lines += _aligned(table, shown, width)
        if len(shown) < len(table.rows):
            left = len(table.rows) - len(shown)
            lines.append(f"… {format_count(left)} more: --by none lists every hit, --by stack every stack")
    lines.append("")
    for note in notes(report, redaction):
        lines += wrap_text(note, width or 100)
    return "\n".join(lines) + "\n"


def format_markdown(report: TracepointReport, *, redaction: Redaction = MASKED) -> str:
    """For a ticket."""
    lines = [f"**{headline(report)}**", ""]
    for title, table in _tables(report, redaction):
        lines += [f"### {title}", "", _pipe(table.titles)]
        lines.append(
            _pipe(tuple("--:" if index in table.numbers else "---" for index in range(len(table.titles))))
        )
        lines += [_pipe(row) for row in table.rows]
        lines.append("")
    lines += [f"- {_escaped(note)}" for note in notes(report, redaction)]
    return "\n".join(lines) + "\n"


def format_tsv(report: TracepointReport, *, redaction: Redaction = MASKED) -> str:
    """One table for a spreadsheet: the hits, or what they were grouped by."""
    table = hits_table(report, redaction) if report.shows_hits else groups_table(report, redaction)
    return "".join(
        "\t".join(cell.replace("\t", " ") for cell in row) + "\n" for row in (table.titles, *table.rows)
    )


def format_json(report: TracepointReport, *, redaction: Redaction = MASKED) -> str:
    """The whole, for a program."""
    run, target = report.run, report.target
    reasons = dict(run.not_set)
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "target": {
            "pid": target.pid,
            "exe": redaction.name(target.exe),
            "go_version": redaction.name(target.go_version),
            "module": redaction.name(target.module),
        },
        "seconds": round(run.seconds, 3),
        "ended": redaction.text(run.ended),
        "cost": {
            "stops_ms": round(run.stops_ms, 3),
            "longest_stop_ms": round(run.longest_stop_ms, 3),
            "attach_stop_ms": round(run.attach_stop_ms, 3),
        },
        "tracepoints": [
            {
                "function": point.function,
                "condition": point.condition or None,
                "returns": point.returns,
                "hits": run.counts[index] if index < len(run.counts) else 0,
                "not_set": redaction.text(reasons[index]) if index in reasons else None,
            }
            for index, point in enumerate(run.plan.tracepoints)
        ],
    }
    if report.shows_hits:
        document["hits"] = [
            {
                "time": round(hit.time, 6),
                "function": redaction.name(traced_function(run, hit)),
                "tracepoint": hit.tracepoint,
                "goroutine": hit.goid,
                "size": hit.size,
                "caller": _frame(caller, redaction),
                "values": {redaction.name(name): redaction.text(value) for name, value in hit.values},
                "stack": _stack(hit.stack, redaction),
            }
            for hit, caller in zip(run.hits, report.callers, strict=True)
        ]
    if report.shows_groups:
        document["groups"] = [_group(group, redaction) for group in report.groups]
    if report.pairs is not None:
        document["bodies"] = [
            {
                "owner": _frame(item.row.owner, redaction),
                "opened": item.row.opened,
                "closed": item.row.closed,
                "open": item.row.open,
                "left_open": item.row.left_open,
                "in_use": item.row.busy,
                "confirmed": item.confirmed,
                "confidence": item.confidence.value if item.confidence is not None else None,
            }
            for item in report.pairs.owners
        ]
    document["notes"] = list(notes(report, redaction))
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def headline(report: TracepointReport) -> str:
    """How much was recorded, in how long, and why it ended."""
    run = report.run
    total = sum(run.counts)
    what = f"{format_count(total)} hit{'' if total == 1 else 's'} in {format_duration(run.seconds)}"
    return f"{what} on pid {report.target.pid}" if report.target.pid is not None else what


def notes(report: TracepointReport, redaction: Redaction = MASKED) -> Iterator[str]:
    """What it cost, why it ended, and what is missing."""
    run = report.run
    yield f"The target was {actual_cost(run)}."
    if run.ended:
        yield f"It ended: {redaction.text(run.ended, 300)}."
    if lost_hits(run):
        yield f"{format_count(lost_hits(run))} hits were counted and not recorded one by one."
    for index, reason in run.not_set:
        if 0 <= index < len(run.plan.tracepoints):
            point = format_tracepoint(run.plan.tracepoints[index])
            yield f"Not set: {point}: {redaction.text(reason, 300)}."
    for index, point_count in enumerate(run.counts[: len(run.plan.tracepoints)]):
        if not point_count and index not in dict(run.not_set):
            yield f"Never hit: {format_tracepoint(run.plan.tracepoints[index])}."
    if report.pairs is not None:
        for reservation in report.pairs.reservations:
            yield f"Bodies: {reservation}."


def _tables(report: TracepointReport, redaction: Redaction) -> Iterator[tuple[str, TextTable]]:
    if report.pairs is not None and report.pairs.owners:
        yield "Bodies by owner", pairs_table(report.pairs, redaction)
    if report.shows_hits and report.run.hits:
        yield "Hits", hits_table(report, redaction)
    if report.shows_groups and report.groups:
        by = "function" if report.by is not None and report.by.value == "function" else "stack"
        yield f"By {by}", groups_table(report, redaction)


def _aligned(table: TextTable, rows: tuple[tuple[str, ...], ...], width: int | None) -> Iterator[str]:
    every = (table.titles, *rows)
    widths = [max(cell_width(row[column]) for row in every) for column in range(len(table.titles))]
    for row in every:
        cells = []
        for column, cell in enumerate(row):
            pad = " " * (widths[column] - cell_width(cell))
            cells.append(pad + cell if column in table.numbers else cell + pad)
        line = "  ".join(cells).rstrip()
        if width is not None and cell_width(line) > width:
            while cell_width(line) > width - 1:
                line = line[:-1]
            line += "…"
        yield line


def _pipe(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(_escaped(cell) for cell in cells) + " |"


def _escaped(text: str) -> str:
    for character in "\\`*_|<>[]":
        text = text.replace(character, "\\" + character)
    return text


def _group(group: HitGroup, redaction: Redaction) -> dict[str, Any]:
    return {
        "function": redaction.name(group.function),
        "hits": group.hits,
        "bytes": group.bytes,
        "first": round(group.first, 6),
        "last": round(group.last, 6),
        "per_second": round(group.per_second, 3),
        "goroutines": group.goroutines,
        "stacks": group.stacks,
        "caller": _frame(group.caller, redaction),
        "stack": _stack(group.stack, redaction),
    }


def _frame(frame: Frame | None, redaction: Redaction) -> dict[str, Any] | None:
    if frame is None:
        return None
    return {
        "function": redaction.name(frame.function),
        "file": redaction.name(frame.file),
        "line": frame.line or None,
    }


def _stack(stack: Stack, redaction: Redaction) -> list[dict[str, Any] | None]:
    return [_frame(frame, redaction) for frame in stack]
