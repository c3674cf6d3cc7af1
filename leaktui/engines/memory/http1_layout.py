"""The structs behind an HTTP/1 connection of net/http's Transport, as the program describes them.

Law: by the names of fields, Go 1.21 to 1.27 (net/http/transport.go, transfer.go; bufio; runtime/runtime2.go, chan.go).
A program that lacks one of the necessary ones has no HTTP/1 client, or one that we do not know.
"""

from __future__ import annotations

from dataclasses import dataclass

from leaktui.binary.runtime_types import RuntimeTypes, StructLayout
from leaktui.engines.memory.struct_view import find_layout


@dataclass(frozen=True, slots=True)
class Http1Layout:
    """Those needed, and, where they may be None, those that only add to what is known."""

    persist_conn: StructLayout
    reader: StructLayout
    """bufio.Reader"""
    request_and_chan: StructLayout
    """What the caller sends to readLoop; it has `req` (Go 1.22 and before) or `treq`."""
    transport_request: StructLayout
    body_signal: StructLayout
    """http.bodyEOFSignal, the body proper of every HTTP/1 response."""
    channel: StructLayout
    """runtime.hchan"""
    sudog: StructLayout
    sudog_channel: int
    """Where in a sudog the address of its channel is."""
    request: StructLayout | None
    response: StructLayout | None
    gzip_reader: StructLayout | None
    transfer_body: StructLayout | None
    """http.body, which knows where a message ends."""
    limited_reader: StructLayout | None
    cancel_context: StructLayout | None
    timer_context: bool
    """Whether a context.timerCtx begins with a cancelCtx."""


def find_http1_layout(types: RuntimeTypes) -> Http1Layout | None:
    """The layouts of the program whose types these are; None where it has no HTTP/1 client known to us."""
    connection = find_layout(
        types,
        "http.persistConn",
        "net/http",
        words=("br", "closech", "reqch", "readLimit", "numExpectedResponses", "tlsState"),
        pairs=("conn",),
    )
    reader = find_layout(types, "bufio.Reader", "bufio", words=("buf", "r", "w"), pairs=("rd",))
    waiting = find_layout(types, "http.requestAndChan", "net/http", words=("ch", "callerGone"))
    request = find_layout(types, "http.transportRequest", "net/http", words=("Request",))
    signal = find_layout(types, "http.bodyEOFSignal", "net/http", words=("fn", "mu"), pairs=("body",))
    channel = find_layout(types, "runtime.hchan", "runtime", words=("elemtype",))
    sudog = find_layout(types, "runtime.sudog", "runtime", words=("g", "waitlink", "c"))
    if None in (connection, reader, waiting, request, signal, channel, sudog):
        return None
    assert connection and reader and waiting and request and signal and channel and sudog
    place = _find_channel_of_sudog(types, sudog)
    if place is None or not {"req", "treq"} & waiting.fields.keys() or "elemsize" not in channel.fields:
        return None
    if "closed" not in signal.fields:
        return None
    return Http1Layout(
        connection,
        reader,
        waiting,
        request,
        signal,
        channel,
        sudog,
        place,
        request=find_layout(types, "http.Request", "net/http", words=("URL",)),
        response=find_layout(
            types,
            "http.Response",
            "net/http",
            words=("StatusCode", "ProtoMajor", "ProtoMinor", "ContentLength", "Request"),
            pairs=("Body",),
        ),
        gzip_reader=find_layout(types, "http.gzipReader", "net/http", words=("body",)),
        transfer_body=find_layout(types, "http.body", "net/http", words=("mu",), pairs=("src",)),
        limited_reader=find_layout(types, "io.LimitedReader", "io", words=("N",)),
        cancel_context=find_layout(types, "context.cancelCtx", "context", pairs=("done",)),
        timer_context=_begins_with_cancel_context(types),
    )


def _begins_with_cancel_context(types: RuntimeTypes) -> bool:
    timer = find_layout(types, "context.timerCtx", "context", words=("cancelCtx",))
    return timer is not None and timer.fields["cancelCtx"].offset == 0


def _find_channel_of_sudog(types: RuntimeTypes, sudog: StructLayout) -> int | None:
    """A plain pointer up to Go 1.25, then a pair of which `vu` is what counts (runtime.maybeTraceablePtr)."""
    field = sudog.fields["c"]
    offset, kind = field.offset, field.type
    for _ in range(3):
        info = types.at(kind)
        if info is not None and info.size == 8:
            return offset
        layout = types.struct_at(kind)
        if layout is None:
            return None
        inner = layout.fields.get("vu") or next(iter(layout.fields.values()))
        offset, kind = offset + inner.offset, inner.type
    return None
