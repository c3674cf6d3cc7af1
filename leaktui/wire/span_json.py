"""Exported traces as JSON → Spans: what is common to Jaeger's form and OTLP's, and which of them it is.

Law: no I/O; whatever is in the bytes, the answer is Spans or one sentence (DecodeError). Bounded in bytes, spans and
what one span may hold; text has gone through `text.printable`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NoReturn

from leaktui.errors import DecodeError, LimitExceeded, Truncated
from leaktui.model.span import Span
from leaktui.text import format_bytes, format_count, printable
from leaktui.wire.gzip_stream import inflate_gzip, is_gzip
from leaktui.wire.jaeger import iter_jaeger_spans
from leaktui.wire.otlp import iter_otlp_spans
from leaktui.wire.payload import is_text, name_payload

MAX_BYTES = 128 << 20
"""Of JSON: as Python objects it takes about eight times as much."""

MAX_SPANS = 500_000

_REMEDY = "save a trace with Jaeger's Download JSON, or ask its /api/traces?service=NAME"


def decode_spans(data: bytes, *, limit_bytes: int = MAX_BYTES) -> tuple[Span, ...]:
    """The spans in *data*: Jaeger's JSON or OTLP's, one document or several in a row, gzip-compressed or not.

    Raises Truncated, LimitExceeded, or DecodeError saying what *data* looks like instead.
    """
    if is_gzip(data):
        data = inflate_gzip(data, limit_bytes=limit_bytes)
    if len(data) > limit_bytes:
        raise LimitExceeded(
            f"the export is {format_bytes(len(data))}, more than the {format_bytes(limit_bytes)} leaktui reads",
            remedy="ask for fewer traces, with &limit= or a shorter time",
        )
    if not data.strip():
        raise Truncated("there is nothing to read (0 bytes)", remedy=_REMEDY)
    text = data.decode("utf-8-sig", "replace") if is_text(data) else ""
    if text.lstrip()[:1] not in ("{", "["):
        raise DecodeError(f"this is {name_payload(data)}, not traces as JSON", remedy=_REMEDY)
    spans: list[Span] = []
    for document in _documents(text):
        for span in _spans_of(document):
            spans.append(span)
            if len(spans) > MAX_SPANS:
                raise LimitExceeded(
                    f"the export has more than {format_count(MAX_SPANS)} spans, the most leaktui reads",
                    remedy="ask for fewer traces, with &limit= or a shorter time",
                )
    return tuple(spans)


def _documents(text: str) -> Iterator[Any]:
    """The JSON documents in *text*, one after the other (the OpenTelemetry collector writes one a line)."""
    decoder = json.JSONDecoder(parse_constant=_refuse_constant)
    position, end = 0, len(text)
    while position < end:
        while position < end and text[position] in " \t\r\n":
            position += 1
        if position == end:
            return
        try:
            document, position = decoder.raw_decode(text, position)
        except RecursionError:
            raise DecodeError("the JSON is nested deeper than any trace is") from None
        except json.JSONDecodeError as error:
            if not text[error.pos :].strip() or error.msg.startswith("Unterminated"):
                raise Truncated(
                    "the JSON ends in the middle", remedy="save or fetch it again, whole"
                ) from None
            raise DecodeError(f"the JSON is damaged at byte {error.pos} ({error.msg})") from None
        except ValueError as error:  # a number of too many digits
            raise DecodeError(f"the JSON holds what no trace does ({printable(str(error), 80)})") from None
        yield document


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _spans_of(document: Any) -> Iterator[Span]:
    if isinstance(document, dict):
        inner = document.get("result", document)  # Jaeger's /api/v3 wraps OTLP
        if isinstance(inner, dict) and "resourceSpans" in inner:
            yield from iter_otlp_spans(inner)
            return
        if "spans" in document:
            yield from iter_jaeger_spans([document])
            return
        errors = document.get("errors")
        if not document.get("data") and isinstance(errors, list) and errors:
            said = errors[0].get("msg", "") if isinstance(errors[0], dict) else errors[0]
            raise DecodeError(f"Jaeger answers with an error: {printable(str(said), 200)}", remedy=_REMEDY)
        if "data" in document:
            yield from iter_jaeger_spans(document["data"] if document["data"] is not None else [])
            return
    elif isinstance(document, list):
        yield from iter_jaeger_spans(document)
        return
    raise DecodeError("the JSON holds no traces (neither `data` nor `resourceSpans`)", remedy=_REMEDY)
