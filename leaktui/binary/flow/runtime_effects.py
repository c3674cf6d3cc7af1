"""What the runtime's own functions do to a State: allocation, conversions, moves, channels.

Law: told by name, from the contracts in Go's runtime package (1.22 to 1.27); none of them is walked.
"""

from __future__ import annotations

from collections.abc import Callable

from leaktui.binary.flow.callees import Callee
from leaktui.binary.flow.facts import Facts
from leaktui.binary.flow.machine import Machine
from leaktui.binary.flow.program import Program
from leaktui.binary.flow.state import State, Status
from leaktui.binary.flow.values import BARRIER, NIL, Constant, Itab, Pointer, Region
from leaktui.binary.x86_instruction import R11, RAX, RBX, RCX, RDI, RSI, Instruction

_DUFF_COPY_STEP = 14
"""Bytes of code that copy 16 bytes in runtime.duffcopy (runtime/mkduff.go, amd64), 64 times."""
_DUFF_COPY_BLOCKS = 64


class RuntimeEffects:
    """Applies calls of the runtime that need no walk."""

    def __init__(self, program: Program, machine: Machine, facts: Facts) -> None:
        self._program = program
        self._machine = machine
        self._facts = facts

    def apply(self, kind: Callee, instruction: Instruction, state: State, depth: int) -> list[State] | None:
        """The states the call returns in; None for a function that is not the runtime's to tell."""
        effect = self._EFFECTS.get(kind)
        return None if effect is None else effect(self, instruction, state, depth)

    def _write_barrier(self, instruction: Instruction, state: State, depth: int) -> list[State]:
        state.set(R11, BARRIER)
        state.test = None
        return [state]

    def _allocate(self, instruction: Instruction, state: State, depth: int) -> list[State]:
        # newobject(typ) has the type in RAX, mallocgc(size, typ, zero) in RBX.
        candidates = [state.get(RAX), state.get(RBX)]
        region = Region("heap", instruction.address << 3 | depth)
        for value in candidates:
            if isinstance(value, Constant) and value.number > 1 << 16:
                name = self._program.metadata.type_name(value.number)
                self._machine.allocated[region] = name
                break
        state.lose_registers()
        state.clear_region(region)
        state.registers[RAX] = Pointer(region, 0)
        return [state]

    def _grow_slice(self, instruction: Instruction, state: State, depth: int) -> list[State]:
        old = state.get(RAX)
        region = Region("heap", instruction.address << 3 | depth)
        fields = list(state.fields(old)) if isinstance(old, Pointer) else []
        state.lose_registers()
        state.clear_region(region)
        for offset, value in fields:
            state.memory[region, offset] = value
        state.registers[RAX] = Pointer(region, 0)
        return [state]

    def _type_assert(self, instruction: Instruction, state: State, depth: int) -> list[State]:
        descriptor = state.get(RAX)
        state.lose_registers()
        if isinstance(descriptor, Constant):
            interface = self._program.metadata.find_asserted_interface(descriptor.number)
            if interface is not None:
                state.registers[RAX] = Itab(interface)
        return [state]

    def _assert_interface(self, instruction: Instruction, state: State, depth: int) -> list[State]:
        interface = state.get(RAX)
        state.lose_registers()
        if isinstance(interface, Constant):
            state.registers[RAX] = Itab(interface.number)
        return [state]

    def _send(self, instruction: Instruction, state: State, depth: int) -> list[State]:
        """chansend1(c, elem)."""
        what = state.reaches(state.get(RBX))
        if what is not None:
            self._machine.store_away(instruction.address, state, "channel", what)
        state.lose_registers()
        return [state]

    def _try_send(self, instruction: Instruction, state: State, depth: int) -> list[State]:
        """selectnbsend(c, elem) bool: sent, or not."""
        if state.reaches(state.get(RBX)) is None:
            state.lose_registers()
            return [state]
        unsent = state.copy()
        unsent.lose_registers()
        unsent.registers[RAX] = NIL
        (sent,) = self._send(instruction, state, depth)
        sent.registers[RAX] = Constant(1)
        return [sent, unsent]

    def _select(self, instruction: Instruction, state: State, depth: int) -> list[State]:
        """selectgo(cases, …): which case was taken is told by a number that is not followed."""
        if state.reaches(state.get(RAX)) is not None:
            self._facts.touches.add(instruction.address)
            if state.status is Status.OPEN:
                state.status = Status.UNSURE
        state.lose_registers()
        return [state]

    def _convert(self, instruction: Instruction, state: State, depth: int) -> list[State]:
        """convT(typ, &value): a copy of the value on the heap, as an interface's data."""
        source = state.get(RBX)
        fields = list(state.fields(source)) if isinstance(source, Pointer) else []
        (state,) = self._allocate(instruction, state, depth)
        made = state.get(RAX)
        assert isinstance(made, Pointer)
        for offset, value in fields:
            if offset >= 0:
                state.memory[made.region, offset] = value
        return [state]

    def _move_memory(self, instruction: Instruction, state: State, depth: int) -> list[State]:
        self._copy(instruction, state, RAX, RBX, RCX)
        return [state]

    def _typed_move(self, instruction: Instruction, state: State, depth: int) -> list[State]:
        self._copy(instruction, state, RBX, RCX, None)
        return [state]

    def _copy(self, instruction: Instruction, state: State, to: int, source: int, size: int | None) -> None:
        count = state.get(size) if size is not None else None
        length = count.number if isinstance(count, Constant) else None
        self._machine.copy_memory(instruction.address, state, state.get(to), state.get(source), length)
        state.lose_registers()

    def _duff_zero(self, instruction: Instruction, state: State, depth: int) -> list[State]:
        state.set(RDI, None)
        return [state]

    def _duff_copy(self, instruction: Instruction, state: State, depth: int) -> list[State]:
        target = instruction.target or 0
        function = self._program.reader.function_at(target)
        blocks = _DUFF_COPY_BLOCKS
        if function is not None:
            blocks -= (target - function.entry) // _DUFF_COPY_STEP
        self._machine.copy_memory(
            instruction.address, state, state.get(RDI), state.get(RSI), max(blocks, 0) * 16
        )
        state.set(RDI, None)
        state.set(RSI, None)
        return [state]

    _EFFECTS: dict[Callee, Callable[[RuntimeEffects, Instruction, State, int], list[State]]] = {  # noqa: RUF012
        Callee.WRITE_BARRIER: _write_barrier,
        Callee.ALLOCATE: _allocate,
        Callee.GROW_SLICE: _grow_slice,
        Callee.TYPE_ASSERT: _type_assert,
        Callee.ASSERT_INTERFACE: _assert_interface,
        Callee.SEND: _send,
        Callee.TRY_SEND: _try_send,
        Callee.SELECT: _select,
        Callee.CONVERT: _convert,
        Callee.MOVE_MEMORY: _move_memory,
        Callee.TYPED_MOVE: _typed_move,
        Callee.DUFF_ZERO: _duff_zero,
        Callee.DUFF_COPY: _duff_copy,
    }
