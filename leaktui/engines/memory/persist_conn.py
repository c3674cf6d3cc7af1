"""The HTTP/1 connections of net/http's Transport: from a goroutine to its persistConn and the request it serves.

Law: a word on a stack is a persistConn only if it proves itself: it is read by the bufio.Reader it owns
(`p.br.rd.data == p`), and, where the goroutine waits in one of the selects of net/http/transport.go, that select waits
for `p.closech`. A request is believed by the channels it was sent with, and by its context where that is waited for.
Go 1.21 to 1.27. Wherever a goroutine may run on meanwhile, ask `rests` afterwards.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from leaktui.engines.memory.attachment import Attachment
from leaktui.engines.memory.goroutines import Seen, StackBytes
from leaktui.engines.memory.http1_layout import Http1Layout, find_http1_layout
from leaktui.engines.memory.requests import Requests
from leaktui.engines.memory.runtime_layout import GState
from leaktui.engines.memory.struct_view import StructView, read_struct
from leaktui.errors import DecodeError
from leaktui.model.frame import Stack

READ_LOOP = "net/http.(*persistConn).readLoop"
ROUND_TRIP = "net/http.(*persistConn).roundTrip"

_SELECT_LIMIT = 64
_STACK_LIMIT = 256 << 10
_DEPTH = 512
_CONTEXT_DEPTH = 32
_LOWEST = 1 << 16
_SLOTS_LIMIT = 8


class Channel(NamedTuple):
    """A channel a goroutine waits for, and the size of its elements in bytes."""

    address: int
    element_size: int


class Place(NamedTuple):
    """A goroutine at rest inside a function: its frame is at `low`..`high` of the stack's bytes.

    At `high` is the home of the arguments passed in registers (cmd/compile/abi-internal.md, "spill space"), where
    the compiler keeps those that live across a call.
    """

    state: GState
    stack: StackBytes
    pc: int
    low: int
    high: int
    channels: tuple[Channel, ...]

    def argument(self, number: int) -> int:
        """The home of the function's pointer argument *number*, the receiver being 0."""
        return self.word_below_end(-8 * number)

    def word_below_end(self, slot: int) -> int:
        """The word that begins *slot* bytes below the frame's high end, 0 where there is none."""
        offset = self.high - slot
        if not 0 <= offset <= len(self.stack.data) - 8:
            return 0
        word: int = struct.unpack_from("<Q", self.stack.data, offset)[0]
        return word

    def slots_of(self, value: int) -> list[int]:
        """Where in the frame *value* is, as `word_below_end` wants it."""
        return [self.high - self.low - 8 * at for at, word in enumerate(self.words()) if word == value]

    def words(self) -> tuple[int, ...]:
        """The frame and the home of the first two arguments."""
        end = min(self.high + 16, len(self.stack.data))
        count = max(0, end - self.low) // 8
        return struct.unpack_from(f"<{count}Q", self.stack.data, self.low)

    def pointers(self) -> list[int]:
        """What may be a pointer among the words: outermost first, each once."""
        return list(dict.fromkeys(word for word in reversed(self.words()) if _LOWEST < word < 1 << 47))


class Exchange(NamedTuple):
    """Addresses of a persistConn and of the *http.Request on it; `request` is 0 where it could not be proven."""

    connection: int
    request: int


class PersistConns:
    """Finds persistConns and requests of one process. Not thread-safe.

    `usable` is False for a program without an HTTP/1 client that we know: then nothing is found.
    """

    def __init__(self, attachment: Attachment) -> None:
        self._memory = attachment.memory
        self._goroutines = attachment.goroutines
        self._unwinder = attachment.unwinder
        self._types = attachment.layout.types
        self._requests = Requests(attachment.memory, self._types)
        self.layout: Http1Layout | None = find_http1_layout(self._types)
        self._inside: dict[tuple[int, str], tuple[Stack, bool]] = {}
        self._slots: dict[tuple[int, str], list[int]] = {}
        """Where in a frame, counted from its high end, something was proven to be."""

    @property
    def usable(self) -> bool:
        return self.layout is not None

    # --- what others ask for ---

    def find_connection(self, seen: Seen) -> int | None:
        """The persistConn whose readLoop *seen* is; None where it is none, or moves."""
        place = self.find_place(seen, READ_LOOP)
        return None if place is None else self.connection_at(place)

    def request_of_caller(self, seen: Seen) -> Exchange | None:
        """What a goroutine parked in `(*persistConn).roundTrip` waits for; None where it does not, or moves."""
        place = self.find_place(seen, ROUND_TRIP)
        if self.layout is None or place is None:
            return None
        connection = self.connection_at(place)
        if connection is None:
            return None
        request = 0
        try:
            for candidate in [place.argument(1), *place.pointers()]:
                if self._is_transport_request(candidate, place.channels):
                    request = self._request_in(candidate)
                    break
            return Exchange(connection, request) if self.rests(place, seen.address) else None
        except DecodeError:
            return None

    # --- goroutines ---

    def is_inside(self, seen: Seen, function: str) -> bool:
        """Whether *function* is among the calls of *seen*."""
        stack = seen.trace.stack
        known = self._inside.get((id(stack), function))
        if known is None or known[0] is not stack:
            if len(self._inside) >= 1 << 14:
                self._inside.clear()
            known = stack, any(frame.function == function for frame in stack)
            self._inside[id(stack), function] = known
        return known[1]

    def find_place(self, seen: Seen, function: str) -> Place | None:
        """The goroutine's innermost frame of *function* as it is now; None where it has none, or runs."""
        if self.layout is None or not self.is_inside(seen, function):
            return None
        try:
            state = self._goroutines.state_at(seen.address)
            if state is None or state.goid != seen.state.goid:
                return None
            stack = self._goroutines.read_stack(state, _STACK_LIMIT)
            if stack is None:
                return None
            calls = self._unwinder.calls(
                stack.pc, stack.data, in_syscall=stack.in_syscall, whole=stack.whole, depth=_DEPTH
            )
            for call in calls or ():
                if call.name == function:
                    channels = tuple(self._iter_channels(seen.address, state))
                    high = call.offset + call.size + 8
                    return Place(state, stack, call.pc, call.offset, high, channels)
        except DecodeError:
            pass
        return None

    def rests(self, place: Place, address: int) -> bool:
        """Whether the goroutine at *address* has not moved from *place*: the same wait, on the same stack.

        Raises DecodeError.
        """
        now, before = self._goroutines.state_at(address), place.state
        return (
            now is not None
            and (now.goid, now.status, now.pc, now.sp, now.high, now.waiting)
            == (before.goid, before.status, before.pc, before.sp, before.high, before.waiting)
            and tuple(self._iter_channels(address, now)) == place.channels
        )

    def _iter_channels(self, address: int, state: GState) -> Iterator[Channel]:
        """The channels a parked goroutine waits for (g.waiting, a list of sudogs); raises DecodeError."""
        layout = self.layout
        sudog = state.waiting
        if layout is None:
            return
        for _ in range(_SELECT_LIMIT):
            if not sudog:
                return
            view = read_struct(self._memory, layout.sudog, sudog)
            (channel,) = struct.unpack_from("<Q", view.data, layout.sudog_channel)
            if view.word("g") != address or not channel:
                raise DecodeError("a goroutine's list of waits changed while it was read")
            yield Channel(channel, self._element_size(channel))
            sudog = view.word("waitlink")
        raise DecodeError("a goroutine's list of waits does not end")

    # --- connections ---

    def connection_at(self, place: Place) -> int | None:
        """The persistConn of a frame of one of its methods: the receiver, or else what proves itself in the frame."""
        layout = self.layout
        if layout is None:
            return None
        for candidate in [place.argument(0), *place.pointers()]:
            view = self.read_connection(candidate)
            if view is not None and self._is_waited_for(view, place.channels):
                return view.address
        return None

    def read_connection(self, address: int) -> StructView | None:
        """The persistConn at *address* if it proves to be one."""
        layout = self.layout
        if layout is None or address % 8 or not _LOWEST < address < 1 << 47:
            return None
        try:
            view = read_struct(self._memory, layout.persist_conn, address)
            reader = read_struct(self._memory, layout.reader, view.word("br"))
        except DecodeError:
            return None
        return view if reader.words("rd")[1] == address else None

    def _is_waited_for(self, connection: StructView, channels: tuple[Channel, ...]) -> bool:
        """Every select of a connection's goroutines has its closech, but roundTrip's after it was closed (≤ 1.22)."""
        if not channels:
            return True
        here = {channel.address for channel in channels}
        return bool(here & {connection.word("closech"), connection.word("reqch")})

    def is_handing_over(self, place: Place, connection: StructView) -> bool:
        """Whether a readLoop waits for its caller: to be told the request, or to hand the response over."""
        if any(channel.address == connection.word("reqch") for channel in place.channels):
            return True
        return any(self._carries_responses(channel.address) for channel in place.channels)

    def _carries_responses(self, channel: int) -> bool:
        """Whether it is a chan responseAndError; raises DecodeError."""
        assert self.layout is not None
        name = self._type_name(read_struct(self._memory, self.layout.channel, channel).word("elemtype"))
        return name == "http.responseAndError"

    # --- requests ---

    def request_at(self, place: Place) -> int:
        """The *http.Request that a readLoop frame serves, 0 where none can be proven; raises DecodeError."""
        layout = self.layout
        if layout is None:
            return 0
        words = place.words()
        inner = layout.request_and_chan
        key = (place.pc, inner.name)
        known = self._slots.setdefault(key, [])
        end = len(words)
        for index in [*(end - slot for slot in known), *range(end - inner.size // 8 + 1)]:
            request = self._request_received(words, index, place.channels) if 0 <= index < end else 0
            if request:
                if end - index not in known and len(known) < _SLOTS_LIMIT:
                    known.append(end - index)
                return request
        return 0

    def _request_received(self, words: tuple[int, ...], index: int, channels: tuple[Channel, ...]) -> int:
        """The request of the requestAndChan that may begin at words[index]."""
        layout = self.layout
        assert layout is not None
        fields = layout.request_and_chan.fields
        if index + layout.request_and_chan.size // 8 > len(words):
            return 0
        answer, gone = (words[index + fields[name].offset // 8] for name in ("ch", "callerGone"))
        source = "treq" if "treq" in fields else "req"
        pointer = words[index + fields[source].offset // 8]
        if not (min(pointer, answer, gone) > _LOWEST):
            return 0
        try:
            if not self._carries_responses(answer) or self._element_size(gone):
                return 0
            if source == "treq":
                return self._request_in(pointer) if self._is_transport_request(pointer, channels) else 0
            return pointer if self._is_cancelled_by(pointer, channels) else 0
        except DecodeError:
            return 0

    def _is_transport_request(self, address: int, channels: tuple[Channel, ...]) -> bool:
        """Whether there is a transportRequest whose context is among those waited for."""
        layout = self.layout
        if layout is None or address % 8 or not _LOWEST < address < 1 << 47:
            return False
        try:
            view = read_struct(self._memory, layout.transport_request, address)
            if _has_context(view):
                done = self._done_channel(*view.words("ctx"))
                return done is not None and any(channel.address == done for channel in channels)
            request = view.word("Request")
            return self._is_cancelled_by(request, channels) and self._requests.read(request) is not None
        except DecodeError:
            return False

    def _is_cancelled_by(self, request: int, channels: tuple[Channel, ...]) -> bool:
        """Whether what *channels* has for a request (Go 1.22 and before) is this one's: Cancel and ctx.Done()."""
        layout = self.layout
        if layout is None or layout.request is None:
            return False
        view = read_struct(self._memory, layout.request, request)
        here = {channel.address for channel in channels if not channel.element_size}
        cancel = view.word("Cancel") if "Cancel" in view.layout.fields else 0
        if cancel and cancel not in here:
            return False
        done = self._done_channel(*view.words("ctx")) if _has_context(view) else None
        return done is None or done == 0 or done in here

    def _request_in(self, transport_request: int) -> int:
        assert self.layout is not None
        return read_struct(self._memory, self.layout.transport_request, transport_request).word("Request")

    def _done_channel(self, itab: int, data: int) -> int | None:
        """What the Done of a context.Context gives: 0 for nil, None for a context of an unknown kind."""
        layout = self.layout
        if layout is None or layout.cancel_context is None:
            return None
        for _ in range(_CONTEXT_DEPTH):
            if not itab:
                return 0
            name = self._type_name(struct.unpack("<Q", self._memory.read(itab + 8, 8))[0])
            if name in ("*context.cancelCtx", "*context.timerCtx"):
                # A timerCtx begins with a cancelCtx; done is an atomic.Value, a type and a pointer.
                if name == "*context.timerCtx" and not layout.timer_context:
                    return None
                return read_struct(self._memory, layout.cancel_context, data).words("done")[1]
            if name in ("context.backgroundCtx", "context.todoCtx"):
                return 0
            if name != "*context.valueCtx":
                return None
            itab, data = struct.unpack("<QQ", self._memory.read(data, 16))  # embeds its parent
        return None

    def _type_name(self, address: int) -> str:
        info = self._types.at(address)
        return "" if info is None else info.name

    def _element_size(self, channel: int) -> int:
        assert self.layout is not None
        view = read_struct(self._memory, self.layout.channel, channel)
        size: int = struct.unpack_from("<H", view.data, view.layout.fields["elemsize"].offset)[0]
        return size


def _has_context(view: StructView) -> bool:
    field = view.layout.fields.get("ctx")
    return field is not None and field.size == 16
