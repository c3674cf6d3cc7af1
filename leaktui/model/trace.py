"""What an execution trace tells, already folded: one record per stack, not per event.

Times are nanoseconds on the trace's own monotonic clock.
"""

from __future__ import annotations

from dataclasses import dataclass

from leaktui.model.frame import Stack


@dataclass(frozen=True, slots=True)
class BodyHandoff:
    """An HTTP response body handed to a caller during the trace.

    HTTP/1: `holder_goid` is the connection's `readLoop`, `caller_goid` the goroutine that called
    `roundTrip`, `stack` the caller's. HTTP/2: the holder is the stream's `doRequest` goroutine.
    `released_ns` is when the holder was let go (Close or EOF), None when it still waited at the end;
    `release_stack` is who let it go. `caller_alive` says whether the caller still existed at the end,
    `caller_reading` whether it was then blocked reading a response body,
    `caller_stack` its last seen stack, empty when none was seen.
    """

    holder_goid: int
    caller_goid: int
    opened_ns: int
    stack: Stack
    protocol: str = "HTTP/1"
    released_ns: int | None = None
    release_stack: Stack = ()
    caller_alive: bool = True
    caller_reading: bool = False
    caller_stack: Stack = ()


@dataclass(frozen=True, slots=True)
class GoroutineFlow:
    """Goroutines created at one stack during the trace.

    `created` and `ended` count within the trace; `parked` of them were blocked at its end, at
    `parked_stack` for `parked_reason` (the commonest). `start` is the entry function's stack.
    """

    creation_stack: Stack
    start: Stack
    created: int
    ended: int
    parked: int
    parked_stack: Stack = ()
    parked_reason: str = ""


@dataclass(frozen=True, slots=True)
class SyscallFlow:
    """Blocking system calls entered at one stack during the trace."""

    stack: Stack
    count: int


@dataclass(frozen=True, slots=True)
class HeapPoint:
    """Live heap right after a GC cycle, in bytes."""

    time_ns: int
    live_bytes: int


@dataclass(frozen=True, slots=True)
class TraceSummary:
    """Everything later steps need of one execution trace."""

    go_version: str
    duration_ns: int
    events: int
    handoffs: tuple[BodyHandoff, ...] = ()
    goroutines: tuple[GoroutineFlow, ...] = ()
    syscalls: tuple[SyscallFlow, ...] = ()
    heap: tuple[HeapPoint, ...] = ()
    gc_cycles: int = 0
    truncated: bool = False
