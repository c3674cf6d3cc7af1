"""A session with its analysis: what both `diagnose` and the terminal interface run.

Law: the analysis runs in a thread of its own, at most once a second and never longer than about half of
the time; what it costs the target is decided here and nowhere else: by itself an investigation orders only
what has impact none or light.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from leaktui.analysis.assess import Watch, assess
from leaktui.analysis.census_growth import growing_samples
from leaktui.analysis.measurement import measure, suspect_of
from leaktui.analysis.paired_burst import PairedBurst
from leaktui.analysis.program import Program, UnknownProgram
from leaktui.engines.protocol import LEDGERS, Engine, Want
from leaktui.model.assessment import EMPTY, Assessment
from leaktui.model.capability import SourceState
from leaktui.model.finding import Confidence, Diagnosis, Finding, LeakKind, Verdict
from leaktui.model.ledger import LedgerKind
from leaktui.model.target import Target
from leaktui.model.verification import Measurement
from leaktui.session import CADENCE, ProgressMade, Session, SessionEvent, SnapshotTaken, TargetExited
from leaktui.text import printable

_PACE_SECONDS = 1.0
_FIRST_TRACE_SECONDS = 5.0
_MEMORY_ALONE_SECONDS = 8.0
_NEXT_TRACE_SECONDS = 8.0
_MOST_TRACES = 4
_REST_SECONDS = 2.0
_DUMP_SECONDS = 5.0
_HANDOFF_SECONDS = 6.0
_HANDOFF_REST_SECONDS = 1.0
_HANDOFF_LONGEST_REST_SECONDS = 120.0
_MOST_SEARCHES = 4
_MOST_HELD = 6
_MOST_BODIES_ASKED = 8
_SEARCH_REST_SECONDS = 4.0


@dataclass(frozen=True, slots=True)
class Assessed:
    """A new assessment is there."""

    assessment: Assessment


InvestigationEvent = SessionEvent | Assessed
Listener = Callable[[InvestigationEvent], None]


class Investigation:
    """Watches a target and judges it. `listener` is called from background threads and must not block.

    *load_program* is called once, in the analysis thread, and may take its time (it reads the executable).
    With *dumps*, full goroutine dumps are taken now and then (each stops the target for milliseconds);
    without, only when nothing gentler can tell who started what piles up. With *probes*, they are armed as soon
    as there is something for them to tell; without, only by `arm`. *cadence* and *clock* are the session's.
    """

    def __init__(
        self,
        target: Target,
        engines: Sequence[Engine],
        listener: Listener = lambda event: None,
        *,
        load_program: Callable[[], Program] = UnknownProgram,
        allow_pauses: bool = False,
        automatic: bool = True,
        dumps: bool = True,
        probes: bool = False,
        deadline_seconds: float = 60.0,
        cadence: Mapping[Want, float] = CADENCE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.target = target
        self.deadline_seconds = deadline_seconds
        self._clock = clock
        self.started = clock()
        self._listener = listener
        self._load_program = load_program
        self._program: Program | None = None
        self._automatic = automatic
        self._baseline: float | None = None
        self._assessment = EMPTY
        self._judging = threading.Lock()
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._was_tracing = False
        self._traces_ordered = 0
        self._traces_ended = 0.0
        self._dumped = -_DUMP_SECONDS
        self._forced_gcs = 0
        self._watched_handoffs = -_HANDOFF_SECONDS
        self._handoff_rest = _HANDOFF_REST_SECONDS
        self._searches = 0
        self._searched = 0.0
        self._asked_holders_of: set[int] = set()
        self._asked_bodies: set[int] = set()
        self._failure = ""
        self._probes = probes
        self._armed_once: set[LedgerKind] = set()
        self._dumps = dumps
        self._pairs = PairedBurst()
        self.session = Session(
            target,
            engines,
            self._on_event,
            cadence=cadence,
            allow_pauses=allow_pauses,
            dumps=dumps,
            clock=clock,
        )
        self._thread = threading.Thread(target=self._run, name="leaktui-analysis", daemon=True)

    # -- life ----------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin watching."""
        self.started = self._clock()
        self.session.start()
        self._thread.start()

    def close(self) -> None:
        """Stop watching and let go of the target. Safe to call again."""
        self._stop.set()
        self._wake.set()
        self.session.close()
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join(2.0)
        if self._program is not None and not self._thread.is_alive():
            self._program.close()  # never under the analysis

    @property
    def assessment(self) -> Assessment:
        """The newest assessment."""
        return self._assessment

    @property
    def elapsed_seconds(self) -> float:
        """Seconds since `start`."""
        return self._clock() - self.started

    @property
    def sights(self) -> list[str]:
        """What is seen so far, a few words each: for one line on a terminal."""
        snapshot = self.session.snapshot
        sights = []
        if snapshot.goroutine_count is not None:
            sights.append(f"{snapshot.goroutine_count} goroutines")
        if self._assessment.open_bodies is not None:
            sights.append(f"{self._assessment.open_bodies} open bodies")
        if snapshot.fds is not None:
            sights.append(f"{len(snapshot.fds)} fds")
        return sights

    @property
    def tracing(self) -> bool:
        """Whether an execution trace is under way."""
        return self.session.is_under_way(Want.TRACE)

    @property
    def blind(self) -> bool:
        """Whether every source that could name a line has failed and none has delivered anything."""
        snapshot = self.session.snapshot
        if snapshot.groups is not None or snapshot.heap is not None or snapshot.goroutines is not None:
            return False
        if snapshot.ledgers:
            return False
        if self.session.probing:
            return False
        able = {item.engine for item in self.session.capabilities if Want.GROUPS.value in item.gives}
        states = [source.state for source in snapshot.sources if source.name in able]
        return all(state in (SourceState.FAILED, SourceState.UNAVAILABLE) for state in states)

    def set_baseline(self) -> None:
        """From now on the deltas of rows count from this moment."""
        self._baseline = self._clock()
        self._wake.set()

    def take_trace(self, seconds: float = _FIRST_TRACE_SECONDS) -> bool:
        """Order an execution trace; False when none can be taken or one is under way."""
        if self.tracing or not self.session.offers(Want.TRACE):
            return False
        self._traces_ordered += 1
        self._was_tracing = True
        return self.session.order({Want.TRACE}, trace_seconds=seconds)

    def offers_probes(self, kind: LedgerKind) -> bool:
        """Whether the books of *kind* can be kept here."""
        return self.session.offers(LEDGERS[kind])

    def armed(self, kind: LedgerKind) -> bool:
        """Whether the probes for *kind* are in, or about to be."""
        return self.session.is_under_way(LEDGERS[kind])

    def arm(self, kinds: Iterable[LedgerKind]) -> bool:
        """Have the books of *kinds* kept until `disarm` or the end; False when none of them can be (or all are)."""
        wanted = {LEDGERS[kind] for kind in kinds if self.offers_probes(kind) and not self.armed(kind)}
        return bool(wanted) and self.session.order(wanted, trace_seconds=math.inf)

    def disarm(self, kinds: Iterable[LedgerKind] = tuple(LedgerKind)) -> None:
        """Take the probes for *kinds* out of the target; the books stay readable."""
        self.session.cancel(LEDGERS[kind] for kind in kinds)

    # -- analysis ------------------------------------------------------------------------------

    def _on_event(self, event: SessionEvent) -> None:
        if isinstance(event, SnapshotTaken):
            self._wake.set()
        elif isinstance(event, ProgressMade) and self._was_tracing and not self.tracing:
            self._was_tracing = False
            self._traces_ended = time.monotonic()
            if self._dumps:
                # The dump right after a trace ties its goroutines to what they hold.
                self.session.order({Want.GOROUTINES})
            self._wake.set()
        elif isinstance(event, TargetExited):
            self._wake.set()
        self._listener(event)

    def _run(self) -> None:
        # Before anything is seen nothing can be judged, and reading the executable would hold up the sources.
        self._rest(_PACE_SECONDS, 0)
        while not self._stop.is_set():
            self._wake.wait(_PACE_SECONDS)
            self._wake.clear()
            if self._stop.is_set():
                return
            began = time.monotonic()
            sights = self._count_sights()
            try:
                self._assess()
                if self._automatic:
                    self._order_what_helps()
                self._failure = ""
            except Exception as error:  # noqa: BLE001 - watching goes on, and the report says what failed
                self._failure = f"the analysis failed ({type(error).__name__}: {printable(str(error), 200)})"
            took = time.monotonic() - began
            self._rest(max(_PACE_SECONDS - took, took), sights)

    def _rest(self, seconds: float, sights: int) -> None:
        """Wait *seconds*, but only until more sorts of things are seen than *sights*."""
        ends = time.monotonic() + seconds
        heard = False
        while not self._stop.is_set() and self._count_sights() <= sights:
            if not self._wake.wait(max(0.0, ends - time.monotonic())):
                break
            self._wake.clear()
            heard = True
        if heard:
            self._wake.set()  # whoever waits next is to know

    def _count_sights(self) -> int:
        """How many of the sorts of things that name a line have been seen at all."""
        snapshot = self.session.snapshot
        return sum(seen is not None for seen in (snapshot.groups, snapshot.heap, snapshot.bodies))

    def _assess(self) -> None:
        with self._judging:
            self._judge()
        self._listener(Assessed(self._assessment))

    def _judge(self) -> None:
        if self._program is None:
            self._program = self._load_program()
        # Sources change without a new fact; the newest snapshot has the newest sources.
        latest = self.session.snapshot
        snapshots = self.session.history.snapshots or (latest,)
        snapshots = (*snapshots[:-1], replace(snapshots[-1], sources=latest.sources))
        watch = Watch(
            elapsed_seconds=self.elapsed_seconds,
            deadline_seconds=self.deadline_seconds,
            tracing=self.tracing,
            searching=self._is_searching(),
            offers_trace=self.session.offers(Want.TRACE),
            probing=self.session.probing,
        )
        assessment = assess(snapshots, self._program, watch, baseline=self._baseline)
        self._assessment = replace(assessment, pairs=self._pairs.of(latest, self._program))

    def _order_what_helps(self) -> None:
        """Order the next light look that may settle what is open."""
        now = time.monotonic()
        self._order_memory_searches(now)
        self._order_probes()
        if (
            self.tracing
            or self.session.exited is not None
            or self._assessment.settled
            or self.session.probing
        ):
            return
        if self.session.allow_pauses and self._forced_gcs < self.elapsed_seconds / 4:
            self._forced_gcs += 1
            self.session.order(
                {Want.HEAP_AFTER_GC, Want.LEAKED} if self._forced_gcs % 3 == 1 else {Want.HEAP_AFTER_GC}
            )
        if not self._dumps and self._needs_dump() and now - self._dumped > _DUMP_SECONDS:
            self._dumped = now
            self.session.order({Want.GOROUTINES})
        if not self.session.offers(Want.TRACE) or self._traces_ordered >= _MOST_TRACES:
            return
        remaining = self.deadline_seconds - self.elapsed_seconds
        if self._traces_ordered == 0:
            if self.session.snapshot.groups is not None and not self._may_do_without_trace():
                self.take_trace(max(1.0, min(_FIRST_TRACE_SECONDS, remaining - 3)))
        elif (
            self._wants_another_trace()
            and now - self._traces_ended > _REST_SECONDS
            and remaining > _NEXT_TRACE_SECONDS / 2
        ):
            self.take_trace(max(1.0, min(_NEXT_TRACE_SECONDS, remaining - 3)))

    def _may_do_without_trace(self) -> bool:
        """Whether memory, which costs the target nothing, is still at it, or has said enough."""
        if not self.session.offers(Want.HANDOFFS):
            return False
        if any(item.confidence is not Confidence.POSSIBLE for item in self._assessment.suspects):
            return True
        return self.elapsed_seconds < min(_MEMORY_ALONE_SECONDS, self.deadline_seconds / 3)

    def _order_probes(self) -> None:
        """Arm what can tell more than is known: each kind at most once, and only when there is something to tell."""
        if not self._probes or self.session.exited is not None:
            return
        suspects = self._assessment.suspects
        wanted = {LedgerKind.BODIES}  # bodies may be leaked where nothing else sees any
        if any(row.slope is not None and row.slope.rising for row in self._assessment.fds):
            wanted.add(LedgerKind.FDS)
        if any(item.kind is LeakKind.FD and item.confidence is not Confidence.PROVEN for item in suspects):
            wanted.add(LedgerKind.FDS)
        if any(item.kind is LeakKind.HEAP and item.location is None for item in suspects):
            wanted.add(LedgerKind.ALLOCATIONS)
        for kind in wanted - self._armed_once:
            if self.arm({kind}):
                self._armed_once.add(kind)

    def _order_memory_searches(self, now: float) -> None:
        """Order the long looks at memory: they cost the target nothing, only ourselves."""
        snapshot = self.session.snapshot
        if self.session.exited is not None or self.session.probing or snapshot.groups is None:
            return
        if (
            snapshot.bodies is not None
            and snapshot.bodies.counts.unattended
            and not self._is_sure(LeakKind.HTTP_BODY)
            and not self.session.is_under_way(Want.HANDOFFS)
            and now - self._watched_handoffs > _HANDOFF_SECONDS + self._handoff_rest
        ):
            self._watched_handoffs = now
            self._handoff_rest = min(_HANDOFF_LONGEST_REST_SECONDS, 1.5 * self._handoff_rest)
            self.session.order({Want.HANDOFFS}, trace_seconds=_HANDOFF_SECONDS)
        if (
            any(row.slope is not None and row.slope.rising for row in self._assessment.groups)
            and not self._is_sure(LeakKind.GOROUTINE)
            and not self.session.is_under_way(Want.LEAKED)
            and self._searches < _MOST_SEARCHES
            and now - self._searched > _SEARCH_REST_SECONDS
        ):
            self._searches += 1
            self._searched = now
            self.session.order({Want.LEAKED}, allow_pauses=False)

        self._order_holders()

    def _is_searching(self) -> bool:
        """Whether a look at memory is under way, or about to be, that may make a suspect surer."""
        if any(self.session.is_under_way(want) for want in (Want.LEAKED, Want.HANDOFFS)):
            return True
        asking = self.session.is_under_way(Want.HOLDERS)
        return asking or bool(self._next_bodies_to_ask())

    def _next_bodies_to_ask(self) -> list[int]:
        """Bodies whose holders are worth looking for, and were not asked about yet."""
        if not self._automatic or not self.session.offers(Want.HOLDERS):
            return []
        if len(self._asked_bodies) >= _MOST_BODIES_ASKED:
            return []
        return [item for item in self._assessment.ask_holders_of if item not in self._asked_bodies]

    def _order_holders(self) -> None:
        """Ask who holds what was left open, or what grows where no profile says who allocates it, one by one."""
        bodies = self._next_bodies_to_ask()
        if bodies and not self.session.is_under_way(Want.HOLDERS):
            self._asked_bodies.add(bodies[0])
            self.session.order({Want.HOLDERS}, subject=bodies[0])
            return
        unlocated = any(
            item.kind is LeakKind.HEAP and item.location is None for item in self._assessment.suspects
        )
        if (
            not unlocated
            or self.session.is_under_way(Want.HOLDERS)
            or len(self._asked_holders_of) >= _MOST_HELD
        ):
            return
        for address in growing_samples(self.session.history.snapshots):
            if address not in self._asked_holders_of:
                self._asked_holders_of.add(address)
                self.session.order({Want.HOLDERS}, subject=address)
                return

    def _is_sure(self, kind: LeakKind) -> bool:
        """Whether a suspect of *kind* is as sure as can be."""
        return any(
            item.kind is kind and item.confidence is Confidence.PROVEN for item in self._assessment.suspects
        )

    def _needs_dump(self) -> bool:
        """Whether goroutines pile up and no trace has told, or can tell, who starts them."""
        if not self.session.offers(Want.TRACE):
            return True
        return self._traces_ended > 0 and any(
            item.kind is LeakKind.GOROUTINE
            and (item.created_by is None or item.confidence is Confidence.POSSIBLE)
            for item in self._assessment.suspects
        )

    def _wants_another_trace(self) -> bool:
        """Whether something grows whose line is not known yet."""
        return bool(self._assessment.suspects) or any(
            row.delta > 0 and row.slope is not None and row.slope.rising for row in self._assessment.groups
        )

    def judge(self) -> None:
        """Judge now, with everything seen so far, and go on watching."""
        self._assess()

    def conclude(self) -> None:
        """Judge once more with everything seen so far: the last word before `diagnosis`."""
        self._stop.set()
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join(5.0)
        self._assess()

    # -- result --------------------------------------------------------------------------------

    @property
    def program(self) -> Program:
        """What is known of the executable; of none before the first judgement."""
        return self._program or UnknownProgram()

    def measure(self, *, of: Finding | None = None, seconds: float = math.inf) -> Measurement:
        """The figures of the last *seconds*; of what *of* leaks, wherever its line has moved to."""
        snapshots = self.session.history.snapshots or (self.session.snapshot,)
        since = snapshots[-1].time - seconds
        recent = [item for item in snapshots if item.time >= since]
        with self._judging:
            program = self._program or UnknownProgram()
            return measure(recent, self._assessment, program, of=suspect_of(of) if of is not None else None)

    def diagnosis(self) -> Diagnosis:
        """What is known now, as the contract wants it."""
        assessment = self._assessment
        sources = self.session.snapshot.sources
        verdict = assessment.verdict
        if self.session.exited is not None and verdict is Verdict.CLEAN:
            verdict = Verdict.UNDECIDED
        notes = list(assessment.notes)
        # A source that is simply not there is said in `sources`; here only what it keeps from being seen.
        if verdict is not Verdict.LEAK:
            failed = {f"{item.name}: {item.detail}" for item in sources if item.state is not SourceState.USED}
            notes += [
                text for text in assessment.missing if text not in failed or verdict is Verdict.UNDECIDED
            ]
        if self.session.exited is not None:
            notes.insert(0, self.session.exited)
        if self._failure:
            notes.insert(0, self._failure)
        return Diagnosis(
            target=self.target,
            sources=sources,
            verdict=verdict,
            suspects=assessment.suspects,
            elapsed_seconds=self.elapsed_seconds,
            target_pause_ms=sum(source.pause_ms for source in sources),
            notes=tuple(notes),
        )
