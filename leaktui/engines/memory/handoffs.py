"""Who was given which response body: callers named from memory alone, while the process runs.

Law: a body belongs to a call only by what this one call made (its channels; its transportRequest and the context of
that): their addresses are in the frame of its caller, in progress or left over, and in that of the connection's
readLoop, which keeps them from being used again as long as the body is open. A connection serves many callers in
turn, so that alone proves nothing. A body whose call was not seen, or not clearly, is counted and not attributed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum

from leaktui.binary.packages import PackageMap
from leaktui.binary.response_flow import ResponseFlow
from leaktui.engines.memory.attachment import Attachment
from leaktui.engines.memory.caller_watch import CallerWatch, Sighting
from leaktui.engines.memory.handed_body import HandedBodies, HandedBody, WatchedBody
from leaktui.engines.memory.look_pace import LookPace, precise_sleep
from leaktui.engines.memory.mheap import SpanList, find_span_list
from leaktui.engines.memory.moved_goroutines import MovedGoroutines
from leaktui.engines.memory.persist_conn import READ_LOOP, PersistConns
from leaktui.engines.memory.runtime_layout import GState
from leaktui.engines.memory.stack_residue import CallerChain
from leaktui.engines.memory.struct_view import read_struct
from leaktui.engines.memory.watch_end import EndReader, WatchEnd
from leaktui.engines.protocol import SearchProgress
from leaktui.errors import DecodeError, EngineUnavailable, LeaktuiError
from leaktui.model.handoff_watch import HandoffWatch
from leaktui.model.trace import BodyHandoff

SHARE = 0.24
"""Of one core, what a watch may use."""

_FULL_SHARE = 0.08
"""What of it looks at all goroutines may use; the rest is for those that are known to make requests."""

_FULL_LONGEST_NS = 1_000_000_000
_LIVELY_FULL_NS = 10_000_000
_REST_NS = 20_000_000
"""How long a readLoop must have been at rest before it is looked at."""

_PROGRESS_NS = 250_000_000
_RUNNING_NS = 300_000
_RELEASED_LIMIT = 20_000
_LEARNT_FROM = 4096
_RUNNING = 2  # runtime._Grunning
_LOOPS = ("net/http.(*persistConn).", "net/http.(*Transport).dialConn")


class _Role(Enum):
    LOOP = "readLoop or writeLoop"
    RUNTIME = "runtime"
    CALLER = "caller"


@dataclass(slots=True)
class _Loop:
    """A readLoop that has moved since it was read; that was seen last at `moved_ns`, and not yet at `rested_ns`."""

    moved_ns: int
    rested_ns: int
    goid: int
    first: bool


class HandoffWatcher:
    """Watches, once, who is handed HTTP/1 response bodies. Not thread-safe; its attachment is its own (`split`)."""

    def __init__(self, attachment: Attachment) -> None:
        self._attachment = attachment
        self._memory = attachment.memory
        self._goroutines = attachment.goroutines
        self._conns = PersistConns(attachment)
        layout = self._conns.layout
        self._layout = layout
        self._bodies = HandedBodies(attachment, self._conns)
        self._callers = CallerWatch(attachment, self._bodies.context_of)
        self._reader = EndReader(attachment, self._conns)
        self._moved = MovedGoroutines(attachment)
        self._roles: dict[int, _Role] = {}
        self._loops: dict[int, _Loop] = {}
        self._other_loops: dict[int, int] = {}
        """By address of a runtime.g: the goid of one known not to be a readLoop."""
        self._running: dict[int, tuple[int, GState]] = {}
        """Callers that run, by the address of their runtime.g: since when that was seen, and their state then."""
        self._open: dict[int, WatchedBody] = {}
        self._released: list[WatchedBody] = []
        self._omitted = 0
        self._longest_gap = self._last_full = 0
        self._enough: dict[tuple[int, ...], bool] = {}
        self._flow: ResponseFlow | None = None
        self._spans: SpanList | None = None
        with suppress(DecodeError, EngineUnavailable):
            self._spans = find_span_list(attachment.executable, attachment.memory, attachment.layout)
        self._packages = PackageMap(attachment.executable.build, goroot=attachment.executable.goroot)

    def watch(self, seconds: float, cancel: threading.Event) -> Iterator[SearchProgress | HandoffWatch]:
        """Look again and again for *seconds*; the HandoffWatch comes last, and not if cancelled.

        Raises TargetGone, and DecodeError when the list of goroutines cannot be read.
        """
        start = time.monotonic_ns()
        if self._layout is None or not self._callers.residue.usable:
            yield HandoffWatch(start, time.monotonic_ns())
            return
        yield SearchProgress("learning who makes requests", 0.0)
        self._look(time.monotonic_ns(), cancel, first=True)
        self._callers.settle()
        looks = [1]
        with precise_sleep():
            yield from self._watch(start, start + int(seconds * 1e9), looks, cancel)
        # The last look may be a while ago: what was let go since must not pass for open.
        self._look(time.monotonic_ns(), cancel)
        if not cancel.is_set():
            self._callers.settle()
            self._visit_loops(time.monotonic_ns(), everything=True)
            yield self._conclude(start, looks[0], cancel)

    def _watch(
        self, start: int, end: int, looks: list[int], cancel: threading.Event
    ) -> Iterator[SearchProgress]:
        """Look until *end*; the number of looks is added to the one of *looks*."""
        pace = LookPace(SHARE)
        full = visit = progress = self._last_full
        while not cancel.is_set():
            now = time.monotonic_ns()
            lively = pace.is_lively(now)
            if now >= full + lively * _LIVELY_FULL_NS or not self._callers.callers:
                before = time.thread_time_ns()
                self._look(now, cancel)
                # Not the time that went by: beside others that keep the processors busy that is far longer.
                used = time.thread_time_ns() - before
                full = now + min(int(used / _FULL_SHARE), _FULL_LONGEST_NS)
            elif self._look_at_callers(now):
                pace.stir(now)
                lively = True
            looks[0] += 1
            if not lively:
                self._callers.settle()
                if now - visit >= _REST_NS:
                    visit = now
                    self._visit_loops(now)
            if now >= end:
                return
            if now - progress >= _PROGRESS_NS:
                progress = now
                self._note_progress(now)
                yield self._progress((now - start) / (end - start))
            pace.rest(now, end, cancel)

    def _progress(self, fraction: float) -> SearchProgress:
        found = sum(body.sighting is not None for body in self._open.values())
        return SearchProgress(f"{len(self._open)} bodies open, {found} of their callers seen", fraction)

    # --- looking ---

    def _look(self, now: int, cancel: threading.Event, *, first: bool = False) -> None:
        """Look at all goroutines; at the *first* look, learn from them all."""
        self._callers.begin_look(self._read_generation())
        before, self._last_full = self._last_full, now
        if not first:
            self._longest_gap = max(self._longest_gap, now - before)
        learnt = 0
        for address, state in self._moved.look():
            role = self._role(state.start_pc)
            if role is _Role.CALLER:
                if first and learnt < _LEARNT_FROM:
                    learnt += 1
                    self._callers.learn(state)
                self._callers.examine(address, state, now, new=not first)
                if cancel.is_set():
                    return
            elif role is _Role.LOOP and self._other_loops.get(address) != state.goid:
                self._loops[address] = _Loop(now, before, state.goid, first)

    def _look_at_callers(self, now: int) -> bool:
        """Look at those that are known to make requests; whether one has stirred.

        One that runs is read when it has stopped, or after a while: its stack is in use.
        """
        self._callers.begin_look(self._read_generation())
        late = [address for address, (since, _) in self._running.items() if now - since > _RUNNING_NS]
        for address in late:
            self._callers.examine(address, self._running.pop(address)[1], now)
        stirred = False
        for address, state in self._moved.look_at(tuple(self._callers.callers)):
            if self._role(state.start_pc) is _Role.CALLER:
                stirred = True
                if state.status == _RUNNING:
                    self._running[address] = now, state
                else:
                    self._running.pop(address, None)
                    self._callers.examine(address, state, now)
        return stirred

    def _read_generation(self) -> int:
        """How often the collector has been at work, 0 where it is not known where that is."""
        if self._spans is None:
            return 0
        try:
            return self._spans.read_generation(self._memory)
        except DecodeError:
            return 0

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

    # --- bodies ---

    def _visit_loops(self, now: int, *, everything: bool = False) -> None:
        """Read the readLoops that have moved and come to rest."""
        for address, loop in list(self._loops.items()):
            rested = loop.first or now - loop.moved_ns >= _REST_NS
            if (everything or rested) and self._visit(address, loop):
                del self._loops[address]

    def _visit(self, address: int, loop: _Loop) -> bool:
        """Read one readLoop; False where it did not hold still."""
        seen = self._goroutines.look(address)
        handed: HandedBody | None = None
        if seen is not None:
            if not self._conns.is_inside(seen, READ_LOOP):
                if seen.trace.stack and address not in self._open:
                    self._other_loops[address] = seen.state.goid
                return bool(seen.trace.stack)
            try:
                handed = self._bodies.read(seen)
            except DecodeError:
                return False
        known = self._open.get(address)
        if known is not None and known.handed != handed:
            self._release(address, known, loop.moved_ns)
            known = None
        if handed is not None and known is None:
            body = self._open[address] = WatchedBody(
                handed, loop.moved_ns, loop.rested_ns, self._read_generation(), loop.first
            )
            self._attribute(body)
        return True

    def _release(self, address: int, body: WatchedBody, now: int) -> None:
        del self._open[address]
        body.released_ns = now
        self._attribute(body)
        if len(self._released) < _RELEASED_LIMIT:
            self._released.append(body)
        else:
            self._omitted += body.sighting is None and not body.before_watch

    def _note_progress(self, now: int) -> None:
        """Note which open bodies have been read from since the last time."""
        layout = self._layout
        assert layout is not None
        for body in self._open.values():
            try:
                connection = read_struct(self._memory, layout.persist_conn, body.handed.connection)
                buffer = read_struct(self._memory, layout.reader, connection.word("br"))
            except DecodeError:
                continue
            progress = buffer.word("r"), buffer.word("w"), connection.word("readLimit")
            if body.progress and progress != body.progress:
                body.last_read_ns = now
            body.progress = progress

    # --- callers ---

    def _attribute(self, body: WatchedBody) -> None:
        """Find the call that was given *body*, unless it is known."""
        if body.sighting is not None:
            return
        handed = body.handed
        found = [
            sighting
            for sighting in self._callers.sightings_of(handed.connection, handed.call or handed.request)
            if sighting.chain is not None and body.was_given_to(sighting)
        ]
        whole = [item for item in found if item.chain is not None and item.chain.whole]
        live = [item for item in whole if item.live]
        best = live or whole or [item for item in found if item.chain and self._is_enough(item.chain)]
        if len({(item.goid, item.chain) for item in best}) == 1:
            body.sighting = best[-1]

    def _is_enough(self, chain: CallerChain) -> bool:
        """Whether a chain that breaks off goes as far as the function that keeps the response."""
        if chain.pcs not in self._enough:
            self._enough[chain.pcs] = self._ends_with_owner(chain)
        return self._enough[chain.pcs]

    def _ends_with_owner(self, chain: CallerChain) -> bool:
        executable, bias = self._attachment.executable, self._attachment.bias
        pcs = [pc - bias for pc in chain.pcs]
        while pcs and all(self._packages.is_stdlib(frame.function) for frame in executable.frames_at(pcs[0])):
            del pcs[0]
        if not pcs:
            return False
        try:
            if self._flow is None:
                self._flow = ResponseFlow(executable)
            uses = self._flow.hands_over(pcs)
        except LeaktuiError:
            return False
        return bool(uses) and uses[-1].handed_over is False

    # --- the end ---

    def _conclude(self, start: int, looks: int, cancel: threading.Event) -> HandoffWatch:
        ending = self._reader.read(cancel)
        end = time.monotonic_ns()
        handoffs = []
        # One whose readLoop has moved, and was never at rest when it was read, may have been let go.
        open_ = [body for address, body in self._open.items() if address not in self._loops]
        unattributed = self._omitted + len(self._open) - len(open_)
        for body in (*self._released, *open_):
            self._attribute(body)
            sighting = body.sighting
            if sighting is None or sighting.chain is None:
                unattributed += not body.before_watch
            else:
                handoffs.append(self._handoff(body, sighting, sighting.chain, ending, start))
        handoffs.sort(key=lambda item: (item.opened_ns, item.holder_goid))
        return HandoffWatch(start, end, tuple(handoffs), unattributed, looks, self._longest_gap)

    def _handoff(
        self, body: WatchedBody, sighting: Sighting, chain: CallerChain, ending: WatchEnd, start: int
    ) -> BodyHandoff:
        goid = sighting.goid if body.was_asked_by(sighting, chain) else 0
        reader = ending.readers.get(body.handed.report) if body.released_ns is None else None
        alive = ending.is_alive(goid, sighting.address) if goid else None
        return BodyHandoff(
            holder_goid=body.handed.holder_goid,
            caller_goid=goid,
            opened_ns=start if body.before_watch else body.opened_ns,
            stack=chain.stack,
            whole=chain.whole,
            released_ns=body.released_ns,
            caller_alive=alive,
            caller_reading=reader is not None and reader == goid,
            caller_stack=ending.stack_of(goid),
            maybe_inside=ending.maybe_inside(goid, chain) if alive is None else frozenset(),
            last_read_ns=body.last_read_ns,
            reader_goid=reader,
        )
