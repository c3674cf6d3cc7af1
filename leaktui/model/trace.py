"""What an execution trace tells, already folded: one record per stack, not per event.

Times are nanoseconds on the trace's own monotonic clock. A trace ends in the middle of things: what is
"still" so is so at `TraceSummary.end_ns`.
"""

from __future__ import annotations

from dataclasses import dataclass

from leaktui.model.frame import Stack


@dataclass(frozen=True, slots=True)
class BodyHandoff:
    """An HTTP response body handed to a caller during the trace.

    HTTP/1: `holder_goid` is the connection's `readLoop`, `caller_goid` the goroutine that called
    `roundTrip`, `stack` the caller's, empty when the caller had been waiting since before the trace and
    the trace does not show where. HTTP/2: the holder is the stream's `doRequest` goroutine, which
    stays while the peer has more to send.
    `released_ns` is when the holder was let go (Close, EOF, cancelled, connection gone), None when it
    still waited at the end; `release_stack` is who let it go, empty when the kernel or a timer did.
    `whole` says that `stack` goes on to the function its goroutine began with; where it does not, the
    outermost calls are missing.
    `caller_alive` says whether the caller still existed at the end, None where that is not known (nor, where
    `caller_goid` is 0, who that is); `maybe_inside` are then the functions of `stack` that it may still have
    been inside. `caller_stack` is its last seen stack, empty when none was seen.
    `last_read_ns` is the last read of this body that went to the network, None when none did (what is already
    buffered is read without a trace). `reader_goid` is the goroutine that was inside a read of this body at
    the end: the caller (`caller_reading` is then True) or one that the caller created, or handed it to over a
    channel. `last_reader_goid` is who made the last read, at `last_read_stack`, whatever it did since; where the call
    that had asked was not on that stack any more, or the body must have come over a channel, `last_read_sure` is False:
    it may have been another body.
    `connection_stack` is the request for which the connection was opened, where the trace shows it (HTTP/1): with
    keep-alive that is mostly another one than the request that left the body.
    """

    holder_goid: int
    caller_goid: int
    opened_ns: int
    stack: Stack
    protocol: str = "HTTP/1"
    released_ns: int | None = None
    release_stack: Stack = ()
    caller_alive: bool | None = True
    caller_reading: bool = False
    caller_stack: Stack = ()
    last_read_ns: int | None = None
    reader_goid: int | None = None
    whole: bool = True
    maybe_inside: frozenset[str] = frozenset()
    last_reader_goid: int | None = None
    last_read_stack: Stack = ()
    last_read_sure: bool = True
    connection_stack: Stack = ()


@dataclass(frozen=True, slots=True)
class BodyReader:
    """A goroutine that was reading a response body at the end.

    `matched` says that it is the `reader_goid` of one of the hand-offs; the others read bodies opened
    before the trace, or got theirs in a way the trace does not show.
    """

    goid: int
    stack: Stack
    matched: bool


@dataclass(frozen=True, slots=True)
class GoroutineFlow:
    """Goroutines created at one stack during the trace.

    The innermost frame of `creation_stack` is the go statement; empty for what the runtime starts on its
    own (the collector's workers). `created` and `ended` count within the
    trace; `parked` of them were blocked at its end, at `parked_stack` for `parked_reason` (the
    commonest). `start` is the entry function's stack: one frame, its line the function's own.
    """

    creation_stack: Stack
    start: Stack
    created: int
    ended: int
    parked: int
    parked_stack: Stack = ()
    parked_reason: str = ""


@dataclass(frozen=True, slots=True)
class Descent:
    """Goroutines of one go statement, started by those of another: a node of the genealogy.

    `parent` is the index of the creators' node, None where they ran before the trace began; `creation_stack`
    then still ends in the function they began with. A goroutine whose line comes back to a go statement already
    in it counts there. The other fields are those of a `GoroutineFlow`.
    """

    parent: int | None
    creation_stack: Stack
    start: Stack
    created: int
    ended: int
    parked: int
    parked_stack: Stack = ()
    parked_reason: str = ""


@dataclass(frozen=True, slots=True)
class SyscallFlow:
    """System calls at one stack that open or close descriptors.

    `call` is the kernel's name for it (`openat`, `accept4`, `close`, …). Calls that Go makes without
    telling the scheduler are not traced: `socket` and `pipe2` are recognised by the call that follows
    (`connect` or `listen`, and `fcntl` in `os.Pipe`); `epoll_create1`, `inotify_init1` and `fcntl`
    duplicates are not seen at all. A trace does not hold results either: `failed` are the calls whose
    goroutine then did not go on as it does with a descriptor in hand (0 where that cannot be told).
    `paired` of the opens were followed by a close on the same goroutine (of the closes, preceded by an
    open), matched by how much of the stacks they share.
    """

    stack: Stack
    count: int
    call: str = ""
    failed: int = 0
    paired: int = 0


@dataclass(frozen=True, slots=True)
class BlockStat:
    """How long goroutines were blocked at one stack for one reason.

    Blocks that began before the trace are not among them. `count` and the times are of those that ended
    within it; `parked` goroutines were still there at its end, the first of them since `oldest_ns`. Both
    percentiles are of a sample when there are very many.
    """

    reason: str
    stack: Stack
    count: int
    total_ns: int
    p50_ns: int
    p99_ns: int
    parked: int = 0
    oldest_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Sleepers:
    """Goroutines that were blocked at `stack` from before the trace to its end.

    What for is not in the trace. Go 1.22 does not show where either: the stack is then empty.
    """

    stack: Stack
    count: int


@dataclass(frozen=True, slots=True)
class HeapPoint:
    """Live heap right after a GC cycle, in bytes."""

    time_ns: int
    live_bytes: int


@dataclass(frozen=True, slots=True)
class GcCycle:
    """A collection, from `begin_ns` (the trace's first moment where it ran already) to `end_ns`.

    `end_ns` is None where it still ran at the end. `live_bytes` is what it left alive, `goal_bytes` the size at
    which the next one was to end, 0 where not seen. `pause_ns` is how long it held the world stopped in all.
    """

    begin_ns: int
    end_ns: int | None
    live_bytes: int = 0
    goal_bytes: int = 0
    pause_ns: int = 0


@dataclass(frozen=True, slots=True)
class TraceTimeline:
    """The trace in equal steps of `step_ns` from `start_ns` on; the last one may be unfinished.

    Per step: goroutines `created` and `ended`, nanoseconds of it in which a collection ran (`gc_ns`) or the world
    was stopped (`stop_ns`). At its end: goroutines `blocked` (whatever for, since whenever), response bodies handed
    over in the trace and still open (`open_bodies`), bytes of the heap (`heap_bytes`, live and not yet swept) and
    of its goal (`goal_bytes`), both 0 before they are first seen.
    """

    start_ns: int
    step_ns: int
    created: tuple[int, ...] = ()
    ended: tuple[int, ...] = ()
    blocked: tuple[int, ...] = ()
    open_bodies: tuple[int, ...] = ()
    heap_bytes: tuple[int, ...] = ()
    goal_bytes: tuple[int, ...] = ()
    gc_ns: tuple[int, ...] = ()
    stop_ns: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class TraceSummary:
    """Everything later steps need of one execution trace.

    `go_version` is that of the format (`go1.26` for Go 1.26 and 1.27). `truncated` means that the end
    is missing: the summary then stops at the last whole generation (about a second each).
    `omitted_handoffs` are released bodies beyond what is kept one by one.
    """

    go_version: str
    duration_ns: int
    events: int
    handoffs: tuple[BodyHandoff, ...] = ()
    goroutines: tuple[GoroutineFlow, ...] = ()
    syscalls: tuple[SyscallFlow, ...] = ()
    heap: tuple[HeapPoint, ...] = ()
    gc_cycles: int = 0
    truncated: bool = False
    start_ns: int = 0
    end_ns: int = 0
    omitted_handoffs: int = 0
    body_readers: tuple[BodyReader, ...] = ()
    blocks: tuple[BlockStat, ...] = ()
    gc_ns: int = 0
    """Time during which a GC cycle ran, in nanoseconds."""
    timeline: TraceTimeline | None = None
    genealogy: tuple[Descent, ...] = ()
    cycles: tuple[GcCycle, ...] = ()
    sleepers: tuple[Sleepers, ...] = ()
    created: int = 0
    ended: int = 0
    stops: int = 0
    """How often the world was stopped, for whatever."""
    stop_ns: int = 0
    procs: int = 0
    """The largest GOMAXPROCS seen, 0 where none was."""
    cpu_samples: int = 0
    """Samples of a CPU profile in the trace; nothing is made of them."""

    @property
    def largest_list(self) -> int:
        """How many entries the longest list has that is looked at row by row."""
        return max(map(len, (self.handoffs, self.blocks, self.genealogy, self.cycles)))
