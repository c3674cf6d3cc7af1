"""HTTP/2 bodies that arrived whole: the connection has forgotten their streams, the program may not have.

Law: a connection gives back room in its window as bodies are read or closed (`inflow`), so what is missing from the
window that it began with is exactly what came and was neither read nor closed. It is said only where that window is
known: 1 GiB more than the protocol's, unless the Transport was configured (net/http/h2_bundle.go
`transportDefaultConnFlow`). The bodies themselves are looked for on the heap, among objects of the size of a stream
that point to the connection; one is believed by the same checks as a stream the connection still knows.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Container, Iterator, Mapping, Sequence

from leaktui.binary.runtime_types import KIND_POINTER
from leaktui.engines.memory.attachment import Attachment
from leaktui.engines.memory.connections import Connections
from leaktui.engines.memory.heap_map import HeapMap
from leaktui.engines.memory.http2_layout import Http2Layout, find_pointed
from leaktui.engines.memory.http2_streams import Http2Socket, OpenStream, StreamReader, number_of
from leaktui.engines.memory.reader import MemoryReader
from leaktui.engines.memory.spans import HEADER, HEAP_BITS_LIMIT
from leaktui.engines.memory.struct_view import StructView, find_layout, read_struct
from leaktui.errors import DecodeError

_DEFAULT_WINDOW = (1 << 30) + (1 << 16) - 1
_INT32 = struct.Struct("<ii")
_PIECE = 1 << 20
_TRIES = 4


class Http2Windows:
    """How many bytes of a connection's window were never given back. Not thread-safe."""

    def __init__(self, attachment: Attachment, connections: Connections, streams: StreamReader) -> None:
        self._memory: MemoryReader = attachment.memory
        self._types = attachment.layout.types
        self._connections = connections
        self._streams = streams
        self._transport = find_layout(self._types, "http.Transport", "net/http")

    def count_missing(self, connection: Http2Socket, streams: Sequence[int]) -> int | None:
        """Bytes of bodies other than those of *streams* that came and were neither read nor closed.

        *streams* are the addresses of those the connection knows. None where it cannot be told. Raises TargetGone.
        """
        last: int | None = None
        for _ in range(_TRIES):
            try:
                missing = self._count(connection, streams)
            except DecodeError:
                return None
            if missing is not None and missing == last:
                return missing
            last = missing
        return None

    def _count(self, connection: Http2Socket, streams: Sequence[int]) -> int | None:
        layout = connection.layout.connection
        field = layout.fields.get("inflow")
        if field is None or field.size != _INT32.size:
            return None
        before = read_struct(self._memory, layout, connection.address)
        if not self._has_default_window(before):
            return None
        buffered = sum(self._streams.count_buffered(connection, address) for address in streams)
        after = read_struct(self._memory, layout, connection.address)
        available, unsent = _INT32.unpack_from(before.data, field.offset)
        if (available, unsent) != _INT32.unpack_from(after.data, field.offset):
            return None
        missing = _DEFAULT_WINDOW - available - unsent - buffered
        return missing if missing >= 0 else None

    def _has_default_window(self, connection: StructView) -> bool:
        """Whether nothing says that the connection began with another window than usual."""
        field = connection.layout.fields.get("t")
        transport = find_pointed(self._types, self._types.at(field.type)) if field is not None else None
        if transport is None or "t1" not in transport.fields:
            return False
        view = read_struct(self._memory, transport, connection.word("t"))
        kind = self._types.at(transport.fields["t1"].type)
        address = view.word("t1")
        if kind is not None and kind.kind != KIND_POINTER:
            itab, address = view.words("t1")
            inner = self._connections.type_of(itab)
            if inner is None or inner.name != "http.transportConfig" or inner.size != 8:
                return False
        if not address:
            return True
        if self._transport is None:
            return False
        fields = self._transport.fields
        outer = read_struct(self._memory, self._transport, address)
        if "h2Config" in fields and outer.word("h2Config"):
            return False
        if "HTTP2" not in fields or not outer.word("HTTP2"):
            return True
        config = find_pointed(self._types, self._types.at(fields["HTTP2"].type))
        if config is None or "MaxReceiveBufferPerConnection" not in config.fields:
            return False
        chosen = read_struct(self._memory, config, outer.word("HTTP2"))
        return not chosen.word("MaxReceiveBufferPerConnection")


class EndedStreams:
    """Finds bodies of streams that have ended on the heap. Not thread-safe."""

    def __init__(self, attachment: Attachment, streams: StreamReader) -> None:
        self._memory: MemoryReader = attachment.memory
        self._types = attachment.layout.types
        self._streams = streams

    def iter_open(
        self,
        heap: HeapMap,
        connections: Mapping[int, Http2Socket],
        known: Container[int],
        cancel: threading.Event,
    ) -> Iterator[OpenStream]:
        """Those of *connections*, by their address, that are not at one of the addresses *known*.

        One that nothing can reach any more is among them until the collector frees it. Raises TargetGone.
        """
        layouts = {id(one.layout): one.layout for one in connections.values()}
        for layout in layouts.values():
            for address in self._iter_candidates(heap, layout, connections, cancel):
                if address in known:
                    continue
                try:
                    view = read_struct(self._memory, layout.stream, address)
                except DecodeError:
                    continue
                connection = connections.get(view.word("cc"))
                if (
                    connection is None
                    or connection.layout is not layout
                    or not self._is_numbered(view, connection)
                ):
                    continue
                found = self._streams.read(connection, number_of(view, "ID"), address)
                # What was read to its last byte costs nothing, whether EOF was seen or not.
                if isinstance(found, OpenStream) and found.ended and found.body.buffered_bytes:
                    place = heap.find(address)
                    if place is not None and heap.is_allocated(place):
                        yield found

    def _is_numbered(self, stream: StructView, connection: Http2Socket) -> bool:
        """Whether its number is one that its connection has given away."""
        try:
            outer = read_struct(self._memory, connection.layout.connection, connection.address)
        except DecodeError:
            return False
        number = number_of(stream, "ID")
        return number % 2 == 1 and number < number_of(outer, "nextStreamID")

    def _iter_candidates(
        self, heap: HeapMap, layout: Http2Layout, connections: Container[int], cancel: threading.Event
    ) -> Iterator[int]:
        """Addresses of what may be a stream of one of *connections*: its first pointer says so."""
        size, inside = self._container(layout)
        needed = size + HEADER if size > HEAP_BITS_LIMIT else size
        for span in heap.iter_spans():
            if cancel.is_set():
                return
            step = span.element_size
            if not span.scannable or span.large or not needed <= step <= needed + needed // 4:
                continue
            start = inside + (HEADER if heap.has_header(span) else 0)
            place = start + layout.stream.fields["cc"].offset
            words = struct.Struct(f"<{place}xQ{step - place - 8}x")
            number = max(1, _PIECE // step)
            for first in range(0, span.count, number):
                base = span.start + first * step
                try:
                    data = self._memory.read(base, min(number, span.count - first) * step)
                except DecodeError:
                    continue
                for index, (word,) in enumerate(words.iter_unpack(data)):
                    if word in connections:
                        yield base + index * step + start

    def _container(self, layout: Http2Layout) -> tuple[int, int]:
        """The size of the objects that streams are in, and where in them: since Go 1.27 in an http2.ClientRequest."""
        request = self._types.find_struct(
            f"{layout.stream.name.rpartition('.')[0]}.ClientRequest", layout.stream.package
        )
        field = request.fields.get("stream") if request is not None else None
        if request is not None and field is not None and field.size == layout.stream.size:
            return request.size, field.offset
        return layout.stream.size, 0
