"""One stream of an HTTP/2 client connection: the body of its response, as far as no goroutine is needed for it.

Law: a stream is believed if it points back to its connection under its own number, and reported only if it was the
same before and after everything behind it was read (net/http/h2_bundle.go, Go 1.21 to 1.26; internal/http2, 1.27:
`clientStream`, `pipe`, `dataBuffer`).
"""

from __future__ import annotations

import email.utils
import struct
from enum import Enum
from typing import NamedTuple

from leaktui.engines.memory.attachment import Attachment
from leaktui.engines.memory.connections import Connection, Connections
from leaktui.engines.memory.go_map import GoMapReader
from leaktui.engines.memory.http2_layout import Http2Layout, find_buffer_layout
from leaktui.engines.memory.reader import MemoryReader
from leaktui.engines.memory.requests import Requests
from leaktui.engines.memory.struct_view import StructView, read_struct
from leaktui.errors import DecodeError
from leaktui.model.body import BodyState
from leaktui.model.open_body import OpenBody

_TRIES = 4
_HEADERS_LIMIT = 1024
_DATE_LIMIT = 64


class Http2Socket(NamedTuple):
    """A client connection by its address, and the socket behind it."""

    address: int
    layout: Http2Layout
    socket: Connection | None


class StreamFate(Enum):
    """What a stream is when it is no open body."""

    AWAITED = "its response was not handed out yet"
    DONE = "nothing is left to be closed"
    TORN = "it changed whenever it was read"


class OpenStream(NamedTuple):
    """An open body, and how the goroutines that have to do with it are known."""

    body: OpenBody
    channels: tuple[int, int]
    """What `doRequest` waits on: closed when the peer ended the stream, and when it is aborted."""
    waiter: int
    """The address of the first sudog that waits for bytes of the body, 0 for none."""
    waiter_place: int
    """Where that address is kept."""
    ended: bool
    """Whether the peer has sent all of it."""


class _Counters(NamedTuple):
    """How much of a body came and went. `expected` is what the buffer counts down from the declared length."""

    ended: bool
    size: int
    expected: int
    remain: int
    waiter: int


class StreamReader:
    """Reads streams of one process. Not thread-safe."""

    def __init__(self, attachment: Attachment, connections: Connections) -> None:
        self._memory: MemoryReader = attachment.memory
        self._types = attachment.layout.types
        self._connections = connections
        self._maps = GoMapReader(attachment.memory, self._types)
        self._requests = Requests(attachment.memory, self._types)

    def read(self, connection: Http2Socket, number: int, address: int) -> OpenStream | StreamFate:
        """The body of stream *number*, a clientStream at *address*. Raises TargetGone."""
        for _ in range(_TRIES):
            try:
                view = read_struct(self._memory, connection.layout.stream, address)
                if view.word("cc") != connection.address or number_of(view) != number:
                    return StreamFate.DONE  # it ended, and its place was taken
                found = self._decode(view, connection)
                after = read_struct(self._memory, connection.layout.stream, address)
            except DecodeError:
                continue
            if _identity(after, connection.layout) == _identity(view, connection.layout):
                return found
        return StreamFate.TORN

    def count_buffered(self, connection: Http2Socket, address: int) -> int:
        """Bytes of the stream at *address* that came and were not read; raises DecodeError."""
        view = read_struct(self._memory, connection.layout.stream, address)
        pipe = _pipe_of(view, connection.layout)
        if not pipe.word("b"):
            return 0
        itab, place = pipe.words("b")
        buffer = find_buffer_layout(self._types, self._connections.type_of(itab))
        size = read_struct(self._memory, buffer, place).signed("size") if buffer is not None else -1
        if size < 0:
            raise DecodeError(f"the stream at {address:#x} has a buffer that makes no sense")
        return size

    def _decode(self, view: StructView, connection: Http2Socket) -> OpenStream | StreamFate:
        layout, socket = connection.layout, connection.socket
        pipe = _pipe_of(view, layout)
        if pipe.word("breakErr") or view.word("abortErr"):
            return StreamFate.DONE  # closed, or cut off
        response, trailer = view.word("res"), view.word("resTrailer")
        if not response or not trailer:
            return StreamFate.AWAITED
        result = read_struct(self._memory, layout.response, response)
        handed = read_struct(self._memory, layout.handed, trailer - layout.handed.fields["Trailer"].offset)
        request = handed.word("Request")
        if not request:
            return StreamFate.AWAITED  # RoundTrip has not returned it yet
        if view.byte("isHead") or not pipe.word("b"):
            return StreamFate.DONE  # without a body, or read to its end while the request is still being sent
        counters = self._read_counters(view.address, layout)
        length, status = result.signed("ContentLength"), result.signed("StatusCode")
        text = self._requests.read(request)
        body = OpenBody(
            holder_goid=0,
            protocol="HTTP/2",
            state=_state(counters, length),
            method=text.method if text else "",
            url=text.url if text else "",
            status=status if 100 <= status <= 999 else None,
            peer=socket.remote if socket else "",
            fd=socket.fd if socket else None,
            tls=socket.tls if socket else False,
            content_length=length if length >= 0 else None,
            buffered_bytes=counters.size if counters else None,
            opened_time=self._date(result.word("Header"), layout),
            body=view.address,
            request=request,
            connection=connection.address,
            stream=number_of(view),
        )
        channels = (view.word("peerClosed"), view.word("abort"))
        waiter = counters.waiter if counters else 0
        place = view.address + layout.pipe_place + layout.pipe_waiters
        return OpenStream(body, channels, waiter, place, counters is not None and counters.ended)

    def _read_counters(self, address: int, layout: Http2Layout) -> _Counters | None:
        """How much of the body came and went; None where that would not hold still."""
        for _ in range(_TRIES):
            first, second = self._counters(address, layout), self._counters(address, layout)
            if first is not None and first == second:
                return first
        return None

    def _counters(self, address: int, layout: Http2Layout) -> _Counters | None:
        view = read_struct(self._memory, layout.stream, address)
        pipe = _pipe_of(view, layout)
        itab, place = pipe.words("b")
        buffer = find_buffer_layout(self._types, self._connections.type_of(itab))
        if buffer is None:
            return None
        data = read_struct(self._memory, buffer, place)
        size, expected, remain = data.signed("size"), data.signed("expected"), view.signed("bytesRemain")
        waiter: int = struct.unpack_from("<Q", pipe.data, layout.pipe_waiters)[0]
        # What came is counted off `expected`, what was read off `bytesRemain`; both begin with the length, or -1.
        if size < 0 or (remain >= 0 and expected + size != remain) or (remain < 0 and expected + size > -1):
            return None
        return _Counters(pipe.word("err") != 0, size, expected, remain, waiter)

    def _date(self, header: int, layout: Http2Layout) -> float | None:
        """The time in the header called Date, in seconds since 1970."""
        try:
            if self._maps.count(header) > _HEADERS_LIMIT:
                return None
            for key, values in self._maps.iter_entries(header, layout.header):
                pointer, size = struct.unpack("<QQ", key)
                if size == 4 and self._memory.read(pointer, size) == b"Date":
                    first, count = struct.unpack_from("<QQ", values)
                    if not count:
                        return None
                    pointer, size = struct.unpack("<QQ", self._memory.read(first, 16))
                    return _decode_date(self._memory.read(pointer, min(size, _DATE_LIMIT)))
        except (DecodeError, struct.error):
            return None
        return None


def _state(counters: _Counters | None, length: int) -> BodyState:
    if counters is None:
        return BodyState.OPEN
    if counters.ended and not counters.size:
        return BodyState.AT_EOF
    if counters.remain < 0:
        was_read = -1 - counters.expected - counters.size
    elif length >= counters.remain:
        was_read = length - counters.remain
    else:
        return BodyState.OPEN  # its length went when it turned out to be compressed
    return BodyState.PART_READ if was_read > 0 else BodyState.UNREAD


def _pipe_of(view: StructView, layout: Http2Layout) -> StructView:
    place = layout.pipe_place
    return StructView(view.address + place, layout.pipe, view.data[place : place + layout.pipe.size])


def number_of(view: StructView, field: str = "ID") -> int:
    """A stream's number in a uint32."""
    number: int = struct.unpack_from("<I", view.data, view.layout.fields[field].offset)[0]
    return number


def _identity(view: StructView, layout: Http2Layout) -> tuple[int, ...]:
    """What may not change while a stream is read: whose it is, its response, and that it is open."""
    pipe = _pipe_of(view, layout)
    return (
        view.word("cc"),
        number_of(view),
        view.word("res"),
        view.word("resTrailer"),
        view.word("abortErr"),
        pipe.word("b") != 0,
        pipe.word("breakErr"),
    )


def _decode_date(data: bytes) -> float | None:
    """An HTTP date in seconds since 1970; None for what is none."""
    try:
        return email.utils.parsedate_to_datetime(data.decode("ascii")).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
