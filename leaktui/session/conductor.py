"""The session: engines in, Snapshots out.

Law: one thread an engine (and one more for its long captures); every fact is folded under one lock into
a new frozen Snapshot; a dead engine leaves what it has delivered in place and says so in its Source.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from leaktui.engines.protocol import (
    Engine,
    Fact,
    FdsSeen,
    GoroutinesSeen,
    GroupsSeen,
    HeapSeen,
    LeakedSeen,
    ProcessSeen,
    Refused,
    Request,
    TraceProgress,
    TraceSeen,
    Want,
)
from leaktui.errors import TargetGone
from leaktui.model.capability import Capability, Source, SourceState
from leaktui.model.snapshot import Snapshot
from leaktui.model.target import Target
from leaktui.session.events import ProgressMade, SessionEvent, SnapshotTaken, TargetExited
from leaktui.session.history import History
from leaktui.session.lane import Lane
from leaktui.text import format_bytes, format_count

CADENCE: Mapping[Want, float] = {
    Want.PROCESS: 1.0,
    Want.FDS: 2.0,
    Want.GROUPS: 1.0,
    Want.HEAP: 3.0,
    Want.GOROUTINES: 30.0,
}
"""Seconds between two looks, where the engine offers it. Lanes stretch what turns out to be slow."""

_LONG = frozenset({Want.TRACE, Want.HEAP_AFTER_GC})


class Session:
    """Watches one target. `listener` is called from the session's threads and must return at once."""

    def __init__(
        self,
        target: Target,
        engines: Sequence[Engine],
        listener: Callable[[SessionEvent], None] = lambda event: None,
        *,
        cadence: Mapping[Want, float] = CADENCE,
        allow_pauses: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.target = target
        self.history = History()
        self.allow_pauses = allow_pauses
        self._engines = tuple(engines)
        self._listener = listener
        self._cadence = dict(cadence)
        self._clock = clock
        self._lock = threading.Lock()
        self._snapshot = Snapshot(
            time=clock(),
            target=target,
            sources=tuple(Source(engine.name, SourceState.WAITING) for engine in self._engines),
        )
        self._capabilities: dict[str, Capability] = {}
        self._lanes: list[Lane] = []
        self._long_lanes: dict[str, Lane] = {}
        self._trace_seconds = 0.0
        self._under_way: set[Want] = set()
        self._probing = {engine.name for engine in self._engines}
        self._closed = False
        self.exited: str | None = None

    # -- life ----------------------------------------------------------------------------------

    def start(self) -> None:
        """Probe the engines, each in its thread, and begin capturing with those that are usable."""
        for engine in self._engines:
            threading.Thread(
                target=self._open, args=(engine,), name=f"leaktui-open-{engine.name}", daemon=True
            ).start()

    def _open(self, engine: Engine) -> None:
        try:
            capability = engine.probe(self.target)
        except Exception as error:  # noqa: BLE001 - a probe's defect must not end the session
            with self._lock:
                self._probing.discard(engine.name)
            self._fail(engine, error)
            return
        with self._lock:
            self._capabilities[engine.name] = capability
            self._probing.discard(engine.name)
        if not capability.usable:
            self._set_source(
                Source(engine.name, SourceState.UNAVAILABLE, capability.reason, remedy=capability.remedy)
            )
            return
        offered = set(capability.gives)
        cadence = {want: pace for want, pace in self._cadence.items() if want.value in offered}
        lane = Lane(engine, cadence, self._fold, self._fail, allow_pauses=self.allow_pauses)
        long_lane = Lane(engine, {}, self._fold, self._fail, self._finish, allow_pauses=self.allow_pauses)
        with self._lock:
            if self._closed:
                return
            self._lanes += [lane, long_lane]
            self._long_lanes[engine.name] = long_lane
        waiting = f"{capability.reason}: no answer yet" if capability.reason else "no answer yet"
        self._set_source(Source(engine.name, SourceState.WAITING, waiting))
        lane.start()
        long_lane.start()

    def close(self, timeout: float = 2.0) -> None:
        """End every thread and let go of the engines. Safe to call again."""
        with self._lock:
            self._closed = True
            lanes = list(self._lanes)
        for lane in lanes:
            lane.stop()
        for engine in self._engines:
            engine.close()
        deadline = time.monotonic() + timeout
        for lane in lanes:
            lane.join(max(0.0, deadline - time.monotonic()))

    # -- orders --------------------------------------------------------------------------------

    def order(
        self, wants: Iterable[Want], *, trace_seconds: float = 5.0, allow_pauses: bool | None = None
    ) -> bool:
        """Ask now for *wants*, of every engine that offers some of them; False when none does.

        *allow_pauses* is the consent to this one order; by default the session's own holds.
        """
        consent = self.allow_pauses if allow_pauses is None else allow_pauses
        wanted = frozenset(wants)
        asked = False
        with self._lock:
            lanes = list(self._lanes)
            if Want.TRACE in wanted:
                self._trace_seconds = trace_seconds
        for lane in lanes:
            is_long = lane is self._long_lanes.get(lane.engine.name)
            offered = {
                want
                for want in wanted
                if want.value in self._capabilities[lane.engine.name].gives and (want in _LONG) == is_long
            }
            if offered:
                if is_long:
                    with self._lock:
                        self._under_way |= offered
                lane.order(Request(frozenset(offered), trace_seconds=trace_seconds, allow_pauses=consent))
                asked = True
        return asked

    def _finish(self, request: Request) -> None:
        with self._lock:
            self._under_way -= request.wants
        self._listener(ProgressMade("", "", 1.0))

    def is_under_way(self, want: Want) -> bool:
        """Whether a long capture that was ordered has not ended yet."""
        with self._lock:
            return want in self._under_way

    def offers(self, want: Want) -> bool:
        """Whether some usable engine gives *want*."""
        with self._lock:
            return any(item.usable and want.value in item.gives for item in self._capabilities.values())

    @property
    def probing(self) -> bool:
        """Whether some engine has not yet said what it can do."""
        with self._lock:
            return bool(self._probing)

    def cancel(self) -> None:
        """Give up long captures under way."""
        for lane in list(self._long_lanes.values()):
            lane.cancel()

    def pause(self, paused: bool) -> None:
        """Stop or resume looking; what is known stays."""
        for lane in list(self._lanes):
            lane.pause(paused)

    @property
    def snapshot(self) -> Snapshot:
        """The newest whole picture."""
        with self._lock:
            return self._snapshot

    @property
    def capabilities(self) -> tuple[Capability, ...]:
        """What the engines said they can do, in their order."""
        with self._lock:
            return tuple(
                self._capabilities[engine.name]
                for engine in self._engines
                if engine.name in self._capabilities
            )

    # -- folding -------------------------------------------------------------------------------

    def _fold(self, engine: Engine, fact: Fact) -> None:
        now = self._clock()
        if isinstance(fact, TraceProgress):
            total = self._trace_seconds
            fraction = min(0.99, fact.seconds / total) if total else None
            text = f"execution trace: {format_bytes(fact.received_bytes)}"
            self._listener(ProgressMade(engine.name, text, fraction))
            return
        with self._lock:
            if self._closed:
                return
            snapshot = _with_fact(self._snapshot, fact, now, engine.name)
            source = _source_after(engine, fact, snapshot, self._source(engine.name))
            snapshot = _with_source(snapshot, source)
            self._snapshot = snapshot
        self.history.add(snapshot)
        self._listener(SnapshotTaken(snapshot))

    def _fail(self, engine: Engine, error: Exception) -> None:
        if isinstance(error, TargetGone):
            with self._lock:
                first, self.exited = self.exited is None, str(error)
                closed = self._closed
                lanes = list(self._lanes)
            for lane in lanes:
                lane.stop()
            if first and not closed:
                self._set_source(Source(engine.name, SourceState.FAILED, str(error)))
                self._listener(TargetExited(str(error)))
            return
        remedy = getattr(error, "remedy", "")
        self._set_source(Source(engine.name, SourceState.FAILED, str(error), remedy=remedy))

    def _source(self, name: str) -> Source:
        for source in self._snapshot.sources:
            if source.name == name:
                return source
        return Source(name, SourceState.WAITING)

    def _set_source(self, source: Source) -> None:
        with self._lock:
            if self._closed:
                return
            pause_ms = self._source(source.name).pause_ms
            self._snapshot = replace(
                _with_source(self._snapshot, replace(source, pause_ms=pause_ms)), time=self._clock()
            )
            snapshot = self._snapshot
        self._listener(SnapshotTaken(snapshot))


def _with_source(snapshot: Snapshot, source: Source) -> Snapshot:
    sources = tuple(source if item.name == source.name else item for item in snapshot.sources)
    return replace(snapshot, sources=sources)


def _with_fact(snapshot: Snapshot, fact: Fact, now: float, source: str) -> Snapshot:
    """*snapshot* with *fact*, which *source* delivered, folded in."""
    if isinstance(fact, ProcessSeen):
        return replace(snapshot, time=now, process=fact.stat, process_time=now)
    if isinstance(fact, FdsSeen):
        return replace(snapshot, time=now, fds=fact.fds, fds_time=now)
    if isinstance(fact, GroupsSeen):
        return replace(snapshot, time=now, groups=fact.groups, groups_time=now, groups_from=source)
    if isinstance(fact, GoroutinesSeen):
        return replace(snapshot, time=now, goroutines=fact.goroutines, goroutines_time=now)
    if isinstance(fact, LeakedSeen):
        return replace(snapshot, time=now, leaked_groups=fact.groups, leaked_groups_time=now)
    if isinstance(fact, HeapSeen):
        return replace(snapshot, time=now, heap=fact.heap, heap_time=now)
    if isinstance(fact, TraceSeen):
        return replace(snapshot, time=now, trace=fact.trace, trace_time=now)
    return replace(snapshot, time=now)


def _source_after(engine: Engine, fact: Fact, snapshot: Snapshot, before: Source) -> Source:
    """The engine's line after it delivered *fact*."""
    if isinstance(fact, Refused):
        return replace(before, state=SourceState.USED, detail=fact.reason, remedy=fact.remedy)
    pause_ms = before.pause_ms + (fact.pause_ms if isinstance(fact, GoroutinesSeen) else 0.0)
    detail = before.detail
    if isinstance(fact, GroupsSeen):
        detail = f"{format_count(snapshot.goroutine_count or 0)} goroutines"
    elif isinstance(fact, FdsSeen):
        detail = f"{format_count(len(fact.fds))} fds"
    elif before.state is not SourceState.USED:
        detail = ""
    return Source(engine.name, SourceState.USED, detail, pause_ms)
