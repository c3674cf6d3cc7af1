"""What the spans of an export say of response bodies: which requests left some without the event of closing."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class SpanVerdict(Enum):
    """The answer of an export."""

    UNCLOSED = "unclosed"
    CLOSED = "closed"
    """Every body that was opened has the event."""
    UNTOLD = "untold"
    """No span has the event at all, or there is no client span: nothing can be said."""


@dataclass(frozen=True, slots=True)
class OperationCount:
    """Client spans of one operation of one service to one route: `closed` and `unclosed` of them.

    `route` has its digits folded and no query; times are seconds since 1970, of the unclosed ones, 0 where
    there are none.
    """

    service: str
    operation: str
    method: str
    route: str
    spans: int
    closed: int
    unclosed: int
    first: float = 0.0
    last: float = 0.0


@dataclass(frozen=True, slots=True)
class RequestCount:
    """A request that left bodies without the event: how many, and by which operations.

    `request_id` is the id found in the span or above it; where there is none it is empty and `trace_id` stands for
    it. `operations` are (service, operation, route, how many), most first.
    """

    request_id: str
    trace_id: str
    unclosed: int
    operations: tuple[tuple[str, str, str, int], ...]
    first: float = 0.0
    last: float = 0.0


@dataclass(frozen=True, slots=True)
class SpanReport:
    """Everything an export says.

    `spans` and `traces` were read, `clients` of them are HTTP client spans, `closed` of those have the event `event`,
    `unclosed` lack it. `bodiless` had no body to close (no response, HEAD, 204, 304); `untold` are of the services
    `untold_services`, in which no span has an event of opening or closing. Requests and operations are in order of
    what they left; `without_id` of the unclosed have no request id.
    """

    verdict: SpanVerdict
    event: str
    traces: int
    spans: int
    clients: int
    closed: int
    unclosed: int
    bodiless: int = 0
    untold: int = 0
    untold_services: tuple[str, ...] = ()
    without_id: int = 0
    requests: tuple[RequestCount, ...] = ()
    operations: tuple[OperationCount, ...] = ()
    id_tags: tuple[str, ...] = ()
