"""Goroutines, one by one and in groups of equal stacks."""

from __future__ import annotations

from dataclasses import dataclass

from leaktui.model.frame import Frame, Stack

Labels = tuple[tuple[str, str], ...]
"""pprof labels, sorted by key."""


@dataclass(frozen=True, slots=True)
class Ancestor:
    """A goroutine that (transitively) created this one (GODEBUG=tracebackancestors)."""

    goid: int
    stack: Stack
    created_by: Frame | None = None


@dataclass(frozen=True, slots=True)
class Goroutine:
    """One goroutine as a `debug=2` dump or the memory engine sees it.

    `wait_reason` is the runtime's phrase (`select`, `chan receive`, `IO wait`, `running`, …);
    `wait_minutes` is whole minutes as Go prints them, None when it printed none (under a minute, or
    no GC has run since it parked). `created_by.line` is the line of the go statement.
    `elided` is the number of frames Go left out of a deep stack, -1 when it does not say how many.
    """

    goid: int
    wait_reason: str
    stack: Stack
    wait_minutes: int | None = None
    created_by: Frame | None = None
    parent_goid: int | None = None
    labels: Labels = ()
    locked_to_thread: bool = False
    leaked: bool = False
    elided: int = 0
    ancestors: tuple[Ancestor, ...] = ()


@dataclass(frozen=True, slots=True)
class GoroutineGroup:
    """Goroutines that share one stack and labels, as the goroutine profile counts them.

    The profile holds no wait reason and no creator: `wait_reason` is derived from the runtime frames
    at the top where they are present, else empty.
    """

    count: int
    stack: Stack
    labels: Labels = ()
    wait_reason: str = ""
    created_by: Frame | None = None
    oldest_wait_minutes: int | None = None
