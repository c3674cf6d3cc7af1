"""Hits of tracepoints added up: by the stack they came through, or by the function of the program that led there.

Law: pure; only hits that were recorded one by one are grouped, and whoever shows the groups says how many were not.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from enum import Enum

from leaktui.analysis.attribution import innermost_user_frame
from leaktui.analysis.program import Program, UnknownProgram
from leaktui.model.frame import Frame, Stack
from leaktui.model.tracepoint import TracepointHit, TracepointRun


class Grouping(Enum):
    """What makes two hits alike."""

    NONE = "none"
    STACK = "stack"
    FUNCTION = "function"


@dataclass(frozen=True, slots=True)
class HitGroup:
    """Hits that are alike. `caller` is the program's own frame that led there, None where none was seen.

    `bytes` adds up what was asked for, None where the hits have no size. `first` and `last` are seconds since the burst
    began; `per_second` is over the whole burst. `stack` is that of all of them, or of the first one (by function).
    """

    tracepoint: int
    function: str
    caller: Frame | None
    stack: Stack
    hits: int
    bytes: int | None
    first: float
    last: float
    per_second: float
    goroutines: int
    stacks: int = 1


def caller_of(stack: Stack, program: Program | None = None) -> Frame | None:
    """The innermost frame of the program itself; None where only Go's own were seen."""
    found = innermost_user_frame(stack, program or UnknownProgram())
    return found[1] if found is not None else None


def group_hits(run: TracepointRun, by: Grouping, program: Program | None = None) -> tuple[HitGroup, ...]:
    """The groups of *run*, most bytes first, then most hits; every hit by itself for NONE."""
    tallies: dict[Hashable, _Tally] = {}
    for index, hit in enumerate(run.hits):
        caller = caller_of(hit.stack, program)
        key = _key_of(hit, index, caller, by)
        tally = tallies.get(key)
        if tally is None:
            tally = tallies[key] = _Tally(hit, caller)
        tally.add(hit)
    seconds = _recorded_seconds(run)
    groups = [tally.group(_function_of(run, tally.hit), seconds) for tally in tallies.values()]
    if by is Grouping.NONE:
        return tuple(groups)
    return tuple(sorted(groups, key=lambda group: (-(group.bytes or 0), -group.hits, group.first)))


def _key_of(hit: TracepointHit, index: int, caller: Frame | None, by: Grouping) -> Hashable:
    if by is Grouping.NONE:
        return index
    if by is Grouping.FUNCTION:
        return hit.tracepoint, caller.function if caller is not None else hit.stack[-1:]
    return hit.tracepoint, _calls(hit.stack)


def _calls(stack: Stack) -> tuple[tuple[str, int], ...]:
    """A stack without its addresses: a burst may restart beside a new build of a function."""
    return tuple((frame.function, frame.line) for frame in stack)


def _function_of(run: TracepointRun, hit: TracepointHit) -> str:
    points = run.plan.tracepoints
    return points[hit.tracepoint].function if 0 <= hit.tracepoint < len(points) else ""


def _recorded_seconds(run: TracepointRun) -> float:
    """How long hits could come: a burst that reached its budget stopped recording with its last one."""
    full = len(run.hits) >= run.plan.most_hits
    return max(0.001, run.hits[-1].time if full and run.hits else run.seconds)


def lost_hits(run: TracepointRun) -> int:
    """How many hits were counted but not recorded one by one."""
    return max(0, sum(run.counts) - len(run.hits))


@dataclass(slots=True)
class _Tally:
    hit: TracepointHit
    caller: Frame | None
    hits: int = 0
    bytes: int | None = None
    first: float = 0.0
    last: float = 0.0
    goids: set[int] = field(default_factory=set)
    stacks: set[tuple[tuple[str, int], ...]] = field(default_factory=set)

    def add(self, hit: TracepointHit) -> None:
        self.first = hit.time if not self.hits else min(self.first, hit.time)
        self.last = max(self.last, hit.time)
        self.hits += 1
        if hit.size is not None:
            self.bytes = (self.bytes or 0) + hit.size
        self.goids.add(hit.goid)
        self.stacks.add(_calls(hit.stack))

    def group(self, function: str, seconds: float) -> HitGroup:
        return HitGroup(
            self.hit.tracepoint,
            function,
            self.caller,
            self.hit.stack,
            self.hits,
            self.bytes,
            self.first,
            self.last,
            self.hits / seconds,
            len(self.goids),
            len(self.stacks),
        )
