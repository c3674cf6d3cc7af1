"""What spans say of response bodies, as JSON (`leaktui.spans/1`), as Markdown, and in sentences.

Law: pure; a thing not known is null. Text of the export is masked and printable, in Markdown escaped too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from typing import Any

from leaktui.model.span_report import OperationCount, RequestCount, SpanReport, SpanVerdict
from leaktui.report.markdown_form import code_span, escape_markdown
from leaktui.report.redaction import MASKED, Redaction
from leaktui.text import format_count

SCHEMA = "leaktui.spans/1"
_MOST_ROWS = 50

_LIMIT = (
    "A body that is closed after its span has ended leaves no event: end the span when the body is closed."
)
_HOW = (
    "To instrument: where the client hands the response on, wrap resp.Body, add the event {open} to the span, and in "
    'its Close the event {event}: span.AddEvent("{event}"). End the span there, too.'
)


def format_headline(report: SpanReport) -> str:
    """The answer in a line."""
    requests = len(report.requests)
    if report.verdict is SpanVerdict.UNCLOSED:
        return (
            f"Not closed: {_spans(report.unclosed)} of {requests} {'request' if requests == 1 else 'requests'} "
            f"without {report.event}"
        )
    if report.verdict is SpanVerdict.CLOSED:
        return f"All closed: {_spans(report.closed)} with {report.event}, none without"
    if not report.clients:
        return "Untold: no span of an HTTP client is in the export"
    return f"Untold: no span has {report.event}, so the export cannot tell"


def format_sentences(report: SpanReport) -> tuple[str, ...]:
    """What the answer rests on, and what it leaves open."""
    said = [
        f"{format_count(report.spans)} spans in {_plural(report.traces, 'trace')}; "
        f"{format_count(report.clients)} of HTTP clients, {format_count(report.closed)} of these have {report.event}."
    ]
    if report.bodiless:
        said.append(f"{_spans(report.bodiless)} had no body to close (no response, HEAD, 204, 304).")
    if report.untold:
        names = ", ".join(MASKED.name(name) or "(no name)" for name in report.untold_services[:8])
        said.append(
            f"{_spans(report.untold)} cannot be told: no span of {names} has an event of opening or closing, so the "
            "instrumentation is missing there. Nobody is accused of them."
        )
    if report.without_id:
        said.append(
            f"{_spans(report.without_id)} have no request id, on them or above: the trace stands for it."
        )
    if report.verdict is SpanVerdict.UNTOLD:
        opening = report.event.replace("Close", "Open") if "Close" in report.event else "Body.Open"
        said.append(_HOW.format(event=report.event, open=opening))
        if report.clients:
            said.append("If your event has another name, give it with --event.")
    if report.verdict is SpanVerdict.UNCLOSED:
        said.append(_LIMIT)
    return tuple(said)


def _plural(count: int, noun: str) -> str:
    return f"{format_count(count)} {noun if count == 1 else noun + 's'}"


def _spans(count: int) -> str:
    return _plural(count, "span")


def format_moment(seconds: float) -> str:
    """`2026-11-30 20:58:02` in UTC, empty where unknown."""
    if not seconds:
        return ""
    return f"{datetime.fromtimestamp(seconds, timezone.utc):%Y-%m-%d %H:%M:%S}"


def request_name(request: RequestCount, redaction: Redaction = MASKED) -> str:
    """The request's id, or its trace."""
    if request.request_id:
        return redaction.text(request.request_id, 120)
    return f"trace {redaction.name(request.trace_id)}"


def operation_names(request: RequestCount, redaction: Redaction = MASKED) -> tuple[str, ...]:
    """`shop stock.get, 10.0.0.7/stock/*` for each operation of a request, with how many where there are several."""
    names = []
    for service, operation, route, count in request.operations:
        name = " ".join(item for item in (redaction.name(service), redaction.name(operation)) if item)
        name += f", {redaction.text(route)}" if route and route != operation else ""
        names.append(f"{name} ({count})" if len(request.operations) > 1 else name)
    return tuple(names)


# -- JSON --------------------------------------------------------------------------------------


def format_spans_json(
    report: SpanReport, *, source: str = "", notes: Sequence[str] = (), redaction: Redaction = MASKED
) -> str:
    """*report* as one JSON document, ending with a line break."""
    document = {
        "schema": SCHEMA,
        "source": source,
        "verdict": report.verdict.value,
        "event": redaction.name(report.event),
        "traces": report.traces,
        "spans": report.spans,
        "clients": report.clients,
        "closed": report.closed,
        "unclosed": report.unclosed,
        "bodiless": report.bodiless,
        "untold": report.untold,
        "untold_services": [redaction.name(name) for name in report.untold_services],
        "without_id": report.without_id,
        "requests": [
            {
                "request_id": redaction.text(item.request_id) or None,
                "trace_id": redaction.name(item.trace_id),
                "unclosed": item.unclosed,
                "operations": [
                    {
                        "service": redaction.name(service),
                        "operation": redaction.name(operation),
                        "route": redaction.text(route) or None,
                        "unclosed": count,
                    }
                    for service, operation, route, count in item.operations
                ],
                "first": _instant(item.first),
                "last": _instant(item.last),
            }
            for item in report.requests
        ],
        "operations": [_operation(item, redaction) for item in report.operations],
        "notes": [*format_sentences(report), *notes],
    }
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def _operation(item: OperationCount, redaction: Redaction) -> dict[str, Any]:
    return {
        "service": redaction.name(item.service),
        "operation": redaction.name(item.operation),
        "method": redaction.name(item.method) or None,
        "route": redaction.text(item.route) or None,
        "spans": item.spans,
        "closed": item.closed,
        "unclosed": item.unclosed,
        "first": _instant(item.first),
        "last": _instant(item.last),
    }


def _instant(seconds: float) -> str | None:
    """RFC 3339 in UTC with microseconds, which is what Jaeger counts in."""
    if not seconds:
        return None
    return (
        datetime.fromtimestamp(seconds, timezone.utc)
        .isoformat(timespec="microseconds")
        .replace("+00:00", "Z")
    )


# -- Markdown ----------------------------------------------------------------------------------


def format_spans_markdown(
    report: SpanReport, *, source: str = "", notes: Sequence[str] = (), redaction: Redaction = MASKED
) -> str:
    """*report* as a Markdown document, ending with a line break."""
    return "\n".join(_markdown(report, source, notes, redaction)) + "\n"


def _markdown(report: SpanReport, source: str, notes: Sequence[str], redaction: Redaction) -> Iterator[str]:
    yield f"# {escape_markdown(format_headline(report))}"
    yield ""
    if source:
        yield f"Read from {code_span(source)}."
        yield ""
    for sentence in (*format_sentences(report), *notes):
        yield f"- {escape_markdown(sentence)}"
    if report.requests:
        yield from ("", "## Requests, by what they left", "")
        yield from ("| Request | Not closed | Operation | First | Last |", "|---|---:|---|---|---|")
        for request in report.requests[:_MOST_ROWS]:
            name = code_span(request_name(request, redaction), in_table=True)
            operations = "; ".join(
                code_span(item, in_table=True) for item in operation_names(request, redaction)
            )
            yield (
                f"| {name} | {request.unclosed} | {operations} | {format_moment(request.first)} "
                f"| {format_moment(request.last)} |"
            )
        left = len(report.requests) - _MOST_ROWS
        if left > 0:
            yield from ("", f"… {left} more; `--json` lists them all.")
    if report.operations:
        yield from ("", "## Operations", "")
        yield from ("| Service | Operation | Where | Not closed | Closed |", "|---|---|---|---:|---:|")
        for item in report.operations[:_MOST_ROWS]:
            cells = (
                redaction.name(item.service),
                redaction.name(item.operation),
                f"{redaction.name(item.method)} {redaction.text(item.route)}".strip(),
            )
            shown = " | ".join(code_span(cell, in_table=True) for cell in cells)
            yield f"| {shown} | {item.unclosed} | {item.closed} |"
