"""Where a Go function can be probed: once it has been entered, and where it returns.

Law: an address is given out only if it is proved: the function's machine code was decoded from its first byte to its
last, the byte there is the instruction it should be, and the table of stack sizes agrees. amd64 only.

On entry the probe lies on the `PUSHQ BP` after the stack check, which a function passes once however often its stack
grows (cmd/internal/obj/x86/obj6.go `preprocess`: the check that failed is made again from the start). The kernel
emulates it, and arguments are still in their registers. Before it, as at a RET, [RSP] is the return address and RBP
the caller's frame.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from leaktui.binary.executable import Executable
from leaktui.binary.func_record import FuncInfo
from leaktui.binary.pclntab import PcLineTable
from leaktui.binary.x86 import decode
from leaktui.binary.x86_instruction import RBP, Instruction, Operation
from leaktui.engines.probes.recipe import Recipe, Site
from leaktui.errors import DecodeError, EngineUnavailable

PUSH_BP = 0x55
RETURN = 0xC3

_BREAKPOINT = 0xCC
_FRAME_OF_PUSH = 8
_SIZE_LIMIT = 1 << 20
_REMEDY = "use the memory source, and report the Go release this program was built with"


@dataclass(frozen=True, slots=True)
class ProbedFunction:
    """A function of an executable; addresses are the linker's, (address, place in the file).

    `push` is its `PUSHQ BP`, None where it has no frame of its own. `returns` are all its RETs, ascending;
    `leaves` says that it also ends by a jump to another function, which then returns in its place.
    """

    name: str
    entry: int
    end: int
    push: tuple[int, int] | None
    returns: tuple[tuple[int, int], ...]
    leaves: bool

    def entry_site(self, event: str, recipe: Recipe, bias: int) -> Site:
        """A probe that is hit each time it is called. Raises EngineUnavailable where it has no frame."""
        if self.push is None:
            raise EngineUnavailable(
                f"{self.name} has no frame of its own in this program, so that it cannot be probed",
                remedy=_REMEDY,
            )
        address, offset = self.push
        return Site(event, self.name, address + bias, offset, PUSH_BP, recipe)

    def return_sites(self, event: str, recipe: Recipe, bias: int) -> tuple[Site, ...]:
        """Probes of which one is hit each time it returns; a panic that passes through is not seen.

        Raises EngineUnavailable where it can end otherwise.
        """
        if self.leaves or not self.returns:
            raise EngineUnavailable(
                f"{self.name} does not end with a return in this program, so that its results cannot be seen",
                remedy=_REMEDY,
            )
        return tuple(
            Site(event, self.name, address + bias, offset, RETURN, recipe) for address, offset in self.returns
        )


def find_probed_function(executable: Executable, name: str) -> ProbedFunction | None:
    """The function with the linker's *name*; None where it is not linked, or was inlined everywhere.

    Of several with that name it is the one that is no wrapper made for another calling convention. Raises
    EngineUnavailable where its code is not understood, and on other machines than amd64.
    """
    if executable.machine != "amd64":
        raise EngineUnavailable(
            f"probes know the machine code of amd64 only, and this program is for {executable.machine}",
            remedy="use the memory source",
        )
    table = executable.pc_lines
    try:
        infos = [table.info(index) for index in table.find_indexes(name)]
        proper = [info for info in infos if not table.is_wrapper(info.func_id)] or infos
        if not proper:
            return None
        return _examine(executable, table, name, max(proper, key=lambda info: info.size))
    except DecodeError:
        raise _not_understood(name, "its tables are damaged") from None


def probed_function_at(executable: Executable, entry: int) -> ProbedFunction | None:
    """The function whose first instruction is at the link-time address *entry*; None where there is none."""
    table = executable.pc_lines
    index = table.index_at(entry)
    if executable.machine != "amd64" or index is None or table.entry(index) != entry:
        return None
    name = table.name(index)
    try:
        return _examine(executable, table, name, table.info(index))
    except DecodeError:
        raise _not_understood(name, "its tables are damaged") from None


def _examine(executable: Executable, table: PcLineTable, name: str, info: FuncInfo) -> ProbedFunction:
    if not 0 < info.size <= _SIZE_LIMIT:
        raise _not_understood(name, "its size makes no sense")
    code = executable.image.read(info.entry, info.size)
    push: int | None = None
    returns: list[int] = []
    leaves = called = False
    for instruction in _iter_instructions(code, info, name):
        address, operation = instruction.address, instruction.operation
        if operation is Operation.RETURN:
            if instruction.size != 1 or table.stack_delta(info, address) != 0:
                raise _not_understood(name, "a return is not where its stack is empty")
            returns.append(address)
        elif operation is Operation.JUMP and not _is_within(instruction, info):
            # A jump through a table has no target in the code; with an empty stack it would be a tail call.
            leaves |= instruction.target is not None or table.stack_delta(info, address) == 0
        elif push is None and not called and _is_push_of_bp(instruction):
            if (table.stack_delta(info, address), table.stack_delta(info, instruction.end)) != (
                0,
                _FRAME_OF_PUSH,
            ):
                raise _not_understood(name, "its frame begins in another way than Go's")
            push = address
        called |= operation is Operation.CALL
    return ProbedFunction(
        name,
        info.entry,
        info.entry + info.size,
        None if push is None else _placed(executable, push, PUSH_BP, name),
        tuple(_placed(executable, address, RETURN, name) for address in returns),
        leaves,
    )


def _is_push_of_bp(instruction: Instruction) -> bool:
    return instruction.operation is Operation.PUSH and instruction.source == RBP and instruction.size == 1


def _is_within(jump: Instruction, info: FuncInfo) -> bool:
    return jump.target is not None and info.entry <= jump.target < info.entry + info.size


def _iter_instructions(code: bytes, info: FuncInfo, name: str) -> Iterator[Instruction]:
    """Every instruction from the first byte on: Go's compiler keeps no data between them (jump tables are rodata).

    What fills the space up to the next function are breakpoints; one in between is somebody's.
    """
    offset = 0
    while offset < len(code):
        if code[offset] == _BREAKPOINT:
            if code[offset:].strip(bytes((_BREAKPOINT,))):
                raise _not_understood(name, "the file has a breakpoint in it")
            return
        instruction = decode(code, offset, info.entry + offset)
        if instruction is None:
            raise _not_understood(name, "it has an instruction that leaktui does not know")
        yield instruction
        offset += instruction.size


def _placed(executable: Executable, address: int, byte: int, name: str) -> tuple[int, int]:
    """*address* and where it is in the file, which there has *byte*."""
    offset = executable.file_offset(address)
    if offset is None or executable.image.read_at(offset, 1) != bytes((byte,)):
        raise _not_understood(name, "the file has another byte where it should be probed")
    return address, offset


def _not_understood(name: str, why: str) -> EngineUnavailable:
    return EngineUnavailable(f"{name} cannot be probed in this program: {why}", remedy=_REMEDY)
