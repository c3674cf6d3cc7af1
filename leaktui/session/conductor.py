"""The session: engines in, Snapshots out.

Law: one thread an engine (and one more for each sort of long capture); every fact is folded under one lock
into a new frozen Snapshot; a dead engine leaves what it has delivered in place and says so in its Source.
Where several engines give the same thing, the first of them that works is asked for it: they are in the
order of what they cost the target. Another one is asked now and then, so that two sources confirm each other.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from leaktui.engines.protocol import (
    DEBUGGING,
    LEDGERS,
    STOPPING,
    Engine,
    Fact,
    GroupsSeen,
    Request,
    SearchProgress,
    TraceProgress,
    Want,
)
from leaktui.errors import TargetGone
from leaktui.model.capability import Capability, Impact, Source, SourceState
from leaktui.model.snapshot import Snapshot
from leaktui.model.target import Target
from leaktui.model.tracepoint import TracepointPlan
from leaktui.session.events import ProgressMade, SessionEvent, SnapshotTaken, TargetExited
from leaktui.session.folding import source_after, with_fact, with_second_look, with_source
from leaktui.session.history import History
from leaktui.session.lane import Lane
from leaktui.text import format_bytes

CADENCE: Mapping[Want, float] = {
    Want.PROCESS: 1.0,
    Want.FDS: 2.0,
    Want.GROUPS: 1.0,
    Want.HEAP: 3.0,
    Want.GOROUTINES: 30.0,
    Want.BODIES: 1.0,
    Want.HEAP_CENSUS: 3.0,
}
"""Seconds between two looks, where the engine offers it. Lanes stretch what turns out to be slow."""

_FREE_DUMP_SECONDS = 5.0
"""Between two dumps of all goroutines where they cost the target nothing."""

_SECOND_LOOKS: Mapping[Want, float] = {Want.GROUPS: 10.0}
"""What is asked of a second source, too, and how often (seconds)."""

_LONG_LANES = (
    frozenset({Want.TRACE, Want.HEAP_AFTER_GC}),
    frozenset({Want.HANDOFFS}),
    frozenset({Want.LEAKED}),
    frozenset({Want.HOLDERS, Want.DETAIL}),
    DEBUGGING,
    *(frozenset({want}) for want in LEDGERS.values()),
)
"""What takes long, or is asked for by hand: each sort in a thread of its own."""

_LONG = frozenset().union(*_LONG_LANES)
_ON_DEMAND = frozenset(want.value for want in (*LEDGERS.values(), *DEBUGGING))


class Session:
    """Watches one target. `listener` is called from the session's threads and must return at once.

    *engines* come in the order in which they are preferred. With *dumps*, full goroutine dumps are taken
    regularly even where they stop the target; where they do not, they are taken anyway.
    """

    def __init__(
        self,
        target: Target,
        engines: Sequence[Engine],
        listener: Callable[[SessionEvent], None] = lambda event: None,
        *,
        cadence: Mapping[Want, float] = CADENCE,
        allow_pauses: bool = False,
        dumps: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.target = target
        self.history = History()
        self.allow_pauses = allow_pauses
        self._engines = tuple(engines)
        self._listener = listener
        self._cadence = dict(cadence)
        self._dumps = dumps
        self._clock = clock
        self._lock = threading.Lock()
        self._snapshot = Snapshot(
            time=clock(),
            target=target,
            sources=tuple(Source(engine.name, SourceState.WAITING) for engine in self._engines),
        )
        self._capabilities: dict[str, Capability] = {}
        self._lanes: list[Lane] = []
        self._regular_lanes: dict[str, Lane] = {}
        self._long_lanes: dict[tuple[str, Want], Lane] = {}
        self._trace_seconds = 0.0
        self._under_way: Counter[Want] = Counter()
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
        lane = Lane(engine, {}, self._fold, self._fail, allow_pauses=self.allow_pauses)
        long_lanes = {}
        for sort in _LONG_LANES:
            wants = [want for want in sort if want.value in capability.gives]
            if wants:
                long_lane = Lane(
                    engine, {}, self._fold, self._fail, self._finish, allow_pauses=self.allow_pauses
                )
                long_lanes.update({(engine.name, want): long_lane for want in wants})
        with self._lock:
            if self._closed:
                return
            self._lanes += [lane, *dict.fromkeys(long_lanes.values())]
            self._regular_lanes[engine.name] = lane
            self._long_lanes.update(long_lanes)
        answer = (
            "no answer yet" if set(capability.gives) - _ON_DEMAND else "ready, armed when it is asked for"
        )
        waiting = f"{capability.reason}: {answer}" if capability.reason else answer
        self._set_source(Source(engine.name, SourceState.WAITING, waiting))
        self._assign()
        for started in (lane, *dict.fromkeys(long_lanes.values())):
            started.start()

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

    # -- who is asked what ---------------------------------------------------------------------

    def _assign(self) -> None:
        """Tell each engine's lane what to ask for, and how often."""
        with self._lock:  # throughout: an older plan must not come after a newer one
            for name, lane in self._regular_lanes.items():
                lane.set_cadence(self._plan(name))

    def _plan(self, name: str) -> dict[Want, float]:
        capability = self._capabilities[name]
        failed = self._source(name).state is SourceState.FAILED
        plan = {}
        for want, pace in self._cadence.items():
            if want.value not in capability.gives:
                continue
            stops = _stops(capability, want)
            if stops and not self._dumps:
                continue
            if want is Want.GOROUTINES and not stops:
                pace = min(pace, _FREE_DUMP_SECONDS)
            # One that failed goes on being asked, slower and slower: it may come back.
            if failed or self._owner(want) == name:
                plan[want] = pace
            elif want in _SECOND_LOOKS and not stops:
                plan[want] = max(pace, _SECOND_LOOKS[want])
        return plan

    def _owner(self, want: Want) -> str:
        """The engine that is asked for *want*: the first that gives it and has not failed; empty for none."""
        offering = [
            engine.name
            for engine in self._engines
            if engine.name in self._capabilities
            and self._capabilities[engine.name].usable
            and want.value in self._capabilities[engine.name].gives
        ]
        working = [name for name in offering if self._source(name).state is not SourceState.FAILED]
        return next(iter(working or offering), "")

    # -- orders --------------------------------------------------------------------------------

    def order(
        self,
        wants: Iterable[Want],
        *,
        trace_seconds: float = 5.0,
        allow_pauses: bool | None = None,
        subject: int = 0,
        expression: str = "",
        frame_index: int = 0,
        plan: TracepointPlan | None = None,
        allow_breakpoints: bool = False,
    ) -> bool:
        """Ask now for *wants*, each of the engine whose it is; False when none offers any of them.

        *allow_pauses* is the consent to this one order; by default the session's own holds. With it, who is
        leaked is asked of every source. *subject* is what holders (an address) or details (a goid) are of; *expression*
        and *frame_index* are for an evaluation, *plan* with *allow_breakpoints* is for tracepoints.
        """
        consent = self.allow_pauses if allow_pauses is None else allow_pauses
        orders: dict[Lane, set[Want]] = {}
        with self._lock:
            for want in wants:
                if want is Want.TRACE:
                    self._trace_seconds = trace_seconds
                for name in self._asked(want, consent):
                    lane = self._long_lanes.get((name, want)) or self._regular_lanes[name]
                    orders.setdefault(lane, set()).add(want)
                    if want in _LONG:
                        self._under_way[want] += 1
        for lane, wanted in orders.items():
            lane.order(
                Request(
                    frozenset(wanted),
                    trace_seconds=trace_seconds,
                    allow_pauses=consent,
                    subject=subject,
                    expression=expression,
                    frame_index=frame_index,
                    plan=plan,
                    allow_breakpoints=allow_breakpoints,
                )
            )
        return bool(orders)

    def _asked(self, want: Want, consent: bool) -> list[str]:
        """The engines an order for *want* goes to."""
        owner = self._owner(want)
        if not owner or owner not in self._regular_lanes:
            return []
        if want is Want.LEAKED:
            offering = [name for name in self._regular_lanes if want.value in self._capabilities[name].gives]
            return [name for name in offering if consent or not _stops(self._capabilities[name], want)]
        return [owner]

    def _finish(self, request: Request) -> None:
        with self._lock:
            self._under_way.subtract(want for want in request.wants if want in _LONG)
        self._listener(ProgressMade("", "", 1.0))

    def is_under_way(self, want: Want) -> bool:
        """Whether a long capture that was ordered has not ended yet."""
        with self._lock:
            return self._under_way[want] > 0

    def offers(self, want: Want) -> bool:
        """Whether some usable engine gives *want*."""
        with self._lock:
            return any(item.usable and want.value in item.gives for item in self._capabilities.values())

    @property
    def probing(self) -> bool:
        """Whether some engine has not yet said what it can do."""
        with self._lock:
            return bool(self._probing)

    def cancel(self, wants: Iterable[Want] | None = None) -> None:
        """Give up the long captures under way, or those of *wants* alone."""
        given_up = _LONG if wants is None else frozenset(wants)
        with self._lock:
            lanes = {lane for (_, want), lane in self._long_lanes.items() if want in given_up}
        for lane in lanes:
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

    def receive(self, engine: Engine, fact: Fact) -> None:
        """Take in a *fact* that *engine* was not asked for: it comes from a capture."""
        self._fold(engine, fact)

    def fail(self, engine: Engine, error: Exception) -> None:
        """Take in that *engine* failed then: likewise."""
        self._fail(engine, error)

    def _fold(self, engine: Engine, fact: Fact) -> None:
        now = self._clock()
        if isinstance(fact, TraceProgress):
            total = self._trace_seconds
            fraction = min(0.99, fact.seconds / total) if total else None
            text = f"execution trace: {format_bytes(fact.received_bytes)}"
            self._listener(ProgressMade(engine.name, text, fraction))
            return
        if isinstance(fact, SearchProgress):
            if not self.is_under_way(Want.TRACE):  # one line tells how far things are
                fraction = min(0.99, fact.fraction) if fact.fraction is not None else None
                self._listener(ProgressMade(engine.name, fact.text, fraction))
            return
        with self._lock:
            if self._closed:
                return
            before = self._source(engine.name)
            second = isinstance(fact, GroupsSeen) and self._owner(Want.GROUPS) != engine.name
            if second and self._snapshot.groups is not None and self._snapshot.groups_from != engine.name:
                snapshot = with_second_look(self._snapshot, fact, now, engine.name)
            else:
                snapshot = with_fact(self._snapshot, fact, now, engine.name)
            source = source_after(engine, fact, snapshot, before, self._snapshot)
            snapshot = with_source(snapshot, source)
            self._snapshot = snapshot
        self.history.add(snapshot)
        self._listener(SnapshotTaken(snapshot))
        if before.state is SourceState.FAILED:
            self._assign()

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
        self._assign()

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
                with_source(self._snapshot, replace(source, pause_ms=pause_ms)), time=self._clock()
            )
            snapshot = self._snapshot
        self._listener(SnapshotTaken(snapshot))


def _stops(capability: Capability, want: Want) -> bool:
    """Whether that engine stops the target for a moment to get *want*."""
    return want in STOPPING and capability.impact is not Impact.NONE
