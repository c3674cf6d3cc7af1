"""Which function a func value calls.

Law: a func value points at the address of its code, with what it captured behind (runtime.funcval). It is
believed only if that address is where a function begins. What the compiler puts around a call to be deferred
(`deferwrap`, a method value, a method of an embedded field) is looked through: its code is followed, straight
on and with the values that were captured, to the one call it makes. Where that is not clear the wrapper is named.
"""

from __future__ import annotations

import re
from dataclasses import replace

from leaktui.binary.executable import Executable
from leaktui.binary.x86 import decode
from leaktui.binary.x86_instruction import RDX, Immediate, Instruction, Memory, Operation
from leaktui.engines.memory.reader import MemoryReader
from leaktui.errors import DecodeError
from leaktui.model.frame import Frame
from leaktui.text import printable

NIL = Frame("nil")
"""What a nil func value calls: it panics."""

_CACHED = 1 << 12
_CODE_LIMIT = 1 << 12
_INSTRUCTIONS = 256
_WRAPPERS = 4
# The compiler's own wrappers: of deferred calls (since Go 1.22; func1, marked as a wrapper, before) and
# of method values. Others are marked in the function table.
_WRAPPER_NAME = re.compile(r"\.deferwrap\d+$|-fm$")
_BEFORE_THE_CALL = frozenset(
    ("runtime.morestack", "runtime.morestack_noctxt", "runtime.duffcopy", "runtime.duffzero")
)


class FuncValues:
    """Names the functions of func values of a process that runs *executable*, loaded *bias* away."""

    def __init__(self, executable: Executable, memory: MemoryReader, bias: int = 0) -> None:
        self._executable = executable
        self._memory = memory
        self._bias = bias
        self._functions: dict[int, Frame | None] = {}
        self._direct: dict[int, bool] = {}

    def function(self, value: int) -> Frame | None:
        """What the func value at *value* calls, with the line it is declared at; None where it is none.

        Raises TargetGone.
        """
        if not value:
            return NIL
        code = self._code_at(value)
        if code is None:
            return None
        for _ in range(_WRAPPERS):
            if not self._is_wrapper(code):
                break
            frame, called = self._called_by(code, value)
            if frame is not None:
                return frame
            if called is None or called == code:
                break
            # A wrapper of a wrapper has its context elsewhere: it is followed without.
            code, value = called, 0
        return self._declared(code)

    def _code_at(self, value: int) -> int | None:
        """The link-time address of the function the func value at *value* calls."""
        if value % 8:
            return None
        try:
            code = int.from_bytes(self._memory.read(value, 8), "little") - self._bias
        except DecodeError:
            return None
        return code if self._begins(code) else None

    def _begins(self, address: int) -> bool:
        table = self._executable.pc_lines
        index = table.index_at(address) if address > 0 else None
        return index is not None and table.entry(index) == address

    def _is_wrapper(self, code: int) -> bool:
        table = self._executable.pc_lines
        index = table.index_at(code)
        if index is None:
            return False
        return table.is_wrapper(table.info(index).func_id) or bool(_WRAPPER_NAME.search(table.name(index)))

    def _declared(self, code: int) -> Frame | None:
        """The function at *code*, and where it is declared."""
        if code not in self._functions:
            if len(self._functions) >= _CACHED:
                self._functions.clear()
            frames = self._executable.frames_at(code, return_address=False)
            function = self._executable.function_at(code)
            if not frames or function is None:
                self._functions[code] = None
            else:
                # Where a call is inlined at the very entry, the function itself is the outermost frame.
                name = printable(frames[-1].function)
                self._functions[code] = Frame(
                    name, printable(function.file), function.line, code + self._bias
                )
        return self._functions[code]

    # --- wrappers ---

    def _called_by(self, code: int, context: int) -> tuple[Frame | None, int | None]:
        """What the wrapper at *code* calls: a frame where it was inlined, else the address of the function."""
        table = self._executable.pc_lines
        index = table.index_at(code)
        if index is None:
            return None, None
        entry = table.entry(index)
        size = min(table.info(index).size, _CODE_LIMIT)
        data = self._executable.image.read(entry, size)
        follower = _Follower(self._memory, self._bias, context)
        offset = 0
        for _ in range(_INSTRUCTIONS):
            instruction = decode(data, offset, entry + offset)
            if instruction is None:
                break
            inlined = [frame for frame in table.frames(instruction.address) if frame.inlined]
            if inlined:
                return self._inlined(inlined[-1]), None
            if instruction.operation in (Operation.CALL, Operation.JUMP):
                target = follower.target(instruction)
                if target is None or not self._begins(target):
                    break
                target_index = table.index_at(target)
                name = "" if target_index is None else table.name(target_index)
                if name not in _BEFORE_THE_CALL:
                    return None, target
            elif instruction.operation in (Operation.RETURN, Operation.TRAP):
                break
            follower.follow(instruction)
            offset += instruction.size
        return None, None

    def _inlined(self, frame: Frame) -> Frame:
        """*frame*, an inlined call, as the function it is, at its declaration where that is known."""
        function = self._executable.find_function(frame.function)
        name = printable(frame.function)
        if function is None or not function.file:
            return replace(frame, function=name, file=printable(frame.file), pc=0, inlined=False)
        return Frame(name, printable(function.file), function.line, function.entry + self._bias)


class _Follower:
    """Knows, of code that runs straight on, the registers whose values come from a func value's captures.

    Conditional jumps are not taken: in a wrapper they lead to morestack and to panics.
    """

    def __init__(self, memory: MemoryReader, bias: int, context: int) -> None:
        self._memory = memory
        self._bias = bias
        self._registers: dict[int, int] = {RDX: context} if context else {}
        self._slots: dict[tuple[int | None, int], int] = {}

    def follow(self, instruction: Instruction) -> None:
        destination, source = instruction.destination, instruction.source
        if instruction.operation in (Operation.COMPARE, Operation.TEST, Operation.PUSH, Operation.BRANCH):
            return
        if instruction.operation is Operation.MOVE and isinstance(destination, int):
            value = self._value(source) if instruction.width == 8 else None
            self._set(destination, value)
            return
        if instruction.operation is Operation.LOAD_ADDRESS and isinstance(destination, int):
            self._set(destination, self._address(source) if isinstance(source, Memory) else None)
            return
        if instruction.operation is Operation.MOVE and isinstance(destination, Memory):
            value = self._value(source) if instruction.width == 8 else None
            self._forget_slots_at(destination)
            if value is not None and destination.base is not None and destination.scaled is None:
                self._slots[destination.base, destination.displacement] = value
            return
        if isinstance(destination, Memory):
            self._slots.clear()
        if instruction.operation is Operation.CALL:
            self._registers.clear()
        for register in (*instruction.writes, *((destination,) if isinstance(destination, int) else ())):
            self._set(register, None)

    def target(self, instruction: Instruction) -> int | None:
        """Link-time address of what a call or jump goes to; None where it is not known."""
        if instruction.target is not None:
            return instruction.target
        value = self._value(instruction.source)
        return None if value is None else value - self._bias

    def _set(self, register: int, value: int | None) -> None:
        if value is None:
            self._registers.pop(register, None)
        else:
            self._registers[register] = value
        # What was kept relative to the register is kept elsewhere now.
        for key in [key for key in self._slots if key[0] == register]:
            del self._slots[key]

    def _forget_slots_at(self, place: Memory) -> None:
        if place.base is None or place.scaled is not None:
            self._slots.clear()
        for key in [
            key for key in self._slots if key[0] != place.base or abs(key[1] - place.displacement) < 16
        ]:
            del self._slots[key]

    def _value(self, operand: object) -> int | None:
        if isinstance(operand, Immediate):
            return operand.value & (1 << 64) - 1
        if isinstance(operand, int):
            return self._registers.get(operand)
        if not isinstance(operand, Memory):
            return None
        if operand.scaled is None and (operand.base, operand.displacement) in self._slots:
            return self._slots[operand.base, operand.displacement]
        address = self._address(operand)
        if address is None:
            return None
        try:
            return int.from_bytes(self._memory.read(address, 8), "little")
        except DecodeError:
            return None

    def _address(self, operand: Memory) -> int | None:
        if operand.segment or operand.scaled is not None:
            return None
        if operand.base is None:
            return operand.displacement + self._bias
        base = self._registers.get(operand.base)
        return None if base is None else base + operand.displacement
