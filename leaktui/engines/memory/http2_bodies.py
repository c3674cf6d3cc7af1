"""Open response bodies of HTTP/2 client connections.

Law: a connection is a pointer on the stack of the goroutine that reads its frames, and is believed if its Cond's
Locker is its own mutex; its streams are those of its map. A stream leaves that map when both sides have ended it
(`forgetStreamID`), not when its body is closed: bodies that arrived whole are looked for where a heap is given, and
otherwise only their bytes are counted.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from leaktui.engines.memory.attachment import Attachment
from leaktui.engines.memory.connections import Connections
from leaktui.engines.memory.go_map import GoMapReader
from leaktui.engines.memory.goroutines import Seen
from leaktui.engines.memory.heap_map import HeapMap
from leaktui.engines.memory.http2_ended import EndedStreams, Http2Windows
from leaktui.engines.memory.http2_goroutines import Http2Goroutines
from leaktui.engines.memory.http2_layout import Http2Layout, Http2Package, find_http2_layout
from leaktui.engines.memory.http2_streams import Http2Socket, OpenStream, StreamFate, StreamReader
from leaktui.engines.memory.reader import MemoryReader
from leaktui.engines.memory.struct_view import StructView, read_struct
from leaktui.engines.memory.unwind import End
from leaktui.errors import DecodeError, LimitExceeded
from leaktui.model.open_body import OpenBody

_OUTER_BYTES = 2048
"""Of the stack of a goroutine that runs: its outermost frames, which stay where they are."""
_STACK_BYTES = 64 << 10
_TRIES = 4


@dataclass(slots=True)
class Http2Census:
    """What one reading found. `awaiting` requests have no response yet; `torn` would not hold still.

    `unreturned` is bytes by connection address: of bodies that arrived whole, are not among `bodies`, and were neither
    read nor closed so far. Connections where that cannot be told are not in it.
    """

    bodies: list[OpenBody] = field(default_factory=list)
    awaiting: int = 0
    idle_connections: int = 0
    torn: int = 0
    unseen: list[str] = field(default_factory=list)
    unreturned: dict[int, int] = field(default_factory=dict)


class Http2Bodies:
    """Reads the HTTP/2 bodies of one process. Not thread-safe."""

    def __init__(self, attachment: Attachment) -> None:
        """Raises EngineUnavailable when the runtime's sudog is not as expected."""
        self._attachment = attachment
        self._memory: MemoryReader = attachment.memory
        self._types = attachment.layout.types
        self._maps = GoMapReader(attachment.memory, self._types)
        self._connections = Connections(attachment)
        self._streams = StreamReader(attachment, self._connections)
        self._windows = Http2Windows(attachment, self._connections, self._streams)
        self._ended = EndedStreams(attachment, self._streams)
        self._goroutines = Http2Goroutines(attachment)
        self._layouts: dict[Http2Package, Http2Layout | None] = {}
        self._known: dict[tuple[int, int], list[int]] = {}
        """Connections by the address and number of the goroutine that reads their frames."""
        self._left: dict[int, int] = {}
        """What the last search of a heap left over, as in `Http2Census.unreturned`."""

    def read(self, seen: Sequence[Seen], cancel: threading.Event, heap: HeapMap | None = None) -> Http2Census:
        """The bodies that are open; *seen* is every goroutine of one reading.

        With *heap* those that arrived whole are found too: it costs reading the heap's objects of one size. Where
        *cancel* is set, only some, to be thrown away. Raises TargetGone.
        """
        census = Http2Census()
        goroutines = self._goroutines.sort(seen)
        streams: list[OpenStream] = []
        unknown: set[str] = set()
        known: dict[tuple[int, int], list[int]] = {}
        sockets: dict[int, Http2Socket] = {}
        for goroutine, package in goroutines.frames:
            layout = self._layout(package)
            if layout is None:
                unknown.add(package.path)
                continue
            connections = self._find_connections_of(goroutine, layout)
            if connections is None:
                census.torn += 1
                continue
            known[goroutine.address, goroutine.state.goid] = connections
            for address in connections:
                if address not in sockets:
                    self._read_connection(address, layout, census, streams, sockets, cancel)
                if cancel.is_set():
                    return census
        self._known = known
        if heap is not None and sockets:
            listed = {stream.body.body for stream in streams}
            for stream in self._ended.iter_open(heap, sockets, listed, cancel):
                streams.append(stream)
                left = census.unreturned.get(stream.body.connection)
                if left is not None:
                    census.unreturned[stream.body.connection] = max(
                        0, left - (stream.body.buffered_bytes or 0)
                    )
        census.bodies = self._goroutines.attend(streams, goroutines)
        census.unseen = _describe_unknown(unknown)
        if heap is None:
            census.unseen += _describe_unlisted(census.unreturned, sockets)
        else:
            # While bodies come and go, what is left over may just have been read.
            lost = {key: count for key, count in census.unreturned.items() if self._left.get(key) == count}
            self._left = census.unreturned
            census.unseen += _describe_lost(lost, sockets)
        return census

    # --- connections ---

    def _layout(self, package: Http2Package) -> Http2Layout | None:
        if package not in self._layouts:
            self._layouts[package] = find_http2_layout(self._types, package)
        return self._layouts[package]

    def _find_connections_of(self, goroutine: Seen, layout: Http2Layout) -> list[int] | None:
        """Those `_find_connections` finds, looked for again if *goroutine* moved; none where it has ended.

        None where it goes on and none is found.
        """
        now: Seen | None = goroutine
        for _ in range(_TRIES):
            if now is None or now.state.goid != goroutine.state.goid:
                return []
            connections = self._find_connections(now, layout)
            if connections:
                return connections
            now = self._attachment.goroutines.look(goroutine.address)
        return None

    def _find_connections(self, goroutine: Seen, layout: Http2Layout) -> list[int]:
        """The address of the open connection whose frames *goroutine* reads, maybe with others of the process.

        Those others are what an unused place on the stack has kept: open connections all the same.
        """
        known = self._known.get((goroutine.address, goroutine.state.goid))
        if known and all(self._is_connection(address, layout) for address in known):
            return known
        state = goroutine.state
        start = state.high - _OUTER_BYTES if goroutine.trace.end is End.TORN else state.syscall_sp or state.sp
        start = max(start, state.low, state.high - _STACK_BYTES)
        try:
            data = self._memory.read(start, (state.high - start) & ~7)
        except DecodeError:
            return []
        words = dict.fromkeys(struct.unpack(f"<{len(data) // 8}Q", data))
        return [word for word in words if not word % 8 and word > 4096 and self._is_connection(word, layout)]

    def _is_connection(self, address: int, layout: Http2Layout) -> bool:
        """Whether an open connection is there: its Cond is locked by its own mutex, and it has a net.Conn."""
        fields = layout.connection.fields
        try:
            cond = self._word(address + fields["cond"].offset)
            if not cond or cond % 8:
                return False
            itab, locker = struct.unpack("<QQ", self._memory.read(cond + layout.cond_locker, 16))
            if locker != address + fields["mu"].offset:
                return False
            # In a list of one element that and its root point at each other just so.
            kind = self._connections.type_of(itab)
            if kind is None or kind.name != "*sync.Mutex":
                return False
            view = read_struct(self._memory, layout.connection, address)
        except DecodeError:
            return False
        if self._connections.type_of(view.word("tconn")) is None or view.byte("closed"):
            return False
        return all(view.word(name) for name in ("br", "fr", "streams", "reqHeaderMu"))

    def _read_connection(
        self,
        address: int,
        layout: Http2Layout,
        census: Http2Census,
        streams: list[OpenStream],
        sockets: dict[int, Http2Socket],
        cancel: threading.Event,
    ) -> None:
        """Add the connection at *address* to *sockets*, and what it has to *census* and *streams*."""
        try:
            view = read_struct(self._memory, layout.connection, address)
        except DecodeError:
            census.torn += 1
            return
        connection = Http2Socket(address, layout, self._connections.describe(*view.words("tconn")))
        sockets[address] = connection
        entries = self._stream_addresses(view, layout)
        if entries is None:
            census.torn += 1
            return
        pending = view.signed("pendingRequests")
        census.awaiting += pending if 0 < pending < 1 << 31 else 0
        census.idle_connections += not entries and not pending
        for number, stream in entries:
            if cancel.is_set():
                return
            found = self._streams.read(connection, number, stream)
            if isinstance(found, OpenStream):
                streams.append(found)
            census.awaiting += found is StreamFate.AWAITED
            census.torn += found is StreamFate.TORN
        missing = self._windows.count_missing(connection, [stream for _, stream in entries])
        if missing is not None:
            census.unreturned[address] = missing

    def _stream_addresses(self, view: StructView, layout: Http2Layout) -> list[tuple[int, int]] | None:
        """The connection's streams as (number, address); None where the map would not hold still."""
        for _ in range(_TRIES):
            try:
                entries = list(self._maps.iter_entries(view.word("streams"), layout.streams))
            except LimitExceeded:
                return None
            except DecodeError:
                continue
            if all(len(entry.key) == 4 and len(entry.value) == 8 for entry in entries):
                return [
                    (int.from_bytes(entry.key, "little"), int.from_bytes(entry.value, "little"))
                    for entry in entries
                ]
        return None

    def _word(self, address: int) -> int:
        word: int = struct.unpack("<Q", self._memory.read(address, 8))[0]
        return word


def _describe_unlisted(unreturned: dict[int, int], sockets: dict[int, Http2Socket]) -> list[str]:
    """What is known of bodies that arrived whole where none was looked for, a sentence each."""
    sentences = [
        f"{count} unread bytes on {_name(sockets[address])} are of bodies that arrived whole, which are not listed."
        for address, count in unreturned.items()
        if count
    ]
    untold = len(sockets) - len(unreturned)
    if untold:
        connections = "one HTTP/2 connection" if untold == 1 else f"{untold} HTTP/2 connections"
        sentences.append(f"Bodies that arrived whole are not seen on {connections}.")
    return sentences


def _describe_lost(lost: dict[int, int], sockets: dict[int, Http2Socket]) -> list[str]:
    """A sentence for each connection with bytes of bodies that are on the heap no more."""
    return [
        f"{count} bytes of bodies on {_name(sockets[address])} were dropped unread, without Close."
        for address, count in lost.items()
        if count
    ]


def _describe_unknown(packages: Iterable[str]) -> list[str]:
    return [
        f"The HTTP/2 client in {path} is of a form that is not known; its bodies are not listed."
        for path in sorted(packages)
    ]


def _name(connection: Http2Socket) -> str:
    socket = connection.socket
    return f"the HTTP/2 connection to {socket.remote}" if socket and socket.remote else "an HTTP/2 connection"
