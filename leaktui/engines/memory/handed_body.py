"""The body that a readLoop waits for, and what tells the call it was given to from every other.

Law: read between two looks at a readLoop that did not move. What the call sent to readLoop (a requestAndChan,
net/http/transport.go, Go 1.22 to 1.27) is in readLoop's frame and stays in use while the body is open, so that
none of these addresses can be another call's meanwhile.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import NamedTuple

from leaktui.engines.memory.attachment import Attachment
from leaktui.engines.memory.caller_watch import Sighting
from leaktui.engines.memory.goroutines import Seen
from leaktui.engines.memory.persist_conn import READ_LOOP, PersistConns, Place
from leaktui.engines.memory.stack_residue import CallerChain
from leaktui.engines.memory.struct_view import read_struct
from leaktui.errors import DecodeError

_PARKED = frozenset((4, 10))  # runtime._Gwaiting, _Gleaked
_LOWEST = 1 << 16
_BRIEF_NS = 30_000_000
"""A time in which no call ends, the collector frees what it had, and the same addresses are given to another."""


@dataclass(frozen=True, slots=True)
class HandedBody:
    """An open body. `report` is the channel its end is told on, `answers` and `gone` those that its call made.

    `request` is the *http.Request; `call` and `context` the transportRequest and its context's data, both made for
    this one call (0 up to Go 1.22, where readLoop does not have them).
    """

    holder_goid: int
    connection: int
    report: int
    answers: int
    gone: int
    request: int
    call: int = 0
    context: int = 0


@dataclass(slots=True)
class WatchedBody:
    """A body that is open, or was. It was not yet open at `opened_after_ns`, and was at `opened_ns`.

    `generation` is of the collector, once it was open; `progress` is how far it was read when that was last
    looked at.
    """

    handed: HandedBody
    opened_ns: int
    opened_after_ns: int
    generation: int
    before_watch: bool
    released_ns: int | None = None
    last_read_ns: int | None = None
    progress: tuple[int, ...] = ()
    sighting: Sighting | None = None

    def was_given_to(self, sighting: Sighting) -> bool:
        """Whether *sighting* is of the call that was given it: by what is in it, and by when it was seen.

        The time counts, because a later call may by chance be given the very addresses of an earlier one: not, however,
        before the collector has freed them. So either it has not been at work, or there was hardly time.
        """
        handed = self.handed
        same_channels = (
            sighting.connection == handed.connection
            and handed.answers in sighting.words
            and handed.gone in sighting.words
            and (not handed.call or handed.call in sighting.homes or not sighting.homes)
        )
        alike = 0 < sighting.generation == self.generation
        brief = self.opened_ns - self.opened_after_ns <= _BRIEF_NS
        if sighting.live:
            until = sighting.until
            if sighting.time > self.opened_ns or (until is not None and until < self.opened_after_ns):
                return False
            if not (until is None or alike or brief):
                return False
            if handed.call:
                return same_channels or (handed.call, handed.context) in sighting.contexts
            # Up to Go 1.22 readLoop has the request only, which may be sent more than once.
            return same_channels or handed.request in sighting.homes
        if self.before_watch:
            return same_channels
        if sighting.time < self.opened_after_ns or not (alike or (brief and same_channels)):
            return False
        words = sighting.caller_words
        by_request = handed.call in sighting.homes and handed.request in words and handed.context in words
        return same_channels or (bool(handed.call) and by_request)

    def was_asked_by(self, sighting: Sighting, chain: CallerChain) -> bool:
        """Whether the goroutine of *sighting* made the call of *chain* itself: on a stack it got later another did.

        It did where it was seen at it, and where it had that stack before the body was opened. What was there before
        the watch is believed only if the chain leads to the function that this very goroutine began with.
        """
        if sighting.live:
            return True
        if self.before_watch:
            return chain.whole and not sighting.since
        return sighting.since < self.opened_after_ns


class _Received(NamedTuple):
    source: int
    answers: int
    gone: int


class HandedBodies:
    """Reads the bodies that readLoops of one process wait for. Not thread-safe."""

    def __init__(self, attachment: Attachment, conns: PersistConns) -> None:
        self._memory = attachment.memory
        self._types = attachment.layout.types
        self._conns = conns
        self._layout = conns.layout

    def read(self, seen: Seen) -> HandedBody | None:
        """The body that the readLoop *seen* waits for, None where it waits for none.

        Raises DecodeError when it does not hold still, and TargetGone.
        """
        layout = self._layout
        place = self._conns.find_place(seen, READ_LOOP)
        if place is None or layout is None:
            raise DecodeError("the readLoop runs")
        address = self._conns.connection_at(place)
        connection = None if address is None else self._conns.read_connection(address)
        body: HandedBody | None = None
        waited = {channel.address for channel in place.channels}
        # Cancel and Done are channels of struct{}; that of the body, and no other, has elements.
        reports = [channel.address for channel in place.channels if channel.element_size]
        if (
            connection is not None
            and place.state.status in _PARKED
            and connection.word("closech") in waited
            and len(reports) == 1
        ):
            received = self._received(place)
            if received is not None:
                body = self._body(seen.state.goid, connection.address, reports[0], received)
        if not self._conns.rests(place, seen.address):
            raise DecodeError("the readLoop moved")
        return body

    def _body(self, goid: int, connection: int, report: int, received: _Received) -> HandedBody:
        layout = self._layout
        assert layout is not None
        source, answers, gone = received
        if "treq" not in layout.request_and_chan.fields:
            return HandedBody(goid, connection, report, answers, gone, source)
        view = read_struct(self._memory, layout.transport_request, source)
        return HandedBody(
            goid, connection, report, answers, gone, view.word("Request"), source, self.context_of(source)
        )

    def context_of(self, transport_request: int) -> int:
        """The data of a transportRequest's context, 0 where there is none; raises DecodeError."""
        layout = self._layout
        field = layout.transport_request.fields.get("ctx") if layout is not None else None
        if field is None or field.size != 16 or transport_request % 8:
            return 0
        data: int = struct.unpack("<Q", self._memory.read(transport_request + field.offset + 8, 8))[0]
        return data

    def _received(self, place: Place) -> _Received | None:
        """The requestAndChan in readLoop's frame."""
        layout = self._layout
        assert layout is not None
        fields = layout.request_and_chan.fields
        source = fields["treq" if "treq" in fields else "req"].offset // 8
        answers, gone = fields["ch"].offset // 8, fields["callerGone"].offset // 8
        words = place.words()
        for at in range(len(words) - layout.request_and_chan.size // 8 + 1):
            found = _Received(words[at + source], words[at + answers], words[at + gone])
            if (
                min(found) > _LOWEST
                and self._is_channel(found.answers, "http.responseAndError")
                and self._is_channel(found.gone, "struct {}")
            ):
                return found
        return None

    def _is_channel(self, address: int, element: str) -> bool:
        assert self._layout is not None
        if address % 8 or address >> 47:
            return False
        try:
            kind = read_struct(self._memory, self._layout.channel, address).word("elemtype")
        except DecodeError:
            return False
        info = self._types.at(kind)
        return info is not None and info.name == element
