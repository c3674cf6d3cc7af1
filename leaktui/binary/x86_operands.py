"""Prefixes, ModRM and immediates: the parts that all amd64 encodings share (Intel SDM vol. 2, ch. 2).

Law: reading past the end of the code raises IndexError, which `x86.decode` turns into None.
"""

from __future__ import annotations

from typing import NamedTuple

from leaktui.binary.x86_instruction import RSP, Instruction, Memory, Operand, Operation


class Prefixes:
    """Legacy and REX/VEX/EVEX prefix bits of the instruction being decoded."""

    __slots__ = ("b", "evex", "lock", "repeat", "segment", "vector", "vvvv", "w", "word", "x", "r")  # noqa: RUF023

    def __init__(self) -> None:
        self.word = self.lock = self.segment = self.vector = self.evex = False
        self.repeat = 0
        self.w = self.r = self.x = self.b = 0
        self.vvvv = 0


class ModRM(NamedTuple):
    reg: int
    rm: int | Memory
    end: int
    digit: int


def read_modrm(code: bytes, at: int, prefixes: Prefixes, start: int, address: int, immediate: int) -> ModRM:
    """The ModRM byte, SIB and displacement at *at*; *immediate* bytes follow (for RIP-relative)."""
    byte = code[at]
    at += 1
    mode, digit, low = byte >> 6, byte >> 3 & 7, byte & 7
    reg = digit | prefixes.r << 3
    if mode == 3:
        return ModRM(reg, low | prefixes.b << 3, at, digit)
    base: int | None
    index: int | None = None
    scale = 1
    if low == 4:
        sib = code[at]
        at += 1
        index = sib >> 3 & 7 | prefixes.x << 3
        scale = 1 << (sib >> 6)
        if index == RSP:
            index = None
        base = sib & 7 | prefixes.b << 3
        if sib & 7 == 5 and mode == 0:
            base = None
            mode = 2
    elif low == 5 and mode == 0:
        displacement = int.from_bytes(code[at : at + 4], "little", signed=True)
        at += 4
        end = address + (at - start) + immediate
        return ModRM(reg, Memory(None, None, 1, end + displacement, prefixes.segment), at, digit)
    else:
        base = low | prefixes.b << 3
    displacement = 0
    if mode == 1:
        displacement = code[at] - 256 if code[at] > 127 else code[at]
        at += 1
    elif mode == 2:
        displacement = int.from_bytes(code[at : at + 4], "little", signed=True)
        at += 4
    return ModRM(reg, Memory(base, index, scale, displacement, prefixes.segment), at, digit)


def read_signed(code: bytes, at: int, size: int) -> int:
    if at + size > len(code):
        raise IndexError
    return int.from_bytes(code[at : at + size], "little", signed=True)


def operand_width(prefixes: Prefixes) -> int:
    return 8 if prefixes.w else 2 if prefixes.word else 4


def overwriting(
    address: int, size: int, rm: int | Memory | None, *registers: int, reads: tuple[Operand, ...] = ()
) -> Instruction:
    """An instruction that overwrites *rm* (if given) and *registers* with something made of *reads*."""
    used: list[int] = []
    for operand in reads:
        if isinstance(operand, int):
            used.append(operand)
        elif isinstance(operand, Memory):
            used.extend(register for register in (operand.base, operand.scaled) if register is not None)
    if isinstance(rm, int):
        return Instruction(address, size, Operation.OTHER, writes=(rm, *registers), reads=tuple(used))
    return Instruction(address, size, Operation.OTHER, destination=rm, writes=registers, reads=tuple(used))


def address_of(rm: int | Memory) -> tuple[Operand, ...]:
    """*rm* as something read if it is memory; a vector register is none of ours."""
    return (rm,) if isinstance(rm, Memory) else ()
