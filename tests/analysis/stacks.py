"""Stacks as net/http makes them, for the analysis tests."""

from __future__ import annotations

from leaktui.model.frame import Frame, Stack


def frames(*calls: str) -> Stack:
    """`function:line` strings, innermost first."""
    result = []
    for call in calls:
        function, _, line = call.rpartition(":")
        result.append(Frame(function, f"/src/{function.split('.')[0]}.go", int(line)))
    return tuple(result)


READ_LOOP_SELECT = frames("net/http.(*persistConn).readLoop:2400")
READ_LOOP_IDLE = frames(
    "internal/poll.runtime_pollWait:351",
    "internal/poll.(*FD).Read:165",
    "net.(*netFD).Read:55",
    "bufio.(*Reader).Peek:150",
    "net/http.(*persistConn).readLoop:2200",
)
WRITE_LOOP = frames("net/http.(*persistConn).writeLoop:2600")

_ROUND_TRIP = (
    "net/http.(*persistConn).roundTrip:2800",
    "net/http.(*Transport).roundTrip:600",
    "net/http.(*Transport).RoundTrip:30",
)
_CLIENT = (
    "net/http.send:250",
    "net/http.(*Client).send:180",
    "net/http.(*Client).do:720",
    "net/http.(*Client).Do:580",
)


def client_call(*callers: str, transports: tuple[str, ...] = ()) -> Stack:
    """The stack of a goroutine that waits for a response, with the user's callers outwards."""
    return frames(*_ROUND_TRIP, *transports, *_CLIENT, *callers)


def reading(*callers: str) -> Stack:
    """A goroutine inside a Read of a response body."""
    return frames(
        "internal/poll.runtime_pollWait:351",
        "net/http.(*persistConn).Read:2000",
        "bufio.(*Reader).Read:230",
        "net/http.(*bodyEOFSignal).Read:2900",
        "io.ReadAll:700",
        *callers,
    )
