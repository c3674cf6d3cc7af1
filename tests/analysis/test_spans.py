"""Who forgot to close: held to what a real program counted, and nobody accused without a record."""

from __future__ import annotations

from dataclasses import replace

import pytest

from leaktui.analysis.spans import report_spans, route_of
from leaktui.model.span import Span, SpanEvent, Tags
from leaktui.model.span_report import SpanVerdict
from leaktui.wire.span_json import decode_spans
from tests.wire.span_captures import recorded, truth

HTTP: Tags = (("http.request.method", "GET"), ("url.full", "http://stock.example/item/17?token=abc"))
OPEN, CLOSE = SpanEvent("Body.Open", 1.0), SpanEvent("Body.Close", 2.0)


def client(number: int, *events: SpanEvent, tags: Tags = HTTP, **fields: str) -> Span:
    made = Span("t1", f"s{number}", "stock.get", "shop", "", "client", float(number + 1), 0.1, tags, events)
    return replace(made, **fields)  # type: ignore[arg-type]


CLOSED = client(99, OPEN, CLOSE)
"""One that shows the service to be instrumented."""


@pytest.mark.parametrize("name", ["shop.json", "shop.otlp.json"])
def test_the_recorded_program_is_told_as_it_counted_itself(name: str) -> None:
    report = report_spans(decode_spans(recorded(name)))
    counted = truth()
    assert report.verdict is SpanVerdict.UNCLOSED
    assert report.unclosed == counted["forgotten"] and report.clients == counted["opened"]
    assert report.closed == counted["opened"] - counted["forgotten"]
    # Every fourth article is missing, and is asked for one to three times.
    assert [(item.request_id, item.unclosed) for item in report.requests] == [
        ("req-008", 3), ("req-020", 3), ("req-004", 2), ("req-016", 2), ("req-000", 1), ("req-012", 1),
    ]  # fmt: skip
    stock, price = report.operations
    assert (stock.service, stock.operation, stock.method, stock.unclosed) == ("shop", "stock.get", "GET", 12)
    assert stock.route.endswith("/stock/*") and 0 < stock.first <= stock.last
    assert (price.operation, price.unclosed, price.closed, price.first) == ("price.get", 0, 24, 0.0)


def test_a_service_without_the_event_is_not_accused() -> None:
    blind = decode_spans(recorded("blind.json"))
    alone = report_spans(blind)
    assert (alone.verdict, alone.unclosed, alone.requests) == (SpanVerdict.UNTOLD, 0, ())
    assert alone.untold == alone.clients > 0 and alone.untold_services == ("blind",)
    both = report_spans([*blind, *decode_spans(recorded("shop.json"))])
    assert both.unclosed == truth()["forgotten"] and both.untold == alone.untold


def test_an_event_of_opening_alone_is_enough_to_miss_the_other() -> None:
    report = report_spans([client(1, OPEN)])
    assert (report.verdict, report.unclosed) == (SpanVerdict.UNCLOSED, 1)


def test_only_spans_of_http_clients_are_asked() -> None:
    others = [
        client(1, kind="server"),
        client(2, kind="internal"),
        client(3, tags=(("db.system", "postgresql"),)),
        client(4, tags=(("rpc.system", "grpc"),)),
    ]
    report = report_spans([CLOSED, *others])
    assert (report.verdict, report.clients, report.spans) == (SpanVerdict.CLOSED, 1, 5)
    # An instrumentation that sets no kind is known by its events.
    assert report_spans([CLOSED, client(5, OPEN, kind="", tags=())]).unclosed == 1


@pytest.mark.parametrize(
    "tags",
    [
        (("http.method", "HEAD"), ("http.status_code", "200")),
        (*HTTP, ("http.status_code", "304")),
        (*HTTP, ("http.response.status_code", "204")),
        (*HTTP, ("error", "true")),
        (*HTTP, ("otel.status_code", "ERROR")),
    ],
)
def test_what_had_no_body_need_not_close_it(tags: Tags) -> None:
    report = report_spans([CLOSED, client(1, tags=tags)])
    assert (report.unclosed, report.bodiless) == (0, 1)
    assert report_spans([CLOSED, client(1, OPEN, tags=tags)]).unclosed == 1, "it was opened all the same"


def test_an_error_with_a_status_had_a_body() -> None:
    tags = (*HTTP, ("error", "true"), ("http.status_code", "500"))
    assert report_spans([CLOSED, client(1, tags=tags)]).unclosed == 1


@pytest.mark.parametrize(
    "key",
    ["request_id", "request.id", "http.request_id", "http.request.id", "x-request-id", "guid:x-request-id",
     "http.request.header.x-request-id", "baggage.request_id", "RequestID", "Request-Id"],
)  # fmt: skip
def test_the_id_under_its_usual_names(key: str) -> None:
    found = report_spans([CLOSED, client(1, tags=(*HTTP, (key, "r-1")))])
    assert [item.request_id for item in found.requests] == ["r-1"]


@pytest.mark.parametrize(
    "key", ["requested_id", "request_identity", "last_request_id_seen", "parent.span.id"]
)
def test_other_names_are_no_id(key: str) -> None:
    report = report_spans([CLOSED, client(1, tags=(*HTTP, (key, "r-1")))])
    assert report.without_id == 1 and report.requests[0].trace_id == "t1"


def test_ids_in_events_baggage_headers_and_above() -> None:
    def id_of(*spans: Span) -> str:
        return report_spans([CLOSED, *spans]).requests[0].request_id

    assert id_of(client(1, SpanEvent("sent", 1.0, (("request_id", "a"),)))) == "a"
    baggage = SpanEvent("baggage", 1.0, (("event", "baggage"), ("key", "request_id"), ("value", "b")))
    assert id_of(client(1, baggage)) == "b"
    assert id_of(client(1, tags=(*HTTP, ("baggage", "tenant=x, request_id=c;ttl=1")))) == "c"
    assert id_of(client(1, tags=(*HTTP, ("http.request.header.x-request-id", '["d"]')))) == "d"
    top = Span("t1", "top", "GET /", "front", "", "server", tags=(("request.id", "e"),))
    middle = Span("t1", "middle", "work", "shop", "top")
    assert id_of(top, middle, client(1, parent_id="middle")) == "e"
    assert id_of(top, middle, client(1, parent_id="middle", tags=(*HTTP, ("request_id", "own")))) == "own"
    circle = Span("t1", "middle", "work", "shop", "s1")
    assert id_of(circle, client(1, parent_id="middle")) == "", "spans that are each other's parent end"


def test_a_tag_of_ones_own() -> None:
    spans = [CLOSED, client(1, tags=(*HTTP, ("request_id", "no"), ("Order", "o-7")))]
    assert report_spans(spans, id_tags=("order",)).requests[0].request_id == "o-7"


def test_one_request_over_several_traces_is_one_row() -> None:
    tags = (*HTTP, ("request_id", "r"))
    spans = [
        CLOSED,
        client(1, tags=tags),
        client(2, tags=tags, trace_id="t2", operation="price.get"),
        client(3),
    ]
    report = report_spans(spans)
    first, second = report.requests
    assert (first.request_id, first.unclosed, first.first, first.last) == ("r", 2, 2.0, 3.0)
    assert [item[1] for item in first.operations] == ["stock.get", "price.get"]
    assert (second.request_id, second.trace_id, report.without_id) == ("", "t1", 1)


def test_an_operation_can_be_asked_for() -> None:
    spans = [
        CLOSED,
        client(1, operation="GET /a"),
        client(2, operation="GET /b"),
        client(3, operation="POST /a"),
    ]
    assert report_spans(spans, operation="GET *").unclosed == 2
    assert report_spans(spans, operation="POST /a").unclosed == 1
    assert report_spans(spans, operation="nothing").verdict is SpanVerdict.UNTOLD


def test_the_event_may_have_another_name() -> None:
    spans = [
        client(1, SpanEvent("http.body.opened", 1.0), SpanEvent("HTTP.Body.Closed", 2.0)),
        client(2, SpanEvent("http.body.opened", 1.0)),
    ]
    report = report_spans(spans, event="http.body.closed")
    assert (report.closed, report.unclosed, report.event) == (1, 1, "http.body.closed")
    assert report_spans(spans).verdict is SpanVerdict.UNTOLD


def test_a_span_that_was_exported_twice_counts_once() -> None:
    assert report_spans([CLOSED, client(1, OPEN), client(1, OPEN)]).unclosed == 1
    assert report_spans([client(1, OPEN), client(1, OPEN, CLOSE)]).unclosed == 0
    assert report_spans([client(1, OPEN, CLOSE), client(1, OPEN)]).closed == 1


@pytest.mark.parametrize(
    ("tags", "route"),
    [
        (HTTP, "stock.example/item/*"),
        ((("http.url", "https://u:p@h:8443/a/5f2b8c1e-1111-2222-3333-444455556666/b?q=1"),), "h:8443/a/*/b"),
        ((("server.address", "h"), ("url.path", "/x/7#f")), "h/x/*"),
        ((("http.host", "h"), ("http.route", "/users/{id}")), "h/users/{id}"),
        ((("http.target", "/a?b=c"),), "/a"),
        ((("http.url", "http://[bad"),), ""),
        ((), ""),
    ],
)
def test_routes_hold_no_query_and_fold_what_varies(tags: Tags, route: str) -> None:
    assert route_of(Span("t", "s", "o", tags=tags)) == route
