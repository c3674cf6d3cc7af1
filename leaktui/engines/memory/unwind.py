"""Stacks of goroutines that do not run, from the bytes above their stack pointer.

Law: pure, bytes in, frames out. It follows runtime/traceback.go (`unwinder`, `showfuncinfo`; amd64, Go 1.21
to 1.27): frame sizes come from the pcsp tables, calls that were inlined from the inline trees, and what a
goroutine dump does not show is left out. A chain that does not end where the runtime's would is TORN.

Where one return address lies depends on those before it only. So a stack of the same size, whose words at
the places of a known stack's return addresses are those return addresses, *is* that stack: one unpack and
one look-up instead of a walk.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace
from enum import Enum
from functools import lru_cache
from typing import NamedTuple

from leaktui.binary.executable import Executable
from leaktui.binary.pclntab import PcLineTable
from leaktui.errors import DecodeError
from leaktui.model.frame import Frame, Stack
from leaktui.text import printable
from leaktui.wire.runtime_frames import (
    MachineCall,
    hide_runtime_frames,
    is_runtime_function,
    show_calls,
)

DEPTH_LIMIT = 512
"""Machine frames read of one stack, from the innermost on; Go prints 100 calls of a deep one."""

_TOP_FRAME, _WRITES_SP, _ASSEMBLY = 1, 2, 4  # internal/abi.FuncFlagTopFrame, FuncFlagSPWrite, FuncFlagAsm
_CALL, _CALL_SIZE = 0xE8, 5
_SHAPES_LIMIT = 8
_SHAPES_CACHED = 1 << 14
_STACKS_CACHED = 1 << 16
_ADDRESSES_CACHED = 1 << 21

# Functions a signal handler makes it seem were called: their caller did not stop at a call.
_INJECTED = frozenset(("runtime.sigpanic", "runtime.asyncPreempt", "runtime.debugCallV2"))
# It writes SP, and yet its frame is valid on both stacks (unwinder.resolveInternal).
_BOTH_STACKS = "runtime.cgocallback"


class End(Enum):
    """How a chain of calls ended."""

    TOP = "top"
    """At the function every goroutine begins with."""
    CUT = "cut"
    """At a function the runtime itself does not look behind, or at the depth limit."""
    TORN = "torn"
    """Somewhere a chain cannot end: the stack changed while it was read."""


class Trace(NamedTuple):
    """A goroutine's calls. `entry` is the entry address of the outermost function, 0 where not reached."""

    stack: Stack
    end: End
    entry: int = 0


class Call(NamedTuple):
    """A machine frame of a stack: the function at `entry` is at `pc`, with `size` bytes from `offset` on.

    `offset` counts from the innermost stack pointer; the return address of the frame is at `offset + size`.
    `at_call` says that it called the next inner frame, rather than being interrupted.
    """

    pc: int
    offset: int
    size: int
    entry: int
    name: str
    at_call: bool


class Chain(NamedTuple):
    """Machine frames, innermost first, without the one `end` is about; none where it is torn."""

    calls: tuple[Call, ...]
    end: End


class _Step(NamedTuple):
    """What the unwinder needs to know of an instruction."""

    delta: int
    entry: int
    name: str
    top: bool
    cut: bool
    wrapper: bool
    calls: int
    """Entry address of the function called just before the instruction; 0 for one only known at run time."""


_TORN = Trace((), End.TORN)


class Unwinder:
    """Unwinds stacks of a process that runs *executable*, loaded *bias* away. Not thread-safe."""

    def __init__(self, executable: Executable, bias: int = 0) -> None:
        self._executable = executable
        self._table: PcLineTable = executable.pc_lines
        self._bias = bias
        self.table, self.bias = self._table, bias
        self._step: Callable[[int], _Step | None] = lru_cache(_STACKS_CACHED)(self._find_step)
        self._frames: dict[tuple[int, bool], Stack] = {}
        self._traces: dict[tuple[int, int, bool, tuple[int, ...]], Trace] = {}
        self._shapes: dict[tuple[int, int], list[struct.Struct]] = {}
        self._stacks: dict[Stack, Stack] = {}
        self._cached = 0
        """Return addresses in `_traces`: what the caches cost is in proportion to it."""

    def unwind(self, pc: int, data: bytes, *, in_syscall: bool = False, whole: bool = True) -> Trace:
        """The calls of a goroutine stopped at *pc*; *data* is its stack from the stack pointer up.

        *in_syscall* says that the registers are those entersyscall saved; *whole* that *data* goes on to
        the stack's outer end.
        """
        size = len(data)
        shapes = self._shapes.get((pc, size))
        if shapes is not None:
            for shape in shapes:
                known = self._traces.get((pc, size, in_syscall, shape.unpack_from(data)))
                if known is not None:
                    return known
        return self._walk(pc, data, in_syscall, whole)

    def entry_frames(self, entry: int) -> Stack:
        """A stack of one frame for a goroutine of which only the function it began with is known."""
        trace = self._frames_at(entry, exact=True)
        shown = hide_runtime_frames(trace[-1:])
        return tuple(replace(frame, inlined=False) for frame in shown)

    def creator(self, pc: int) -> Frame | None:
        """The frame of the go statement before *pc*; None where a dump would not show one.

        Like the runtime it names the function the instruction is in and, if a call was inlined there, the
        line of the latter (printcreatedby1).
        """
        step = self._step(pc)
        if step is None or step.wrapper:
            return None
        name = printable(step.name)
        if is_runtime_function(name) or "." not in name:
            return None
        frames = self._frames_at(pc, exact=False)
        if not frames:
            return None
        return replace(frames[0], function=frames[-1].function, inlined=False)

    def function_name(self, pc: int) -> str:
        """The linker's name of the function that has *pc*, empty for none."""
        step = self._step(pc)
        return step.name if step is not None else ""

    def calls(
        self,
        pc: int,
        data: bytes,
        *,
        in_syscall: bool = False,
        whole: bool = True,
        depth: int = DEPTH_LIMIT,
    ) -> tuple[Call, ...] | None:
        """The machine frames of the stack that `unwind` is given, innermost first; None where it is torn.

        The outermost one, of which nothing is known but where it begins, is left out.
        """
        chain = self.chain(pc, data, in_syscall=in_syscall, whole=whole, depth=depth)
        return None if chain.end is End.TORN else chain.calls

    def chain(
        self,
        pc: int,
        data: bytes,
        *,
        in_syscall: bool = False,
        whole: bool = True,
        depth: int = DEPTH_LIMIT,
    ) -> Chain:
        """The frames `calls` gives, *depth* at most, and how they end."""
        pcs: list[int] = [pc]
        places: list[int] = []
        end = self._follow(pcs, places, data, in_syscall, whole, depth)
        if end is End.TORN:
            return Chain((), end)
        calls: list[Call] = []
        offset, callee = 0, ""
        for number, (at, place) in enumerate(zip(pcs, places, strict=False)):
            step = self._step(at)
            if step is None:
                return Chain((), End.TORN)
            at_call = number > 0 and callee not in _INJECTED
            calls.append(Call(at, offset, place - offset, step.entry, step.name, at_call))
            offset, callee = place + 8, step.name
        return Chain(tuple(calls), end)

    def entry_at(self, pc: int) -> int:
        """The entry address of the function that has *pc*, 0 for none."""
        step = self._step(pc)
        return step.entry if step is not None else 0

    def frames_before(self, pc: int) -> Stack:
        """The calls, inlined ones too, at the call that returns to *pc*; innermost first."""
        return self._frames_at(pc, exact=False)

    def frames_exactly_at(self, pc: int) -> Stack:
        """The calls, inlined ones too, at the instruction at *pc*; innermost first."""
        return self._frames_at(pc, exact=True)

    # --- walking ---

    def _walk(self, pc: int, data: bytes, in_syscall: bool, whole: bool) -> Trace:
        pcs: list[int] = [pc]
        places: list[int] = []
        end = self._follow(pcs, places, data, in_syscall, whole, DEPTH_LIMIT)
        if end is End.TORN:
            return _TORN
        trace = self._trace(pcs, end)
        self._remember(pc, data, in_syscall, places, pcs, trace)
        return trace

    def _follow(
        self, pcs: list[int], places: list[int], data: bytes, in_syscall: bool, whole: bool, depth: int
    ) -> End:
        """Add the return addresses to *pcs*, which has the innermost pc, and where they are to *places*."""
        (pc,) = pcs
        offset, last = 0, len(data) - 8
        innermost = True
        while True:
            step = self._step(pc)
            if step is None:
                return End.TORN
            if step.top:
                return End.TOP
            if step.cut and not (innermost and in_syscall):
                return End.CUT
            if len(pcs) >= depth:
                return End.CUT
            innermost = False
            offset += step.delta
            if step.delta < 0 or (whole and offset > last):
                return End.TORN
            if offset > last:
                return End.CUT
            places.append(offset)
            (pc,) = struct.unpack_from("<Q", data, offset)
            caller = self._step(pc)
            if caller is None or (caller.calls not in (0, step.entry) and step.name not in _INJECTED):
                return End.TORN
            pcs.append(pc)
            offset += 8

    def _remember(
        self, pc: int, data: bytes, in_syscall: bool, places: list[int], pcs: list[int], trace: Trace
    ) -> None:
        codes, end = ["<"], 0
        for place in places:
            codes.append(f"{place - end}xQ" if place > end else "Q")
            end = place + 8
        shape = struct.Struct("".join(codes))
        self._cached += len(pcs)
        if (
            len(self._shapes) >= _SHAPES_CACHED
            or len(self._traces) >= _STACKS_CACHED
            or self._cached > _ADDRESSES_CACHED
        ):
            self._shapes.clear()
            self._traces.clear()
            self._stacks.clear()
            self._cached = 0
        shapes = self._shapes.setdefault((pc, len(data)), [])
        if all(known.format != shape.format for known in shapes):
            if len(shapes) >= _SHAPES_LIMIT:
                shapes.pop(0)
            shapes.append(shape)
        self._traces[pc, len(data), in_syscall, tuple(pcs[1:])] = trace

    def _find_step(self, pc: int) -> _Step | None:
        """What is known of the instruction at *pc*; None outside Go code, and where its tables are damaged."""
        try:
            return self._decode_step(pc)
        except DecodeError:
            return None

    def _decode_step(self, pc: int) -> _Step | None:
        table = self._table
        address = pc - self._bias
        index = table.index_at(address) if address > 0 else None
        if index is None:
            return None
        info = table.info(index)
        name = table.name(index)
        # Not the address before, as for lines: what counts is the stack once the call has returned.
        delta = table.stack_delta(info, address) if info.stack_values else -1
        return _Step(
            delta=delta,
            entry=info.entry + self._bias,
            name=name,
            top=bool(info.flags & _TOP_FRAME),
            cut=not info.stack_values or bool(info.flags & _WRITES_SP and name != _BOTH_STACKS),
            wrapper=table.is_wrapper(info.func_id),
            calls=self._called_before(address),
        )

    def _called_before(self, address: int) -> int:
        """Entry address of the function that a CALL with a constant target before *address* calls, else 0.

        Assembly and wrappers (of methods, and from assembly to Go) may go on to another function by a jump,
        which then is the one that returns here.
        """
        table = self._table
        try:
            code = self._executable.image.read(address - _CALL_SIZE, _CALL_SIZE)
        except DecodeError:
            return 0
        if code[0] != _CALL:
            return 0
        target = address + int.from_bytes(code[1:], "little", signed=True)
        index = table.index_at(target)
        if index is None or table.entry(index) != target:
            return 0
        info = table.info(index)
        if info.flags & _ASSEMBLY or table.is_wrapper(info.func_id):
            return 0
        return target + self._bias

    # --- frames ---

    def _trace(self, pcs: list[int], end: End) -> Trace:
        calls: list[MachineCall] = []
        entry, injected = 0, False
        for pc in pcs:
            step = self._step(pc)
            if step is None:
                return _TORN
            if not step.top:
                entry = step.entry
            calls.append(MachineCall(self._frames_at(pc, exact=injected), step.name, step.wrapper))
            injected = step.name in _INJECTED
        stack = show_calls(calls)
        return Trace(self._stacks.setdefault(stack, stack), end, entry if end is End.TOP else 0)

    def _frames_at(self, pc: int, *, exact: bool) -> Stack:
        """The calls at *pc*; *exact* says that the instruction at *pc* is meant, not the call before it."""
        key = (pc, exact)
        frames = self._frames.get(key)
        if frames is None:
            if len(self._frames) >= _STACKS_CACHED:
                self._frames.clear()
            try:
                found = self._executable.frames_at(pc, return_address=not exact, bias=self._bias)
            except DecodeError:
                found = ()
            frames = self._frames[key] = tuple(map(_printable_frame, found)) or (Frame(f"{pc:#x}", pc=pc),)
        return frames


def _printable_frame(frame: Frame) -> Frame:
    function, file = printable(frame.function), printable(frame.file)
    if function == frame.function and file == frame.file:
        return frame
    return replace(frame, function=function, file=file)
