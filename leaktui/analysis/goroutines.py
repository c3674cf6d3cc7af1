"""Goroutines that pile up: which stack, blocked where, started by whom.

Law: a group is suspected when its number rises and its goroutines stay where they are. Waiting for the
network alone (IO wait) is load until shown otherwise, and the HTTP client's own goroutines belong to the
bodies that keep them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from leaktui.analysis import http_frames
from leaktui.analysis.attribution import innermost_user_frame
from leaktui.analysis.growth import rises, theil_sen
from leaktui.analysis.program import Program
from leaktui.analysis.series import Points, captures, series_by_key
from leaktui.model.assessment import GroupRow
from leaktui.model.frame import Frame, Stack
from leaktui.model.goroutine import Goroutine, GoroutineGroup
from leaktui.model.snapshot import GroupsLook, Snapshot
from leaktui.model.trace import GoroutineFlow, TraceSummary

_MOST_GOIDS = 1000
"""So many goroutines of a group are listed one by one; the count beside them is of all."""

LEAST_GAIN = 4
"""A group must gain this many goroutines to be suspected."""

StackKey = tuple[tuple[str, int], ...]
"""Functions and lines of a stack: equal across releases of the profile and kinds of dump."""

_WAITING = (
    "chan receive",
    "chan send",
    "select",
    "sync.",
    "semacquire",
    "sleep",
    "sync",
    "coroutine",
)


_SERVING = (
    "net/http.(*conn).serve",
    "net/http.(*http2serverConn).runHandler",
    "net/http/internal/http2.(*serverConn).runHandler",
    "golang.org/x/net/http2.(*serverConn).runHandler",
)


def stack_key(stack: Stack) -> StackKey:
    """What makes two goroutines the same suspect."""
    return tuple((frame.function, frame.line) for frame in stack)


def blocks(wait_reason: str) -> bool:
    """Whether *wait_reason* is one that only another goroutine (or a timer) can end."""
    return wait_reason.startswith(_WAITING)


def serves_a_connection(stack: Stack) -> bool:
    """Whether the goroutine handles a request of an HTTP server: its client decides how long it stays."""
    return any(frame.function in _SERVING for frame in stack[-2:])


@dataclass(frozen=True, slots=True)
class RisingGroup:
    """A group whose number rises, with everything known of it.

    `wakes` says that its goroutines were seen to wake and block again at the same place: tickers, loops,
    streams being served. `source` saw the group and `dumped_by` its goroutines one by one; `also_counted`
    is what others count, `unreachable` how many of them nothing can wake, both by source; there were `count_then`
    of them at the newest look for those.
    """

    stack: Stack
    entry: Frame
    blocked_at: Frame
    wait_reason: str
    count: int
    gain: int
    per_minute: float
    seconds: float
    created_by: Frame | None = None
    survivors: tuple[int, int] | None = None
    flow: GoroutineFlow | None = None
    source: str = "pprof"
    dumped_by: str = "pprof"
    also_counted: tuple[tuple[str, int], ...] = ()
    unreachable: tuple[tuple[str, int], ...] = ()
    count_then: int = 0
    wakes: bool = False
    oldest_wait_minutes: int | None = None

    @property
    def proven_leaked(self) -> int:
        """How many are known to wait for ever."""
        return max((count for _, count in self.unreachable), default=0)


def group_dump(goroutines: Iterable[Goroutine]) -> tuple[GoroutineGroup, ...]:
    """A dump counted by stack, labels, wait reason and creator, largest first."""
    counts: Counter[tuple[Stack, tuple[tuple[str, str], ...], str, Frame | None]] = Counter()
    oldest: dict[tuple[Stack, tuple[tuple[str, str], ...], str, Frame | None], int] = {}
    for goroutine in goroutines:
        key = (goroutine.stack, goroutine.labels, goroutine.wait_reason, goroutine.created_by)
        counts[key] += 1
        if goroutine.wait_minutes is not None:
            oldest[key] = max(oldest.get(key, 0), goroutine.wait_minutes)
    return tuple(
        GoroutineGroup(count, key[0], key[1], key[2], key[3], oldest.get(key))
        for key, count in counts.most_common()
    )


def list_groups(
    snapshots: Sequence[Snapshot], program: Program, baseline: float | None = None
) -> tuple[GroupRow, ...]:
    """A row per group of the newest profile, the fastest growing first, then the largest."""
    taken = captures(snapshots, lambda item: item.groups, lambda item: item.groups_time)
    dumps = captures(snapshots, lambda item: item.goroutines, lambda item: item.goroutines_time)
    if not taken:
        groups = group_dump(dumps[-1][1]) if dumps else ()
        return tuple(GroupRow(group, _owner(group.stack, program), None, 0) for group in groups)
    details = _dump_details(dumps[-1][1]) if dumps else {}
    latest = snapshots[-1]
    leaked, also = _counted(latest.leaked), _counted(latest.also)
    series = series_by_key(
        [(time, [((group.stack, group.labels), group.count) for group in groups]) for time, groups in taken]
    )
    rows = []
    for group in taken[-1][1]:
        points = series[group.stack, group.labels]
        start = _baseline_value(points, baseline)
        slope = theil_sen(points) if points[-1][1] != points[0][1] else None
        key = stack_key(group.stack)
        detail = details.get(key)
        goids: tuple[int, ...] = ()
        if detail is not None:
            goids = detail.goids
            group = replace(
                group,
                wait_reason=group.wait_reason or detail.wait_reason,
                created_by=detail.created_by,
                oldest_wait_minutes=detail.oldest_wait_minutes,
            )
        owner = _owner(group.stack, program)
        unreachable = max((count for _, count in leaked.get(key, ())), default=0)
        seen_by = dict.fromkeys((latest.groups_from, *(source for source, _ in also.get(key, ()))))
        rows.append(
            GroupRow(
                group,
                owner,
                slope,
                round(points[-1][1] - start),
                goids,
                unreachable=min(unreachable, group.count),
                sources=tuple(seen_by),
            )
        )
    rows.sort(key=_growth_then_size)
    return tuple(rows)


def _growth_then_size(row: GroupRow) -> tuple[float, int]:
    growth = row.slope.per_minute if row.slope is not None and row.slope.rising else 0.0
    return -growth, -row.group.count


def _owner(stack: Stack, program: Program) -> Frame | None:
    found = innermost_user_frame(stack, program)
    return found[1] if found else None


def _baseline_value(points: Points, baseline: float | None) -> float:
    if baseline is None:
        return points[0][1]
    earlier = [value for time, value in points if time <= baseline]
    return earlier[-1] if earlier else points[0][1]


@dataclass(frozen=True, slots=True)
class _Detail:
    created_by: Frame | None
    wait_reason: str
    oldest_wait_minutes: int | None
    goids: tuple[int, ...]


def _dump_details(goroutines: Sequence[Goroutine]) -> dict[StackKey, _Detail]:
    """What the dump knows beyond the profile, by stack."""
    members: dict[StackKey, list[Goroutine]] = {}
    keys: dict[Stack, StackKey] = {}
    for goroutine in goroutines:
        key = keys.get(goroutine.stack)
        if key is None:
            key = keys[goroutine.stack] = stack_key(goroutine.stack)
        members.setdefault(key, []).append(goroutine)
    details = {}
    for key, group in members.items():
        creators = Counter(item.created_by for item in group if item.created_by is not None)
        waits = [item.wait_minutes for item in group if item.wait_minutes is not None]
        details[key] = _Detail(
            created_by=creators.most_common(1)[0][0] if creators else None,
            wait_reason=Counter(item.wait_reason for item in group).most_common(1)[0][0],
            oldest_wait_minutes=max(waits) if waits else None,
            goids=tuple(sorted(item.goid for item in group)[:_MOST_GOIDS]),
        )
    return details


def rising_groups(
    snapshots: Sequence[Snapshot], traces: Sequence[TraceSummary], program: Program
) -> list[RisingGroup]:
    """Groups that rise, the HTTP client's own left out; the fastest first."""
    taken = captures(snapshots, lambda item: item.groups, lambda item: item.groups_time)
    if len(taken) < 4:
        return []
    representative: dict[StackKey, GoroutineGroup] = {}
    keys: dict[Stack, StackKey] = {}

    def key_of(group: GoroutineGroup) -> StackKey:
        key = keys.get(group.stack)
        if key is None:
            key = keys[group.stack] = stack_key(group.stack)
            representative[key] = group
        return key

    series = series_by_key(
        [(time, [(key_of(group), group.count) for group in groups]) for time, groups in taken]
    )
    dumps = captures(snapshots, lambda item: item.goroutines, lambda item: item.goroutines_time)
    details = _dump_details(dumps[-1][1]) if dumps else {}
    latest = snapshots[-1]
    leaked, also = _counted(latest.leaked), _counted(latest.also)
    found = []
    for key, points in series.items():
        group = representative[key]
        if not group.stack or http_frames.is_plumbing_goroutine(group.stack):
            continue
        slope = rises(points, least_gain=LEAST_GAIN)
        if slope is None:
            continue
        blocked = innermost_user_frame(group.stack, program)
        detail = details.get(key)
        found.append(
            RisingGroup(
                stack=group.stack,
                entry=group.stack[-1],
                blocked_at=blocked[1] if blocked else group.stack[0],
                wait_reason=group.wait_reason or (detail.wait_reason if detail else ""),
                count=round(points[-1][1]),
                gain=round(points[-1][1] - points[0][1]),
                per_minute=slope.per_minute,
                seconds=slope.seconds,
                created_by=detail.created_by if detail else None,
                survivors=_survivors(dumps, key),
                flow=_flow_of(traces, group.stack),
                source=latest.groups_from,
                dumped_by=latest.goroutines_from,
                also_counted=also.get(key, ()),
                unreachable=leaked.get(key, ()),
                count_then=_count_at(points, max((look.time for look in latest.leaked), default=0.0)),
                wakes=_wakes(traces, key),
                oldest_wait_minutes=detail.oldest_wait_minutes if detail else None,
            )
        )
    found.sort(key=lambda item: -item.per_minute)
    return found


def _count_at(points: Points, time: float) -> int:
    """How many there were at *time*: as many as were counted last before, or first of all."""
    before = [value for when, value in points if when <= time]
    return round(before[-1] if before else points[0][1])


def _survivors(dumps: Sequence[tuple[float, Sequence[Goroutine]]], key: StackKey) -> tuple[int, int] | None:
    """(still there, were there) of this stack's goroutines between the first and the last dump."""
    if len(dumps) < 2:
        return None
    before = {item.goid for item in dumps[0][1] if stack_key(item.stack) == key}
    if not before:
        return None
    after = {item.goid for item in dumps[-1][1] if item.goid in before and stack_key(item.stack) == key}
    return len(after), len(before)


def _flow_of(traces: Sequence[TraceSummary], stack: Stack) -> GoroutineFlow | None:
    """The newest trace's creations that ended up parked with this stack."""
    entry = stack[-1].function
    wanted = stack_key(stack)
    for trace in reversed(traces):
        flows = [flow for flow in trace.goroutines if flow.start and flow.start[-1].function == entry]
        same = [flow for flow in flows if stack_key(_user_part(flow.parked_stack)) == wanted]
        for flow in same or flows:
            return flow
    return None


def _wakes(traces: Sequence[TraceSummary], key: StackKey) -> bool:
    """Whether, in the newest trace, goroutines blocked at this stack more often than they stayed there."""
    for trace in reversed(traces):
        same = [stat for stat in trace.blocks if stack_key(_user_part(stat.stack)) == key]
        if same:
            return sum(stat.count for stat in same) >= 2 * sum(stat.parked for stat in same)
    return False


def _user_part(stack: Stack) -> Stack:
    """*stack* without the runtime frames at its top, as profiles show it."""
    for index, frame in enumerate(stack):
        if not frame.function.startswith("runtime."):
            return stack[index:]
    return stack


def _counted(looks: Iterable[GroupsLook]) -> dict[StackKey, tuple[tuple[str, int], ...]]:
    """Per stack, how many goroutines each of *looks* has."""
    counts: dict[StackKey, dict[str, int]] = {}
    for look in looks:
        for group in look.groups:
            of_stack = counts.setdefault(stack_key(group.stack), {})
            of_stack[look.source] = of_stack.get(look.source, 0) + group.count
    return {key: tuple(of_stack.items()) for key, of_stack in counts.items()}
