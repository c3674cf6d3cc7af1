"""Who opens descriptors without closing them, from the system calls of an execution trace.

Law: a trace shows calls, not descriptors. What one goroutine opens and closes was paired when the trace
was read; other closes are set against the openers of the same function, and closes by functions that open
nothing against every opener, so that nobody is blamed for what another function closes for him.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from leaktui.analysis.attribution import innermost_user_frame
from leaktui.analysis.program import Program
from leaktui.model.frame import Frame, Stack
from leaktui.model.trace import SyscallFlow, TraceSummary

_FILE_CALLS = ("open", "openat", "openat2", "creat", "fcntl", "pipe2", "memfd_create")
_SOCKET_CALLS = ("connect", "listen", "accept", "accept4", "socket", "bind")


@dataclass(frozen=True, slots=True)
class OpenerTally:
    """Opens and closes of one owner line over the traces seen; `seconds` is the traced time."""

    owner: Frame
    stack: Stack
    is_file: bool
    opened: int
    closed: int
    seconds: float


def tally_openers(traces: Sequence[TraceSummary], program: Program) -> list[OpenerTally]:
    """Owner lines that open descriptors, those that leave most of them open first."""
    seconds = sum(trace.duration_ns for trace in traces) / 1e9
    openers: dict[tuple[Frame, bool], _Calls] = {}
    strays = {True: 0, False: 0}
    closes: dict[tuple[str, bool], int] = {}
    for trace in traces:
        for flow in trace.syscalls:
            found = innermost_user_frame(flow.stack, program)
            is_file = not _is_socket(flow)
            if flow.call == "close":
                name = found[1].function if found else ""
                closes[name, is_file] = closes.get((name, is_file), 0) + flow.count - flow.paired
            elif found is not None and flow.call in (*_FILE_CALLS, *_SOCKET_CALLS):
                index, frame = found
                key = (Frame(frame.function, frame.file, frame.line), is_file)
                calls = openers.setdefault(key, _Calls(flow.stack[index:]))
                calls.opened += flow.count - flow.failed
                calls.paired += flow.paired
    functions = {(frame.function, is_file) for frame, is_file in openers}
    for (name, is_file), count in closes.items():
        if (name, is_file) not in functions:
            strays[is_file] += count
    tallies = []
    for (frame, is_file), calls in openers.items():
        own = closes.get((frame.function, is_file), 0)
        closed = min(calls.opened, calls.paired + own + strays[is_file])
        tallies.append(OpenerTally(frame, calls.stack, is_file, calls.opened, closed, seconds))
    tallies.sort(key=lambda tally: (-(tally.opened - tally.closed), -tally.opened))
    return tallies


@dataclass(slots=True)
class _Calls:
    stack: Stack
    opened: int = 0
    paired: int = 0


def _is_socket(flow: SyscallFlow) -> bool:
    return flow.call in _SOCKET_CALLS or any(frame.function.startswith("net.") for frame in flow.stack)
