"""What the operands of one instruction are worth in a State.

Law: nothing is changed. A value that is not known is None, never a guess.
"""

from __future__ import annotations

from leaktui.binary.flow.metadata import Metadata
from leaktui.binary.flow.numbers import method_at, move_value, signed_number
from leaktui.binary.flow.state import Address, Condition, State, Status
from leaktui.binary.flow.values import (
    BODY_ITAB,
    NIL,
    Constant,
    Flag,
    Itab,
    Loaded,
    Ones,
    Pair,
    Pointer,
    Unread,
    Value,
    known_zero,
)
from leaktui.binary.x86_instruction import XMM0, Immediate, Instruction, Memory, Operand, Operation

WORD = 8
INDEXED = 1 << 40
"""Offset under which words at an unknown index of an object are kept: they are in it, no one knows where."""
_CACHE_ENTRY_ITAB = 0x10
_BODY_METHODS = ("Close", "Read")
"""The methods of io.ReadCloser, sorted as in its itab."""


class Operands:
    """Looks operands up, with what the executable's own data says of constants."""

    def __init__(self, metadata: Metadata) -> None:
        self._metadata = metadata

    def read(self, state: State, operand: Operand | None, width: int) -> Value | None:
        """The value of an operand of up to 8 bytes."""
        if isinstance(operand, Immediate):
            return Constant(operand.value & (1 << 64) - 1)
        if isinstance(operand, int):
            if operand >= XMM0:
                pair = state.get_pair(operand)
                return pair.low if pair else None
            value = state.get(operand)
            return value if width == WORD or isinstance(value, (Constant, Ones)) else None
        return self._load(state, operand, width) if operand is not None else None

    def read_pair(self, state: State, source: Operand | None, width: int) -> Pair | None:
        """The value of an operand of 8 or 16 bytes as a vector register holds it."""
        if isinstance(source, int) and source >= XMM0:
            return state.get_pair(source)
        if width == 16 and isinstance(source, Memory):
            high = source._replace(displacement=source.displacement + WORD)
            return Pair(self._load(state, source, WORD), self._load(state, high, WORD))
        return Pair(self.read(state, source, width), NIL) if width == WORD else None

    def locate(self, state: State, memory: Memory) -> Address | None:
        """The region and offset a memory operand is at, if they are known."""
        base = state.get(memory.base) if memory.base is not None else None
        if not isinstance(base, Pointer) or memory.segment:
            return None
        offset = base.offset + memory.displacement
        if memory.scaled is not None:
            index = state.get(memory.scaled)
            if not isinstance(index, Constant):
                return base.region, INDEXED + memory.displacement
            offset += index.number * memory.scale
        return base.region, offset

    def address(self, state: State, operand: Operand | None) -> Value | None:
        """Where a memory operand is, as LEA has it; None where that is not known."""
        if not isinstance(operand, Memory) or operand.segment:
            return None
        if operand.base is None:
            return Constant(operand.displacement) if operand.scaled is None else None
        if operand.scaled is not None:
            index = state.get(operand.scaled)
            if not isinstance(index, Constant):
                return None
            return move_value(state.get(operand.base), operand.displacement + index.number * operand.scale)
        return move_value(state.get(operand.base), operand.displacement)

    def compare(self, state: State, instruction: Instruction) -> Condition | None:
        """What the flags say after a TEST or COMPARE, as far as it is followed."""
        left, right, width = instruction.destination, instruction.source, instruction.width
        value = self.read(state, left, width)
        other = self.read(state, right, width)
        if instruction.operation is Operation.TEST:
            if left == right and isinstance(value, Unread):
                return Condition(None, slot=(value.region, value.offset), byte=True)
            if left == right and isinstance(left, int):
                return Condition(value, register=left) if width == WORD or value is not None else None
            if isinstance(value, (Flag, Constant)) and isinstance(other, Constant):
                mask = (1 << 8 * width) - 1
                return Condition(value, zero=value.number & other.number & mask == 0)
            if isinstance(value, Ones) and isinstance(other, Constant) and value.bits & other.number:
                return Condition(value, zero=False)
            return None
        if isinstance(value, (Flag, Constant)) and isinstance(other, Constant):
            difference = signed_number(value.number, width) - signed_number(other.number, width)
            return Condition(value, zero=difference == 0, difference=difference)
        if other == NIL and width == 1:
            if isinstance(value, Unread):
                return Condition(None, slot=(value.region, value.offset), byte=True)
            return None
        if other == NIL and width == WORD:
            slot = self.locate(state, left) if isinstance(left, Memory) else None
            return Condition(value, register=left if isinstance(left, int) else None, slot=slot)
        if (
            value is not None
            and other is not None
            and {known_zero(value), known_zero(other)} == {True, False}
        ):
            return Condition(value, zero=False)
        return None

    def _load(self, state: State, memory: Memory, width: int) -> Value | None:
        if memory.segment:
            return None
        address = self.locate(state, memory)
        if address is not None:
            value = state.memory.get(address)
            if width == 1 and value is None and state.status is Status.OPEN:
                return Unread(*address)
            if width == WORD or isinstance(value, (Flag, Ones) if width == 1 else Constant):
                return value
            return None
        if width != WORD:
            return None
        if memory.base is None:
            return Loaded(memory.displacement) if memory.scaled is None else None
        base = state.get(memory.base)
        for part in (base, state.get(memory.scaled) if memory.scaled is not None else None):
            # The fast path of an interface conversion finds the itab in the TypeAssert's cache.
            if isinstance(part, Loaded) and memory.displacement == _CACHE_ENTRY_ITAB:
                interface = self._metadata.find_asserted_interface(part.address)
                return None if interface is None else Itab(interface)
        if memory.scaled is not None:
            return None
        if base == BODY_ITAB:
            return method_at(_BODY_METHODS, memory.displacement)
        if isinstance(base, Itab):
            return method_at(self._metadata.interface_methods(base.interface) or (), memory.displacement)
        if isinstance(base, Constant):
            word = self._metadata.read_word(base.number + memory.displacement)
            return Constant(word) if word else None
        return None
