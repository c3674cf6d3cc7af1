"""What spans say, as JSON, as a ticket and in sentences."""

from __future__ import annotations

import json
from dataclasses import replace

from leaktui.model.span_report import OperationCount, RequestCount, SpanReport, SpanVerdict
from leaktui.report.spans_form import (
    format_headline,
    format_sentences,
    format_spans_json,
    format_spans_markdown,
)

STOCK = ("shop", "stock.get", "10.0.0.7/stock/*", 2)
REPORT = SpanReport(
    SpanVerdict.UNCLOSED, "Body.Close", traces=1, spans=96, clients=72, closed=60, unclosed=12, bodiless=1,
    untold=4, untold_services=("blind",), without_id=1,
    requests=(
        RequestCount("req-8", "t1", 3, (STOCK, ("shop", "price.get", "", 1)), 1.7e9, 1.7e9 + 61.5),
        RequestCount("", "t2", 1, (STOCK,)),
    ),
    operations=(OperationCount("shop", "stock.get", "GET", "10.0.0.7/stock/*", 48, 36, 12, 1.7e9, 1.7e9),),
)  # fmt: skip


def test_the_answer_in_a_line() -> None:
    assert format_headline(REPORT) == "Not closed: 12 spans of 2 requests without Body.Close"
    closed = replace(REPORT, verdict=SpanVerdict.CLOSED)
    assert format_headline(closed) == "All closed: 60 spans with Body.Close, none without"
    untold = replace(REPORT, verdict=SpanVerdict.UNTOLD)
    assert format_headline(untold) == "Untold: no span has Body.Close, so the export cannot tell"
    assert "no span of an HTTP client" in format_headline(replace(untold, clients=0))


def test_what_it_rests_on_and_what_it_leaves_open() -> None:
    said = " ".join(format_sentences(REPORT))
    assert "96 spans in 1 trace; 72 of HTTP clients, 60 of these have Body.Close." in said
    assert "1 span had no body to close" in said and "no span of blind has an event" in said
    assert "after its span has ended leaves no event" in said
    untold = " ".join(format_sentences(replace(REPORT, verdict=SpanVerdict.UNTOLD)))
    assert 'span.AddEvent("Body.Close")' in untold and "Body.Open" in untold and "--event" in untold


def test_json_is_the_contract() -> None:
    document = json.loads(format_spans_json(REPORT, source="x.json", notes=("full",)))
    assert list(document) == [
        "schema", "source", "verdict", "event", "traces", "spans", "clients", "closed", "unclosed", "bodiless",
        "untold", "untold_services", "without_id", "requests", "operations", "notes",
    ]  # fmt: skip
    assert (document["schema"], document["verdict"]) == ("leaktui.spans/1", "unclosed")
    first, second = document["requests"]
    assert first["operations"][0] == {
        "service": "shop", "operation": "stock.get", "route": "10.0.0.7/stock/*", "unclosed": 2,
    }  # fmt: skip
    assert (first["first"], first["last"]) == ("2023-11-14T22:13:20.000000Z", "2023-11-14T22:14:21.500000Z")
    assert (second["request_id"], second["trace_id"], second["first"]) == (None, "t2", None)
    assert document["operations"][0]["closed"] == 36 and document["notes"][-1] == "full"


def test_markdown_is_a_ticket() -> None:
    text = format_spans_markdown(REPORT, source="x.json")
    assert text.startswith("# Not closed: 12 spans of 2 requests without Body.Close\n")
    assert (
        "| `req-8` | 3 | `shop stock.get, 10.0.0.7/stock/* (2)`; `shop price.get (1)` | 2023-11-14 22:13:20 "
        "| 2023-11-14 22:14:21 |" in text
    )
    assert "| `trace t2` | 1 |" in text
    assert "| `shop` | `stock.get` | `GET 10.0.0.7/stock/*` | 12 | 36 |" in text
    many = replace(REPORT, requests=REPORT.requests * 40)
    assert "… 30 more; `--json` lists them all." in format_spans_markdown(many)


def test_hostile_names_break_nothing_and_tell_no_secret() -> None:
    nasty = "`|<script>\x1b[2J\u202e\nx?token=abc http://u:hunter2@h/?key=s3cret"
    report = replace(
        REPORT,
        untold_services=(nasty,),
        requests=(RequestCount(nasty, nasty, 1, ((nasty, nasty, nasty, 1),)),),
        operations=(OperationCount(nasty, nasty, nasty, nasty, 1, 0, 1),),
    )
    for text in (
        format_spans_json(report),
        format_spans_markdown(report),
        " ".join(format_sentences(report)),
    ):
        assert "\x1b" not in text and "\u202e" not in text
    rows = [line for line in format_spans_markdown(report).splitlines() if line.startswith("| `")]
    assert [row.replace("\\|", "").count("|") for row in rows] == [6, 6]
    request = json.loads(format_spans_json(report))["requests"][0]
    assert "hunter2" not in request["request_id"] and "s3cret" not in request["operations"][0]["route"]
