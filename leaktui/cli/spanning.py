"""`leaktui spans`: requests whose spans have no event of closing the response body.

Law: the answer is the exit status, as in `diagnose`: 0 all closed, 1 some are not, 3 the export cannot tell.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator

from leaktui.cli.credentials import Credentials, read_credentials
from leaktui.cli.exit_status import ExitStatus
from leaktui.cli.output import stdout_is_terminal, write_answer
from leaktui.cli.table import Column, format_table
from leaktui.model.span_report import SpanReport, SpanVerdict
from leaktui.report.redaction import Redaction
from leaktui.report.wrapping import wrap_text

_STATUSES = {
    SpanVerdict.CLOSED: ExitStatus.CLEAN,
    SpanVerdict.UNCLOSED: ExitStatus.LEAK,
    SpanVerdict.UNTOLD: ExitStatus.UNDECIDED,
}
_MOST_REQUESTS = 20
_MOST_OPERATIONS = 12
_WIDTH = 100


def run_spans(options: argparse.Namespace) -> ExitStatus:
    """Read an export and say which requests left bodies open. Raises LeaktuiError when it cannot be read."""
    from leaktui.analysis.spans import report_spans
    from leaktui.engines.span_source import describe_source, read_spans
    from leaktui.wire.span_json import decode_spans

    # What the environment holds for pprof is not for Jaeger: only what was named for this.
    asked = options.user is not None or options.token_env is not None
    credentials = read_credentials(options, whom="Jaeger") if asked else Credentials()
    data = read_spans(options.source, credentials=credentials, insecure=bool(options.insecure))
    report = report_spans(
        decode_spans(data),
        event=options.event,
        operation=options.operation or "",
        id_tags=options.id_tags or (),
    )
    source = describe_source(options.source)
    write_answer(_format(report, options, source, _full_note(options.source, report)))
    return _STATUSES[report.verdict]


def _full_note(source: str, report: SpanReport) -> tuple[str, ...]:
    """A word of warning where the answer is as large as its limit allows."""
    from leaktui.engines.span_source import parse_query_url

    if "://" not in source[:12]:
        return ()
    most = parse_query_url(source).most_traces
    if not most or report.traces < most:
        return ()
    return (f"The answer is full ({most} traces): there may be more, ask with a larger &limit=.",)


def _format(report: SpanReport, options: argparse.Namespace, source: str, notes: tuple[str, ...]) -> str:
    from leaktui.report.spans_form import format_spans_json, format_spans_markdown

    redaction = Redaction(show_secrets=options.show_secrets)
    if options.form == "json":
        return format_spans_json(report, source=source, notes=notes, redaction=redaction)
    if options.form == "md":
        return format_spans_markdown(report, source=source, notes=notes, redaction=redaction)
    width = max(60, shutil.get_terminal_size((80, 24)).columns) if stdout_is_terminal() else None
    return "\n".join(_text(report, source, notes, redaction, width)) + "\n"


def _text(
    report: SpanReport, source: str, notes: tuple[str, ...], redaction: Redaction, width: int | None
) -> Iterator[str]:
    from leaktui.report.spans_form import (
        format_headline,
        format_moment,
        format_sentences,
        operation_names,
        request_name,
    )

    room = min(width or _WIDTH, _WIDTH)
    yield from wrap_text(format_headline(report), room)
    for sentence in (f"Read from {source}.", *format_sentences(report), *notes):
        for index, line in enumerate(wrap_text(sentence, room - 4)):
            yield ("  · " if index == 0 else "    ") + line
    if report.requests:
        rows = [
            (
                request_name(item, redaction),
                str(item.unclosed),
                *_times(format_moment(item.first), format_moment(item.last)),
                "; ".join(operation_names(item, redaction)),
            )
            for item in report.requests[:_MOST_REQUESTS]
        ]
        columns = (
            Column("request"), Column("open", number=True), Column("first, UTC"), Column("last"), Column("operation")
        )  # fmt: skip
        yield ""
        yield format_table(columns, rows, width=width).rstrip("\n")
        left = len(report.requests) - _MOST_REQUESTS
        if left > 0:
            yield f"… {left} more; --json lists them all"
    if report.operations:
        columns = (
            Column("service"), Column("operation"), Column("open", number=True), Column("closed", number=True),
            Column("where"),
        )  # fmt: skip
        rows = [
            (
                redaction.name(item.service),
                redaction.name(item.operation),
                str(item.unclosed),
                str(item.closed),
                f"{redaction.name(item.method)} {redaction.text(item.route)}".strip(),
            )
            for item in report.operations[:_MOST_OPERATIONS]
        ]
        yield ""
        yield format_table(columns, rows, width=width).rstrip("\n")


def _times(first: str, last: str) -> tuple[str, str]:
    """Both, the second without its day where that is the same."""
    return first, last[11:] if last[:10] == first[:10] else last
