"""Which requests left response bodies without the event of closing, from the spans of an export.

Law: pure, and it does not accuse where nothing was recorded: a service in which no span has an event of opening or
closing is not instrumented, and its spans are counted apart. What had no body is not asked to close one.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from urllib.parse import urlsplit

from leaktui.model.span import Span, SpanEvent
from leaktui.model.span_report import OperationCount, RequestCount, SpanReport, SpanVerdict

EVENT = "Body.Close"

_URL_TAGS = ("url.full", "http.url")
_METHOD_TAGS = ("http.request.method", "http.method")
_STATUS_TAGS = ("http.response.status_code", "http.status_code")
_ROUTE_TAGS = ("http.route", "url.template")
_HOST_TAGS = ("server.address", "net.peer.name", "http.host", "peer.address", "peer.service", "net.peer.ip")
_PATH_TAGS = ("url.path", "http.target", "http.path")
_HTTP_TAGS = (*_URL_TAGS, *_METHOD_TAGS, *_STATUS_TAGS)
_ERROR_TAGS = ("error", "otel.status_code")
_BODILESS = frozenset(("204", "304"))

# `request_id`, `http.request.id`, `guid:x-request-id`, `baggage.request_id`, `http.request.header.x-request-id`, …
_ID_TAG = re.compile(r"(?:^|[^a-z0-9])(?:x[._-]?)?request[._-]?id$")
_FOLDED = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|(?<=/)[0-9a-f]{16,}(?=/|$)|\d+", re.IGNORECASE)
_MOST_ANCESTORS = 64


def report_spans(
    spans: Iterable[Span],
    *,
    event: str = EVENT,
    operation: str = "",
    id_tags: Sequence[str] = (),
) -> SpanReport:
    """What *spans* say of bodies. *event* is the name of the event of closing (letter case does not count).

    Only operations that match the pattern *operation* (`GET *`) are judged where it is given. *id_tags* are the names
    of tags that hold the request's id; without them the usual ones are looked for.
    """
    known = _Export(spans, event)
    ids = _RequestIds(known, id_tags)
    clients = [item for item in known.spans if known.is_http_client(item)]
    if operation:
        clients = [item for item in clients if fnmatchcase(item.operation, operation)]
    untold: Counter[str] = Counter()
    closed = bodiless = 0
    unclosed: list[Span] = []
    judged: list[tuple[Span, bool]] = []
    for span in clients:
        if known.is_closed(span):
            closed += 1
            judged.append((span, True))
        elif span.service not in known.instrumented:
            untold[span.service] += 1
        elif known.had_no_body(span):
            bodiless += 1
        else:
            unclosed.append(span)
            judged.append((span, False))
    requests = _requests(unclosed, ids)
    verdict = SpanVerdict.UNCLOSED if unclosed else SpanVerdict.CLOSED if judged else SpanVerdict.UNTOLD
    return SpanReport(
        verdict=verdict,
        event=event,
        traces=len({span.trace_id for span in known.spans}),
        spans=len(known.spans),
        clients=len(clients),
        closed=closed,
        unclosed=len(unclosed),
        bodiless=bodiless,
        untold=sum(untold.values()),
        untold_services=tuple(sorted(untold)),
        without_id=sum(item.unclosed for item in requests if not item.request_id),
        requests=requests,
        operations=_operations(judged),
        id_tags=tuple(id_tags),
    )


class _Export:
    """The spans of an export, each once, and what may be told of them."""

    def __init__(self, spans: Iterable[Span], event: str) -> None:
        self._close = event.casefold()
        self._open = _opening_names(self._close)
        merged: dict[tuple[str, str, str], Span] = {}
        for span in spans:
            # A span that was exported twice counts once; client and server may share an id (Zipkin).
            key = span.trace_id, span.span_id, span.kind
            earlier = merged.get(key)
            if earlier is None or (not self.is_closed(earlier) and self.is_closed(span)):
                merged[key] = span
        self.spans = tuple(merged.values())
        self.by_id: dict[tuple[str, str], Span] = {}
        for span in self.spans:
            self.by_id.setdefault((span.trace_id, span.span_id), span)
        self.instrumented = frozenset(
            span.service for span in self.spans if self.is_closed(span) or self.is_opened(span)
        )

    def is_closed(self, span: Span) -> bool:
        return any(event.name.casefold() == self._close for event in span.events)

    def is_opened(self, span: Span) -> bool:
        return any(event.name.casefold() in self._open for event in span.events)

    def is_http_client(self, span: Span) -> bool:
        """Whether *span* is a request over HTTP as its client sees it."""
        if self.is_closed(span) or self.is_opened(span):
            return True
        return span.kind == "client" and bool(span.tag(*_HTTP_TAGS))

    def had_no_body(self, span: Span) -> bool:
        """Whether there was nothing to close: an event of opening says otherwise."""
        if self.is_opened(span):
            return False
        status = span.tag(*_STATUS_TAGS)
        failed = any(span.tag(key).casefold() in ("true", "error") for key in _ERROR_TAGS)
        return (
            status in _BODILESS
            or (failed and status in ("", "0"))
            or span.tag(*_METHOD_TAGS).upper() == "HEAD"
        )


def _opening_names(close: str) -> frozenset[str]:
    """How the event of opening may be called where that of closing is *close*."""
    names = {"body.open", "body.opened"}
    if "close" in close:
        names |= {close.replace("closed", "opened"), close.replace("closed", "open").replace("close", "open")}
    return frozenset(names - {close})


class _RequestIds:
    """The id of the request a span is part of: its own, or that of a span above it."""

    def __init__(self, export: _Export, id_tags: Sequence[str]) -> None:
        self._export = export
        self._wanted = frozenset(tag.casefold() for tag in id_tags)

    def find(self, span: Span) -> str:
        """The request's id; empty where neither the span nor one above it has any."""
        seen: set[str] = set()
        current: Span | None = span
        while current is not None and current.span_id not in seen and len(seen) < _MOST_ANCESTORS:
            found = self._own(current)
            if found:
                return found
            seen.add(current.span_id)
            parent = current.parent_id
            current = self._export.by_id.get((span.trace_id, parent)) if parent else None
        return ""

    def _own(self, span: Span) -> str:
        for key, value in span.tags:
            if value and self._is_id(key):
                return _plain(value)
        for event in span.events:
            found = self._of_event(event)
            if found:
                return found
        return self._of_baggage(span.tag("baggage"))

    def _of_baggage(self, header: str) -> str:
        """An id in W3C baggage: `tenant=a,request_id=b;ttl=1`."""
        for member in header.split(","):
            key, _, value = member.partition(";")[0].partition("=")
            if value.strip() and self._is_id(key.strip()):
                return value.strip()
        return ""

    def _of_event(self, event: SpanEvent) -> str:
        fields = dict(reversed(event.tags))
        # OpenTracing logs baggage as an event with `key` and `value`.
        if event.name == "baggage" and self._is_id(fields.get("key", "")):
            return _plain(fields.get("value", ""))
        return next((_plain(value) for key, value in event.tags if value and self._is_id(key)), "")

    def _is_id(self, key: str) -> bool:
        key = key.casefold()
        return key in self._wanted if self._wanted else bool(_ID_TAG.search(key))


def _plain(value: str) -> str:
    """A header's value as OpenTelemetry records it, `["a"]`, without the list around it."""
    if value.startswith('["') and value.endswith('"]') and value.count('"') == 2:
        return value[2:-2]
    return value


# -- sums --------------------------------------------------------------------------------------


def _requests(unclosed: Sequence[Span], ids: _RequestIds) -> tuple[RequestCount, ...]:
    members: dict[tuple[str, str], list[Span]] = {}
    for span in unclosed:
        request_id = ids.find(span)
        members.setdefault((request_id, "" if request_id else span.trace_id), []).append(span)
    counts = []
    for (request_id, _), spans in members.items():
        operations = Counter((span.service, span.operation, route_of(span)) for span in spans)
        first, last = _times(spans)
        counts.append(
            RequestCount(
                request_id=request_id,
                trace_id=spans[0].trace_id,
                unclosed=len(spans),
                operations=tuple((*key, count) for key, count in operations.most_common()),
                first=first,
                last=last,
            )
        )
    return tuple(sorted(counts, key=lambda item: (-item.unclosed, item.first, item.request_id)))


def _operations(judged: Iterable[tuple[Span, bool]]) -> tuple[OperationCount, ...]:
    members: dict[tuple[str, str, str, str], list[tuple[Span, bool]]] = {}
    for span, is_closed in judged:
        key = span.service, span.operation, span.tag(*_METHOD_TAGS).upper(), route_of(span)
        members.setdefault(key, []).append((span, is_closed))
    counts = []
    for (service, operation, method, route), items in members.items():
        left = [span for span, is_closed in items if not is_closed]
        first, last = _times(left)
        counts.append(
            OperationCount(
                service, operation, method, route, len(items), len(items) - len(left), len(left), first, last
            )
        )
    return tuple(sorted(counts, key=lambda item: (-item.unclosed, -item.spans, item.service, item.operation)))


def _times(spans: Sequence[Span]) -> tuple[float, float]:
    starts = [span.start for span in spans if span.start]
    return min(starts, default=0.0), max(starts, default=0.0)


def route_of(span: Span) -> str:
    """Host and route of a request, without its query and with what tells one from the other folded: `h/stock/*`."""
    host, path = _url_parts(span.tag(*_URL_TAGS))
    host = host or span.tag(*_HOST_TAGS)
    route = span.tag(*_ROUTE_TAGS)
    if not route:
        path = path or span.tag(*_PATH_TAGS).partition("?")[0].partition("#")[0]
        route = _FOLDED.sub("*", path)
    return host + (route if not route or route.startswith("/") else f"/{route}")


def _url_parts(url: str) -> tuple[str, str]:
    try:
        parts = urlsplit(url)
    except ValueError:
        return "", ""
    return parts.netloc.rpartition("@")[2], parts.path
