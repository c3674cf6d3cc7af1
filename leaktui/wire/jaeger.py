"""Traces in Jaeger's JSON, as its UI downloads and its query API answers them.

Law: pure. The form is that of jaegertracing/jaeger, model/json/model.go (v1.60): times are microseconds, a span's
service is its process's, an event is a log whose field `event` (or `message`, `name`) says what happened.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from leaktui.errors import DecodeError
from leaktui.model.span import Span, SpanEvent, Tags
from leaktui.text import printable
from leaktui.wire.span_values import (
    as_identity,
    as_list,
    as_object,
    as_seconds,
    as_tags,
    as_text,
    bounded_events,
)

_PER_SECOND = 1e6
_EVENT_KEYS = ("event", "message", "name", "log.message")


def iter_jaeger_spans(traces: Any) -> Iterator[Span]:
    """The spans of *traces*, the list under `data`, which is emptied on the way. Raises DecodeError."""
    if not isinstance(traces, list):
        raise DecodeError("the export is damaged: `data` is no list of traces")
    for index, trace in enumerate(traces):
        traces[index] = None  # Python's objects are many times the text: what was read is let go of
        trace = as_object(trace, "a trace")
        services = _services(trace.get("processes"))
        for span in as_list(trace.get("spans"), "spans"):
            yield _span(as_object(span, "a span"), services)


def _services(processes: Any) -> dict[str, str]:
    if processes is None:
        return {}
    return {
        identity: as_text(process.get("serviceName"))
        for identity, process in as_object(processes, "`processes`").items()
        if isinstance(process, dict)
    }


def _span(span: dict[str, Any], services: dict[str, str]) -> Span:
    tags = _tags(span.get("tags"), "tags")
    process = span.get("process")
    service = services.get(span["processID"], "") if isinstance(span.get("processID"), str) else ""
    if isinstance(process, dict):
        service = service or as_text(process.get("serviceName"))
    identity = as_identity(span.get("spanID"), "spanID")
    return Span(
        trace_id=as_identity(span.get("traceID"), "traceID"),
        span_id=identity,
        operation=as_text(span.get("operationName")),
        service=service,
        parent_id=_parent(span),
        kind=next((value for key, value in tags if key == "span.kind"), ""),
        start=as_seconds(span.get("startTime"), _PER_SECOND),
        duration=as_seconds(span.get("duration"), _PER_SECOND),
        tags=tags,
        events=tuple(
            _event(as_object(item, "a log")) for item in bounded_events(as_list(span.get("logs"), "logs"))
        ),
    )


def _parent(span: dict[str, Any]) -> str:
    """The span this one is a child of, or follows from."""
    found = ""
    for reference in as_list(span.get("references"), "references"):
        if isinstance(reference, dict) and isinstance(reference.get("spanID"), str):
            if reference.get("refType") == "CHILD_OF":
                return printable(reference["spanID"], 128)
            found = found or printable(reference["spanID"], 128)
    parent = span.get("parentSpanID")  # exports older than `references`
    return found or (printable(parent, 128) if isinstance(parent, str) else "")


def _event(log: dict[str, Any]) -> SpanEvent:
    tags = _tags(log.get("fields"), "fields")
    by_key = dict(reversed(tags))  # the first of a key counts
    name = next((by_key[key] for key in _EVENT_KEYS if by_key.get(key)), "")
    return SpanEvent(name, as_seconds(log.get("timestamp"), _PER_SECOND), tags)


def _tags(tags: Any, name: str) -> Tags:
    return as_tags(
        (item.get("key"), item.get("value")) for item in as_list(tags, name) if isinstance(item, dict)
    )
