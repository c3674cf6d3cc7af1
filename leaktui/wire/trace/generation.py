"""One generation of a trace: about a second of events with its own tables.

Law: events leave here in order of time, each with the goroutine it happened on. The trace format
orders events of different threads by sequence numbers; following the stream order within a thread and
the clock between threads gives the same order as far as leaktui looks (counts and goroutines compared
with Go's own reader, Go 1.22 to 1.27), at a fraction of the price.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from operator import itemgetter

from leaktui.errors import DecodeError, LimitExceeded
from leaktui.wire.trace import events as ev
from leaktui.wire.trace.tables import Tables
from leaktui.wire.trace.varint import decode_varints

Event = tuple[int, int, int, int, int, int]
"""(time in ns, event number, goroutine or 0, then three arguments; unused ones are 0):

    GO_CREATE, GO_CREATE_BLOCKED      new goroutine, its first stack, stack
    GO_DESTROY                        –
    GO_STOP, GO_BLOCK                 reason (string), stack
    GO_UNBLOCK                        goroutine unblocked, stack
    GO_SYSCALL_BEGIN                  stack
    GO_STATUS                         status, stack (0 before Go 1.23)     goroutine: the one described
    GO_SWITCH, GO_SWITCH_DESTROY      goroutine switched to
    GC_ACTIVE, GC_BEGIN, GC_END       –
    STW_BEGIN                         reason (string)
    STW_END                           –
    HEAP_ALLOC, HEAP_GOAL             bytes of live heap, bytes at which the next cycle is to end
    PROCS_CHANGE                      GOMAXPROCS

Both ways to end are GO_DESTROY, both statuses GO_STATUS. Other events are counted, not passed on.
"""

_WINDOW = 1 << 16
_SAMPLE_TOKENS = 6
# Events of batches that overlap in time: one batch (some 15,000 events) for each thread of the target.
_MAX_OVERLAP = 1 << 22

# What to do with an event, by number; see _decode_batch.
(_PASS, _SLEEP, _UNBLOCK, _START, _CREATE, _SYSCALL, _VALUE, _DESTROY, _LEAVE, _STATUS, _SWITCH, _MARK) = (
    range(12)
)


def _actions() -> tuple[int, ...]:
    actions = [_PASS] * ev.EXPERIMENTAL_FIRST
    for action, kinds in {
        _SLEEP: (ev.GO_BLOCK, ev.GO_STOP),
        _UNBLOCK: (ev.GO_UNBLOCK,),
        _START: (ev.GO_START, ev.GO_CREATE_SYSCALL),
        _CREATE: (ev.GO_CREATE, ev.GO_CREATE_BLOCKED),
        _SYSCALL: (ev.GO_SYSCALL_BEGIN,),
        _VALUE: (ev.HEAP_ALLOC, ev.HEAP_GOAL, ev.PROCS_CHANGE, ev.STW_BEGIN),
        _MARK: (ev.GC_ACTIVE, ev.GC_BEGIN, ev.GC_END, ev.STW_END),
        _DESTROY: (ev.GO_DESTROY, ev.GO_DESTROY_SYSCALL),
        _LEAVE: (ev.GO_SYSCALL_END_BLOCKED,),
        _STATUS: (ev.GO_STATUS, ev.GO_STATUS_STACK),
        _SWITCH: (ev.GO_SWITCH, ev.GO_SWITCH_DESTROY),
    }.items():
        for kind in kinds:
            actions[kind] = action
    return tuple(actions)


_ACTIONS = _actions()


class Generation:
    """Batches and tables of one generation. `windows` may be iterated more than once."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.tables = Tables()
        self.counts: dict[int, int] = {}
        """Events by number, of those that `windows` has passed so far."""
        self.cpu_samples = 0
        """Samples of a CPU profile that ran beside the trace."""
        self._batches: list[tuple[int, int, bytes]] = []  # first tick, thread, data
        self._ticks_per_second = 0

    def add_batch(self, thread: int, tick: int, data: bytes) -> None:
        """File a batch by what its first byte says it holds.

        Raises DecodeError or LimitExceeded when a table is damaged or too large.
        """
        content = data[0]
        if content == ev.STRINGS:
            self.tables.add_strings(data)
        elif content == ev.STACKS:
            self.tables.add_stacks(data)
        elif content in (ev.FREQUENCY, ev.SYNC):
            self._add_clock(data)
        elif content == ev.CPU_SAMPLES:
            # `06 (07 time thread processor goroutine stack)*`
            self.cpu_samples += (len(decode_varints(data)) - 1) // _SAMPLE_TOKENS
        else:
            self._batches.append((tick, thread, data))

    def _add_clock(self, data: bytes) -> None:
        # `08 frequency`, up to Go 1.24; since then a sync batch `32 (08 frequency | 33 clock…)*`.
        numbers = decode_varints(data)
        index = 1 if numbers[0] == ev.SYNC else 0
        if len(numbers) > index + 1 and numbers[index] == ev.FREQUENCY:
            self._ticks_per_second = numbers[index + 1]

    def windows(self) -> Iterator[list[Event]]:
        """The events in order of time, in lists of some ten thousand.

        Raises DecodeError on bytes that are not events, LimitExceeded when too many come at once.
        """
        frequency = self._ticks_per_second
        if not frequency:
            if self._batches:
                raise DecodeError("the execution trace does not say how fast its clock runs")
            return
        counts = [0] * (ev.EXPERIMENTAL_FIRST + len(ev.EXPERIMENTAL_ARGUMENTS))
        self.counts = {}
        running: dict[int, int] = {}
        pending: list[Event] = []
        flush_at = _WINDOW
        scale, inexact = divmod(1_000_000_000, frequency)
        if inexact:
            scale = 1  # exotic clocks: keep ticks, convert on the way out
        try:
            for tick, thread, data in sorted(self._batches, key=itemgetter(0)):
                if len(pending) > flush_at:
                    # No later batch holds an event before this one's first.
                    pending.sort(key=itemgetter(0))
                    cut = bisect_left(pending, (tick * scale,))
                    if cut:
                        yield _in_nanoseconds(pending[:cut], frequency) if inexact else pending[:cut]
                        del pending[:cut]
                    if len(pending) > _MAX_OVERLAP:
                        raise LimitExceeded(
                            f"more than {_MAX_OVERLAP} events of the execution trace overlap in time"
                        )
                    flush_at = len(pending) + _WINDOW
                _decode_batch(data, thread, tick * scale, scale, running, counts, pending)
        finally:
            self.counts = {kind: count for kind, count in enumerate(counts) if count}
        pending.sort(key=itemgetter(0))
        if pending:
            yield _in_nanoseconds(pending, frequency) if inexact else pending


def _in_nanoseconds(window: list[Event], frequency: int) -> list[Event]:
    return [(event[0] * 1_000_000_000 // frequency, *event[1:]) for event in window]


def _decode_batch(
    data: bytes,
    thread: int,
    time: int,
    scale: int,
    running: dict[int, int],
    counts: list[int],
    out: list[Event],
) -> None:
    """Append the events of one thread's batch to *out* and keep *running* (thread → goroutine) true."""
    tokens = decode_varints(data)
    index, end = 0, len(tokens)
    actions, widths, append = _ACTIONS, ev.WIDTHS, out.append
    current = running.get(thread, 0)
    try:
        while index < end:
            kind = tokens[index]
            width = widths[kind] if kind < 128 else 0
            if not width:
                time, index = _skip_experimental(tokens, index, time, scale, counts)
                continue
            counts[kind] += 1
            time += tokens[index + 1] * scale
            action = actions[kind]
            if action == _PASS:
                pass
            elif action == _START:
                current = tokens[index + 2]
            elif action == _SLEEP:
                append((time, kind, current, tokens[index + 2], tokens[index + 3], 0))
                current = 0
            elif action == _UNBLOCK:
                append((time, kind, current, tokens[index + 2], tokens[index + 4], 0))
            elif action == _SYSCALL:
                append((time, kind, current, tokens[index + 3], 0, 0))
            elif action == _VALUE:
                append((time, kind, current, tokens[index + 2], 0, 0))
            elif action == _CREATE:
                append((time, kind, current, tokens[index + 2], tokens[index + 3], tokens[index + 4]))
            elif action == _DESTROY:
                append((time, ev.GO_DESTROY, current, 0, 0, 0))
                current = 0
            elif action == _LEAVE:
                current = 0
            elif action == _STATUS:
                goid, owner, status = tokens[index + 2], tokens[index + 3], tokens[index + 4]
                stack = tokens[index + 5] if kind == ev.GO_STATUS_STACK else 0
                append((time, ev.GO_STATUS, goid, status, stack, 0))
                if status in (ev.RUNNING, ev.SYSCALL):
                    if owner == thread:
                        current = goid
                    else:
                        running[owner] = goid
            elif action == _SWITCH:
                append((time, kind, current, tokens[index + 2], 0, 0))
                current = tokens[index + 2]
            elif action == _MARK:
                append((time, kind, current, 0, 0, 0))
            index += width
    except IndexError:
        raise DecodeError("a batch of the execution trace ends within an event") from None
    if index != end:
        raise DecodeError("a batch of the execution trace ends within an event")
    running[thread] = current


def _skip_experimental(
    tokens: list[int], index: int, time: int, scale: int, counts: list[int]
) -> tuple[int, int]:
    """Time and index behind an AllocFree event, which is counted.

    Its number (128 to 136) is one byte, not a varint: cutting the batch into varints joined that byte
    with the time delta that follows, so the token is `(number - 128) | delta << 7`.
    """
    token = tokens[index]
    number, delta = token & 0x7F, token >> 7
    # Time always moves on within a batch, so the delta is at least 1 (runtime.traceWriter.event).
    if not delta or number >= len(ev.EXPERIMENTAL_ARGUMENTS):
        raise DecodeError(f"the execution trace holds an unknown event ({token & 0xFF})")
    counts[ev.EXPERIMENTAL_FIRST + number] += 1
    return time + delta * scale, index + ev.EXPERIMENTAL_ARGUMENTS[number]
