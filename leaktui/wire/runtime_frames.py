"""Which frames Go shows in a goroutine's stack, and under which name.

Law: profiles record every frame, dumps hide the runtime's own. Both are brought to the shape of a dump
(`debug=2`), so that a group counted by a profile and a goroutine listed by a dump have equal stacks.
The rules are those of showfuncinfo, isExportedRuntime and printFuncName in runtime/traceback.go and
of funcNamePiecesForPrint in runtime/symtab.go (Go 1.22 to 1.27).
"""

from __future__ import annotations

import re
from dataclasses import replace

from leaktui.model.frame import Frame, Stack

_OUTERMOST = "runtime.goexit"
_PANIC = "runtime.gopanic"
_PRINTED_PANIC = "panic"

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
