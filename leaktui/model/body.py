"""Response bodies somebody may have forgotten to close."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from leaktui.model.finding import Confidence
from leaktui.model.frame import Frame, Stack


class BodyState(Enum):
    """What is known of a body."""

    UNREAD = "unread"
    PART_READ = "part read"
    AT_EOF = "at EOF"
    BEING_READ = "being read"
    OPEN = "open"
    """Open, but this source cannot tell how far it was read."""


@dataclass(frozen=True, slots=True)
class BodyHolder:
    """A suspected holder of an unclosed body: a row of the Bodies pane.

    `goid` is the goroutine that waits for the body to be closed (`readLoop`, or an h2 `doRequest`).
    Empty strings and None are "this source does not see it". `content_length` is bytes; `buffered_bytes`
    have arrived in the client and `kernel_bytes` in the kernel, and wait to be read. `orphaned` says that
    the garbage collector has freed the body: nobody can close it any more. `owner_inferred` says that the
    owner was not seen with this one, but with all others that answer the same request. `address` is the body's in
    the target's memory, `connection` its connection's, `request` that of the http.Request; 0 where not known.
    """

    goid: int
    protocol: str
    state: BodyState
    confidence: Confidence
    method: str = ""
    url: str = ""
    status: int | None = None
    peer: str = ""
    fd: int | None = None
    age_seconds: float | None = None
    owner: Frame | None = None
    stack: Stack = ()
    sources: tuple[str, ...] = ()
    tls: bool = False
    content_length: int | None = None
    buffered_bytes: int | None = None
    kernel_bytes: int | None = None
    orphaned: bool | None = None
    reader_goid: int | None = None
    owner_inferred: bool = False
    address: int = 0
    connection: int = 0
    stream: int = 0
    request: int = 0
