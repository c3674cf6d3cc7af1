"""Response bodies as they lie in the target's memory, one by one."""

from __future__ import annotations

from dataclasses import dataclass, replace

from leaktui.model.body import BodyState


@dataclass(frozen=True, slots=True)
class OpenBody:
    """A response body that is neither closed nor read to its end (or at EOF and not closed).

    `holder_goid` is the goroutine that waits for it: HTTP/1's `readLoop`, or the h2 stream's `doRequest`, 0
    where there is none. `protocol` is `HTTP/1.1` or `HTTP/2`. Text is printable; a URL is as the request
    has it, secrets and all. `content_length` is bytes, None for a length not declared; `buffered_bytes` have
    arrived in the client and wait to be read (what waits in the kernel is the socket's `rx_queue`).
    `opened_time` is seconds since 1970 by the response's Date header, None where it is not to be had.
    `orphaned` says that the garbage collector has freed the body, so that nobody can close it any more;
    None where that is not known. `reader_goid` is the goroutine inside a Read of it.
    The addresses are those of the body (0 when freed), the request and the connection (persistConn or
    http2ClientConn) in the target; with `stream` they tell one body from another as long as it is open.
    """

    holder_goid: int
    protocol: str
    state: BodyState
    method: str = ""
    url: str = ""
    status: int | None = None
    peer: str = ""
    fd: int | None = None
    tls: bool = False
    content_length: int | None = None
    buffered_bytes: int | None = None
    opened_time: float | None = None
    orphaned: bool | None = None
    reader_goid: int | None = None
    body: int = 0
    request: int = 0
    connection: int = 0
    stream: int = 0


@dataclass(frozen=True, slots=True)
class BodyCounts:
    """How many bodies were open: of these nobody read `unattended`, and nobody can close `orphaned` any more."""

    open: int
    unattended: int
    orphaned: int


@dataclass(frozen=True, slots=True)
class BodyCensus:
    """All open bodies at one moment; of an old one only their `counts` are kept.

    `idle_connections` wait to be used again; `awaiting` requests have no response yet. `torn` counts
    those that would not hold still; `unseen` says, a sentence each, what this census cannot see.
    `time` is seconds since 1970.
    """

    bodies: tuple[OpenBody, ...]
    time: float = 0.0
    idle_connections: int = 0
    awaiting: int = 0
    torn: int = 0
    unseen: tuple[str, ...] = ()
    kept_counts: BodyCounts | None = None

    @property
    def counts(self) -> BodyCounts:
        """Counted now, or when the bodies were dropped."""
        return self.kept_counts or BodyCounts(
            open=len(self.bodies),
            unattended=sum(body.state is not BodyState.BEING_READ for body in self.bodies),
            orphaned=sum(body.orphaned is True for body in self.bodies),
        )

    def without_bodies(self) -> BodyCensus:
        """Its counts alone."""
        return replace(self, bodies=(), kept_counts=self.counts)
