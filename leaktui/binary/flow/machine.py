"""What one instruction does to a State, calls apart.

Law: a write through a pointer that is not known touches no region that is: Go's compiler gives a program no
other way to its stack slots and fresh objects than the pointers followed here.
"""

from __future__ import annotations

from leaktui.binary.flow.code import ABI_REGISTERS
from leaktui.binary.flow.facts import Facts, Stored
from leaktui.binary.flow.metadata import Metadata
from leaktui.binary.flow.numbers import mask_value, move_value
from leaktui.binary.flow.operands import INDEXED, WORD, Operands
from leaktui.binary.flow.state import Address, State, Status
from leaktui.binary.flow.values import (
    BARRIER,
    BODY_DATA,
    BODY_DATA_OFFSET,
    BODY_ITAB,
    NIL,
    RESPONSE,
    SHARED,
    SHARED_OFFSET,
    Constant,
    Flag,
    Ones,
    Pair,
    Pointer,
    Region,
    Value,
    is_followed,
)
from leaktui.binary.x86_instruction import (
    RCX,
    RDI,
    RSI,
    RSP,
    XMM0,
    Immediate,
    Instruction,
    Memory,
    Operation,
)

_FLAG_KEEPERS = frozenset(
    (Operation.MOVE, Operation.LOAD_ADDRESS, Operation.NOP, Operation.PUSH, Operation.POP, Operation.EXCHANGE)
)
_VARIABLES = ("*http.Response", "io.ReadCloser")
"""Types of single variables that were moved to the heap because a closure shares them."""
_WHOLE = ("response", "body")
_READERS = frozenset(
    ("io", "bufio", "json", "gzip", "zlib", "flate", "xml", "csv", "gob", "multipart", "textproto")
)
"""Packages whose readers do not close what they read."""


class Machine:
    """Applies instructions to states and notes what they do to the response."""

    def __init__(self, metadata: Metadata, facts: Facts) -> None:
        self._operands = operands = Operands(metadata)
        self._facts = facts
        self.read = operands.read
        """The value of an operand of up to 8 bytes."""
        self.allocated: dict[Region, str] = {}
        """Type names of heap regions."""

    def step(self, instruction: Instruction, state: State) -> None:
        """Apply an instruction that neither jumps nor calls."""
        self._touch(instruction, state)
        operation, destination, source = instruction.operation, instruction.destination, instruction.source
        test = state.test
        if operation not in _FLAG_KEEPERS:
            state.test = None
        match operation:
            case Operation.MOVE:
                self._move(instruction, state)
            case Operation.LOAD_ADDRESS:
                assert isinstance(destination, int)
                value = self._operands.address(state, source) if instruction.width == WORD else None
                state.set(destination, value)
            case Operation.ZERO:
                assert isinstance(destination, int)
                state.set(destination, Pair(NIL, NIL) if destination >= XMM0 else NIL)
            case Operation.ADD:
                assert isinstance(destination, int) and isinstance(source, Immediate)
                state.set(destination, move_value(state.get(destination), source.value))
            case Operation.AND | Operation.OR:
                assert isinstance(destination, int) and isinstance(source, Immediate)
                state.set(
                    destination,
                    mask_value(operation, state.get(destination), source.value, instruction.width),
                )
            case Operation.SET:
                assert isinstance(destination, int)
                met = test.decides(instruction.condition) if test is not None else None
                state.set(destination, None if met is None else Constant(int(met)))
                state.test = test
            case Operation.TEST | Operation.COMPARE:
                state.test = self._operands.compare(state, instruction)
            case Operation.EXCHANGE:
                self._exchange(instruction, state)
            case Operation.PUSH:
                value = self.read(state, source, WORD)
                state.set(RSP, move_value(state.get(RSP), -WORD))
                self._store(instruction, state, Memory(RSP, None, 1, 0), value)
            case Operation.POP:
                value = self.read(state, Memory(RSP, None, 1, 0), WORD)
                state.set(RSP, move_value(state.get(RSP), WORD))
                if isinstance(destination, int):
                    state.set(destination, value)
                elif isinstance(destination, Memory):
                    self._store(instruction, state, destination, value)
            case Operation.FILL:
                self._fill(instruction, state)
            case Operation.COPY:
                count = state.get(RCX)
                size = count.number * instruction.width if isinstance(count, Constant) else None
                self.copy_memory(instruction.address, state, state.get(RDI), state.get(RSI), size)
                _forget(state, instruction.writes)
            case Operation.NOP:
                pass
            case _:
                if isinstance(destination, Memory):
                    self._store(instruction, state, destination, None)
                _forget(state, instruction.writes)

    def select(self, instruction: Instruction, state: State) -> list[State]:
        """CMOVcc: two states where it matters which value was taken."""
        self._touch(instruction, state)
        destination = instruction.destination
        assert isinstance(destination, int)
        old = state.get(destination)
        new = self.read(state, instruction.source, instruction.width)
        if old == new:
            return [state]
        if not any(
            value is not None and (is_followed(value) or state.reaches(value)) for value in (old, new)
        ):
            test = state.test
            state.set(destination, None)
            state.test = test
            return [state]
        other = state.copy()
        other.set(destination, new)
        return [state, other]

    # --- effects ---

    def _move(self, instruction: Instruction, state: State) -> None:
        destination, source, width = instruction.destination, instruction.source, instruction.width
        if isinstance(destination, int):
            if destination >= XMM0:
                state.set(destination, self._operands.read_pair(state, source, width))
                return
            value = self.read(state, source, width)
            if isinstance(value, Flag):
                value = Constant(value.number)
            elif width < WORD and isinstance(value, Constant):
                value = Constant(value.number & (1 << 8 * width) - 1) if width != 2 else None
            state.set(destination, value)
            return
        assert isinstance(destination, Memory)
        if width == 16:
            pair = self._operands.read_pair(state, source, width)
            self._store(instruction, state, destination, pair.low if pair else None)
            high = destination._replace(displacement=destination.displacement + WORD)
            self._store(instruction, state, high, pair.high if pair else None)
            return
        value = self.read(state, source, width)
        if width == 1:
            if isinstance(value, Constant):
                value = Flag(value.number & 0xFF)
            elif not isinstance(value, Ones):
                value = None
        elif (width != WORD and not isinstance(value, Constant)) or isinstance(value, Ones):
            value = None
        self._store(instruction, state, destination, value)

    def _store(self, instruction: Instruction, state: State, memory: Memory, value: Value | None) -> None:
        address = self._operands.locate(state, memory)
        if address is not None:
            if memory.scaled is not None and state.reaches(value) in _WHOLE:
                # An array's element: it may be found again by an index that is not known.
                self._contain(instruction.address, state, state.reaches(value) or "")
            self.write(instruction.address, state, address, value)
            return
        base = state.get(memory.base) if memory.base is not None else None
        if base == BARRIER:
            return
        if isinstance(value, Pointer) and value.region.kind == "heap":
            state.write((value.region, SHARED_OFFSET), SHARED)
        what = state.reaches(value)
        if what is None:
            return
        where = "global" if memory.base is None or isinstance(base, Constant) else "heap"
        self.store_away(instruction.address, state, where, what)

    def write(self, pc: int, state: State, address: Address, value: Value | None) -> None:
        """Store to a known place."""
        in_place = address == (RESPONSE, BODY_DATA_OFFSET) and state.memory.get(address) == BODY_DATA
        if in_place and value != BODY_DATA and state.status is not Status.ABSENT:
            self._facts.replacements.add(pc)
        what = state.reaches(value)
        outside = address[0].kind == "argument" or (address[0], SHARED_OFFSET) in state.memory
        if outside and isinstance(value, Pointer) and value.region.kind == "heap":
            state.write((value.region, SHARED_OFFSET), SHARED)
        if what is not None and outside:
            self.store_away(pc, state, "heap", what)
        elif address[1] >= INDEXED // 2:
            if what is None:
                return
            self._contain(pc, state, what)
        state.write(address, value)

    def _contain(self, pc: int, state: State, what: str) -> None:
        """The response is in an object made here, at a place not known."""
        if what != "reader" and state.status is Status.OPEN:
            state.status = Status.CONTAINED
            self._facts.stores.add(Stored(pc, "array", what))

    def store_away(self, pc: int, state: State, where: str, what: str) -> None:
        """The response went where code that is not followed can find it."""
        if state.status is Status.ABSENT or what == "reader":
            return
        self._facts.stores.add(Stored(pc, where, what))
        self._facts.touches.add(pc)
        if state.status in (Status.OPEN, Status.CONTAINED):
            state.status = Status.STORED

    def copy_memory(
        self, pc: int, state: State, target: Value | None, source: Value | None, size: int | None
    ) -> None:
        """memmove: the words that are known go along; None for a size that is not known."""
        if not isinstance(source, Pointer):
            if isinstance(target, Pointer):
                self._erase(state, target, size)
            return
        fields = [(offset, value) for offset, value in state.fields(source) if offset >= 0]
        if size is not None:
            fields = [(offset, value) for offset, value in fields if offset < size or offset >= INDEXED // 2]
        if isinstance(target, Pointer):
            self._erase(state, target, size)
            for offset, value in fields:
                self.write(pc, state, (target.region, target.offset + offset), value)
            return
        for _, value in fields:
            what = state.reaches(value)
            if what is not None:
                self.store_away(pc, state, "heap", what)

    def _erase(self, state: State, target: Pointer, size: int | None) -> None:
        region, start = target
        end = start + (size if size is not None else 0)
        for address in list(state.memory):
            if address[0] == region and start <= address[1] < end:
                state.write(address, None)

    def _fill(self, instruction: Instruction, state: State) -> None:
        target, count = state.get(RDI), state.get(RCX)
        if isinstance(target, Pointer):
            size = count.number * instruction.width if isinstance(count, Constant) else 1 << 16
            self._erase(state, target, size)
        _forget(state, instruction.writes)

    def _exchange(self, instruction: Instruction, state: State) -> None:
        first, second = instruction.destination, instruction.source
        assert isinstance(first, int)
        one, two = state.get(first), self.read(state, second, instruction.width)
        if instruction.width != WORD:
            one = two = None
        state.set(first, two)
        if isinstance(second, int):
            state.set(second, one)
        elif isinstance(second, Memory):
            self._store(instruction, state, second, one)

    def _touch(self, instruction: Instruction, state: State) -> None:
        """Note that the response or its body is looked into here, not only moved about."""
        if state.status is Status.ABSENT:
            return
        for operand in (instruction.destination, instruction.source):
            if isinstance(operand, Memory) and operand.base is not None:
                self._touch_register(instruction.address, state, operand.base)
        for register in instruction.reads:
            self._touch_register(instruction.address, state, register)

    def _touch_register(self, pc: int, state: State, register: int) -> None:
        value = state.get(register)
        if value == BODY_ITAB or (isinstance(value, Pointer) and value.region == RESPONSE):
            self._facts.touches.add(pc)

    def narrowed(self, state: State, number: int, what: str) -> str:
        """What a result leads to, told more narrowly by its type: the library's readers cannot close the body."""
        value = state.get(ABI_REGISTERS[number])
        if what == "wrapped" and isinstance(value, Pointer):
            package = self.allocated.get(value.region, "").split(".", 1)[0]
            return "reader" if package in _READERS else what
        return what

    def is_contained(self, state: State, *, locals_too: bool = False) -> bool:
        """Whether an object made here, other than a closure or a library's reader, holds the body."""
        for (region, offset), value in state.memory.items():
            if region.kind != "heap" or state.reaches(value) in (None, "reader"):
                continue
            if isinstance(state.memory.get((region, 0)), Constant) and offset > 0:
                continue
            name = self.allocated.get(region, "")
            package = name.split(".", 1)[0]
            if package in _READERS and not locals_too:
                continue
            if name in _VARIABLES and not locals_too:
                continue
            return True
        return False


def _forget(state: State, registers: tuple[int, ...]) -> None:
    for register in registers:
        state.set(register, None)
