"""Traces in OTLP's JSON: what the OpenTelemetry collector writes to files and Jaeger's /api/v3 answers.

Law: pure. The form is that of opentelemetry-proto, trace/v1/trace.proto (1.3) in its JSON mapping: times are
nanoseconds as digits, kinds are numbers, attributes have typed values.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

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

_PER_SECOND = 1e9
_KINDS = {1: "internal", 2: "server", 3: "client", 4: "producer", 5: "consumer"}
_ERROR_CODES = (2, "STATUS_CODE_ERROR")
_SCALARS = ("stringValue", "intValue", "doubleValue", "boolValue", "bytesValue")


def iter_otlp_spans(document: dict[str, Any]) -> Iterator[Span]:
    """The spans below `resourceSpans`. Raises DecodeError."""
    for resource_spans in as_list(document.get("resourceSpans"), "resourceSpans"):
        resource_spans = as_object(resource_spans, "a resource")
        resource = resource_spans.get("resource")
        attributes = _attributes(resource.get("attributes")) if isinstance(resource, dict) else ()
        service = next((value for key, value in attributes if key == "service.name"), "")
        scopes = resource_spans.get("scopeSpans") or resource_spans.get("instrumentationLibrarySpans")
        for scope in as_list(scopes, "scopeSpans"):
            for span in as_list(as_object(scope, "a scope").get("spans"), "spans"):
                yield _span(as_object(span, "a span"), service)


def _span(span: dict[str, Any], service: str) -> Span:
    start = as_seconds(span.get("startTimeUnixNano"), _PER_SECOND)
    end = as_seconds(span.get("endTimeUnixNano"), _PER_SECOND)
    parent = span.get("parentSpanId")
    tags = _attributes(span.get("attributes"))
    status = span.get("status")
    if isinstance(status, dict) and status.get("code") in _ERROR_CODES:
        tags = (*tags, ("error", "true"))  # as Jaeger tells it
    return Span(
        trace_id=as_identity(span.get("traceId"), "traceId"),
        span_id=as_identity(span.get("spanId"), "spanId"),
        operation=as_text(span.get("name")),
        service=service,
        parent_id=printable(parent, 128) if isinstance(parent, str) else "",
        kind=_kind(span.get("kind")),
        start=start,
        duration=max(0.0, end - start),
        tags=tags,
        events=tuple(
            _event(as_object(item, "an event"))
            for item in bounded_events(as_list(span.get("events"), "events"))
        ),
    )


def _kind(kind: Any) -> str:
    if isinstance(kind, str):
        return printable(kind.removeprefix("SPAN_KIND_").lower(), 40)
    return _KINDS.get(kind, "") if isinstance(kind, int) else ""


def _event(event: dict[str, Any]) -> SpanEvent:
    time = as_seconds(event.get("timeUnixNano"), _PER_SECOND)
    return SpanEvent(as_text(event.get("name")), time, _attributes(event.get("attributes")))


def _attributes(attributes: Any) -> Tags:
    pairs = [item for item in as_list(attributes, "attributes") if isinstance(item, dict)]
    return as_tags((item.get("key"), _value(item.get("value"))) for item in pairs)


def _value(value: Any) -> Any:
    """A typed value as it is meant: `{"intValue": "404"}` is 404."""
    if not isinstance(value, dict):
        return value
    for name in _SCALARS:
        if name in value:
            return value[name]
    inner = value.get("arrayValue")
    if isinstance(inner, dict) and isinstance(inner.get("values"), list):
        return [item.get("stringValue", item) if isinstance(item, dict) else item for item in inner["values"]]
    return value
