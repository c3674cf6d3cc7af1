"""Which return statement a path left by.

Law: compilers join the ends of several return statements, and give the shared RET the line of one of them.
The last jump into the shared code from another line is then the path's own statement.
"""

from __future__ import annotations

from collections.abc import Callable

from leaktui.binary.flow.code import FunctionCode
from leaktui.binary.flow.facts import Exit
from leaktui.binary.x86_instruction import RSP, Instruction, Operation


def find_statement(
    code: FunctionCode, end: Exit, line_of: Callable[[int], int], is_defer_return: Callable[[int], bool]
) -> int:
    """The pc of an instruction of the statement that *end* left by; *line_of* tells a pc's source line."""
    anchor = _anchor(code, end.pc, is_defer_return)
    line = line_of(anchor)
    for leader, source in end.trail:
        if line_of(leader) != line or _does_work(code, leader, is_defer_return):
            break
        if line_of(source) not in (0, line):
            return source
    return anchor


def _anchor(code: FunctionCode, pc: int, is_defer_return: Callable[[int], bool]) -> int:
    """The instruction that has the statement's line: the RET, but with deferreturn the loading of the results.

    Where deferreturn runs the defers, it and the RET have the line of the function's closing brace
    (cmd/compile/internal/ssagen, `exit`).
    """
    block = _block_before(code, pc)
    for position, instruction in enumerate(block):
        if not _calls_defer_return(instruction, is_defer_return):
            continue
        after = block[position + 1] if position + 1 < len(block) else instruction
        if after.operation is Operation.MOVE and after.destination != RSP:
            return after.address
        return block[position - 1].address if position else instruction.address
    return pc


def _block_before(code: FunctionCode, pc: int) -> list[Instruction]:
    """The straight-line code that ends at *pc*, in order, without the instruction there."""
    addresses = code.addresses()
    position = addresses.index(pc)
    block: list[Instruction] = []
    while position > 0 and addresses[position] not in code.leaders:
        position -= 1
        instruction = code.instructions[addresses[position]]
        if instruction.operation in (Operation.JUMP, Operation.RETURN, Operation.TRAP, Operation.BRANCH):
            break
        block.append(instruction)
    return block[::-1]


def _does_work(code: FunctionCode, leader: int, is_defer_return: Callable[[int], bool]) -> bool:
    """Whether the code from *leader* on calls anything but defers: it is more than the end of a statement."""
    instruction = code.at(leader)
    while instruction is not None and instruction.operation not in (Operation.JUMP, Operation.RETURN):
        if instruction.operation is Operation.CALL and instruction.target is not None:
            return not _calls_defer_return(instruction, is_defer_return)
        if instruction.operation is Operation.BRANCH:
            return False
        instruction = code.at(instruction.end)
    return False


def _calls_defer_return(instruction: Instruction, is_defer_return: Callable[[int], bool]) -> bool:
    target = instruction.target
    return instruction.operation is Operation.CALL and target is not None and is_defer_return(target)
