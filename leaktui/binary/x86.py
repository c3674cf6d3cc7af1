"""One amd64 machine instruction: its length, its operands, and which registers it changes.

Law: bytes in, one `Instruction` out, or None. What is not understood is never guessed at: an opcode
outside the tables gives None, and whoever walks the code must then call its result incomplete.

Only what Go's compiler and assembler emit in 64-bit mode matters here; lengths are nevertheless right for
every legacy, VEX and EVEX encoding in Intel's manual (Intel SDM vol. 2, ch. 2 and appendix A). What an
instruction does is told for the few operations that move pointers about; all others are `OTHER`, with the
registers and the memory they overwrite.
"""

from __future__ import annotations

from leaktui.binary import x86_opcodes as opcodes
from leaktui.binary.x86_extended import decode_extended, decode_vector
from leaktui.binary.x86_instruction import (
    RAX,
    RCX,
    RDI,
    RDX,
    RSI,
    Immediate,
    Instruction,
    Memory,
    Operand,
    Operation,
)
from leaktui.binary.x86_operands import Prefixes, operand_width, overwriting, read_modrm, read_signed

_LONGEST = 15  # Intel SDM vol. 2, 2.3.11: a longer instruction faults


def decode(code: bytes, offset: int, address: int) -> Instruction | None:
    """The instruction at `code[offset:]`, which runs at *address*; None if unknown or cut short."""
    try:
        instruction = _decode(code, offset, address)
    except IndexError:
        return None
    if instruction is None or instruction.size > _LONGEST or offset + instruction.size > len(code):
        return None
    return instruction


def _decode(code: bytes, start: int, address: int) -> Instruction | None:
    prefixes = Prefixes()
    at = start
    byte = code[at]
    while byte in opcodes.LEGACY_PREFIXES:
        if byte == 0x66:
            prefixes.word = True
        elif byte == 0xF0:
            prefixes.lock = True
        elif byte in (0xF2, 0xF3):
            prefixes.repeat = byte
        elif byte in (0x64, 0x65):
            prefixes.segment = True
        elif byte == 0x67:
            return None  # 32-bit addressing: Go never emits it
        at += 1
        byte = code[at]
    if byte & 0xF0 == 0x40:
        prefixes.w, prefixes.r, prefixes.x, prefixes.b = byte >> 3 & 1, byte >> 2 & 1, byte >> 1 & 1, byte & 1
        at += 1
        byte = code[at]
    if byte in (0xC4, 0xC5, 0x62):
        return decode_vector(code, start, at, address, prefixes)
    if byte == 0x0F:
        second = code[at + 1]
        if second == 0x38:
            return decode_extended(code, start, at + 3, address, prefixes, 2, code[at + 2])
        if second == 0x3A:
            return decode_extended(code, start, at + 3, address, prefixes, 3, code[at + 2])
        return decode_extended(code, start, at + 2, address, prefixes, 1, second)
    return _decode_one_byte(code, start, at + 1, address, prefixes, byte)


def _byte_register(number: int, prefixes: Prefixes, rex: bool) -> int:
    """AH, CH, DH and BH (no REX, 4–7) are parts of the first four registers."""
    return number if rex or number < 4 or number > 7 else number - 4


def _decode_one_byte(
    code: bytes, start: int, at: int, address: int, prefixes: Prefixes, byte: int
) -> Instruction | None:
    width = operand_width(prefixes)
    if byte < 0x40:
        return _decode_arithmetic(code, start, at, address, prefixes, byte, width)
    if byte in opcodes.ONE_BYTE_MODRM:
        return _decode_with_modrm(code, start, at, address, prefixes, byte, width)
    size = at - start
    low = byte & 7 | prefixes.b << 3
    if byte < 0x58:
        return Instruction(address, size, Operation.PUSH, source=low)
    if byte < 0x60:
        return Instruction(address, size, Operation.POP, destination=low)
    if byte in (0x68, 0x6A):
        length = 1 if byte == 0x6A else 2 if prefixes.word else 4
        value = read_signed(code, at, length)
        return Instruction(address, size + length, Operation.PUSH, source=Immediate(value))
    if 0x70 <= byte < 0x80 or byte in (0xE0, 0xE1, 0xE2, 0xE3):
        size += 1
        target = address + size + read_signed(code, at, 1)
        writes = (RCX,) if byte in (0xE0, 0xE1, 0xE2) else ()
        condition = byte & 15 if byte < 0x80 else -1
        return Instruction(address, size, Operation.BRANCH, writes=writes, target=target, condition=condition)
    if byte in (0xE8, 0xE9, 0xEB):
        length = 1 if byte == 0xEB else 4
        size += length
        target = address + size + read_signed(code, at, length)
        operation = Operation.CALL if byte == 0xE8 else Operation.JUMP
        return Instruction(address, size, operation, target=target)
    if byte == 0x90 and not prefixes.b:
        return Instruction(address, size, Operation.NOP)
    if 0x90 <= byte < 0x98:
        return Instruction(address, size, Operation.EXCHANGE, RAX, low, width)
    if 0xB0 <= byte < 0xB8:
        return overwriting(address, size + 1, _byte_register(low, prefixes, low != byte & 7))
    if 0xB8 <= byte < 0xC0:
        value = read_signed(code, at, width)
        if width == 4:
            value &= 0xFFFFFFFF
        return Instruction(address, size + width, Operation.MOVE, low, Immediate(value), width)
    if byte in (0xC2, 0xC3):
        return Instruction(address, size + (2 if byte == 0xC2 else 0), Operation.RETURN)
    if byte in (0xCC, 0xF1, 0xF4):
        return Instruction(address, size, Operation.TRAP)
    if byte == 0xA4 or byte == 0xA5:
        return Instruction(
            address, size, Operation.COPY, width=1 if byte == 0xA4 else width, writes=(RSI, RDI, RCX)
        )
    if byte == 0xAA or byte == 0xAB:
        return Instruction(
            address, size, Operation.FILL, width=1 if byte == 0xAA else width, writes=(RDI, RCX)
        )
    if byte == 0xA8 or byte == 0xA9:
        length = 1 if byte == 0xA8 else 2 if prefixes.word else 4
        mask = Immediate(read_signed(code, at, length))
        return Instruction(address, size + length, Operation.TEST, RAX, mask, 1 if byte == 0xA8 else width)
    plain = opcodes.ONE_BYTE_PLAIN.get(byte)
    if plain is None:
        return None
    immediate, overwritten = plain
    if immediate == opcodes.IMMEDIATE_Z:
        immediate = 2 if prefixes.word else 4
    return Instruction(address, size + immediate, Operation.OTHER, writes=overwritten)


def _decode_arithmetic(
    code: bytes, start: int, at: int, address: int, prefixes: Prefixes, byte: int, width: int
) -> Instruction | None:
    """ADD, OR, ADC, SBB, AND, SUB, XOR, CMP: opcodes 00–3F."""
    kind, form = byte >> 3, byte & 7
    if form > 5:
        return None
    if form >= 4:
        length = 1 if form == 4 else 2 if prefixes.word else 4
        value = Immediate(read_signed(code, at, length))
        return _arithmetic(address, at - start + length, kind, RAX, value, 1 if form == 4 else width)
    modrm = read_modrm(code, at, prefixes, start, address, 0)
    width = width if form & 1 else 1
    destination, source = (modrm.rm, modrm.reg) if form < 2 else (modrm.reg, modrm.rm)
    return _arithmetic(address, modrm.end - start, kind, destination, source, width)


def _arithmetic(
    address: int, size: int, kind: int, destination: int | Memory, source: Operand, width: int
) -> Instruction:
    if kind == 7:
        return Instruction(address, size, Operation.COMPARE, destination, source, width)
    if width == 1:
        # Byte registers are not followed; clobbering both names of an old-style byte register is enough.
        whole: tuple[int, ...] = (destination & 3, destination) if isinstance(destination, int) else ()
        memory = destination if isinstance(destination, Memory) else None
        return overwriting(address, size, memory, *whole, reads=(*whole, source))
    if kind in (5, 6) and destination == source and width >= 4:
        return Instruction(address, size, Operation.ZERO, destination, width=8)
    if kind in (0, 5) and width == 8 and isinstance(source, Immediate) and isinstance(destination, int):
        value = source.value if kind == 0 else -source.value
        return Instruction(address, size, Operation.ADD, destination, Immediate(value), width)
    if kind in (1, 4) and isinstance(source, Immediate) and isinstance(destination, int):
        operation = Operation.OR if kind == 1 else Operation.AND
        return Instruction(address, size, operation, destination, source, width)
    return overwriting(address, size, destination, reads=(destination, source))


def _decode_with_modrm(
    code: bytes, start: int, at: int, address: int, prefixes: Prefixes, byte: int, width: int
) -> Instruction | None:
    immediate = opcodes.ONE_BYTE_MODRM[byte]
    if byte in (0xF6, 0xF7):
        immediate = 0 if code[at] >> 3 & 7 > 1 else 1 if byte == 0xF6 else opcodes.IMMEDIATE_Z
    if immediate == opcodes.IMMEDIATE_Z:
        immediate = 2 if prefixes.word else 4
    modrm = read_modrm(code, at, prefixes, start, address, immediate)
    reg, rm, at, digit = modrm
    size = at - start + immediate
    value = Immediate(read_signed(code, at, immediate)) if immediate else Immediate(0)
    match byte:
        case 0x89:
            return Instruction(address, size, Operation.MOVE, rm, reg, width)
        case 0x8B:
            return Instruction(address, size, Operation.MOVE, reg, rm, width)
        case 0x88 | 0xC6:
            source: Operand | None = value if byte == 0xC6 else None
            if isinstance(rm, Memory) and source is not None:
                return Instruction(address, size, Operation.MOVE, rm, source, 1)
            if isinstance(rm, Memory):
                return Instruction(address, size, Operation.MOVE, rm, reg, 1)
            return overwriting(address, size, rm, rm & 3, reads=(reg,))
        case 0x8A:
            return overwriting(address, size, reg, reg & 3, reads=(rm,))
        case 0xC7:
            return Instruction(address, size, Operation.MOVE, rm, value, width)
        case 0x8D:
            if not isinstance(rm, Memory):
                return None
            return Instruction(address, size, Operation.LOAD_ADDRESS, reg, rm, width)
        case 0x84 | 0x85:
            return Instruction(address, size, Operation.TEST, rm, reg, 1 if byte == 0x84 else width)
        case 0x86 | 0x87:
            return Instruction(address, size, Operation.EXCHANGE, reg, rm, 1 if byte == 0x86 else width)
        case 0x80 | 0x81 | 0x83:
            return _arithmetic(address, size, digit, rm, value, 1 if byte == 0x80 else width)
        case 0x63 | 0x69 | 0x6B | 0x8C | 0x8E:
            if byte == 0x8C:
                return overwriting(address, size, rm)
            return overwriting(address, size, reg, reads=(rm,))
        case 0x8F:
            return Instruction(address, size, Operation.POP, destination=rm)
        case 0xF6 | 0xF7:
            if digit < 2:
                return Instruction(address, size, Operation.TEST, rm, value, 1 if byte == 0xF6 else width)
            if digit < 4:
                return overwriting(address, size, rm, reads=(rm,))
            return overwriting(
                address, size, None, RAX, RDX, reads=(RAX, rm) if digit < 6 else (RAX, RDX, rm)
            )
        case 0xFE | 0xFF:
            return _decode_group_five(address, size, byte, digit, rm)
    if 0xD8 <= byte <= 0xDF:
        return overwriting(address, size, rm if isinstance(rm, Memory) else None, RAX)  # x87
    # What is left are shifts and rotates; D2 and D3 take the count from CL.
    registers: tuple[int, ...] = (rm & 3,) if isinstance(rm, int) else ()
    return overwriting(address, size, rm, *registers, reads=(rm, RCX) if byte in (0xD2, 0xD3) else (rm,))


def _decode_group_five(
    address: int, size: int, byte: int, digit: int, rm: int | Memory
) -> Instruction | None:
    if digit < 2:
        whole: tuple[int, ...] = (rm & 3,) if byte == 0xFE and isinstance(rm, int) else ()
        return overwriting(address, size, rm, *whole, reads=(rm,))
    if byte == 0xFE:
        return None
    if digit == 2:
        return Instruction(address, size, Operation.CALL, source=rm)
    if digit == 4:
        return Instruction(address, size, Operation.JUMP, source=rm)
    if digit == 6:
        return Instruction(address, size, Operation.PUSH, source=rm)
    return None
