"""A verification as text, as Markdown for a ticket, and as the contract `leaktui.verification/1`.

Law: as `json_form`: keys and their order never change meaning, what is not known is null; nothing the target named
reaches a report unescaped.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

from leaktui.model.target import Target
from leaktui.model.verification import Measure, Measurement, Verification, VerificationVerdict
from leaktui.report.markdown_form import code_span, escape_markdown
from leaktui.report.redaction import MASKED, Redaction
from leaktui.report.wrapping import wrap_text
from leaktui.text import cell_width, format_bytes, format_count, format_duration, format_rate, short_function

SCHEMA = "leaktui.verification/1"

_HEADLINES = {
    VerificationVerdict.FIXED: "Fixed",
    VerificationVerdict.NOT_FIXED: "Not fixed",
    VerificationVerdict.UNDECIDED: "Undecided",
}
_COLOURS = {
    VerificationVerdict.FIXED: "32",
    VerificationVerdict.NOT_FIXED: "31",
    VerificationVerdict.UNDECIDED: "33",
}
_UNKNOWN = "–"
_COLUMNS = ("", "before", "a minute", "after", "a minute")
_LEAST_NAME = 16


def format_verification_json(verification: Verification, *, redaction: Redaction = MASKED) -> str:
    """*verification* as one JSON document, indented, ending with a line break."""
    document = {
        "schema": SCHEMA,
        "verdict": verification.verdict.value,
        "reasons": [redaction.text(reason) for reason in verification.reasons],
        "before": _measurement(verification.before, redaction),
        "after": _measurement(verification.after, redaction),
        "rows": [
            {
                "name": redaction.name(_name(old, new)),
                "kind": kind.value if (kind := (old or new or _NOTHING).kind) else None,
                "unit": (old or new or _NOTHING).unit,
                "before": _measure(old),
                "after": _measure(new),
            }
            for old, new in verification.rows
        ],
    }
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


_NOTHING = Measure("", 0.0, 0.0)


def _measurement(measurement: Measurement, redaction: Redaction) -> dict[str, Any]:
    target, suspect = measurement.target, measurement.suspect
    return {
        "target": {
            "pid": target.pid,
            "exe": redaction.name(target.exe),
            "go_version": redaction.name(target.go_version),
            "module": redaction.name(target.module),
        },
        "seconds": _decimal(measurement.seconds),
        "sources": [redaction.name(name) for name in measurement.sources],
        "suspect": {
            "kind": suspect[0].value,
            "function": redaction.name(suspect[1]),
            "file": redaction.name(suspect[2]) or None,
            "line": suspect[3] or None,
        }
        if suspect is not None
        else None,
    }


def _measure(measure: Measure | None) -> dict[str, Any] | None:
    if measure is None:
        return None
    slope = measure.slope
    return {
        "first": _decimal(measure.first),
        "last": _decimal(measure.last),
        "per_minute": _decimal(slope.per_minute) if slope is not None else None,
        "rising": slope.rising if slope is not None else None,
        "opened": measure.opened,
        "left": measure.left,
    }


def _decimal(value: float) -> float | None:
    return round(value, 1) if math.isfinite(value) else None


# -- text ------------------------------------------------------------------------------------------


def format_verification_text(
    verification: Verification, *, redaction: Redaction = MASKED, colour: bool = False, width: int = 80
) -> str:
    """*verification* for a terminal or a log, ending with a line break."""
    lines = _text_lines(verification, redaction, colour, max(60, width))
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _text_lines(verification: Verification, redaction: Redaction, colour: bool, width: int) -> Iterator[str]:
    def paint(text: str, *codes: str) -> str:
        return f"\x1b[{';'.join(codes)}m{text}\x1b[0m" if colour and text else text

    for line in wrap_text(format_verification_headline(verification, redaction), width):
        yield paint(line, "1", _COLOURS[verification.verdict])
    for reason in verification.reasons:
        for index, line in enumerate(wrap_text(redaction.text(reason), width - 4)):
            yield ("  · " if index == 0 else "    ") + line
    yield ""
    for when, measurement in (("before", verification.before), ("after", verification.after)):
        for index, line in enumerate(wrap_text(_who(measurement, redaction), width - 10)):
            yield f"  {when if index == 0 else '':<8}{line}"
    yield ""
    rows = [[redaction.name(cell) for cell in row] for row in table_rows(verification)]
    widths = _widths(rows, width)
    if widths[0] < _LEAST_NAME:
        rows = [[redaction.name(cell) for cell in row] for row in table_rows(verification, ends_only=True)]
        widths = _widths(rows, width)
    widths[0] = max(_LEAST_NAME, widths[0])
    yield paint("  " + _table_line(_COLUMNS, widths), "2")
    for row in rows:
        fits = cell_width(row[0]) <= widths[0]
        if not fits:
            yield from (f"  {line}" for line in wrap_text(row[0], width - 2))
        yield "  " + _table_line((row[0] if fits else "", *row[1:]), widths)


def _widths(rows: list[list[str]], width: int) -> list[int]:
    """The columns' widths; the first has what is left of *width*."""
    widths = [max(cell_width(row[index]) for row in (_COLUMNS, *rows)) for index in range(len(_COLUMNS))]
    return [min(widths[0], width - 2 - sum(widths[1:]) - 2 * (len(widths) - 1)), *widths[1:]]


def _table_line(cells: tuple[str, ...], widths: list[int]) -> str:
    first = cells[0] + " " * (widths[0] - cell_width(cells[0]))
    others = (
        " " * (room - cell_width(cell)) + cell for cell, room in zip(cells[1:], widths[1:], strict=True)
    )
    return "  ".join((first, *others))


def format_verification_headline(verification: Verification, redaction: Redaction = MASKED) -> str:
    """`Fixed: main.loadUser`."""
    suspect = verification.before.suspect
    what = redaction.name(short_function(suspect[1])) if suspect is not None else ""
    head = _HEADLINES[verification.verdict]
    return f"{head}: {what}" if what else head


def _who(measurement: Measurement, redaction: Redaction) -> str:
    target: Target = measurement.target
    parts = []
    if target.pid is not None:
        parts.append(f"pid {target.pid}")
    if target.exe:
        parts.append(redaction.name(target.exe).rpartition("/")[2])
    elif target.url:
        parts.append(redaction.url(target.url))
    if target.go_version:
        parts.append(redaction.name(target.go_version))
    parts.append(f"measured for {format_duration(measurement.seconds)} by {', '.join(measurement.sources)}")
    return ", ".join(parts)


def table_rows(
    verification: Verification, *, ends_only: bool = False
) -> list[tuple[str, str, str, str, str]]:
    """The table: a name, then value (at the end alone, with *ends_only*) and growth a minute, before and after."""
    return [
        (_name(old, new), _value(old, ends_only), _growth(old), _value(new, ends_only), _growth(new))
        for old, new in verification.rows
    ]


def _name(old: Measure | None, new: Measure | None) -> str:
    return (old or new or _NOTHING).name


def _value(measure: Measure | None, ends_only: bool) -> str:
    """`12 → 480`, or, where it was counted, `480 of 480 left`."""
    if measure is None:
        return _UNKNOWN
    if measure.opened is not None and measure.left is not None:
        return f"{format_count(measure.left)} of {format_count(measure.opened)} left"
    show = format_bytes if measure.unit == "bytes" else format_count
    first, last = show(measure.first), show(measure.last)
    return last if ends_only or first == last else f"{first} → {last}"


def _growth(measure: Measure | None) -> str:
    if measure is None or measure.slope is None:
        return _UNKNOWN
    rate = format_rate(measure.slope.per_minute, as_bytes=measure.unit == "bytes").removesuffix("/min")
    return f"{rate} ↑" if measure.slope.rising else rate


# -- Markdown --------------------------------------------------------------------------------------


def format_verification_markdown(verification: Verification, *, redaction: Redaction = MASKED) -> str:
    """*verification* as a Markdown document, ending with a line break."""
    lines = [f"## {escape_markdown(format_verification_headline(verification, redaction))}", ""]
    lines += [f"- {escape_markdown(redaction.text(reason))}" for reason in verification.reasons]
    lines += [
        "",
        f"Before: {escape_markdown(_who(verification.before, redaction))}  ",
        f"After: {escape_markdown(_who(verification.after, redaction))}",
        "",
        "| | before | a minute | after | a minute |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, *cells in table_rows(verification):
        shown = " | ".join(escape_markdown(cell) for cell in cells)
        lines.append(f"| {code_span(redaction.name(name), in_table=True)} | {shown} |")
    return "\n".join(lines) + "\n"
