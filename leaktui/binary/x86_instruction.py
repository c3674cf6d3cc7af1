"""The shape of a decoded amd64 instruction: operations, operands, register numbers."""

from __future__ import annotations

from enum import Enum, auto
from typing import NamedTuple

RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15 = range(16)
XMM0 = 16
"""Vector registers are numbered from here: XMM15, Go's zero register, is XMM0 + 15."""
X15 = XMM0 + 15


class Operation(Enum):
    """What an instruction does to values, as coarsely as following a pointer allows.

    A MOVE of 1 byte into a register clears the rest of it, as MOVZX does; ADD, AND and OR have a constant source.
    """

    MOVE = auto()
    LOAD_ADDRESS = auto()
    ZERO = auto()
    ADD = auto()
    AND = auto()
    OR = auto()
    COMPARE = auto()
    TEST = auto()
    SELECT = auto()
    SET = auto()
    EXCHANGE = auto()
    PUSH = auto()
    POP = auto()
    CALL = auto()
    JUMP = auto()
    BRANCH = auto()
    RETURN = auto()
    TRAP = auto()
    FILL = auto()
    COPY = auto()
    NOP = auto()
    OTHER = auto()


class Memory(NamedTuple):
    """A memory operand; RIP-relative ones carry the absolute address as `displacement` and no base.

    The address is `base + scaled × scale + displacement`; `segment` says it is relative to FS or GS.
    """

    base: int | None
    scaled: int | None
    scale: int
    displacement: int
    segment: bool = False


class Immediate(NamedTuple):
    value: int


Operand = int | Memory | Immediate
"""A register number, a memory operand or a constant."""


class Instruction(NamedTuple):
    """A decoded instruction. `width` is in bytes; `condition` is the low nibble of a Jcc opcode."""

    address: int
    size: int
    operation: Operation
    destination: Operand | None = None
    source: Operand | None = None
    width: int = 8
    writes: tuple[int, ...] = ()
    target: int | None = None
    condition: int = -1
    reads: tuple[int, ...] = ()
    """Registers an OTHER reads; those of `destination` and `source` are theirs to tell."""

    @property
    def end(self) -> int:
        """The address after the instruction: a call's return address."""
        return self.address + self.size
