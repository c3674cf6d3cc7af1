"""Opcodes behind 0F, 0F 38 and 0F 3A, plain and in their VEX and EVEX encodings.

Law: as in `x86`: lengths are right for all, effects are told for plain moves, and else what is overwritten.
"""

from __future__ import annotations

from leaktui.binary import x86_opcodes as opcodes
from leaktui.binary.x86_instruction import (
    RAX,
    RBX,
    RCX,
    RDX,
    XMM0,
    Instruction,
    Memory,
    Operation,
)
from leaktui.binary.x86_operands import (
    ModRM,
    Prefixes,
    address_of,
    operand_width,
    overwriting,
    read_modrm,
    read_signed,
)


def decode_extended(
    code: bytes, start: int, at: int, address: int, prefixes: Prefixes, table: int, byte: int
) -> Instruction | None:
    """Opcodes behind 0F (table 1), 0F 38 (2) and 0F 3A (3), without VEX or EVEX."""
    if table == 1:
        if byte in opcodes.TWO_BYTE_PLAIN:
            if byte == 0x0B:
                return Instruction(address, at - start, Operation.TRAP)
            return Instruction(address, at - start, Operation.OTHER, writes=opcodes.TWO_BYTE_PLAIN[byte])
        if 0x80 <= byte < 0x90:
            size = at - start + 4
            target = address + size + read_signed(code, at, 4)
            return Instruction(address, size, Operation.BRANCH, target=target, condition=byte & 15)
        if 0xC8 <= byte < 0xD0:
            return overwriting(address, at - start, byte & 7 | prefixes.b << 3)
        if byte in opcodes.TWO_BYTE_INVALID:
            return None
        immediate = 1 if byte in opcodes.TWO_BYTE_IMMEDIATE else 0
    else:
        immediate = table - 2
    modrm = read_modrm(code, at, prefixes, start, address, immediate)
    size = modrm.end - start + immediate
    if table == 1:
        return _two_byte(address, size, prefixes, byte, modrm)
    if table == 2:
        if byte in (0xF0, 0xF1):  # MOVBE, CRC32
            stores = byte == 0xF1 and prefixes.repeat != 0xF2
            return overwriting(address, size, modrm.rm if stores else modrm.reg, reads=(modrm.reg, modrm.rm))
        if byte in (0xF6, 0xF8, 0xF9):  # ADCX, ADOX; MOVDIR64B, MOVDIRI
            return overwriting(
                address, size, modrm.rm if byte == 0xF9 else None, modrm.reg, reads=(modrm.rm,)
            )
        return overwriting(address, size, None, XMM0 + modrm.reg, reads=address_of(modrm.rm))
    if 0x14 <= byte <= 0x17:
        return overwriting(address, size, modrm.rm)
    return overwriting(address, size, None, XMM0 + modrm.reg)


def _two_byte(address: int, size: int, prefixes: Prefixes, byte: int, modrm: ModRM) -> Instruction | None:
    reg, rm, _, digit = modrm
    vector = opcodes.VECTOR_MOVES.get((byte, prefixes.repeat or (0x66 if prefixes.word else 0)))
    if vector is not None:
        return _vector_move(address, size, vector, reg, rm)
    if byte in (0x57, 0xEF) and rm == reg:
        return Instruction(address, size, Operation.ZERO, XMM0 + reg, width=16)
    if 0x40 <= byte < 0x50:
        return Instruction(
            address, size, Operation.SELECT, reg, rm, operand_width(prefixes), condition=byte & 15
        )
    if byte in opcodes.TWO_BYTE_NOP:
        return Instruction(address, size, Operation.NOP)
    if byte == 0x6E:
        width = 8 if prefixes.w else 4
        return Instruction(address, size, Operation.MOVE, XMM0 + reg, rm, width)
    if byte == 0x7E:
        width = 8 if prefixes.w else 4
        return Instruction(address, size, Operation.MOVE, rm, XMM0 + reg, width)
    if byte == 0xB6:
        return Instruction(address, size, Operation.MOVE, reg, rm, 1)
    if byte in opcodes.TWO_BYTE_WRITES_REG:
        vector_source = byte in opcodes.VECTOR_WRITES_REG
        sources = address_of(rm) if vector_source else (rm, reg) if byte == 0xAF else (rm,)
        return overwriting(address, size, None, reg, reads=sources)
    if 0x90 <= byte < 0xA0 and isinstance(rm, int) and (rm < 4 or rm > 7):
        return Instruction(address, size, Operation.SET, rm, width=1, condition=byte & 15)
    if 0x90 <= byte < 0xA0:
        return overwriting(address, size, rm, *((rm & 3,) if isinstance(rm, int) else ()))
    if byte in opcodes.TWO_BYTE_WRITES_RM or (byte == 0xBA and digit > 4):
        return overwriting(address, size, rm, reads=(rm,) if byte == 0xBA else (rm, reg))
    if byte in (0xA3, 0xBA):
        return overwriting(address, size, None, reads=(rm,) if byte == 0xBA else (rm, reg))
    if byte in (0xB0, 0xB1):
        return overwriting(address, size, rm, RAX, reads=(RAX, rm, reg))
    if byte in (0xC0, 0xC1):
        return overwriting(address, size, rm, reg, reads=(rm, reg))
    if byte == 0xC7:
        return overwriting(address, size, rm, RAX, RDX, reads=(RAX, RBX, RCX, RDX))
    if byte in (0x00, 0x01):
        return overwriting(address, size, rm if isinstance(rm, Memory) else None, RAX, RCX, RDX)
    if byte in opcodes.TWO_BYTE_VECTOR_STORES:
        return overwriting(address, size, rm if isinstance(rm, Memory) else XMM0 + rm)
    integer_source = byte == 0xC4 or (byte == 0x2A and prefixes.repeat != 0)  # PINSRW, CVTSI2SS and SD
    return overwriting(address, size, None, XMM0 + reg, reads=(rm,) if integer_source else address_of(rm))


def _vector_move(address: int, size: int, move: tuple[int, bool], reg: int, rm: int | Memory) -> Instruction:
    width, store = move
    register = XMM0 + reg
    other: int | Memory = XMM0 + rm if isinstance(rm, int) else rm
    if store:
        return Instruction(address, size, Operation.MOVE, other, register, width)
    return Instruction(address, size, Operation.MOVE, register, other, width)


def decode_vector(code: bytes, start: int, at: int, address: int, prefixes: Prefixes) -> Instruction | None:
    """VEX (C4, C5) and EVEX (62): lengths, and the general registers the BMI and mask moves write."""
    lead, first = code[at], code[at + 1]
    prefixes.vector = True
    if lead == 0xC5:
        prefixes.r = 1 - (first >> 7)
        prefixes.vvvv = 15 - (first >> 3 & 15)
        table, wide, at = 1, first & 4, at + 2
        mandatory = first & 3
    else:
        second = code[at + 2]
        prefixes.r, prefixes.x, prefixes.b = 1 - (first >> 7), 1 - (first >> 6 & 1), 1 - (first >> 5 & 1)
        prefixes.w = second >> 7
        prefixes.vvvv = 15 - (second >> 3 & 15)
        mandatory = second & 3
        if lead == 0xC4:
            table, wide, at = first & 31, second & 4, at + 3
        else:
            prefixes.evex = True
            table, wide, at = first & 7, code[at + 3] & 0x60, at + 4
    byte = code[at]
    at += 1
    if table not in (1, 2, 3) and not (prefixes.evex and table in (5, 6)):
        return None
    if table == 1 and byte == 0x77:
        return Instruction(address, at - start, Operation.OTHER)
    immediate = 1 if table == 3 or (table == 1 and byte in opcodes.TWO_BYTE_IMMEDIATE) else 0
    modrm = read_modrm(code, at, prefixes, start, address, immediate)
    reg, rm, end, _ = modrm
    size = end - start + immediate
    if table == 2 and 0xF2 <= byte <= 0xF7 and not prefixes.evex:
        return overwriting(address, size, None, reg, prefixes.vvvv, reads=(rm, prefixes.vvvv, RDX))
    if table == 3 and byte == 0xF0:
        return overwriting(address, size, None, reg, reads=(rm,))
    if table == 1 and byte in opcodes.VECTOR_WRITES_REG:
        return overwriting(address, size, None, reg, reads=address_of(rm))
    if (table == 1 and byte == 0x7E and mandatory == 1) or (table == 3 and 0x14 <= byte <= 0x17):
        return overwriting(address, size, rm)
    move = opcodes.VECTOR_MOVES.get((byte, (0, 0x66, 0xF3, 0xF2)[mandatory])) if table == 1 else None
    if move is not None and move[0] == 16 and not wide and not prefixes.evex:
        return _vector_move(address, size, move, reg, rm)
    if isinstance(rm, Memory) and (move is None or move[1]):
        return overwriting(address, size, rm, XMM0 + reg)  # may be a store: forget what was there
    return overwriting(address, size, None, XMM0 + reg, reads=address_of(rm))
