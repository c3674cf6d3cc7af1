"""Open HTTP/1 response bodies, one by one, with what they belong to.

Law: a body is open as long as its connection's readLoop waits for it: parked in the select that has both the
connection's `closech` and the channel on which Read and Close of this one body report (net/http/transport.go,
Go 1.21 to 1.27). Nothing else counts as one: not an idle connection, not a body the collector has not swept yet.
What is reported was read between two looks at a readLoop that did not move.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from leaktui.engines.memory.attachment import Attachment
from leaktui.engines.memory.body_signal import BodySignals
from leaktui.engines.memory.connections import Connection, Connections
from leaktui.engines.memory.goroutines import Seen
from leaktui.engines.memory.heap_map import HeapMap
from leaktui.engines.memory.persist_conn import READ_LOOP, PersistConns, Place
from leaktui.engines.memory.requests import Requests, RequestText
from leaktui.engines.memory.response_head import ResponseHead, decode_response_head
from leaktui.engines.memory.struct_view import StructView, read_struct
from leaktui.errors import DecodeError
from leaktui.model.body import BodyState
from leaktui.model.open_body import OpenBody

_READ = "net/http.(*bodyEOFSignal).Read"
_PEEK = "bufio.(*Reader).Peek"
_READ_RESPONSE = "net/http.(*persistConn).readResponse"
_PARKED = frozenset((4, 10))  # runtime._Gwaiting, _Gleaked
_TRIES = 4
_NO_LIMIT = (1 << 63) - 1
"""What readLoop sets persistConn.readLimit to before the body; every byte read from the connection is taken off."""

_BUFFER_LIMIT = 64 << 10


@dataclass(frozen=True, slots=True)
class Http1Reading:
    """What a reading found. `idle_connections` wait to be used again, `awaiting` requests have no response yet.

    `torn` readLoops would not hold still, or could not be made sense of.
    """

    bodies: tuple[OpenBody, ...] = ()
    idle_connections: int = 0
    awaiting: int = 0
    torn: int = 0


class _Loop(Enum):
    """What a readLoop does that has no open body."""

    IDLE = "idle"
    AWAITING = "awaiting"
    OTHER = "other"
    """It is about to be idle or to end."""
    TORN = "torn"


class _Message(NamedTuple):
    """A response, by its head in the buffer or else by its http.Response."""

    protocol: str
    status: int | None = None
    content_length: int | None = None
    date: float | None = None


class _Known(NamedTuple):
    """What an earlier reading saw of a body. `address` is 0 where it was not seen in memory."""

    message: _Message
    request: RequestText | None
    socket: Connection | None
    address: int
    freed: bool


_Key = tuple[int, int, int, int, int]
"""readLoop's goid, the connection, bytes written to it, the request and the channel: no two bodies share these."""


class Http1Bodies:
    """Reads the open HTTP/1 bodies of one process, again and again. Not thread-safe.

    What was seen of a body once is remembered while it is open: its response may be freed and overwritten.
    """

    def __init__(self, attachment: Attachment) -> None:
        self._memory = attachment.memory
        self._conns = PersistConns(attachment)
        self._connections = Connections(attachment)
        self._requests = Requests(attachment.memory, attachment.layout.types)
        layout = self._conns.layout
        self._signals = BodySignals(attachment, layout) if layout is not None else None
        self._readers: dict[int, Seen] = {}
        """Goroutines inside a Read, by the words the body's fn has captured: the channel is one of them."""
        self._known: dict[_Key, _Known] = {}
        self._seen: dict[_Key, _Known] = {}

    def read(
        self, seen: Sequence[Seen], cancel: threading.Event, heap: HeapMap | None = None
    ) -> Http1Reading:
        """The bodies that are open; *seen* is every goroutine of one reading. Raises TargetGone.

        With *heap*, the spans as they are now, those that the collector has freed are told from others.
        """
        loops = [item for item in seen if self._conns.is_inside(item, READ_LOOP)]
        if self._signals is None or not loops:
            return Http1Reading()
        self._readers = self._find_readers(self._signals, seen, cancel)
        self._seen = {}
        found: list[OpenBody | _Loop] = []
        for item in loops:
            if cancel.is_set():
                break
            found.append(self._read_loop(self._signals, item, heap))
        for number, body in enumerate(found):
            if cancel.is_set():
                break
            # Where the body is in a frame may have been learnt from those that came after.
            if heap is not None and isinstance(body, OpenBody) and not body.body and not body.orphaned:
                found[number] = self._read_loop(self._signals, loops[number], heap)
        if not cancel.is_set():
            self._known = self._seen
        count = Counter(item for item in found if isinstance(item, _Loop))
        bodies = tuple(item for item in found if isinstance(item, OpenBody))
        return Http1Reading(bodies, count[_Loop.IDLE], count[_Loop.AWAITING], count[_Loop.TORN])

    # --- a connection ---

    def _read_loop(self, signals: BodySignals, seen: Seen, heap: HeapMap | None) -> OpenBody | _Loop:
        for _ in range(_TRIES):
            place = self._conns.find_place(seen, READ_LOOP)
            if place is None:
                return _Loop.OTHER  # it runs, or has ended
            try:
                found = self._look_at(signals, seen, place, heap)
                if found is not None and self._conns.rests(place, seen.address):
                    return found
            except DecodeError:
                continue
        return _Loop.TORN

    def _look_at(
        self, signals: BodySignals, seen: Seen, place: Place, heap: HeapMap | None
    ) -> OpenBody | _Loop | None:
        """What the readLoop is doing; None where it cannot be made sense of. Raises DecodeError."""
        address = self._conns.connection_at(place)
        connection = None if address is None else self._conns.read_connection(address)
        if connection is None:
            return self._waits_elsewhere(seen, place, None)
        waited = {channel.address for channel in place.channels}
        if place.state.status not in _PARKED or connection.word("closech") not in waited:
            return self._waits_elsewhere(seen, place, connection)
        # Cancel and Done are channels of struct{}; that of the body, and no other, has elements.
        reports = [channel.address for channel in place.channels if channel.element_size]
        if len(reports) != 1:
            return None
        return self._read_body(signals, seen, place, connection, reports[0], heap)

    def _waits_elsewhere(self, seen: Seen, place: Place, connection: StructView | None) -> _Loop | None:
        calls = [frame.function for frame in seen.trace.stack]
        inner = calls[calls.index(READ_LOOP) - 1] if calls[0] != READ_LOOP else ""
        if inner == _PEEK:
            if connection is None:
                return None
            return _Loop.AWAITING if connection.signed("numExpectedResponses") > 0 else _Loop.IDLE
        if inner == _READ_RESPONSE:
            return _Loop.AWAITING
        if inner or connection is None:
            return _Loop.OTHER
        return _Loop.AWAITING if self._conns.is_handing_over(place, connection) else _Loop.OTHER

    # --- a body ---

    def _read_body(
        self,
        signals: BodySignals,
        seen: Seen,
        place: Place,
        connection: StructView,
        channel: int,
        heap: HeapMap | None,
    ) -> OpenBody:
        """The body that *connection* waits for on *channel*; raises DecodeError."""
        layout = self._conns.layout
        assert layout is not None
        request_address = self._conns.request_at(place)
        written = connection.word("nwrite") if "nwrite" in connection.layout.fields else 0
        key = (seen.state.goid, connection.address, written, request_address, channel)
        known = self._known.get(key) or self._seen.get(key)
        if known is not None:
            request, socket = known.request, known.socket
        else:
            request = self._requests.read(request_address) if request_address else None
            socket = self._connections.describe(*connection.words("conn"))
        buffered = read_struct(self._memory, layout.reader, connection.word("br"))
        start, end = buffered.signed("r"), buffered.signed("w")
        limit = read_struct(self._memory, layout.persist_conn, connection.address).signed("readLimit")
        head = self._read_head(buffered)
        message = self._read_message(place, request, head if limit == _NO_LIMIT else None)
        if message.date is None and head is not None and message == _of_head(head)._replace(date=None):
            message = _of_head(head)  # what was read since did not pass through the buffer
        if known is not None and (message.status is None or message == known.message._replace(date=None)):
            message = known.message
        freed = known is not None and known.freed
        signal = None if freed else signals.find(place, connection.address, channel)
        if signal is not None:
            freed = heap is not None and _is_freed(heap, signal.address)
        elif not freed and known is not None and known.address:
            freed = signals.was_freed(known.address, buffered.address)
        elif not freed and heap is not None:
            freed = signals.freed_at(place, heap, buffered.address)
        self._seen[key] = _Known(message, request, socket, signal.address if signal is not None else 0, freed)
        inner = None if freed else signal
        remaining = None if inner is None else signals.remaining(inner, buffered.address)
        state = _state_of(limit, start, head, remaining, message.content_length)
        reader = self._reader_on(signals, channel)
        if reader is not None or (inner is not None and signals.is_being_read(inner, buffered.address)):
            state = BodyState.BEING_READ
        return OpenBody(
            holder_goid=seen.state.goid,
            protocol=message.protocol,
            state=state,
            method=request.method if request is not None else "",
            url=request.url if request is not None else "",
            status=message.status,
            peer=socket.remote if socket is not None else "",
            fd=socket.fd if socket is not None else None,
            tls=bool(connection.word("tlsState")) or (socket is not None and socket.tls),
            content_length=message.content_length,
            buffered_bytes=end - start if 0 <= start <= end else None,
            opened_time=message.date,
            orphaned=True if freed else None,
            reader_goid=reader,
            body=signal.address if signal is not None and not freed else 0,
            request=request_address,
            connection=connection.address,
        )

    def _read_head(self, reader: StructView) -> ResponseHead | None:
        """The response's head, if all of it is in the buffer still, and was taken from it."""
        pointer, length = reader.words("buf")
        taken = reader.signed("r")
        if not 0 < taken <= length:
            return None
        return decode_response_head(self._memory.read(pointer, min(taken, _BUFFER_LIMIT)))

    def _read_message(self, place: Place, request: RequestText | None, head: ResponseHead | None) -> _Message:
        """By *head*, or by the http.Response for the same URL whose address is still in readLoop's frame."""
        if head is not None:
            return _of_head(head)
        layout = self._conns.layout
        if layout is None or layout.response is None or request is None:
            return _Message("HTTP/1.1")
        for candidate in place.pointers():
            if candidate % 8:
                continue
            try:
                view = read_struct(self._memory, layout.response, candidate)
            except DecodeError:
                continue
            status, length = view.signed("StatusCode"), view.signed("ContentLength")
            minor = view.signed("ProtoMinor")
            plausible = 100 <= status <= 999 and view.signed("ProtoMajor") == 1 and minor in (0, 1)
            if plausible and self._requests.url_of(view.word("Request")) == request.url_address:
                return _Message(f"HTTP/1.{minor}", status, length if length >= 0 else None)
        return _Message("HTTP/1.1")

    # --- who reads ---

    def _find_readers(
        self, signals: BodySignals, seen: Sequence[Seen], cancel: threading.Event
    ) -> dict[int, Seen]:
        found: dict[int, Seen] = {}
        for item in seen:
            if cancel.is_set():
                break
            place = self._conns.find_place(item, _READ)
            body = None if place is None else signals.find_read(place)
            for word in body.words if body is not None else ():
                found[word] = item
        return found

    def _reader_on(self, signals: BodySignals, channel: int) -> int | None:
        """The goroutine inside a Read of the body that reports on *channel*, now."""
        item = self._readers.get(channel)
        place = None if item is None else self._conns.find_place(item, _READ)
        body = None if place is None else signals.find_read(place)
        if item is None or body is None or channel not in body.words:
            return None
        return item.state.goid


def _of_head(head: ResponseHead) -> _Message:
    return _Message(head.protocol, head.status, head.content_length, head.date)


def _state_of(
    limit: int, start: int, head: ResponseHead | None, remaining: int | None, declared: int | None
) -> BodyState:
    """How far a body was read. *start* is where in the buffer reading goes on, as of before *limit* was read."""
    if 0 < limit < _NO_LIMIT:
        return BodyState.PART_READ  # only a Read of the body can have got more from the connection
    if limit == _NO_LIMIT and head is not None:  # nothing has come into the buffer since
        return BodyState.UNREAD if start == head.size else BodyState.PART_READ
    if limit == _NO_LIMIT and remaining is not None and declared is not None:
        return BodyState.UNREAD if remaining == declared else BodyState.PART_READ
    return BodyState.OPEN


def _is_freed(heap: HeapMap, address: int) -> bool:
    found = heap.find(address)
    return found is not None and heap.value_of(found) == address and heap.is_allocated(found) is False
