"""From return addresses to the calls a traceback would show.

Law: a chain that was seen once is never made again. What is shown is what engines/memory/unwind.py shows of the same
calls (runtime/traceback.go `showfuncinfo`): inlined calls as frames of their own, no wrappers the compiler made, none
of the runtime's own. As in profiles and traces, and unlike there, `Frame.pc` lies inside the call, not behind it
(runtime.CallersFrames): it is the return address less one, or the probed instruction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from leaktui.binary.executable import Executable
from leaktui.errors import DecodeError
from leaktui.model.frame import Frame, Stack
from leaktui.text import printable
from leaktui.wire.runtime_frames import MachineCall, show_calls

_STACKS_CACHED = 1 << 14
_CALLS_CACHED = 1 << 16

_INTERRUPTED = "runtime.sigpanic"
"""Its caller did not call it: the return address is that of the instruction that failed."""


class CallChains:
    """Stacks of a process that runs *executable*, loaded *bias* away. Not thread-safe."""

    def __init__(self, executable: Executable, bias: int = 0) -> None:
        self._executable = executable
        self._bias = bias
        self._stacks: dict[tuple[int, ...], Stack] = {}
        self._calls: dict[tuple[int, bool], MachineCall] = {}
        self._interned: dict[Stack, Stack] = {}

    def stack(self, probed: int, frames: Sequence[int]) -> Stack:
        """The calls that led to the instruction at *probed*, that function's own first.

        *frames* are return addresses, innermost first, as a `Hit` has them.
        """
        key = (probed, *frames)
        stack = self._stacks.get(key)
        if stack is None:
            if len(self._stacks) >= _STACKS_CACHED:
                self._stacks.clear()
                self._interned.clear()
            stack = self._find(probed, frames)
            # Chains that differ in where a function is left, or in hidden calls, read the same.
            stack = self._stacks[key] = self._interned.setdefault(stack, stack)
        return stack

    def _find(self, probed: int, frames: Sequence[int]) -> Stack:
        calls: list[MachineCall] = []
        exact = True
        for pc in (probed, *frames):
            calls.append(self._call_at(pc, exact=exact))
            exact = calls[-1].name == _INTERRUPTED
        return show_calls(calls)

    def _call_at(self, pc: int, *, exact: bool) -> MachineCall:
        """What is called at *pc*, or at the call that returns there."""
        key = (pc, exact)
        found = self._calls.get(key)
        if found is None:
            if len(self._calls) >= _CALLS_CACHED:
                self._calls.clear()
            found = self._calls[key] = self._find_call(pc if exact else pc - 1)
        return found

    def _find_call(self, pc: int) -> MachineCall:
        table = self._executable.pc_lines
        try:
            frames = self._executable.frames_at(pc, return_address=False, bias=self._bias)
            index = table.index_at(pc - self._bias)
            name = "" if index is None else table.name(index)
            wrapper = index is not None and table.is_wrapper(table.info(index).func_id)
        except DecodeError:
            frames, name, wrapper = (), "", False
        shown = tuple(map(_printable_frame, frames)) or (Frame(f"{pc:#x}", pc=pc),)
        return MachineCall(shown, name, wrapper)


def _printable_frame(frame: Frame) -> Frame:
    return replace(frame, function=printable(frame.function), file=printable(frame.file))
