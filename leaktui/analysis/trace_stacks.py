"""Stacks of a trace, numbered once for all its generations, with the part each plays in HTTP.

Law: stack numbers of the trace mean something only within a generation; the numbers given here hold for
the whole trace, and what a stack says of its goroutine is worked out once, not per event. 0 is the empty
stack.
"""

from __future__ import annotations

import re

from leaktui.analysis import http_frames
from leaktui.errors import LimitExceeded
from leaktui.model.frame import Stack
from leaktui.wire.trace import Tables

MAX_STACKS = 1 << 19

# Roles, as bits. net/http/transport.go, Go 1.22 to 1.27; names only, lines move. Traces of all these
# releases keep the runtime's channel function as innermost frame of a channel operation, none for close().
READ_LOOP_SELECTS = 1
"""A select of `readLoop` itself: handing the response over, or waiting for the end of its body."""
READ_LOOP_NOTES_END = 2
"""`readLoop` tells who closed or finished the body that it took note, by a send or by close(eofc)."""
AWAITS_NEXT = 4
"""`readLoop`, asleep or reading for the next response: no body is open."""
AFTER_BODY = 8
"""`readLoop`, putting the connection back, draining or cancelling it: the body just ended."""
UNDER_ROUND_TRIP = 16
"""Within the caller's `persistConn.roundTrip`."""
ROUND_TRIP_SELECTS = 32
"""The select of `persistConn.roundTrip` itself."""
READS_BODY = 64
"""Within Read of a response body, HTTP/1 or HTTP/2."""
H2_UNDER_ROUND_TRIP = 128
"""Within HTTP/2's `roundTrip`."""
H2_ASKS = 256
"""In HTTP/2's `roundTrip` itself, which starts the stream's goroutine."""
H2_GIVES_RESPONSE = 512
"""HTTP/2's reader, handing response headers over."""
USES_DESCRIPTORS = 1024
"""In a system call of the packages that open and close descriptors (see analysis.trace_syscalls)."""
SENDS = 2048
"""A channel operation that gave something away, or may have (a select)."""
ACTS = SENDS - 1
"""Roles that concern a goroutine's own state; `SENDS` only says something of whom it woke."""

_ROUND_TRIP = "net/http.(*persistConn).roundTrip"
_SELECT = "runtime.selectgo"
_SENDING = (_SELECT, "runtime.chansend1")
_CHANNEL_ROLES = {
    _SELECT: READ_LOOP_SELECTS,
    "runtime.chansend1": READ_LOOP_NOTES_END,
    "runtime.chanrecv1": AWAITS_NEXT,
}
_NEXT = ("bufio.(*Reader).Peek", "net/http.(*persistConn).readResponse", "net/http.ReadResponse")
_AFTER = (
    "net/http.(*persistConn).wroteRequest",
    "net/http.(*persistConn).cancelRequest",
    "net/http.(*Transport).cancelRequest",
    "net/http.(*Transport).tryPutIdleConn",
    "net/http.maybeDrainBody",
)
_H2_GIVES = re.compile(r"http2(?:\.\(\*)?clientConnReadLoop\)\.processHeaders$")
_DESCRIPTOR_PACKAGES = ("syscall.", "internal/syscall/unix.", "golang.org/x/sys/unix.")


def _roles(stack: Stack) -> int:
    roles = 0
    functions = [frame.function for frame in stack]
    innermost = functions[0]
    caller = functions[1] if len(functions) > 1 else ""
    if innermost in _SENDING:
        roles |= SENDS
    if http_frames.READ_LOOP in functions:
        if caller == http_frames.READ_LOOP and innermost in _CHANNEL_ROLES:
            roles |= _CHANNEL_ROLES[innermost]
        elif innermost == http_frames.READ_LOOP:
            roles |= READ_LOOP_NOTES_END
        elif any(function in _NEXT for function in functions):
            roles |= AWAITS_NEXT
        elif any(function in _AFTER for function in functions):
            roles |= AFTER_BODY
    if _ROUND_TRIP in functions:
        roles |= UNDER_ROUND_TRIP
        if innermost == _SELECT and caller == _ROUND_TRIP:
            roles |= ROUND_TRIP_SELECTS
    if http_frames.reads_http1_body(stack) or http_frames.reads_stream_body(stack):
        roles |= READS_BODY
    if http_frames.awaits_stream_response(stack):
        roles |= H2_UNDER_ROUND_TRIP
        if http_frames.awaits_stream_response(stack[:1]):
            roles |= H2_ASKS
    if any(_H2_GIVES.search(function) for function in functions):
        roles |= H2_GIVES_RESPONSE
    if any(function.startswith(_DESCRIPTOR_PACKAGES) for function in functions[:2]):
        roles |= USES_DESCRIPTORS
    return roles


class StackBook:
    """Stacks by number, and their roles."""

    def __init__(self) -> None:
        self.stacks: list[Stack] = [()]
        self.roles: list[int] = [0]
        self._numbers: dict[tuple[int, ...], int] = {(): 0}
        self._shared: dict[tuple[int, int], int] = {}

    def number(self, tables: Tables, stack_id: int) -> int:
        """The trace-wide number of a generation's stack.

        Raises DecodeError when the generation lacks it, LimitExceeded past MAX_STACKS.
        """
        key = tables.stack_key(stack_id)
        number = self._numbers.get(key)
        if number is None:
            if len(self.stacks) >= MAX_STACKS:
                raise LimitExceeded(f"the execution trace holds more than {MAX_STACKS} different stacks")
            stack = tables.stack(stack_id)
            number = self._numbers[key] = len(self.stacks)
            self.stacks.append(stack)
            self.roles.append(_roles(stack))
        return number

    def shared_frames(self, first: int, second: int) -> int:
        """How many functions two stacks have in common, from the outermost inwards."""
        key = (first, second)
        count = self._shared.get(key)
        if count is None:
            count = 0
            for one, other in zip(reversed(self.stacks[first]), reversed(self.stacks[second]), strict=False):
                if one.function != other.function:
                    break
                count += 1
            if len(self._shared) < 1 << 16:
                self._shared[key] = count
        return count

    def asker_depth(self, number: int) -> int:
        """Frames of a request's stack from the outermost to the one that called into the HTTP client."""
        stack = self.stacks[number]
        return len(stack) - 1 - http_frames.outermost_client_frame(stack)


class Numbers(dict[int, int]):
    """A generation's stack ids to trace-wide numbers, filled as they are met."""

    def __init__(self, book: StackBook, tables: Tables) -> None:
        super().__init__()
        self._book = book
        self._tables = tables

    def __missing__(self, stack_id: int) -> int:
        number = self[stack_id] = self._book.number(self._tables, stack_id)
        return number


class Reasons(dict[int, str]):
    """A generation's string ids to texts, filled as they are met."""

    def __init__(self, tables: Tables) -> None:
        super().__init__()
        self._tables = tables

    def __missing__(self, string_id: int) -> str:
        text = self[string_id] = self._tables.string(string_id)
        return text
