"""What a process did while it was watched, in figures that another process can be held against.

Law: pure. A figure is only given where some source counted it; what leaked is followed by its function, never by its
line, so that the build that mends it may have moved it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

from leaktui.analysis.attribution import innermost_user_frame
from leaktui.analysis.bodies import count_bodies
from leaktui.analysis.body_suspects import find_body_suspects
from leaktui.analysis.body_trend import censuses_of
from leaktui.analysis.fd_openers import tally_openers
from leaktui.analysis.fds import FILE_KINDS
from leaktui.analysis.growth import theil_sen
from leaktui.analysis.handoffs import Fate
from leaktui.analysis.heap import heap_observations, own_live_bytes
from leaktui.analysis.program import Program
from leaktui.analysis.series import Points, captures
from leaktui.model.assessment import Assessment
from leaktui.model.capability import SourceState
from leaktui.model.finding import Confidence, Finding, LeakKind
from leaktui.model.frame import Stack
from leaktui.model.ledger import LedgerKind
from leaktui.model.process import FdKind
from leaktui.model.snapshot import Snapshot
from leaktui.model.trace import TraceSummary
from leaktui.model.verification import Measure, Measurement
from leaktui.text import short_function

Suspect = tuple[LeakKind, str, str, int]
"""(kind, function, file, line); the function is empty where none is known."""

_CLOSURE = re.compile(r"(?:\.(?:func|gowrap|deferwrap)\d+(?:\.\d+)*|-fm|-range\d+)+$")
_LEDGERS = {
    LeakKind.HTTP_BODY: LedgerKind.BODIES,
    LeakKind.FD: LedgerKind.FDS,
    LeakKind.HEAP: LedgerKind.ALLOCATIONS,
}
_THINGS = {
    LeakKind.HTTP_BODY: "bodies",
    LeakKind.GOROUTINE: "goroutines",
    LeakKind.FD: "fds",
    LeakKind.HEAP: "live heap",
}


def suspect_of(finding: Finding) -> Suspect:
    """What names a finding."""
    place = finding.location
    return (finding.kind, finding.function, place.file if place else "", place.line if place else 0)


def enclosing_function(function: str) -> str:
    """*function* without the numbers the compiler gives its closures: another build may number them otherwise."""
    return _CLOSURE.sub("", function)


def same_suspect(one: Suspect, other: Suspect) -> bool:
    """Whether both are the same leak, wherever its line has moved to."""
    return one[0] is other[0] and enclosing_function(one[1]) == enclosing_function(other[1])


def measure(
    snapshots: Sequence[Snapshot],
    assessment: Assessment,
    program: Program,
    *,
    of: Suspect | None = None,
) -> Measurement:
    """The figures of a watched process: *snapshots* (oldest first, not empty) and what was made of them.

    *of* is the leak to follow, by default the first suspect of *assessment*. The result's own suspect is the one
    like *of* where there is one, else the first that surely leaks.
    """
    latest = snapshots[-1]
    traces = tuple(trace for _, trace in captures(snapshots, lambda s: s.trace, lambda s: s.trace_time))
    found = _own_suspect(assessment, of)
    followed = of if of is not None else found
    measures = [*_whole(snapshots), *_books(latest, assessment)]
    if followed is not None:
        measures.append(_of_suspect(followed, snapshots, traces, assessment, program))
    return Measurement(
        target=latest.target,
        seconds=_seconds(snapshots),
        measures=tuple(measures),
        suspect=found,
        sources=tuple(item.name for item in latest.sources if item.state is SourceState.USED),
    )


def _own_suspect(assessment: Assessment, of: Suspect | None) -> Suspect | None:
    sure = [
        item
        for item in assessment.suspects
        if item.confidence is not Confidence.POSSIBLE or item.surely_grows or of is None
    ]
    named = [suspect_of(item) for item in sure]
    same = [item for item in named if of is not None and same_suspect(item, of)]
    return next(iter(same or named), None)


def _seconds(snapshots: Sequence[Snapshot]) -> float:
    """How long was watched, from the first thing seen to the last."""
    return snapshots[-1].time - snapshots[0].time


# -- the whole process -----------------------------------------------------------------------------


def _whole(snapshots: Sequence[Snapshot]) -> list[Measure]:
    """The figures of the process as a whole."""
    measures = []
    for name, points, unit, kind in (
        ("open bodies", _open_bodies(snapshots), "", LeakKind.HTTP_BODY),
        ("goroutines", _goroutines(snapshots), "", LeakKind.GOROUTINE),
        *(
            (f"fds: {family.value}", points, "", LeakKind.FD)
            for family, points in sorted(_fds(snapshots).items(), key=lambda item: item[0].value)
        ),
        ("live heap", _live_heap(snapshots), "bytes", LeakKind.HEAP),
        ("resident memory", _resident(snapshots), "bytes", None),
    ):
        if points:
            measures.append(Measure(name, points[0][1], points[-1][1], theil_sen(points), unit, kind))
    return measures


def _books(latest: Snapshot, assessment: Assessment) -> list[Measure]:
    """What was opened and left by whoever it was, where probes kept books of it."""
    measures = []
    for kind, book in ((LeakKind.HTTP_BODY, LedgerKind.BODIES), (LeakKind.FD, LedgerKind.FDS)):
        ledger = latest.ledger(book)
        if ledger is not None and ledger.opened:
            left = sum(row.left_open for row in assessment.ledger if row.kind is book)
            name = all_callers(kind)
            measures.append(Measure(name, 0.0, ledger.still_open, kind=kind, opened=ledger.opened, left=left))
    return measures


def all_callers(kind: LeakKind) -> str:
    """What the row is called of all that opened things of that kind together."""
    return f"{_THINGS[kind]} of all callers"


def _open_bodies(snapshots: Sequence[Snapshot]) -> Points:
    censuses = censuses_of(snapshots)
    if censuses:
        return [(time, float(census.counts.unattended)) for time, census in censuses]
    taken = captures(snapshots, lambda item: item.groups, lambda item: item.groups_time)
    return [(time, float(count_bodies(groups).unattended)) for time, groups in taken]


def _goroutines(snapshots: Sequence[Snapshot]) -> Points:
    taken = captures(snapshots, lambda item: item.groups, lambda item: item.groups_time)
    return [(time, float(sum(group.count for group in groups))) for time, groups in taken]


def _fds(snapshots: Sequence[Snapshot]) -> dict[FdKind, Points]:
    """A series per family of descriptors: files, sockets, pipes; what the runtime has for itself left out."""
    taken = captures(snapshots, lambda item: item.fds, lambda item: item.fds_time)
    series: dict[FdKind, Points] = {FdKind.FILE: [], FdKind.SOCKET: [], FdKind.PIPE: []}
    for time, entries in taken:
        counts = dict.fromkeys(series, 0)
        for entry in entries:
            family = FdKind.FILE if entry.kind in FILE_KINDS else entry.kind
            if family in counts:
                counts[family] += 1
        for family, count in counts.items():
            series[family].append((time, float(count)))
    return {family: points for family, points in series.items() if any(value for _, value in points)}


def _live_heap(snapshots: Sequence[Snapshot]) -> Points:
    observed = heap_observations(snapshots)
    if observed:
        return [(time, float(own_live_bytes(profile))) for time, profile in observed]
    censuses = captures(snapshots, lambda item: item.heap_census, lambda item: item.heap_census_time)
    return [(time, float(census.live_bytes)) for time, census in censuses]


def _resident(snapshots: Sequence[Snapshot]) -> Points:
    taken = captures(snapshots, lambda item: item.process, lambda item: item.process_time)
    return [(time, float(stat.rss_bytes)) for time, stat in taken]


# -- what leaked -----------------------------------------------------------------------------------


def _of_suspect(
    suspect: Suspect,
    snapshots: Sequence[Snapshot],
    traces: Sequence[TraceSummary],
    assessment: Assessment,
    program: Program,
) -> Measure:
    """What the function of *suspect* opened, and what of it was left: by the source that sees most of it."""
    kind, function, _, _ = suspect
    is_it = _matcher(function, snapshots, traces)
    points: Points = []
    counted: tuple[int, int] | None = _booked(kind, is_it, snapshots[-1], assessment)
    if kind is LeakKind.HTTP_BODY:
        counted = counted or _handed(is_it, snapshots, traces, program)
        held = sum(body.owner is not None and is_it(body.owner.function) for body in assessment.bodies)
        points = [(0.0, 0.0), (_seconds(snapshots), float(counted[1] if counted else held))]
    elif kind is LeakKind.GOROUTINE:
        points = _of_entry(is_it, snapshots)
        counted = _started(is_it, snapshots, traces)
    elif kind is LeakKind.FD:
        counted = counted or _opened(is_it, traces, program)
        points = [(0.0, 0.0), (_seconds(snapshots), float(counted[1] if counted else 0))]
    else:
        points, allocated = _allocated(is_it, snapshots, program)
        counted = counted or allocated
    return Measure(
        name=measure_name(suspect),
        first=points[0][1] if points else 0.0,
        last=points[-1][1] if points else 0.0,
        slope=theil_sen(points),
        unit="bytes" if kind is LeakKind.HEAP else "",
        kind=kind,
        opened=counted[0] if counted else None,
        left=counted[1] if counted else None,
    )


def measure_name(suspect: Suspect) -> str:
    """What the row of a suspect is called: `bodies of main.loadUser user.go:41`."""
    kind, function, file, line = suspect
    where = f" {file.rpartition('/')[2]}:{line}" if file and line else ""
    return f"{_THINGS[kind]} of {short_function(function) or '?'}{where}"


def _matcher(
    function: str, snapshots: Sequence[Snapshot], traces: Sequence[TraceSummary]
) -> Callable[[str], bool]:
    """Whether a symbol is *function*: by its name, or, for a closure that got another number, by what it is in."""
    if not function:
        return lambda name: False
    outer = enclosing_function(function)
    if outer == function:
        return lambda name: name == function
    if any(function in names for names in _symbols(snapshots, traces)):
        return lambda name: name == function
    return lambda name: name != outer and enclosing_function(name) == outer


def _symbols(snapshots: Sequence[Snapshot], traces: Sequence[TraceSummary]) -> Iterable[set[str]]:
    """The functions that were seen, look by look."""
    for _, groups in captures(snapshots, lambda item: item.groups, lambda item: item.groups_time):
        yield {frame.function for group in groups for frame in group.stack}
    yield {name for name, _ in snapshots[-1].ended}
    for trace in traces:
        yield {frame.function for flow in trace.goroutines for frame in flow.start}
        yield {frame.function for handoff in trace.handoffs for frame in handoff.stack}
    for ledger in snapshots[-1].ledgers:
        yield {frame.function for place in ledger.places for frame in place.stack}


def _contains(stack: Stack, is_it: Callable[[str], bool]) -> bool:
    return any(is_it(frame.function) for frame in stack)


def _booked(
    kind: LeakKind, is_it: Callable[[str], bool], latest: Snapshot, assessment: Assessment
) -> tuple[int, int] | None:
    """(opened, left) by the books of probes; None where they have nothing of it."""
    ledger = latest.ledger(_LEDGERS[kind]) if kind in _LEDGERS else None
    if ledger is None:
        return None
    opened = left = 0
    for row in assessment.ledger:
        if row.kind is not ledger.kind:
            continue
        places = [ledger.places[index] for index in row.places if index < len(ledger.places)]
        own = row.owner is not None and is_it(row.owner.function)
        its = [place for place in places if own or _contains(place.stack, is_it)]
        opened += sum(place.opened for place in its)
        left += min(row.left_open, sum(place.open + place.collected for place in its))
    return (opened, left) if opened else None


def _handed(
    is_it: Callable[[str], bool],
    snapshots: Sequence[Snapshot],
    traces: Sequence[TraceSummary],
    program: Program,
) -> tuple[int, int] | None:
    """(opened, left) by the hand-offs that memory or a trace saw, whichever saw more."""
    seen = []
    for _, judged in find_body_suspects(snapshots, traces, program).by_source:
        its = [item for item in judged if _contains(item.handoff.stack, is_it)]
        seen.append((len(its), sum(item.fate is Fate.LEFT_OPEN for item in its)))
    best = max(seen, default=(0, 0))
    return best if best[0] else None


def _of_entry(is_it: Callable[[str], bool], snapshots: Sequence[Snapshot]) -> Points:
    """How many goroutines there were that began with the function."""
    taken = captures(snapshots, lambda item: item.groups, lambda item: item.groups_time)
    return [
        (
            time,
            float(sum(group.count for group in groups if group.stack and is_it(group.stack[-1].function))),
        )
        for time, groups in taken
    ]


def _started(
    is_it: Callable[[str], bool], snapshots: Sequence[Snapshot], traces: Sequence[TraceSummary]
) -> tuple[int, int] | None:
    """(started, left) of goroutines: by traces, else by those that looks show to be new, or to have ended."""
    created = gone = 0
    for trace in traces:
        for flow in trace.goroutines:
            if flow.start and is_it(flow.start[-1].function):
                created += flow.created
                gone += min(flow.ended, flow.created)
    if created:
        return created, created - gone
    ended = sum(count for name, count in snapshots[-1].ended if is_it(name))
    dumps = captures(snapshots, lambda item: item.goroutines, lambda item: item.goroutines_time)
    looks = [
        {item.goid for item in goroutines if item.stack and is_it(item.stack[-1].function)}
        for _, goroutines in dumps
    ]
    if len(looks) >= 2:
        new = set().union(*looks[1:]) - looks[0]
        left = len(new & looks[-1])
        if new or ended:
            return max(len(new), left + ended), left
    counts = [value for _, value in _of_entry(is_it, snapshots)]
    came = round(sum(max(0.0, later - earlier) for earlier, later in pairwise(counts)))
    left = max(0, round(counts[-1] - counts[0])) if counts else 0
    return (max(came, left + ended), left) if came or ended else None


def _opened(
    is_it: Callable[[str], bool], traces: Sequence[TraceSummary], program: Program
) -> tuple[int, int] | None:
    """(opened, left) of descriptors by the system calls of traces."""
    its = [item for item in tally_openers(traces, program) if is_it(item.owner.function)]
    opened = sum(item.opened for item in its)
    return (opened, sum(item.left_open for item in its)) if opened else None


def _allocated(
    is_it: Callable[[str], bool], snapshots: Sequence[Snapshot], program: Program
) -> tuple[Points, tuple[int, int] | None]:
    """Live bytes over time, and (allocated, still live) objects since the first look."""
    observed = heap_observations(snapshots)
    points: Points = []
    totals: list[tuple[int, int]] = []
    for time, profile in observed:
        its = []
        for site in profile.sites:
            owner = innermost_user_frame(site.stack, program)
            if owner is not None and is_it(owner[1].function):
                its.append(site)
        points.append((time, float(sum(site.inuse_bytes for site in its))))
        totals.append((sum(site.alloc_objects for site in its), sum(site.inuse_objects for site in its)))
    if len(totals) < 2:
        return points, None
    allocated = totals[-1][0] - totals[0][0]
    return points, (allocated, max(0, totals[-1][1] - totals[0][1])) if allocated > 0 else None
