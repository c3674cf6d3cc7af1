"""What a walkthrough is shown in tests: the made-up shop of the screens' tests, in each of its troubles."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from leaktui.engines.protocol import LEDGERS, Want
from leaktui.guide import Sight, State, WishKind, begin, step
from leaktui.guide.events import Event, Explained, FactsCame
from leaktui.model.assessment import Assessment, FdRow
from leaktui.model.capability import Capability, Impact, Source, SourceState
from leaktui.model.explanation import Explanation, MarkedLine, SkipReason
from leaktui.model.finding import Confidence, Evidence, Finding, LeakKind, Verdict
from leaktui.model.process import FdEntry, FdKind
from leaktui.model.wait import GoroutineDetail, Wait
from leaktui.session.history import Metric
from tests.tui.scene import (
    BODY_HOLDERS,
    CAPABILITIES,
    GROUPS,
    HELD_BODY,
    IN_MEMORY,
    LEAKING,
    LEVEL_SERIES,
    MEMORY_CAPABILITIES,
    MEMORY_SNAPSHOT,
    NEW_THUMBS,
    ORPHANED_BODY,
    OWNER,
    PROBING_CAPABILITIES,
    PROBING_SOURCES,
    RISING_SERIES,
    SITES,
    SNAPSHOT,
    SOURCES,
    SUSPECT,
    WORKER,
    rising,
)


def points_of(series: Any) -> dict[Metric, tuple[tuple[float, float], ...]]:
    return {metric: tuple((point.time, point.value) for point in points) for metric, points in series.items()}


RISING, LEVEL = points_of(RISING_SERIES), points_of(LEVEL_SERIES)
PROVEN = replace(SUSPECT, confidence=Confidence.PROVEN)
GOROUTINE = Finding(
    kind=LeakKind.GOROUTINE,
    confidence=Confidence.PROVEN,
    function="main.(*thumbnailer).run",
    location=WORKER[3],
    stack=WORKER,
    count=800,
    growth_per_minute=60.0,
    created_by=NEW_THUMBS,
    evidence=(Evidence("memory", "nothing live can wake them"),),
)
DESCRIPTOR = Finding(
    kind=LeakKind.FD,
    confidence=Confidence.LIKELY,
    function="main.loadUser",
    location=OWNER,
    stack=(OWNER,),
    count=40,
    growth_per_minute=30.0,
    evidence=(Evidence("trace", "30 of 30 files opened here were left open"),),
)
HEAP = Finding(
    kind=LeakKind.HEAP,
    confidence=Confidence.LIKELY,
    function="main.decodeItems",
    location=SITES[1].owner,
    stack=SITES[1].site.stack,
    count=41_000,
    growth_per_minute=3_000_000.0,
    evidence=(Evidence("pprof", "live bytes rose over 12 GCs"),),
)
EXPLANATION = Explanation(
    function="main.loadUser",
    file="/srv/shop/src/user.go",
    first_line=26,
    last_line=50,
    acquire_line=41,
    reason=SkipReason.EARLY_RETURN,
    text="The return at line 46 leaves resp.Body open.",
    marks=(MarkedLine(46, "returns here without Close"),),
    diff="--- a/user.go\n+++ b/user.go\n@@ -44,2 +44,3 @@\n \t}\n+\tdefer resp.Body.Close()\n",
    diff_certain=True,
)
ORPHANED = replace(ORPHANED_BODY, owner=OWNER)
DETAIL = GoroutineDetail(18, Wait())


def sight(**changes: Any) -> Sight:
    """The leaking shop as pprof shows it, with *changes*."""
    return replace(
        Sight(
            snapshot=SNAPSHOT,
            assessment=LEAKING,
            series=RISING,
            capabilities=CAPABILITIES,
            watched_seconds=84.0,
        ),
        **changes,
    )


def leaking(finding: Finding, **changes: Any) -> Sight:
    """The shop with one suspect."""
    return sight(assessment=replace(LEAKING, suspects=(finding,)), **changes)


def from_memory(*bodies: Any, finding: Finding = PROVEN) -> Sight:
    """Read from memory alone, where *bodies* are open."""
    assessment = replace(IN_MEMORY, suspects=(finding,), bodies=bodies or (ORPHANED, HELD_BODY))
    return sight(
        snapshot=MEMORY_SNAPSHOT,
        assessment=replace(assessment, settled=True),
        capabilities=MEMORY_CAPABILITIES,
    )


def probing(finding: Finding = SUSPECT, *, armed: bool = False) -> Sight:
    """Where probes could be armed."""
    base = from_memory(finding=finding)
    return replace(
        base,
        snapshot=replace(base.snapshot, sources=PROBING_SOURCES),
        capabilities=PROBING_CAPABILITIES,
        under_way=frozenset(LEDGERS.values()) if armed else frozenset(),
    )


def healthy() -> Sight:
    """Watched long enough, and nothing grows."""
    clean = replace(
        LEAKING, verdict=Verdict.CLEAN, suspects=(), bodies=(), open_bodies=0, groups=GROUPS[2:], fds=()
    )
    return sight(assessment=clean, series=LEVEL)


def looking() -> Sight:
    """Nothing found so far."""
    return sight(assessment=Assessment(SNAPSHOT.time, Verdict.UNDECIDED), series=LEVEL, watched_seconds=4.0)


def blind() -> Sight:
    """Nothing here can be seen but counters."""
    sources = (
        SOURCES[0],
        Source("pprof", SourceState.UNAVAILABLE, "no listener serves pprof", remedy="import net/http/pprof"),
        SOURCES[2],
    )
    capabilities = (CAPABILITIES[0], Capability("pprof", False, Impact.LIGHT), CAPABILITIES[2])
    snapshot = replace(SNAPSHOT, sources=sources, groups=None, goroutines=None, heap=None)
    missing = ("goroutines and bodies could not be seen",)
    return sight(
        snapshot=snapshot,
        assessment=Assessment(SNAPSHOT.time, Verdict.UNDECIDED, missing=missing),
        series={metric: LEVEL[metric] for metric in (Metric.RSS, Metric.FDS)},
        capabilities=capabilities,
    )


def with_descriptors() -> Sight:
    fds = (FdRow(FdKind.FILE, "/srv/invoices/*.tmp", 40, rising(30.0)),)
    entries = tuple(FdEntry(number, FdKind.FILE, f"/srv/invoices/{number}.tmp") for number in range(9, 20))
    return sight(
        snapshot=replace(SNAPSHOT, fds=entries),
        assessment=replace(LEAKING, suspects=(DESCRIPTOR,), fds=fds),
    )


def with_holders(base: Sight) -> Sight:
    """After the search for what holds the body has ended."""
    return replace(base, snapshot=replace(base.snapshot, holders=(BODY_HOLDERS,)))


def with_detail(base: Sight, goid: int) -> Sight:
    detail = replace(DETAIL, goid=goid)
    return replace(base, snapshot=replace(base.snapshot, details=(detail,)))


class Walker:
    """Walks on by half seconds, answering what is read from source by itself."""

    def __init__(self, shown: Sight, state: State | None = None, *, explanation: bool = True) -> None:
        self.shown = shown
        self.time = 1_000.0
        self.state = state or begin(paced=False)
        self._explains = explanation
        self.states: list[State] = []

    def happen(self, event: Callable[..., Event], *arguments: Any, **more: Any) -> State:
        self.state = step(self.state, event(self.time, *arguments, **more))
        return self.state

    def tick(self, seconds: float = 0.5) -> State:
        self.time += seconds
        self.happen(FactsCame, self.shown)
        if self.state.wished(WishKind.EXPLAIN) and not self.state.explained:
            if self._explains:
                self.happen(Explained, EXPLANATION)
            else:
                self.happen(Explained, None, "the source is not on this machine")
        self.states.append(self.state)
        return self.state

    def ticks(self, seconds: float) -> Iterator[State]:
        """Go on for *seconds*."""
        end = self.time + seconds
        while self.time < end:
            yield self.tick()

    def until(self, condition: Callable[[State], bool], seconds: float = 400.0) -> State:
        for state in self.ticks(seconds):
            if condition(state):
                return state
        raise AssertionError(f"not within {seconds} s: at {self.state.current.step.name}")

    def finish(self) -> State:
        return self.until(lambda state: state.finished)

    def wants(self, kind: WishKind) -> list[int]:
        """The subjects of the wishes of *kind*."""
        return [wish.subject for wish in self.state.wishes if wish.kind is kind]


def offering(base: Sight, *wants: Want) -> Sight:
    """*base* with a source that gives *wants*."""
    extra = Capability("delve", True, Impact.PAUSES, tuple(want.value for want in wants))
    return replace(base, capabilities=(*base.capabilities, extra))
