"""Exports are read for what they are, and whatever else arrives is one sentence."""

from __future__ import annotations

import gzip
import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leaktui.errors import DecodeError, LimitExceeded, Truncated
from leaktui.model.span import SpanEvent
from leaktui.wire import span_json
from leaktui.wire.span_json import decode_spans
from tests.wire.span_captures import jaeger, log, recorded, tags


def test_a_real_jaegers_answer() -> None:
    spans = decode_spans(recorded("shop.json"))
    assert len(spans) == 96 and len({span.trace_id for span in spans}) == 24
    stock = next(span for span in spans if span.operation == "stock.get")
    assert (stock.service, stock.kind) == ("shop", "client")
    assert (
        stock.tag("url.full").endswith("?token=s3cret")
        and stock.tag("nothing", "http.request.method") == "GET"
    )
    assert stock.events[0].name == "Body.Open" and stock.start > 1.7e9 and 0 < stock.duration < 60
    parent = next(span for span in spans if span.span_id == stock.parent_id)
    assert parent.operation == "GET /article" and parent.kind == "server"


def test_both_forms_of_one_recording_say_the_same() -> None:
    def essence(data: bytes) -> set[tuple[Any, ...]]:
        return {
            (span.trace_id, span.span_id, span.parent_id, span.operation, span.service, span.kind,
             int(span.start * 1000), tuple(event.name for event in span.events), span.tag("url.full"),
             span.tag("http.response.status_code"))
            for span in decode_spans(data)
        }  # fmt: skip

    assert essence(recorded("shop.json")) == essence(recorded("shop.otlp.json"))


@pytest.mark.parametrize("key", ["event", "message", "name"])
def test_what_happened_may_be_called_differently(key: str) -> None:
    (span,) = decode_spans(jaeger({"logs": [log("Body.Close", key, level="info")]}))
    assert span.events == (SpanEvent("Body.Close", 1.7e9, ((key, "Body.Close"), ("level", "info"))),)


def test_shapes_of_jaegers_export() -> None:
    whole = json.loads(jaeger({}))
    trace = whole["data"][0]
    for document in (whole, trace, [trace, trace]):
        assert {span.service for span in decode_spans(json.dumps(document).encode())} == {"shop"}
    twice = jaeger({}) + b"\n" + jaeger({})
    assert len(decode_spans(twice)) == 2
    assert len(decode_spans(b"\xef\xbb\xbf" + gzip.decompress(gzip.compress(jaeger({}))))) == 1
    assert decode_spans(b'{"data": []}') == () == decode_spans(b'{"data": null}') == decode_spans(b"[]")


def test_references() -> None:
    follows = {"refType": "FOLLOWS_FROM", "spanID": "a"}
    child = {"refType": "CHILD_OF", "spanID": "b"}
    first, second, old = decode_spans(
        jaeger({"references": [follows, child]}, {"references": [follows]}, {"parentSpanID": "c"})
    )
    assert (first.parent_id, second.parent_id, old.parent_id) == ("b", "a", "c")


def test_otlp_values_kinds_and_status() -> None:
    attributes = [
        {"key": "a", "value": {"stringValue": "x"}},
        {"key": "b", "value": {"intValue": "404"}},
        {"key": "c", "value": {"boolValue": True}},
        {"key": "d", "value": {"arrayValue": {"values": [{"stringValue": "id-1"}]}}},
    ]
    span = {
        "traceId": "t", "spanId": "s", "name": "get", "kind": "SPAN_KIND_CLIENT", "attributes": attributes,
        "startTimeUnixNano": "1700000000000000000", "endTimeUnixNano": 1700000000500000000,
        "status": {"code": 2}, "events": [{"name": "Body.Close", "timeUnixNano": "1"}],
    }  # fmt: skip
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]}
    document = {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]}
    line = json.dumps(document).encode()
    (found, other) = decode_spans(line + b"\n" + line)
    assert found == other
    assert (found.service, found.kind, found.start, found.duration) == ("shop", "client", 1.7e9, 0.5)
    assert found.tags == (("a", "x"), ("b", "404"), ("c", "true"), ("d", '["id-1"]'), ("error", "true"))


DEEP = b'{"data":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
REFUSED = {
    b"": (Truncated, "nothing to read"),
    b"  \n": (Truncated, "nothing to read"),
    b"<!doctype html><html>": (DecodeError, "an HTML page, not traces"),
    b"\x7fELF\x02": (DecodeError, "an executable, not traces"),
    b"go 1.22 trace\x00\x00\x00": (DecodeError, "an execution trace, not traces"),
    b"hello": (DecodeError, "plain text, not traces"),
    jaeger({})[:-9]: (Truncated, "ends in the middle"),
    b'{"data": [{"spans": [{"spanID": "a': (Truncated, "ends in the middle"),
    b'{"data": [}': (DecodeError, "damaged at byte 10"),
    DEEP: (DecodeError, "nested deeper"),
    b'{"data": [{"spans": [{"traceID": "t", "spanID": "s", "startTime": NaN}]}]}': (DecodeError, "NaN"),
    b'{"a": ' + b"9" * 5000 + b"}": (DecodeError, "no trace"),
    b'{"a": 1}': (DecodeError, "neither `data` nor `resourceSpans`"),
    b'{"data": null, "errors": [{"code": 400, "msg": "parameter \'service\' is required\\u001b[2J"}]}': (
        DecodeError,
        "parameter 'service' is required",
    ),
    b'{"data": {"a": 1}}': (DecodeError, "no list of traces"),
    b'{"data": [5]}': (DecodeError, "a trace is no object"),
    b'{"data": [{"spans": {"a": 1}}]}': (DecodeError, "`spans` is no list"),
    b'{"data": [{"spans": ["x"]}]}': (DecodeError, "a span is no object"),
    b'{"data": [{"spans": [{"traceID": "t"}]}]}': (DecodeError, "no `spanID`"),
    b'{"data": [{"spans": [{"traceID": 7, "spanID": "s"}]}]}': (DecodeError, "no `traceID`"),
    b'{"data": [{"spans": [{"traceID": "t", "spanID": "s", "logs": 1}]}]}': (
        DecodeError,
        "`logs` is no list",
    ),
    b'{"data": [{"spans": [{"traceID": "t", "spanID": "s", "logs": [1]}]}]}': (
        DecodeError,
        "a log is no object",
    ),
    b'{"data": [{"spans": [], "processes": 4}]}': (DecodeError, "`processes` is no object"),
    b'{"resourceSpans": [3]}': (DecodeError, "a resource is no object"),
    b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "t"}]}]}]}': (DecodeError, "no `spanId`"),
}


@pytest.mark.parametrize("data", REFUSED, ids=lambda data: str(data[:40]))
def test_what_is_no_export_is_one_sentence(data: bytes) -> None:
    kind, words = REFUSED[data]
    with pytest.raises(kind) as refused:
        decode_spans(data)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value) and str(refused.value).isprintable()


def test_odd_values_are_none_and_hurt_nobody() -> None:
    (span,) = decode_spans(
        jaeger(
            {
                "operationName": ["x\x1b"], "processID": {"a": 1}, "startTime": -5, "duration": "soon",
                "references": [7, {"refType": "CHILD_OF", "spanID": 3}], "tags": [3, {"key": 4}, {"key": "k"}],
                "logs": None, "warnings": "x",
            }
        )
    )  # fmt: skip
    assert (span.service, span.start, span.duration, span.parent_id) == ("", 0.0, 0.0, "")
    assert span.tags == (("k", ""),) and "\x1b" not in span.operation


def test_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LimitExceeded, match="more than the"):
        decode_spans(jaeger({}), limit_bytes=10)
    with pytest.raises(LimitExceeded, match="more than"):
        decode_spans(gzip.compress(b" " * (1 << 20)), limit_bytes=1 << 16)
    with pytest.raises(LimitExceeded, match="tags"):
        decode_spans(jaeger({"tags": tags(**{f"k{index}": 1 for index in range(1001)})}))
    with pytest.raises(LimitExceeded, match="events"):
        decode_spans(jaeger({"logs": [{}] * 20_001}))
    monkeypatch.setattr(span_json, "MAX_SPANS", 3)
    with pytest.raises(LimitExceeded, match="spans"):
        decode_spans(jaeger({}, {}, {}, {}))


KEYS = re.findall(
    r"\w+",
    "data spans traceID spanID logs fields tags key value resourceSpans scopeSpans traceId spanId attributes events "
    "processes references",
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=25,
)


@given(json_values)
@settings(max_examples=50, deadline=None)
def test_any_json_is_spans_or_a_sentence(value: Any) -> None:
    try:
        decode_spans(json.dumps(value).encode())
    except DecodeError as error:
        assert str(error).isprintable()
