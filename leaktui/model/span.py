"""Spans of a distributed trace, as a tracing backend exports them."""

from __future__ import annotations

from dataclasses import dataclass

Tags = tuple[tuple[str, str], ...]
"""Attributes in the order they were given, values as text (`true`, `404`, `["a"]`)."""


@dataclass(frozen=True, slots=True)
class SpanEvent:
    """Something that happened within a span (Jaeger: a log). `time` is seconds since 1970."""

    name: str
    time: float
    tags: Tags = ()


@dataclass(frozen=True, slots=True)
class Span:
    """One operation of one service. Text is printable; a URL is as the span has it, secrets and all.

    `parent_id` is the span it is a child of, empty for none; `kind` is `client`, `server`, `internal`, `producer`,
    `consumer` or empty. `start` is seconds since 1970, `duration` seconds.
    """

    trace_id: str
    span_id: str
    operation: str
    service: str = ""
    parent_id: str = ""
    kind: str = ""
    start: float = 0.0
    duration: float = 0.0
    tags: Tags = ()
    events: tuple[SpanEvent, ...] = ()

    def tag(self, *keys: str) -> str:
        """The value of the first of *keys* that is there and not empty; empty for none."""
        for key in keys:
            for found, value in self.tags:
                if found == key and value:
                    return value
        return ""
