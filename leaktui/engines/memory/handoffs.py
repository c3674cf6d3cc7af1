"""Who was given which response body: callers named from memory alone, while the process runs.

Law: a body belongs to a call only by the channels that this one call made (net/http/transport.go, `roundTrip`): their
addresses are in the frame of its caller, in progress or left over, and in that of the connection's readLoop, which
keeps them from being used again as long as the body is open. A connection serves many callers in turn, so that
alone proves nothing. A body whose call was not seen, or not clearly, is counted and not attributed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

from leaktui.binary.packages import PackageMap
from leaktui.binary.response_flow import ResponseFlow
from leaktui.engines.memory.attachment import Attachment
from leaktui.engines.memory.body_signal import BodySignals
from leaktui.engines.memory.caller_watch import CallerWatch, MovedGoroutines, Sighting
from leaktui.engines.memory.goroutines import Seen, Tally
from leaktui.engines.memory.persist_conn import READ_LOOP, PersistConns, Place
from leaktui.engines.memory.runtime_layout import GState
from leaktui.engines.memory.stack_residue import CallerChain
from leaktui.engines.memory.struct_view import read_struct
from leaktui.engines.protocol import SearchProgress
from leaktui.errors import DecodeError, LeaktuiError
from leaktui.model.handoff_watch import HandoffWatch
from leaktui.model.trace import BodyHandoff

SHARE = 0.25
"""Of one core, what a watch may use."""

_SHORTEST, _LONGEST = 0.00003, 1.0
"""Seconds between two looks."""

_TICK = 0.02
"""Seconds a readLoop must have been at rest before it is looked at."""

_PROGRESS_TICK = 0.25
_BEGINNING_NS = 1_000_000
_FULL_SHARE = 0.08
"""Of one core, what looks at all goroutines may use; the rest goes to those that are known to make requests."""

_FULL_LONGEST = 1.0
_LIVELY_NS = 2_000_000
"""How long after a caller has stirred it is looked at without regard to the share."""

_CREDIT = 0.1
_RUNNING_NS = 300_000
_RUNNING = 2  # runtime._Grunning
_RELEASED_LIMIT = 20_000
_LEARNT_FROM = 4096
_PARKED = frozenset((4, 10))  # runtime._Gwaiting, _Gleaked
_BODY_READ = "net/http.(*bodyEOFSignal).Read"
_LOWEST = 1 << 16
_LOOPS = ("net/http.(*persistConn).", "net/http.(*Transport).dialConn")


class _Role(Enum):
    LOOP = "readLoop or writeLoop"
    RUNTIME = "runtime"
    CALLER = "caller"


_Key = tuple[int, int, int]
"""A body: its connection, and the channels its response came by and its end is told on."""


@dataclass(slots=True)
class _Body:
    """A body that readLoop waits for, or did. `source` is its transportRequest and `request` the
    *http.Request in that (up to Go 1.22, the *http.Request and 0); `gone` is a channel of its call's."""

    key: _Key
    holder_goid: int
    source: int
    request: int
    gone: int
    opened_ns: int
    before_watch: bool
    released_ns: int | None = None
    last_read_ns: int | None = None
    progress: tuple[int, ...] = ()
    sighting: Sighting | None = None


@dataclass(slots=True)
class _Loop:
    """A readLoop that has moved since it was read. `moved_ns` is when that was seen last."""

    moved_ns: int
    goid: int


@dataclass(frozen=True, slots=True)
class _End:
    """The goroutines at the end of a watch: all by number, and those inside a Read by the channel they may end."""

    goroutines: dict[int, Seen] = field(default_factory=dict)
    readers: dict[int, int] = field(default_factory=dict)


class HandoffWatcher:
    """Watches who is handed HTTP/1 response bodies. Not thread-safe; give it an attachment of its own (`split`)."""

    def __init__(self, attachment: Attachment) -> None:
        self._attachment = attachment
        self._memory = attachment.memory
        self._goroutines = attachment.goroutines
        self._types = attachment.layout.types
        self._conns = PersistConns(attachment)
        layout = self._conns.layout
        self._layout = layout
        self._callers = CallerWatch(attachment)
        self._signals = BodySignals(attachment, layout) if layout is not None else None
        self._moved = MovedGoroutines(attachment)
        self._roles: dict[int, _Role] = {}
        self._loops: dict[int, _Loop] = {}
        self._other_loops: dict[int, int] = {}
        """By address of a runtime.g: the goid of one known not to be a readLoop."""
        self._open: dict[int, _Body] = {}
        self._released: list[_Body] = []
        self._unattributed = 0
        self._longest_gap = self._last_full = self._lively_until = 0
        self._running: dict[int, tuple[int, GState]] = {}
        """Callers that run, by the address of their runtime.g: since when that was seen, and their state then."""
        self._enough: dict[tuple[int, ...], bool] = {}
        self._flow: ResponseFlow | None = None
        self._packages = PackageMap(attachment.executable.build, goroot=attachment.executable.goroot)

    def watch(self, seconds: float, cancel: threading.Event) -> Iterator[SearchProgress | HandoffWatch]:
        """Look again and again for *seconds*; the HandoffWatch comes last, and not if cancelled.

        Raises TargetGone, and DecodeError when the list of goroutines cannot be read.
        """
        start = time.monotonic_ns()
        if self._layout is None or not self._callers.residue.usable:
            yield HandoffWatch(start, time.monotonic_ns())
            return
        end = start + int(seconds * 1e9)
        looks = 0
        began = time.thread_time()
        full = tick = progress = shown = start
        while not cancel.is_set():
            now = time.monotonic_ns()
            if now >= full or not self._callers.callers:
                self._look(now, first=not looks)
                self._longest_gap = max(self._longest_gap, now - self._last_full if looks else 0)
                self._last_full = now
                used = time.monotonic_ns() - now
                full = now + min(int(used / _FULL_SHARE), int(_FULL_LONGEST * 1e9))
            else:
                self._look_at_callers(now)
            looks += 1
            if now >= self._lively_until:
                self._callers.settle()
            if now - tick >= _TICK * 1e9 and now >= self._lively_until:
                tick = now
                self._visit_loops(now, start)
            if now - progress >= _PROGRESS_TICK * 1e9:
                progress = now
                self._note_progress(now)
            if now >= end:
                break
            if now - shown >= _PROGRESS_TICK * 1e9:
                shown = now
                found = sum(body.sighting is not None for body in self._open.values())
                yield SearchProgress(
                    f"{len(self._open)} bodies open, {found} callers seen", (now - start) / (end - start)
                )
            self._rest(time.thread_time() - began, start, end, cancel)
        if cancel.is_set():
            return
        self._callers.settle()
        self._visit_loops(time.monotonic_ns(), start, everything=True)
        yield self._conclude(start, looks, cancel)

    def _rest(self, spent: float, start: int, end: int, cancel: threading.Event) -> None:
        """Wait until what was *spent* of the processor, in seconds, is the share allowed."""
        now = time.monotonic_ns()
        pause = min(
            max(spent / SHARE - (now - start) / 1e9, _SHORTEST), _LONGEST, max(0.0, (end - now) / 1e9)
        )
        if pause > _TICK:
            cancel.wait(_TICK)
        else:
            time.sleep(pause)

    # --- looking ---

    def _look(self, now: int, *, first: bool) -> None:
        learnt = 0
        for address, state in self._moved.look():
            role = self._role(state.start_pc)
            if role is _Role.CALLER:
                if first and learnt < _LEARNT_FROM:
                    learnt += 1
                    self._callers.learn(state)
                self._callers.examine(address, state, now, new=not first)
            elif role is _Role.LOOP and self._other_loops.get(address) != state.goid:
                self._loops[address] = _Loop(now, state.goid)

    def _look_at_callers(self, now: int) -> None:
        """Look at those that are known to make requests; at one that runs when it has stopped, or after a while."""
        late = [address for address, (since, _) in self._running.items() if now - since > _RUNNING_NS]
        for address in late:
            self._callers.examine(address, self._running.pop(address)[1], now)
        for address, state in self._moved.look_at(tuple(self._callers.callers)):
            if self._role(state.start_pc) is not _Role.CALLER:
                continue
            self._lively_until = now + _LIVELY_NS
            if state.status == _RUNNING:
                self._running[address] = now, state
            else:
                self._running.pop(address, None)
                self._callers.examine(address, state, now)

    def _role(self, start_pc: int) -> _Role:
        role = self._roles.get(start_pc)
        if role is None:
            name = self._attachment.unwinder.function_name(start_pc)
            if name.startswith(_LOOPS):
                role = _Role.LOOP
            elif name.startswith("runtime.") and name != "runtime.main":
                role = _Role.RUNTIME
            else:
                role = _Role.CALLER
            self._roles[start_pc] = role
        return role

    def _visit_loops(self, now: int, start: int, *, everything: bool = False) -> None:
        """Read the readLoops that have moved and come to rest."""
        for address, loop in list(self._loops.items()):
            rested = now - loop.moved_ns >= _TICK * 1e9 or loop.moved_ns <= start + _BEGINNING_NS
            if (everything or rested) and self._visit(address, loop, start):
                self._loops.pop(address, None)

    def _visit(self, address: int, loop: _Loop, start: int) -> bool:
        """Read one readLoop; False where it did not hold still."""
        seen = self._goroutines.look(address)
        body: _Body | None = None
        if seen is not None:
            if not self._conns.is_inside(seen, READ_LOOP):
                if seen.trace.stack and not self._open.get(address):
                    self._other_loops[address] = seen.state.goid
                return bool(seen.trace.stack)
            try:
                body = self._read_body(seen, loop.moved_ns, start)
            except DecodeError:
                return False
        known = self._open.get(address)
        if known is not None and (body is None or body.key != known.key):
            known.released_ns = loop.moved_ns
            self._attribute(known)
            del self._open[address]
            if len(self._released) < _RELEASED_LIMIT:
                self._released.append(known)
            known = None
        if body is not None and known is None:
            self._open[address] = body
            self._attribute(body)
        return True

    def _read_body(self, seen: Seen, moved: int, start: int) -> _Body | None:
        """The body that a readLoop waits for, None where it waits for none; raises DecodeError when it moves."""
        layout = self._layout
        place = self._conns.find_place(seen, READ_LOOP)
        assert layout is not None
        if place is None:
            raise DecodeError("the readLoop runs")
        address = self._conns.connection_at(place)
        connection = None if address is None else self._conns.read_connection(address)
        body = None
        waited = {channel.address for channel in place.channels}
        reports = [channel.address for channel in place.channels if channel.element_size]
        if (
            connection is not None
            and place.state.status in _PARKED
            and connection.word("closech") in waited
            and len(reports) == 1
        ):
            received = self._received(place)
            if received is not None:
                source, answers, gone = received
                key = connection.address, answers, reports[0]
                before = moved <= start + _BEGINNING_NS
                request = 0
                if "treq" in layout.request_and_chan.fields:
                    request = read_struct(self._memory, layout.transport_request, source).word("Request")
                body = _Body(key, seen.state.goid, source, request, gone, moved, before)
        if not self._conns.rests(place, seen.address):
            raise DecodeError("the readLoop moved")
        return body

    def _received(self, place: Place) -> tuple[int, int, int] | None:
        """Request, answering channel and callerGone of the requestAndChan in readLoop's frame."""
        layout = self._layout
        assert layout is not None
        fields = layout.request_and_chan.fields
        source = fields["treq" if "treq" in fields else "req"].offset // 8
        answers, gone = fields["ch"].offset // 8, fields["callerGone"].offset // 8
        words = place.words()
        for at in range(len(words) - layout.request_and_chan.size // 8 + 1):
            found = words[at + source], words[at + answers], words[at + gone]
            if (
                min(found) > _LOWEST
                and self._is_channel(found[1], "http.responseAndError")
                and self._is_channel(found[2], "struct {}")
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

    def _note_progress(self, now: int) -> None:
        """Note which open bodies have been read from since the last time."""
        layout = self._layout
        assert layout is not None
        for body in self._open.values():
            try:
                connection = read_struct(self._memory, layout.persist_conn, body.key[0])
                buffer = read_struct(self._memory, layout.reader, connection.word("br"))
            except DecodeError:
                continue
            progress = buffer.word("r"), buffer.word("w"), connection.word("readLimit")
            if body.progress and progress != body.progress:
                body.last_read_ns = now
            body.progress = progress

    # --- callers ---

    def _attribute(self, body: _Body) -> None:
        """Find the call that was given *body*, unless it is known."""
        if body.sighting is not None:
            return
        found = [
            sighting
            for sighting in self._callers.sightings_of(body.key[0], body.source)
            if sighting.chain is not None and self._is_for(sighting, body)
        ]
        whole = [item for item in found if item.chain is not None and item.chain.whole]
        live = [item for item in whole if item.live]
        best = live or whole or [item for item in found if item.chain and self._is_enough(item.chain)]
        if len({(item.goid, item.chain) for item in best}) == 1:
            body.sighting = best[-1]

    def _is_for(self, sighting: Sighting, body: _Body) -> bool:
        """Whether *sighting* is of the call that was given *body*."""
        connection, answers, _ = body.key
        if sighting.connection == connection and answers in sighting.words and body.gone in sighting.words:
            return True
        # A transportRequest is made for one call, and in use until its body is done with (Go 1.23 on).
        if not body.request or body.source not in sighting.homes:
            return False
        return body.request in sighting.caller_words

    def _is_enough(self, chain: CallerChain) -> bool:
        """Whether a chain that breaks off goes as far as the function that keeps the response."""
        if chain.pcs not in self._enough:
            self._enough[chain.pcs] = self._ends_with_owner(chain)
        return self._enough[chain.pcs]

    def _ends_with_owner(self, chain: CallerChain) -> bool:
        executable, bias = self._attachment.executable, self._attachment.bias
        pcs = [pc - bias for pc in chain.pcs]
        first = next(
            (
                number
                for number, pc in enumerate(pcs)
                if any(not self._packages.is_stdlib(frame.function) for frame in executable.frames_at(pc))
            ),
            None,
        )
        if first is None:
            return False
        try:
            if self._flow is None:
                self._flow = ResponseFlow(executable)
            uses = self._flow.hands_over(pcs[first:])
        except LeaktuiError:
            return False
        return bool(uses) and uses[-1].handed_over is False

    # --- the end ---

    def _conclude(self, start: int, looks: int, cancel: threading.Event) -> HandoffWatch:
        ending = self._read_end(cancel)
        end = time.monotonic_ns()
        handoffs = []
        unattributed = 0
        for body in (*self._released, *self._open.values()):
            self._attribute(body)
            sighting = body.sighting
            if sighting is None or sighting.chain is None:
                unattributed += not body.before_watch
            else:
                handoffs.append(self._handoff(body, sighting, sighting.chain, ending, start))
        handoffs.sort(key=lambda item: (item.opened_ns, item.holder_goid))
        return HandoffWatch(start, end, tuple(handoffs), unattributed, looks)

    def _handoff(
        self, body: _Body, sighting: Sighting, chain: CallerChain, ending: _End, start: int
    ) -> BodyHandoff:
        goid = sighting.goid
        if not sighting.live and sighting.since > body.opened_ns + self._longest_gap:
            goid = 0  # one that came to this stack later
        caller = ending.goroutines.get(goid)
        reader = ending.readers.get(body.key[2]) if body.released_ns is None else None
        return BodyHandoff(
            holder_goid=body.holder_goid,
            caller_goid=goid,
            opened_ns=start if body.before_watch else body.opened_ns,
            stack=chain.stack,
            released_ns=body.released_ns,
            caller_alive=caller is not None,
            caller_reading=reader is not None and reader == goid,
            caller_stack=self._goroutines.stack(caller) if caller is not None else (),
            last_read_ns=body.last_read_ns,
            reader_goid=reader,
        )

    def _read_end(self, cancel: threading.Event) -> _End:
        ending = _End()
        for seen in self._goroutines.iter_seen(Tally(), cancel):
            ending.goroutines[seen.state.goid] = seen
            if self._signals is not None and self._conns.is_inside(seen, _BODY_READ):
                place = self._conns.find_place(seen, _BODY_READ)
                found = self._signals.find_read(place) if place is not None else None
                for word in found.words if found is not None else ():
                    ending.readers[word] = seen.state.goid
        return ending
