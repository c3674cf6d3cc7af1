"""Addresses that a function's machine code mentions: where the search for a variable of the runtime begins.

Law: link-time addresses; amd64. Code is read from the function's entry to its end, past bytes that were not understood.
An address is a hint and no more: whoever searches proves what lies there, so a wrong start does no harm.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from leaktui.binary.executable import Executable
from leaktui.binary.x86 import decode
from leaktui.binary.x86_instruction import Instruction, Memory, Operation

_CODE_LIMIT = 1 << 16
"""Bytes read of a function; the runtime's are far smaller."""

_TAKING = (Operation.MOVE, Operation.LOAD_ADDRESS)


class Mention(NamedTuple):
    """An `address` that stands in an instruction; `taken` if its 8 bytes are loaded, or the address itself."""

    address: int
    taken: bool


def iter_mentions(executable: Executable, functions: Iterable[str]) -> Iterator[Mention]:
    """What the code of the named functions mentions, again whenever it does; nothing for one that is not there."""
    for name in functions:
        function = executable.find_function(name)
        if function is None:
            continue
        code = executable.image.read(function.entry, min(function.end - function.entry, _CODE_LIMIT))
        for instruction in iter_instructions(code, function.entry):
            for operand in (instruction.destination, instruction.source):
                if isinstance(operand, Memory) and _is_absolute(operand):
                    yield Mention(operand.displacement, operand is instruction.source and _takes(instruction))


def iter_instructions(code: bytes, address: int) -> Iterator[Instruction]:
    """The instructions of *code*, which is at *address*, in order; a byte that begins none is passed over."""
    offset = 0
    while offset < len(code):
        instruction = decode(code, offset, address + offset)
        if instruction is None:
            offset += 1
        else:
            offset += instruction.size
            yield instruction


def _is_absolute(operand: Memory) -> bool:
    return operand.base is None and operand.scaled is None and not operand.segment


def _takes(instruction: Instruction) -> bool:
    return instruction.width == 8 and instruction.operation in _TAKING
