"""What the memory engine reads beside goroutines by stack: bodies, heap, leaked goroutines, holders, details.

Law: one method a Want; each reads one Attachment, which is that thread's own, and yields facts. Readers that
remember (which body was which) are kept from one reading to the next.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from leaktui.engines.memory.attachment import Attachment
from leaktui.engines.memory.goroutines import Seen, Tally
from leaktui.engines.memory.grouping import group_seen
from leaktui.engines.memory.heap_census import read_heap_census
from leaktui.engines.memory.heap_map import HeapMap
from leaktui.engines.memory.http1_bodies import Http1Bodies
from leaktui.engines.memory.http2_bodies import Http2Bodies
from leaktui.engines.memory.memory_profile import MemoryProfile
from leaktui.engines.memory.unwind import End
from leaktui.engines.protocol import (
    BodiesSeen,
    DetailSeen,
    Fact,
    HandoffsSeen,
    HeapCensusSeen,
    HeapSeen,
    HoldersSeen,
    LeakedSeen,
    Refused,
    SearchProgress,
    Want,
)
from leaktui.errors import DecodeError, EngineUnavailable
from leaktui.model.handoff_watch import HandoffWatch
from leaktui.model.open_body import BodyCensus, OpenBody
from leaktui.model.wait import GoroutineDetail

if TYPE_CHECKING:  # the long looks come later, if at all: they are imported where they begin
    from leaktui.engines.memory.reachability import LeakedGoroutines

_DETAIL_TRIES = 20
_DETAIL_REST_SECONDS = 0.02
_HEAP_MAP_SECONDS = 3.0
"""How long the spans are taken to be where they were: only used to see which bodies have been freed."""


class Captures:
    """The readers of one Attachment, made when they are first needed. Not thread-safe."""

    def __init__(self, attachment: Attachment) -> None:
        self._attachment = attachment
        self._http1: Http1Bodies | None = None
        self._http2: Http2Bodies | None = None
        self._heap_map: HeapMap | None = None
        self._heap_map_time = 0.0

    def bodies(self, seen: Sequence[Seen], cancel: threading.Event) -> Iterator[Fact]:
        """The open response bodies."""
        if self._http1 is None:
            self._http1, self._http2 = Http1Bodies(self._attachment), Http2Bodies(self._attachment)
        assert self._http2 is not None
        unseen: list[str] = []
        heap = self._find_heap_map(cancel)
        if heap is None:
            unseen.append("Which bodies the garbage collector has freed is not known: no spans were found.")
        one = self._http1.read(seen, cancel, heap)
        two = self._http2.read(seen, cancel, heap)
        if cancel.is_set():
            return
        bodies: list[OpenBody] = [*one.bodies, *two.bodies]
        unseen += two.unseen
        yield BodiesSeen(
            BodyCensus(
                bodies=tuple(bodies),
                time=time.time(),
                idle_connections=one.idle_connections + two.idle_connections,
                awaiting=one.awaiting + two.awaiting,
                torn=one.torn + two.torn,
                unseen=tuple(unseen),
            )
        )

    def _find_heap_map(self, cancel: threading.Event) -> HeapMap | None:
        """The spans, read anew; None where they are not found."""
        now = time.monotonic()
        if self._heap_map is None or now - self._heap_map_time > _HEAP_MAP_SECONDS:
            try:
                self._heap_map = HeapMap.read(self._attachment, cancel)
            except (DecodeError, EngineUnavailable):
                self._heap_map = None
            self._heap_map_time = now
        return self._heap_map

    def heap(self, cancel: threading.Event) -> Iterator[Fact]:
        """The heap profile as of the last garbage collection."""
        profile = MemoryProfile.read(self._attachment, cancel)
        if profile is not None:
            yield HeapSeen(profile)
        elif not cancel.is_set():
            yield Refused(
                Want.HEAP,
                "the program keeps no heap profile (nothing in it ever asks for one)",
                "import runtime/pprof or net/http/pprof in it",
            )

    def heap_census(self, cancel: threading.Event) -> Iterator[Fact]:
        """The heap by size class and type."""
        census = read_heap_census(self._attachment, HeapMap.read(self._attachment, cancel), cancel)
        if not cancel.is_set():
            yield HeapCensusSeen(census)

    def handoffs(self, seconds: float, cancel: threading.Event) -> Iterator[Fact]:
        """Who is handed response bodies, watched for *seconds*."""
        from leaktui.engines.memory.handoffs import HandoffWatcher

        for step in HandoffWatcher(self._attachment).watch(seconds, cancel):
            yield HandoffsSeen(step) if isinstance(step, HandoffWatch) else step

    def leaked(self, cancel: threading.Event) -> Iterator[Fact]:
        """Goroutines that nothing live can wake."""
        from leaktui.engines.memory.reachability import LeakFinder

        for step in LeakFinder(self._attachment).find(cancel):
            if isinstance(step, SearchProgress):
                yield step
            else:
                yield self._leaked_fact(step)

    def _leaked_fact(self, found: LeakedGoroutines) -> Fact:
        if found.refusal:
            return Refused(Want.LEAKED, f"which goroutines are unreachable is not known: {found.refusal}")
        return LeakedSeen(group_seen(self._attachment.goroutines, list(found.proven), 0))

    def holders(self, subject: int, cancel: threading.Event) -> Iterator[Fact]:
        """What holds the object at *subject*, level by level."""
        from leaktui.engines.memory.holders import HolderFinder

        for step in HolderFinder(self._attachment).search(subject, cancel):
            yield step if isinstance(step, SearchProgress) else HoldersSeen(step)

    def detail(self, goid: int, cancel: threading.Event) -> Iterator[Fact]:
        """One goroutine looked at closely: nothing when it has gone."""
        from leaktui.engines.memory.deferred import DeferReader
        from leaktui.engines.memory.waits import WaitReader

        reader = self._attachment.goroutines
        address = next(
            (seen.address for seen in reader.iter_seen(Tally(), cancel) if seen.state.goid == goid), None
        )
        for _ in range(_DETAIL_TRIES):
            seen = reader.look(address) if address is not None else None
            if seen is None or seen.state.goid != goid or cancel.is_set():
                return
            if seen.trace.end is not End.TORN:
                waits, defers = WaitReader(self._attachment), DeferReader(self._attachment)
                detail = GoroutineDetail(goid, waits.read(seen), defers.deferred(seen), defers.panics(seen))
                if not defers.torn:
                    yield DetailSeen(detail)
                    return
            # It runs: what it waits for and has deferred is known when it rests.
            cancel.wait(_DETAIL_REST_SECONDS)
