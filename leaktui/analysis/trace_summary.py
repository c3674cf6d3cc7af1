"""From the events of an execution trace to its `TraceSummary`.

Law: one pass in order of time, memory bounded by what lives at one moment and by distinct stacks, not by
the length of the trace. Each question has a module of its own (`trace_bodies`, `trace_readers`,
`trace_syscalls`, `trace_blocks`, `trace_goroutines`, `trace_collections`, `trace_timeline`); here the events
are dealt out.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable

from leaktui.analysis import trace_stacks as role_of
from leaktui.analysis.trace_blocks import BlockTimes
from leaktui.analysis.trace_bodies import BodyLedger
from leaktui.analysis.trace_collections import Collections
from leaktui.analysis.trace_goroutines import Flows, GoroutineRecord
from leaktui.analysis.trace_readers import Readers
from leaktui.analysis.trace_stacks import Numbers, Reasons, StackBook
from leaktui.analysis.trace_syscalls import DescriptorCalls
from leaktui.analysis.trace_timeline import Reading, TimelineRecorder
from leaktui.errors import DecodeError, LimitExceeded, Truncated
from leaktui.model.trace import Sleepers, TraceSummary
from leaktui.wire.trace import MAX_TRACE_BYTES, Event, Generation, TraceDecoder
from leaktui.wire.trace import events as ev

MAX_GOROUTINES = 1 << 21
# Clocks of different threads may disagree by a few ticks: a goroutine can seem to be woken before it
# sleeps. If it then goes to sleep within this many nanoseconds, it was.
_SKEW_NS = 20_000


class TraceFold:
    """Generations in order, one after the other, by `add`; the summary of all of them by `summary`."""

    def __init__(self) -> None:
        self._book = StackBook()
        self._goroutines: dict[int, GoroutineRecord] = {}
        self._flows = Flows(self._book)
        self._bodies = BodyLedger(self._book)
        self._readers = Readers(self._book)
        self._calls = DescriptorCalls(self._book)
        self._blocks = BlockTimes()
        self._collections = Collections()
        self._kinds: Counter[int] = Counter()
        self._cpu_samples = 0
        self._created_count = 0
        self._ended_count = 0
        # Goroutines blocked, less those that were so before the trace: these are counted as they are met.
        self._asleep = 0
        self._asleep_before: dict[int, int] = {}  # goroutine → where, as far as it has not ended since
        self._woken_before = 0
        self._timeline: TimelineRecorder | None = None
        self._start: int | None = None
        self._end = 0

    def add(self, generation: Generation) -> None:
        """Fold the next generation in; raises DecodeError where its bytes are damaged."""
        numbers = Numbers(self._book, generation.tables)
        reasons = Reasons(generation.tables)
        for window in generation.windows():
            if self._timeline is None:
                self._start = window[0][0]
                self._timeline = TimelineRecorder(self._start)
            self._end = max(self._end, window[-1][0])
            self._deal_in_steps(window, self._timeline, numbers, reasons)
        self._kinds.update(generation.counts)
        self._cpu_samples += generation.cpu_samples

    def _deal_in_steps(
        self, window: list[Event], timeline: TimelineRecorder, numbers: Numbers, reasons: Reasons
    ) -> None:
        first, size = 0, len(window)
        while first < size:
            cut = bisect_left(window, (timeline.edge_ns,), first)
            if cut > first:
                self._deal(window[first:cut], numbers, reasons)
            if cut < size:
                timeline.close(self._reading(), window[cut][0])
            first = cut

    def _reading(self) -> Reading:
        return Reading(
            created=self._created_count,
            ended=self._ended_count,
            blocked=self._asleep,
            open_bodies=self._bodies.open,
            heap_bytes=self._collections.heap_bytes,
            goal_bytes=self._collections.goal_bytes,
        )

    def _deal(self, window: list[Event], numbers: Numbers, reasons: Reasons) -> None:
        goroutines, roles = self._goroutines, self._book.roles
        meet, acts = self._meet, role_of.ACTS
        slept = woken = 0
        for time, kind, goid, first, second, third in window:
            if kind == ev.GO_BLOCK:
                stack = numbers[second]
                role = roles[stack]
                goroutine = goroutines.get(goid) or meet(goid, 0)
                reason = reasons[first]
                if role & acts or goroutine.watched or goroutine.unsettled is not None:
                    self._seen(goroutine, time, stack, role)
                    self._bodies.blocked(goroutine, time, role)
                goroutine.blocked_ns = time
                goroutine.reason = reason
                goroutine.stack = stack
                slept += 1
                if goroutine.early_ns:
                    if time - goroutine.early_ns < _SKEW_NS:
                        goroutine.blocked_ns = 0
                        woken += 1
                    goroutine.early_ns = 0
            elif kind == ev.GO_UNBLOCK:
                stack = numbers[second]
                role = roles[stack]
                goroutine = goroutines.get(first) or meet(first, -1)
                blocked = goroutine.blocked_ns
                waker = (goroutines.get(goid) or meet(goid, 0)) if goid else None
                if role & acts or goroutine.watched or goroutine.sending:
                    self._bodies.unblocked(goroutine, waker, time, stack, role)
                if waker is not None:
                    if goroutine.reason == "chan send" and blocked:
                        waker.giver, waker.given_ns, waker.giver_stack = goroutine, time, goroutine.stack
                    elif role & role_of.SENDS:
                        goroutine.giver, goroutine.given_ns, goroutine.giver_stack = waker, time, stack
                if blocked > 0:
                    self._blocks.add(goroutine.reason, goroutine.stack, time - blocked)
                elif not blocked:
                    goroutine.early_ns = time
                    woken -= 1
                woken += 1
                goroutine.blocked_ns = 0
            elif kind == ev.GO_SYSCALL_BEGIN or kind == ev.GO_STOP:
                stack = numbers[first if kind == ev.GO_SYSCALL_BEGIN else second]
                role = roles[stack]
                goroutine = goroutines.get(goid) or meet(goid, 0)
                if role & acts or goroutine.watched or goroutine.unsettled is not None:
                    if kind == ev.GO_SYSCALL_BEGIN:
                        self._seen(goroutine, time, stack, role)
                        if role & role_of.USES_DESCRIPTORS:
                            self._calls.called(goroutine, stack)
                    self._bodies.went_on(goroutine, time, role)
                goroutine.stack = stack
            elif kind == ev.HEAP_ALLOC:
                self._collections.heap_bytes = first
            elif kind == ev.GO_CREATE or kind == ev.GO_CREATE_BLOCKED:
                self._created(
                    time, goid, first, numbers[second], numbers[third], kind == ev.GO_CREATE_BLOCKED
                )
            elif kind == ev.GO_DESTROY:
                self._ended(goid, time)
            elif kind == ev.GO_STATUS:
                if first == ev.WAITING and goid not in goroutines:
                    self._asleep_before.setdefault(goid, numbers[second])
                if second and first == ev.WAITING and goid not in goroutines and roles[numbers[second]]:
                    meet(goid, -1).stack = numbers[second]
            elif kind == ev.GO_SWITCH or kind == ev.GO_SWITCH_DESTROY:
                # Coroutines (iter.Pull, Go 1.23): the one sleeps while the other runs.
                if kind == ev.GO_SWITCH_DESTROY:
                    self._ended(goid, time)
                elif goid:
                    (goroutines.get(goid) or meet(goid, 0)).blocked_ns = -1
                    slept += 1
                goroutine = goroutines.get(first) or meet(first, -1)
                woken += goroutine.blocked_ns != 0
                goroutine.blocked_ns = 0
            else:
                self._collections.take(kind, time, first, self._start or 0)
        self._asleep += slept - woken

    def _meet(self, goid: int, blocked_ns: int) -> GoroutineRecord:
        if len(self._goroutines) >= MAX_GOROUTINES:
            raise LimitExceeded(f"the execution trace shows more than {MAX_GOROUTINES} goroutines at once")
        goroutine = self._goroutines[goid] = GoroutineRecord(goid, blocked_ns)
        return goroutine

    def _seen(self, goroutine: GoroutineRecord, time: int, stack: int, role: int) -> None:
        if goroutine.unsettled is not None:
            self._calls.settle(goroutine, stack)
        if role & role_of.READS_BODY:
            self._readers.read(goroutine, time, stack)

    def _created(self, time: int, creator_id: int, goid: int, start: int, stack: int, blocked: bool) -> None:
        creator = self._goroutines.get(creator_id)
        if creator is None and creator_id:
            creator = self._meet(creator_id, 0)
        goroutine = self._meet(goid, -1 if blocked else 0)
        goroutine.creator, goroutine.created_ns, goroutine.creation = creator, time, stack
        self._created_count += 1
        self._asleep += blocked
        flow = self._flows.of(creator.flow if creator is not None else None, stack, start)
        flow.created += 1
        goroutine.flow = flow
        role = self._book.roles[stack]
        if creator is not None:
            if creator.watched:
                self._bodies.went_on(creator, time, role)
            if role & role_of.H2_ASKS:
                self._bodies.stream_started(creator, goroutine, stack)

    def _ended(self, goid: int, time: int) -> None:
        self._ended_count += 1
        if self._asleep_before.pop(goid, None) is not None:
            self._woken_before += 1
        goroutine = self._goroutines.pop(goid, None)
        if goroutine is None:
            return
        goroutine.ended = True
        goroutine.blocked_ns = 0
        if goroutine.flow is not None:
            goroutine.flow.ended += 1
        self._bodies.ended(goroutine, time)
        # The record may outlive the goroutine in an open body; it must not keep others alive.
        goroutine.creator = goroutine.giver = goroutine.reading = goroutine.opened_calls = None

    def summary(self, format_version: str, *, truncated: bool = False) -> TraceSummary:
        """What all generations added so far tell."""
        start, kinds = self._start or 0, self._kinds
        alive = self._goroutines.values()
        collections = self._collections
        cycles, stops = collections.cycles(), collections.stops
        self._flows.count_parked(alive)
        timeline = None
        if self._timeline is not None:
            before = len(self._asleep_before) + self._woken_before
            ran = [(cycle.begin_ns, cycle.end_ns or self._end) for cycle in cycles]
            timeline = self._timeline.timeline(self._reading(), before, ran, stops)
        return TraceSummary(
            go_version=format_version,
            duration_ns=max(0, self._end - start),
            events=sum(kinds.values()),
            handoffs=self._bodies.handoffs(alive, self._readers),
            goroutines=self._flows.flows(),
            syscalls=self._calls.flows(),
            heap=collections.live_heap(),
            gc_cycles=kinds[ev.GC_END],
            truncated=truncated,
            start_ns=start,
            end_ns=self._end,
            omitted_handoffs=self._bodies.omitted,
            body_readers=self._readers.all(alive),
            blocks=self._blocks.stats(alive, self._book),
            gc_ns=collections.gc_ns,
            timeline=timeline,
            genealogy=self._flows.genealogy(),
            cycles=cycles,
            sleepers=self._sleepers(),
            created=kinds[ev.GO_CREATE] + kinds[ev.GO_CREATE_BLOCKED] + kinds[ev.GO_CREATE_SYSCALL],
            ended=kinds[ev.GO_DESTROY] + kinds[ev.GO_DESTROY_SYSCALL] + kinds[ev.GO_SWITCH_DESTROY],
            stops=kinds[ev.STW_BEGIN],
            stop_ns=collections.stop_ns,
            procs=collections.procs,
            cpu_samples=self._cpu_samples,
        )

    def _sleepers(self) -> tuple[Sleepers, ...]:
        """Who slept from before the trace to its end, most first."""
        places: Counter[int] = Counter()
        for goid, stack in self._asleep_before.items():
            goroutine = self._goroutines.get(goid)
            if goroutine is None or goroutine.blocked_ns < 0:
                places[stack] += 1
        return tuple(Sleepers(self._book.stacks[stack], count) for stack, count in places.most_common())


class TraceSummarizer:
    """An execution trace, as its bytes arrive, to its summary.

    `feed` raises DecodeError (LimitExceeded) when the bytes are damaged; `finish` still gives what was
    whole before that, marked as truncated, and raises Truncated when nothing was.
    """

    def __init__(self, max_bytes: int = MAX_TRACE_BYTES) -> None:
        self._decoder = TraceDecoder(max_bytes)
        self._fold = TraceFold()
        self._folded = 0
        self._damaged = False

    @property
    def received_bytes(self) -> int:
        """Bytes fed so far."""
        return self._decoder.received_bytes

    @property
    def generations(self) -> int:
        """Generations (about a second each) folded so far."""
        return self._folded

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the trace."""
        for generation in self._decoder.feed(data):
            self._add(generation)

    def finish(self) -> TraceSummary:
        """The summary of everything that arrived whole."""
        try:
            last = [] if self._damaged else self._decoder.finish()
            for generation in last:
                self._add(generation)
        except DecodeError:
            if not self._folded:
                raise
        if not self._folded:
            raise Truncated("the execution trace is damaged before its first second is complete")
        truncated = self._damaged or self._decoder.truncated
        return self._fold.summary(self._decoder.format_version, truncated=truncated)

    def _add(self, generation: Generation) -> None:
        try:
            self._fold.add(generation)
        except DecodeError:
            self._damaged = True
            raise
        self._folded += 1


def summarize_trace(chunks: Iterable[bytes], *, max_bytes: int = MAX_TRACE_BYTES) -> TraceSummary:
    """The summary of a whole trace, given in pieces of any size.

    Raises DecodeError for anything that is no sound execution trace, Truncated when it ends before its
    first generation is complete, LimitExceeded beyond *max_bytes*.
    """
    summarizer = TraceSummarizer(max_bytes)
    for chunk in chunks:
        summarizer.feed(chunk)
    return summarizer.finish()
