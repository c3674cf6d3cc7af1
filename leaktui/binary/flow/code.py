"""A function's decoded instructions, and what its calling convention shows without any symbols.

Law: Go's register ABI (cmd/compile/abi-internal.md, amd64): arguments and results in `ABI_REGISTERS`, in
that order; the closure context in RDX; every register but SP, BP, R14 and X15 is lost in a call.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from leaktui.binary.pclntab import Function
from leaktui.binary.x86 import decode
from leaktui.binary.x86_instruction import (
    R8,
    R9,
    R10,
    R11,
    RAX,
    RBX,
    RCX,
    RDI,
    RSI,
    RSP,
    Immediate,
    Instruction,
    Memory,
    Operation,
)
from leaktui.model.frame import Frame

ABI_REGISTERS = (RAX, RBX, RCX, RDI, RSI, R8, R9, R10, R11)
FUNCTION_LIMIT = 1 << 19
"""Bytes of the longest function looked at."""

_RELOADS = (Operation.MOVE, Operation.OTHER, Operation.NOP)
_BLOCK_ENDS = (Operation.BRANCH, Operation.CALL, Operation.JUMP, Operation.RETURN, Operation.TRAP)
_ENDS = (Operation.JUMP, Operation.RETURN, Operation.TRAP)


class CodeReader(Protocol):
    """What the flow analysis needs of an executable. Addresses are link-time ones."""

    @property
    def types_base(self) -> int | None:
        """moduledata.types, which name offsets in type descriptors count from; None if not known."""

    def read(self, address: int, size: int) -> bytes:
        """*size* bytes at *address* after relocation; raises DecodeError when they are not in the file."""

    def read_constant(self, address: int, size: int) -> bytes:
        """The same, but only for memory that the program cannot write."""

    def iter_code(self) -> list[tuple[int, bytes]]:
        """(address, bytes) of all memory with code."""

    def function_at(self, pc: int) -> Function | None:
        """The function whose code holds *pc*."""

    def frames_at(self, pc: int, *, return_address: bool = True) -> tuple[Frame, ...]:
        """The calls at *pc*, inlined ones first."""


ArgumentsOf = Callable[[int], "frozenset[int] | None"]


class Liveness(NamedTuple):
    """Registers whose value is wanted: `read` for sure; `passed` still untouched at a call whose arguments are not
    known; `returned` still untouched at a return."""

    read: frozenset[int]
    passed: frozenset[int]
    returned: frozenset[int]


class FunctionCode:
    """One function, decoded from its first byte to its last.

    `complete` is False if some byte was not understood; then the instructions before it are all there is.
    """

    def __init__(self, function: Function, code: bytes) -> None:
        self.function = function
        self.instructions: dict[int, Instruction] = {}
        self.leaders: set[int] = {function.entry}
        self.complete = True
        self._argument_registers: frozenset[int] | None = None
        self._loop_edges: frozenset[tuple[int, int]] | None = None
        self.shared: set[int] = set()
        """Leaders that more than one instruction leads to."""
        self.flags: dict[int, frozenset[int]] = {}
        at, end = 0, len(code)
        while at < end:
            instruction = decode(code, at, function.entry + at)
            if instruction is None:
                self.complete = False
                break
            self.instructions[instruction.address] = instruction
            if instruction.target is not None and instruction.operation in (Operation.BRANCH, Operation.JUMP):
                self.leaders.add(instruction.target)
            at += instruction.size
        self.flags = self._find_flags()
        self._find_shared()

    def _find_shared(self) -> None:
        entered: set[int] = set()
        for address in self.instructions:
            for pc in self._successors(address):
                (self.shared if pc in entered else entered).add(pc)
        self.shared &= self.leaders

    def _find_flags(self) -> dict[int, frozenset[int]]:
        """Per leader, the registers whose single bits are tested before anything is written to them."""
        found: dict[int, frozenset[int]] = {}
        for leader in self.leaders:
            tested: set[int] = set()
            written: set[int] = set()
            instruction = self.instructions.get(leader)
            while instruction is not None and instruction.operation not in _BLOCK_ENDS:
                register = instruction.destination
                if (
                    instruction.operation is Operation.TEST
                    and isinstance(register, int)
                    and isinstance(instruction.source, Immediate)
                    and register not in written
                ):
                    tested.add(register)
                written |= registers_of(instruction)[1]
                instruction = self.instructions.get(instruction.end)
            if tested:
                found[leader] = frozenset(tested)
        return found

    def at(self, pc: int) -> Instruction | None:
        return self.instructions.get(pc)

    def contains(self, pc: int) -> bool:
        return self.function.entry <= pc < self.function.end

    def loop_edges(self) -> frozenset[tuple[int, int]]:
        """(from, to) of the jumps that close a loop that calls something: around it, memory may have changed."""
        if self._loop_edges is None:
            self._loop_edges = self._find_loop_edges()
        return self._loop_edges

    def _find_loop_edges(self) -> frozenset[tuple[int, int]]:
        found: set[tuple[int, int]] = set()
        entry = self.function.entry
        open_, done = {entry}, set()
        stack = [(entry, iter(self._successors(entry)))]
        while stack:
            pc, following = stack[-1]
            to = next(following, None)
            if to is None:
                stack.pop()
                open_.discard(pc)
                done.add(pc)
            elif to in open_:
                if to > pc or self._calls_between(to, pc):
                    found.add((pc, to))
            elif to not in done:
                open_.add(to)
                stack.append((to, iter(self._successors(to))))
        return frozenset(found)

    def _calls_between(self, first: int, last: int) -> bool:
        """Whether there is a call in the code from *first* to *last*; the search of an itab cache has none."""
        pc = first
        while pc <= last:
            instruction = self.instructions[pc]
            if instruction.operation is Operation.CALL:
                return True
            pc = instruction.end
        return False

    def _successors(self, pc: int) -> list[int]:
        """Where the instruction at *pc* goes on to, inside the function; jumps through tables are not known."""
        instruction = self.instructions.get(pc)
        if instruction is None:
            return []
        following = [instruction.end] if instruction.operation not in _ENDS else []
        if instruction.target is not None and instruction.operation in (Operation.BRANCH, Operation.JUMP):
            following.append(instruction.target)
        return [to for to in following if to in self.instructions]

    def argument_registers(self) -> frozenset[int]:
        """The registers it takes arguments in: those its prologue saves around runtime.morestack.

        That block ends the function with `MOV [SP+8n], reg …; CALL morestack; MOV reg, [SP+8n] …; JMP entry`
        (cmd/compile/internal/ssagen, `spillArgReg`); a function without it is small enough to be walked.
        """
        if self._argument_registers is None:
            self._argument_registers = self._find_argument_registers()
        return self._argument_registers

    def _find_argument_registers(self) -> frozenset[int]:
        entry = self.function.entry
        if not any(
            item.operation is Operation.JUMP and item.target == entry for item in self.instructions.values()
        ):
            liveness = self.live_registers(entry)
            return liveness.read | liveness.passed
        listing = list(self.instructions.values())
        for position in range(len(listing) - 1, 0, -1):
            item = listing[position]
            if item.operation is Operation.JUMP and item.target == entry:
                found = set()
                position -= 1
                while position > 0 and listing[position].operation in _RELOADS:
                    item = listing[position]
                    if item.operation is Operation.MOVE and isinstance(item.source, Memory):
                        if item.source.base == RSP and isinstance(item.destination, int):
                            found.add(item.destination)
                    elif item.operation is Operation.OTHER:
                        found.update(item.writes)  # MOVBLZX and the like: arguments smaller than a word
                    position -= 1
                return frozenset(found & set(ABI_REGISTERS))
        return frozenset()

    def live_registers(self, pc: int, arguments_of: ArgumentsOf | None = None) -> Liveness:
        """Which registers are read before they are written on some path from *pc*.

        *arguments_of* tells the registers a called function takes, None where it is not known.
        """
        live: set[int] = set()
        passed: set[int] = set()
        returned: set[int] = set()
        seen: dict[int, frozenset[int]] = {}
        work = [(pc, frozenset(ABI_REGISTERS))]
        while work:
            at, untouched = work.pop()
            known = seen.get(at, frozenset())
            instruction = self.instructions.get(at)
            if untouched <= known or instruction is None:
                continue
            seen[at] = known | untouched
            operation, target = instruction.operation, instruction.target
            reads, writes = registers_of(instruction)
            live |= untouched & reads
            untouched = untouched - reads - writes
            inside = target is not None and self.contains(target)
            if operation is Operation.CALL or (operation is Operation.JUMP and not inside):
                taken = arguments_of(target) if arguments_of is not None and target is not None else None
                live |= untouched & taken if taken is not None else frozenset()
                passed |= untouched if taken is None else frozenset()
            elif operation is Operation.RETURN:
                returned |= untouched
            else:
                if inside and target is not None:
                    work.append((target, untouched))
                if operation not in _ENDS:
                    work.append((instruction.end, untouched))
        return Liveness(frozenset(live), frozenset(passed - live), frozenset(returned - live))

    def results_set_at_exits(self) -> int:
        """How many result registers some exit sets on purpose: written, then not read before RET.

        Compilers do not write registers nobody reads, so such a register is a result, and so are those before
        it. 0 proves nothing: results may have been in place already.
        """
        count = 0
        for address, instruction in self.instructions.items():
            if instruction.operation is not Operation.RETURN:
                continue
            count = max(count, self._results_set_before(address))
        return count

    def _results_set_before(self, address: int) -> int:
        listing = self.addresses()
        position = listing.index(address)
        read: set[int] = set()
        count = 0
        while position > 0:
            position -= 1
            instruction = self.instructions[listing[position]]
            if instruction.operation in (Operation.CALL, Operation.RETURN, Operation.JUMP, Operation.TRAP):
                break
            reads, writes = registers_of(instruction)
            if instruction.operation in (Operation.MOVE, Operation.LOAD_ADDRESS, Operation.ZERO):
                for register in writes - read:
                    if register in ABI_REGISTERS:
                        count = max(count, ABI_REGISTERS.index(register) + 1)
            read = read - writes | reads
            if listing[position] in self.leaders:
                break
        return count

    def addresses(self) -> list[int]:
        """The addresses of all instructions, ascending."""
        return list(self.instructions)


def registers_of(instruction: Instruction) -> tuple[frozenset[int], frozenset[int]]:
    """The registers an instruction reads (as far as told: OTHER hides some) and writes."""
    reads: set[int] = set(instruction.reads)
    writes = set(instruction.writes)
    for operand in (instruction.destination, instruction.source):
        if isinstance(operand, Memory):
            reads.update(register for register in (operand.base, operand.scaled) if register is not None)
    if isinstance(instruction.source, int):
        reads.add(instruction.source)
    destination = instruction.destination
    if isinstance(destination, int):
        if instruction.operation in (Operation.COMPARE, Operation.TEST):
            reads.add(destination)
        else:
            writes.add(destination)
            if instruction.operation in (
                Operation.ADD,
                Operation.SELECT,
                Operation.EXCHANGE,
                Operation.AND,
                Operation.OR,
            ):
                reads.add(destination)
    return frozenset(reads), frozenset(writes)
