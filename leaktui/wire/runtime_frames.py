"""Which frames Go shows in a goroutine's stack, and under which name.

Law: profiles record every frame, dumps hide the runtime's own. Both are brought to the shape of a dump
(`debug=2`), so that a group counted by a profile and a goroutine listed by a dump have equal stacks.
The rules are those of showfuncinfo, isExportedRuntime and printFuncName in runtime/traceback.go and
of funcNamePiecesForPrint in runtime/symtab.go (Go 1.22 to 1.27).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

from leaktui.model.frame import Frame, Stack

_OUTERMOST = "runtime.goexit"
_PANIC = "runtime.gopanic"
_PRINTED_PANIC = "panic"
# A wrapper that called one of these is shown (elideWrapperCalling).
_PANICS = frozenset((_PANIC, "runtime.sigpanic", "runtime.panicwrap"))

# Shown although they are the runtime's: they say that finalizers or cleanups run below them
# (Go 1.25; 1.22 calls the first runtime.runfinq and hides it).
_ALWAYS_SHOWN = frozenset(("runtime.runFinalizers", "runtime.runCleanups"))

# Go hides every name without a dot. A C function that a symbolizer named has none either and is shown,
# so the assembly on the way between Go and C is told by name.
_GLUE = ("_cgoexp_", "crosscall", "_rt0_", "threadentry")

# What the compiler wraps around `go f(x)` and `defer f(x)` (cmd/compile, Go 1.22). Go marks it as a
# wrapper and shows it in a crash of level `system` only.
_WRAPPER = re.compile(r"\.(?:go|defer)wrap\d+$")


def printed_function(name: str) -> str:
    """A symbol as the runtime prints it: type arguments become `[...]`."""
    opening = name.find("[")
    closing = name.rfind("]")
    return f"{name[:opening]}[...]{name[closing + 1 :]}" if 0 <= opening < closing else name


def is_runtime_function(name: str) -> bool:
    """True for a function a goroutine dump hides as the runtime's own.

    Exported functions (`runtime.Gosched`) and exported methods of exported types are shown, as are
    the packages below `internal/runtime/`.
    """
    if not name.startswith("runtime."):
        return name.startswith(_GLUE)
    receiver, _, method = name[len("runtime.") :].rpartition(".")
    receiver = receiver.removeprefix("(*").removesuffix(")")
    return not ("A" <= method[:1] <= "Z" and (not receiver or "A" <= receiver[:1] <= "Z"))


def hide_runtime_frames(stack: Stack) -> Stack:
    """*stack* as a goroutine dump shows it; applied to a dump's own stack it changes nothing.

    A stack of hidden frames only is kept whole, without `runtime.goexit`.
    """
    shown: list[Frame] = []
    renamed = False
    for frame in stack:
        name = frame.function
        if name == _PANIC:
            # The border between ordinary code and deferred calls a panic runs; hidden when innermost.
            if shown:
                shown.append(replace(frame, function=_PRINTED_PANIC))
                renamed = True
        elif name in _ALWAYS_SHOWN or not (is_runtime_function(name) or _WRAPPER.search(name)):
            shown.append(frame)
    if not shown:
        return tuple(frame for frame in stack if frame.function != _OUTERMOST)
    return tuple(shown) if renamed or len(shown) < len(stack) else stack


class MachineCall(NamedTuple):
    """A machine frame of a stack: the calls in it, inlined ones first, the function's own name in the executable,
    and whether that is a wrapper the compiler made."""

    frames: Stack
    name: str
    wrapper: bool


def show_calls(calls: Iterable[MachineCall]) -> Stack:
    """The stack a goroutine dump shows of *calls*, innermost first; one that would show nothing shows everything."""
    every: list[Frame] = []
    shown: list[Frame] = []
    callee = ""
    for frames, name, wrapper in calls:
        every += frames
        # With a call inlined into it a wrapper is left out of the frames already.
        if not wrapper or frames[0].inlined or callee in _PANICS:
            shown += frames
        callee = name
    stack = hide_runtime_frames(tuple(shown))
    if not stack or all(is_runtime_function(frame.function) for frame in stack):
        stack = hide_runtime_frames(tuple(every))
    if stack and stack[-1].inlined:
        stack = (*stack[:-1], replace(stack[-1], inlined=False))  # as wire.goroutine_text has it
    return stack
