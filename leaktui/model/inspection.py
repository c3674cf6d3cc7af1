"""One goroutine as a debugger sees it: frames with their values, deferred calls, panics, and what an expression gives.

Every look at these stops the target: `stop_ms` says for how long, in milliseconds, all its stops together; where the
debugger had to be attached for it, `attach_stop_ms` is what that took. Text that came from the
target is raw here; who shows it makes it safe (`text.printable`).
"""

from __future__ import annotations

from dataclasses import dataclass

from leaktui.model.frame import Frame
from leaktui.model.wait import DeferredCall, Panic


@dataclass(frozen=True, slots=True)
class Variable:
    """A value, loaded as deep as was asked for.

    `value` is what Go's `%v` would print of a simple one, empty for what consists of `children`. `length` is that of a
    string, slice, map, channel or array, where more may be than was loaded; None for other kinds. `address` is
    where it lies in the target, 0 where it is in a register or optimised away. `unreadable` says why there is no value.
    """

    name: str
    type_name: str
    value: str = ""
    children: tuple[Variable, ...] = ()
    length: int | None = None
    address: int = 0
    unreadable: str = ""


@dataclass(frozen=True, slots=True)
class InspectedFrame:
    """A call with its values. `deferred` are the calls it will make on its way out, the next one first."""

    frame: Frame
    arguments: tuple[Variable, ...] = ()
    variables: tuple[Variable, ...] = ()
    deferred: tuple[DeferredCall, ...] = ()
    unreadable: str = ""


@dataclass(frozen=True, slots=True)
class Inspection:
    """A goroutine looked at with its values. `gone` says that it had ended by then.

    `time` is seconds on the session's monotonic clock. `depth` is how many frames were asked for: there may be more.
    """

    goid: int
    time: float
    wait_reason: str = ""
    frames: tuple[InspectedFrame, ...] = ()
    panics: tuple[Panic, ...] = ()
    depth: int = 0
    gone: bool = False
    stop_ms: float = 0.0
    attach_stop_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What an expression gave in the scope of a frame (0 the innermost) of a goroutine (0 for none in particular).

    `error` is the debugger's reason where there is no value.
    """

    expression: str
    goid: int
    frame_index: int
    time: float
    value: Variable | None = None
    error: str = ""
    stop_ms: float = 0.0
    attach_stop_ms: float = 0.0
