"""A response body of net/http's HTTP/1 client: the bodyEOFSignal, and what reads the message for it.

Law: a bodyEOFSignal is the one a connection waits for only if its `fn`, a closure of readLoop, has captured both that
connection and the channel it waits on (net/http/transport.go, Go 1.21 to 1.27). What it reads from is believed
only if that ends at the connection's own bufio.Reader. Its memory may have been freed: then either the content
still proves itself, or it is no body.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from leaktui.engines.memory.attachment import Attachment
from leaktui.engines.memory.heap_map import HeapMap
from leaktui.engines.memory.http1_layout import Http1Layout
from leaktui.engines.memory.persist_conn import READ_LOOP, Place
from leaktui.engines.memory.struct_view import StructView, read_struct
from leaktui.errors import DecodeError

_CLOSURE = struct.Struct("<4Q")
# Its code and three variables (the channel, eofc and the connection), which fill the object: no word more is read,
# because the next closure may lie right behind it.
_LOCKED = 1  # sync.mutexLocked, or a bit of internal/sync's
_ROUNDING = 16
_SAMPLES = 3
_PCS_LIMIT = 64
_SOURCE = struct.Struct("<QQ")


class Captured(NamedTuple):
    """A bodyEOFSignal and the words its `fn` has captured; `words` is empty once it has reported."""

    signal: StructView
    words: tuple[int, ...]


class _Slots(NamedTuple):
    """Where in a frame all of so many samples had it: bytes below the frame's high end."""

    slots: frozenset[int]
    samples: int


class BodySignals:
    """Recognises bodyEOFSignals of one process. Not thread-safe: it learns where they are kept."""

    def __init__(self, attachment: Attachment, layout: Http1Layout) -> None:
        self._memory = attachment.memory
        self._types = attachment.layout.types
        self._unwinder = attachment.unwinder
        self._layout = layout
        self._slots: dict[int, _Slots] = {}
        """By the pc readLoop stopped at."""

    def read(self, address: int) -> Captured | None:
        """The bodyEOFSignal at *address*, if it can be one that readLoop made."""
        try:
            view = read_struct(self._memory, self._layout.body_signal, address)
            closure = view.word("fn")
            words = _CLOSURE.unpack(self._memory.read(closure, _CLOSURE.size)) if closure else ()
        except DecodeError:
            return None
        if words and not self._unwinder.function_name(words[0]).startswith(READ_LOOP + "."):
            return None
        return Captured(view, words[1:])

    def find(self, place: Place, connection: int, channel: int) -> StructView | None:
        """The body that readLoop's frame *place* waits for on *channel*, where its address is still there."""
        known = self._slots.get(place.pc)
        likely = [place.word_below_end(slot) for slot in known.slots] if known is not None else []
        for candidate in [*likely, *place.pointers()]:
            if candidate % 8 == 0:
                found = self.read(candidate)
                if found is not None and connection in found.words and channel in found.words:
                    self._learn(place, candidate)
                    return found.signal
        return None

    def freed_at(self, place: Place, heap: HeapMap, reader: int) -> bool:
        """Whether readLoop's frame *place*, in which `find` found nothing, had a body that was freed.

        Where other readLoops have theirs, it then has the address of what once was an object of that size.
        *reader* is the address of the connection's bufio.Reader.
        """
        known = self._slots.get(place.pc)
        if known is None or known.samples < _SAMPLES:
            return False
        values = {place.word_below_end(slot) for slot in known.slots}
        if len(values) != 1:
            return False
        (address,) = values
        found = heap.find(address)
        size = self._layout.body_signal.size
        if found is None or heap.value_of(found) != address or not size <= found.size < size + _ROUNDING:
            return False
        return self.was_freed(address, reader)

    def was_freed(self, address: int, reader: int) -> bool:
        """Whether something else is where the body was that reads from *reader* and that `find` finds no more.

        It may also have just been closed or read to its end, and so have given up its `fn`.
        """
        now = self.read(address)
        return now is None or bool(now.words) or self._transfer_body(now.signal, reader) is None

    def _learn(self, place: Place, address: int) -> None:
        slots = frozenset(place.slots_of(address))
        known = self._slots.get(place.pc)
        if known is not None:
            self._slots[place.pc] = _Slots(known.slots & slots, known.samples + 1)
        elif len(self._slots) < _PCS_LIMIT:
            self._slots[place.pc] = _Slots(slots, 1)

    def find_read(self, place: Place) -> Captured | None:
        """The body that a frame of `(*bodyEOFSignal).Read` is about: its receiver, or else the only one there."""
        found = self.read(place.argument(0))
        if found is not None and found.words:
            return found
        others = [self.read(pointer) for pointer in place.pointers() if pointer % 8 == 0]
        proven = [item for item in others if item is not None and item.words]
        return proven[0] if len(proven) == 1 else None

    def is_being_read(self, signal: StructView, reader: int) -> bool:
        """Whether somebody is inside a Read of *signal*: the mutex of its http.body is held.

        *reader* is the address of the connection's bufio.Reader.
        """
        body = self._transfer_body(signal, reader)
        if body is None or signal.byte("closed"):
            return False
        offset = body.layout.fields["mu"].offset
        return bool(body.data[offset] & _LOCKED)

    def remaining(self, signal: StructView, reader: int) -> int | None:
        """Bytes of a body of declared length that were not read yet; None for others."""
        limited = self._layout.limited_reader
        try:
            body = self._transfer_body(signal, reader)
            if body is None or limited is None:
                return None
            itab, data = body.words("src")
            if self._type_name(itab) != "*io.LimitedReader":
                return None
            return read_struct(self._memory, limited, data).signed("N")
        except DecodeError:
            return None

    def _transfer_body(self, signal: StructView, reader: int) -> StructView | None:
        """The http.body that *signal* reads from, which reads from the bufio.Reader at *reader*."""
        if self._layout.transfer_body is None:
            return None
        try:
            itab, data = signal.words("body")
            if self._type_name(itab) != "*http.body":
                return None
            body = read_struct(self._memory, self._layout.transfer_body, data)
            itab, source = body.words("src")
            match self._type_name(itab):
                case "*bufio.Reader":
                    end = source
                case "*io.LimitedReader":
                    end = _SOURCE.unpack(self._memory.read(source, 16))[1]  # R, an interface
                case "*internal.chunkedReader":
                    end = _SOURCE.unpack(self._memory.read(source, 16))[0]  # r, a pointer
                case _:
                    return None
        except DecodeError:
            return None
        return body if end == reader else None

    def _type_name(self, itab: int) -> str:
        """The name of the type in an interface whose first word is *itab*; raises DecodeError."""
        if not itab or itab % 8:
            return ""
        info = self._types.at(_SOURCE.unpack(self._memory.read(itab, 16))[1])
        return "" if info is None else info.name
