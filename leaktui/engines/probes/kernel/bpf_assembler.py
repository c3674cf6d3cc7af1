"""BPF instructions and labels, to bytes.

Law: knows the instruction set (Documentation/bpf/standardization/instruction-set.rst) and nothing of what
programs are for. Only what the programs here need; every jump goes to a label.
"""

from __future__ import annotations

import struct
from enum import IntEnum

_INSTRUCTION = struct.Struct("<BBhi")
_WIDTHS = {1: 0x10, 2: 0x08, 4: 0x00, 8: 0x18}

_LD_IMM64 = 0x18
_LDX_MEM = 0x61
_ST_MEM = 0x62
_STX_MEM = 0x63
_STX_ATOMIC = 0xC3
_ADD64 = 0x07
_MOV64 = 0xB7
_JA = 0x05
_CALL = 0x85
_EXIT = 0x95
_REGISTER_OPERAND = 0x08

_FROM_MAP_FD = 1
_FROM_MAP_VALUE = 2


class Reg(IntEnum):
    """A register. Calls take arguments in R1–R5, return in R0 and keep R6–R9; FP is the stack's upper end."""

    R0 = 0
    R1 = 1
    R2 = 2
    R3 = 3
    R4 = 4
    R5 = 5
    R6 = 6
    R7 = 7
    R8 = 8
    R9 = 9
    FP = 10


class Condition(IntEnum):
    """A comparison of 64 bits, unsigned: the jump's opcode with a constant to compare with."""

    EQUAL = 0x15
    ABOVE_OR_EQUAL = 0x35
    NOT_EQUAL = 0x55
    BELOW = 0xA5
    BELOW_OR_EQUAL = 0xB5


class Assembler:
    """Instructions in the order they are said. Raises ValueError for what has no encoding."""

    def __init__(self) -> None:
        self._code: list[tuple[int, int, int, int]] = []
        self._labels: dict[str, int] = {}
        self._jumps: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self._code)

    def label(self, name: str) -> None:
        """The next instruction is called *name*."""
        if name in self._labels:
            raise ValueError(f"the label {name} is there already")
        self._labels[name] = len(self._code)

    def move(self, target: Reg, source: Reg) -> None:
        """target = source"""
        self._add(_MOV64 | _REGISTER_OPERAND, target, source, 0, 0)

    def set(self, target: Reg, value: int) -> None:
        """target = value (64 bits, signed or unsigned)"""
        if -(1 << 31) <= value < 1 << 31:
            self._add(_MOV64, target, 0, 0, value)
        else:
            self._wide(target, 0, value & 0xFFFFFFFF, value >> 32 & 0xFFFFFFFF)

    def set_map(self, target: Reg, fd: int) -> None:
        """target = the map with descriptor *fd*"""
        self._wide(target, _FROM_MAP_FD, fd, 0)

    def set_map_value(self, target: Reg, fd: int) -> None:
        """target = the address of the first value of the array with descriptor *fd*"""
        self._wide(target, _FROM_MAP_VALUE, fd, 0)

    def add(self, target: Reg, value: int) -> None:
        """target += value (32 bits, signed)"""
        self._add(_ADD64, target, 0, 0, value)

    def load(self, target: Reg, base: Reg, offset: int, width: int = 8) -> None:
        """target = the *width* bytes at base + offset"""
        self._add(_LDX_MEM | _WIDTHS[width], target, base, offset, 0)

    def store(self, base: Reg, offset: int, source: Reg, width: int = 8) -> None:
        """The *width* bytes at base + offset = source"""
        self._add(_STX_MEM | _WIDTHS[width], base, source, offset, 0)

    def store_value(self, base: Reg, offset: int, value: int, width: int = 8) -> None:
        """The *width* bytes at base + offset = value (32 bits, signed)"""
        self._add(_ST_MEM | _WIDTHS[width], base, 0, offset, value)

    def atomic_add(self, base: Reg, offset: int, source: Reg) -> None:
        """The 8 bytes at base + offset += source, atomically"""
        self._add(_STX_ATOMIC | _WIDTHS[8], base, source, offset, 0)

    def jump(self, label: str) -> None:
        self._jumps[len(self._code)] = label
        self._add(_JA, 0, 0, 0, 0)

    def jump_if(self, left: Reg, condition: Condition, right: Reg | int, label: str) -> None:
        """Jump where the comparison holds. A constant *right* has 32 bits and a sign."""
        self._jumps[len(self._code)] = label
        if isinstance(right, Reg):
            self._add(condition | _REGISTER_OPERAND, left, right, 0, 0)
        else:
            self._add(condition, left, 0, 0, right)

    def call(self, function: int) -> None:
        """Call the kernel's helper with number *function*."""
        self._add(_CALL, 0, 0, 0, function)

    def exit(self) -> None:
        self._add(_EXIT, 0, 0, 0, 0)

    def assemble(self) -> bytes:
        """The program, 8 bytes an instruction."""
        for index, label in self._jumps.items():
            if label not in self._labels:
                raise ValueError(f"no label {label}")
            code, registers, _, value = self._code[index]
            self._code[index] = (code, registers, self._labels[label] - index - 1, value)
        try:
            return b"".join(_INSTRUCTION.pack(*instruction) for instruction in self._code)
        except struct.error as error:
            raise ValueError(f"an operand does not fit its instruction: {error}") from None

    def _add(self, code: int, target: int, source: int, offset: int, value: int) -> None:
        self._code.append((code, source << 4 | target, offset, value))

    def _wide(self, target: Reg, source: int, low: int, high: int) -> None:
        """The one instruction that takes two slots: a constant of 64 bits."""
        self._add(_LD_IMM64, target, source, 0, _signed(low))
        self._add(0, 0, 0, 0, _signed(high))


def _signed(value: int) -> int:
    return value - (1 << 32) if value >= 1 << 31 else value
