"""Which call a function must have made last, from where it is now: the order of calls in its machine code.

Law: pure, machine code in, return addresses out; addresses are the linker's. A jump whose targets are not written in
the code makes every answer for that function None, as does a byte that was not understood.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache

from leaktui.binary.executable import Executable
from leaktui.binary.flow.code import FunctionCode
from leaktui.binary.flow.image import ExecutableCode
from leaktui.binary.flow.program import Program
from leaktui.binary.x86_instruction import Instruction, Operation

_NO_WAY_ON = (Operation.JUMP, Operation.RETURN, Operation.TRAP)
_ANSWERS_CACHED = 1 << 14
_FUNCTIONS_CACHED = 512


@dataclass(slots=True)
class _Flow:
    """A function's calls by return address; what leads to each instruction, and what comes after it."""

    entry: int
    calls: dict[int, Instruction] = field(default_factory=dict)
    before: dict[int, list[int]] = field(default_factory=dict)
    after: dict[int, list[int]] = field(default_factory=dict)
    complete: bool = True


class CallOrder:
    """Answers about one executable. Not thread-safe."""

    def __init__(self, executable: Executable) -> None:
        self._program = Program(ExecutableCode(executable))
        self._flow_at: Callable[[int], _Flow | None] = lru_cache(_ANSWERS_CACHED)(self._find_flow)
        self._flow_from: Callable[[int], _Flow | None] = lru_cache(_FUNCTIONS_CACHED)(self._make_flow)
        self._last_call: Callable[[int, int, tuple[int, ...]], int | None] = lru_cache(_ANSWERS_CACHED)(
            self._find_last_call
        )

    def is_call(self, pc: int) -> bool:
        """Whether *pc* is where a call returns to."""
        flow = self._flow_at(pc)
        return flow is not None and pc in flow.calls

    def target_of(self, pc: int) -> int:
        """The address called by the call that returns to *pc*; 0 where there is none or it is not in the code."""
        flow = self._flow_at(pc)
        call = flow.calls.get(pc) if flow is not None else None
        return 0 if call is None or call.target is None else call.target

    def calls_of(self, pc: int, target: int) -> tuple[int, ...]:
        """Where the direct calls of *target* return to, in the function that has *pc*."""
        flow = self._flow_at(pc)
        if flow is None:
            return ()
        return tuple(after for after, call in flow.calls.items() if call.target == target)

    def last_call(self, pc: int, target: int, others: Iterable[int] = ()) -> int | None:
        """The call of *target* that a function now at the return address *pc* made last; its return address.

        *others* are return addresses of indirect calls that are known to lead to *target*. None where it may have come
        to *pc* without such a call, or where that may have been one or another.
        """
        return self._last_call(pc, target, tuple(sorted(others)))

    def is_past(self, pc: int, target: int) -> bool:
        """Whether a function now at the return address *pc* will not call *target* any more, or has just done so.

        It may have come to a common way out without such a call.
        """
        if self.target_of(pc) == target or self.last_call(pc, target) is not None:
            return True
        flow = self._flow_at(pc)
        if flow is None or not flow.complete:
            return False
        wanted = {call.address for call in flow.calls.values() if call.target == target}
        seen = {pc}
        open_ = [pc]
        while open_:
            for following in flow.after.get(open_.pop(), ()):
                if following in wanted:
                    return False
                if following not in seen:
                    seen.add(following)
                    open_.append(following)
        return pc not in wanted

    def _find_last_call(self, pc: int, target: int, others: tuple[int, ...]) -> int | None:
        flow = self._flow_at(pc)
        if flow is None or pc not in flow.calls:
            return None
        wanted = {after for after, call in flow.calls.items() if call.target == target}
        wanted |= {after for after in others if after in flow.calls}
        if pc in wanted:
            return pc
        if not flow.complete:
            return None
        found: set[int] = set()
        seen: set[int] = set()
        # Backwards from the call at pc, on every way, until a wanted call or the beginning.
        open_ = [flow.calls[pc].address]
        while open_:
            address = open_.pop()
            if address == flow.entry:
                return None
            for previous in flow.before.get(address, ()):
                if previous in seen:
                    continue
                seen.add(previous)
                instruction = self._end_of(flow, previous)
                if instruction in wanted:
                    found.add(instruction)
                    if len(found) > 1:
                        return None
                else:
                    open_.append(previous)
        return found.pop() if len(found) == 1 else None

    def _end_of(self, flow: _Flow, address: int) -> int:
        """Where the call at *address* returns to, 0 for another instruction."""
        code = self._program.code_at(flow.entry)
        instruction = code.at(address) if code is not None else None
        return 0 if instruction is None or instruction.operation is not Operation.CALL else instruction.end

    def _find_flow(self, pc: int) -> _Flow | None:
        code = self._program.code_at(pc - 1)
        return None if code is None else self._flow_from(code.function.entry)

    def _make_flow(self, entry: int) -> _Flow | None:
        code = self._program.code_at(entry)
        return None if code is None else _flow_of(code)


def _flow_of(code: FunctionCode) -> _Flow:
    flow = _Flow(code.function.entry, complete=code.complete)
    for address, instruction in code.instructions.items():
        operation = instruction.operation
        if operation is Operation.CALL:
            flow.calls[instruction.end] = instruction
        if operation not in _NO_WAY_ON:
            flow.before.setdefault(instruction.end, []).append(address)
        if operation in (Operation.JUMP, Operation.BRANCH):
            if instruction.target is None:
                flow.complete = False
            elif code.contains(instruction.target):
                flow.before.setdefault(instruction.target, []).append(address)
    for address, sources in flow.before.items():
        for source in sources:
            flow.after.setdefault(source, []).append(address)
    return flow
