"""What Delve says when the target has stopped: where, and what its tracepoints recorded.

Law: one stop may hold several hits, one a thread; each counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from leaktui.model.frame import Stack
from leaktui.model.inspection import Variable
from leaktui.wire.delve.shapes import (
    as_object,
    take_flag,
    take_number,
    take_object,
    take_objects,
    take_text,
)
from leaktui.wire.delve.stacks import decode_frame
from leaktui.wire.delve.variables import decode_variable

_RETURNED = 1 << 4
"""VariableReturnArgument: a result, which has no value yet when a function begins."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A thread that has come by breakpoint `breakpoint_id`."""

    breakpoint_id: int
    goid: int
    pc: int
    stack: Stack
    arguments: tuple[Variable, ...]
    variables: tuple[Variable, ...]


@dataclass(frozen=True, slots=True)
class Stop:
    """The state of the target. `running` says that there is no more to know."""

    running: bool = False
    exited: bool = False
    exit_status: int = 0
    hits: tuple[Hit, ...] = ()


def decode_stop(result: Any) -> Stop:
    """The `State` of an answer to `Command` or `State`. Raises DecodeError."""
    state = take_object(as_object(result, "answer"), "State")
    if state is None:
        return Stop()
    if take_flag(state, "exited"):
        return Stop(exited=True, exit_status=take_number(state, "exitStatus"))
    if take_flag(state, "Running"):
        return Stop(running=True)
    hits = [hit for thread in take_objects(state, "Threads") if (hit := _decode_hit(thread)) is not None]
    return Stop(hits=tuple(hits))


def _decode_hit(thread: dict[str, Any]) -> Hit | None:
    point = take_object(thread, "breakPoint")
    if point is None or take_number(point, "id") <= 0:
        return None
    info = take_object(thread, "breakPointInfo") or {}
    stack = tuple(decode_frame(item) for item in take_objects(info, "stacktrace"))
    return Hit(
        take_number(point, "id"),
        take_number(thread, "goroutineID"),
        take_number(thread, "pc"),
        stack or (decode_frame(thread),),
        tuple(
            decode_variable(item)
            for item in take_objects(info, "arguments")
            if not take_number(item, "flags") & _RETURNED
        ),
        tuple(decode_variable(item) for item in take_objects(info, "variables")),
    )


@dataclass(frozen=True, slots=True)
class SetPoint:
    """A breakpoint that is set."""

    number: int
    function: str
    addresses: tuple[int, ...]


def decode_breakpoints(result: Any) -> tuple[SetPoint, ...]:
    """The answer to `ListBreakpoints`. Raises DecodeError."""
    return tuple(decode_breakpoint(item) for item in take_objects(as_object(result, "answer"), "Breakpoints"))


def decode_breakpoint(item: dict[str, Any]) -> SetPoint:
    """One of them. Raises DecodeError."""
    addresses = item.get("addrs") or []
    if not isinstance(addresses, list) or not all(type(address) is int for address in addresses):
        addresses = []
    if not addresses and take_number(item, "addr"):
        addresses = [take_number(item, "addr")]
    return SetPoint(take_number(item, "id"), take_text(item, "functionName"), tuple(addresses))
