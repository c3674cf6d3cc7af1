"""Who opens descriptors without closing them, from the system calls of an execution trace.

Law: a trace shows calls, not descriptors. Opens and closes are compared function by function; closes made
by functions that open nothing are set against every opener, so that nobody is blamed for what another
function closes for him.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from leaktui.analysis.attribution import innermost_user_frame
from leaktui.analysis.program import Program
from leaktui.model.frame import Frame, Stack
from leaktui.model.trace import SyscallFlow, TraceSummary

_OPENING = (
    "syscall.Open",
    "syscall.open",
    "syscall.openat",
    "syscall.Openat",
    "internal/syscall/unix.Openat",
    "os.open",
    "os.openFileNolog",
    "os.Pipe",
    "syscall.pipe2",
)
_SOCKET = ("syscall.connect", "syscall.Connect", "syscall.accept4", "syscall.Accept4", "syscall.Socket")
_CLOSING = ("syscall.Close", "internal/poll.(*FD).destroy", "internal/poll.(*SysFile).destroy")


@dataclass(frozen=True, slots=True)
class OpenerTally:
    """Opens and closes of one owner line over the traces seen; `seconds` is the traced time."""

    owner: Frame
    stack: Stack
    is_file: bool
    opened: int
    closed: int
    seconds: float


def _is_close(stack: Stack) -> bool:
    return any(frame.function in _CLOSING for frame in stack[:8])


def _is_socket(stack: Stack) -> bool:
    return any(frame.function in _SOCKET or frame.function.startswith("net.") for frame in stack)


def _is_open(stack: Stack) -> bool:
    return any(frame.function in _OPENING or frame.function in _SOCKET for frame in stack[:8])


def tally_openers(traces: Sequence[TraceSummary], program: Program) -> list[OpenerTally]:
    """Owner lines that open descriptors, those that leave most of them open first."""
    seconds = sum(trace.duration_ns for trace in traces) / 1e9
    opened: dict[tuple[Frame, bool], tuple[Stack, int]] = {}
    closed_by_function: dict[tuple[str, bool], int] = {}
    for trace in traces:
        for flow in trace.syscalls:
            _count(flow, program, opened, closed_by_function)
    openers = {(frame.function, is_file) for frame, is_file in opened}
    stray = {
        kind: sum(
            count
            for (name, is_file), count in closed_by_function.items()
            if is_file is kind and (name, is_file) not in openers
        )
        for kind in (True, False)
    }
    tallies = []
    for (frame, is_file), (stack, count) in opened.items():
        lines = sum(
            n
            for (other, kind), (_, n) in opened.items()
            if other.function == frame.function and kind is is_file
        )
        own = closed_by_function.get((frame.function, is_file), 0)
        # A function with several opening lines shares its closes among them; stray closes count in full.
        closed = min(count, round(own * count / lines) + stray[is_file])
        tallies.append(OpenerTally(frame, stack, is_file, count, closed, seconds))
    tallies.sort(key=lambda tally: (-(tally.opened - tally.closed), -tally.opened))
    return tallies


def _count(
    flow: SyscallFlow,
    program: Program,
    opened: dict[tuple[Frame, bool], tuple[Stack, int]],
    closed_by_function: dict[tuple[str, bool], int],
) -> None:
    is_file = not _is_socket(flow.stack)
    found = innermost_user_frame(flow.stack, program)
    if _is_close(flow.stack):
        name = found[1].function if found else ""
        closed_by_function[name, is_file] = closed_by_function.get((name, is_file), 0) + flow.count
    elif found is not None and _is_open(flow.stack):
        index, frame = found
        key = (Frame(frame.function, frame.file, frame.line), is_file)
        stack, count = opened.get(key, (flow.stack[index:], 0))
        opened[key] = (stack, count + flow.count)
