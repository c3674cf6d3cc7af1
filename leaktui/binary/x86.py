"""One amd64 machine instruction: its length, its operands, and which registers it changes.

Law: bytes in, one `Instruction` out, or None. What is not understood is never guessed at: an opcode
outside the tables gives None, and whoever walks the code must then call its result incomplete.

Only what Go's compiler and assembler emit in 64-bit mode matters here; lengths are nevertheless right for
every legacy, VEX and EVEX encoding in Intel's manual (Intel SDM vol. 2, ch. 2 and appendix A). What an
instruction does is told for the few operations that move pointers about; all others are `OTHER`, with the
registers and the memory they overwrite.
"""

from __future__ import annotations

from typing import NamedTuple

from leaktui.binary import x86_opcodes as opcodes
from leaktui.binary.x86_instruction import (
    RAX,
    RBX,
    RCX,
    RDI,
    RDX,
    RSI,
    RSP,
    XMM0,
    Immediate,
    Instruction,
    Memory,
    Operand,
    Operation,
)

_LONGEST = 15  # Intel SDM vol. 2, 2.3.11: a longer instruction faults


class _Prefixes:
    """Legacy and REX/VEX/EVEX prefix bits of the instruction being decoded."""

    __slots__ = ("b", "evex", "lock", "repeat", "segment", "vector", "vvvv", "w", "word", "x", "r")  # noqa: RUF023

    def __init__(self) -> None:
        self.word = self.lock = self.segment = self.vector = self.evex = False
        self.repeat = 0
        self.w = self.r = self.x = self.b = 0
        self.vvvv = 0


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
    prefixes = _Prefixes()
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
        return _decode_vector(code, start, at, address, prefixes)
    if byte == 0x0F:
        second = code[at + 1]
        if second == 0x38:
            return _decode_extended(code, start, at + 3, address, prefixes, 2, code[at + 2])
        if second == 0x3A:
            return _decode_extended(code, start, at + 3, address, prefixes, 3, code[at + 2])
        return _decode_extended(code, start, at + 2, address, prefixes, 1, second)
    return _decode_one_byte(code, start, at + 1, address, prefixes, byte)


class _ModRM(NamedTuple):
    reg: int
    rm: int | Memory
    end: int
    digit: int


def _read_modrm(
    code: bytes, at: int, prefixes: _Prefixes, start: int, address: int, immediate: int
) -> _ModRM:
    """The ModRM byte, SIB and displacement at *at*; *immediate* bytes follow (for RIP-relative)."""
    byte = code[at]
    at += 1
    mode, digit, low = byte >> 6, byte >> 3 & 7, byte & 7
    reg = digit | prefixes.r << 3
    if mode == 3:
        return _ModRM(reg, low | prefixes.b << 3, at, digit)
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
        return _ModRM(reg, Memory(None, None, 1, end + displacement, prefixes.segment), at, digit)
    else:
        base = low | prefixes.b << 3
    displacement = 0
    if mode == 1:
        displacement = code[at] - 256 if code[at] > 127 else code[at]
        at += 1
    elif mode == 2:
        displacement = int.from_bytes(code[at : at + 4], "little", signed=True)
        at += 4
    return _ModRM(reg, Memory(base, index, scale, displacement, prefixes.segment), at, digit)


def _signed(code: bytes, at: int, size: int) -> int:
    if at + size > len(code):
        raise IndexError
    return int.from_bytes(code[at : at + size], "little", signed=True)


def _operand_width(prefixes: _Prefixes) -> int:
    return 8 if prefixes.w else 2 if prefixes.word else 4


def _byte_register(number: int, prefixes: _Prefixes, rex: bool) -> int:
    """AH, CH, DH and BH (no REX, 4–7) are parts of the first four registers."""
    return number if rex or number < 4 or number > 7 else number - 4


def _other(
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


def _decode_one_byte(
    code: bytes, start: int, at: int, address: int, prefixes: _Prefixes, byte: int
) -> Instruction | None:
    width = _operand_width(prefixes)
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
        value = _signed(code, at, length)
        return Instruction(address, size + length, Operation.PUSH, source=Immediate(value))
    if 0x70 <= byte < 0x80 or byte in (0xE0, 0xE1, 0xE2, 0xE3):
        size += 1
        target = address + size + _signed(code, at, 1)
        writes = (RCX,) if byte in (0xE0, 0xE1, 0xE2) else ()
        condition = byte & 15 if byte < 0x80 else -1
        return Instruction(address, size, Operation.BRANCH, writes=writes, target=target, condition=condition)
    if byte in (0xE8, 0xE9, 0xEB):
        length = 1 if byte == 0xEB else 4
        size += length
        target = address + size + _signed(code, at, length)
        operation = Operation.CALL if byte == 0xE8 else Operation.JUMP
        return Instruction(address, size, operation, target=target)
    if byte == 0x90 and not prefixes.b:
        return Instruction(address, size, Operation.NOP)
    if 0x90 <= byte < 0x98:
        return Instruction(address, size, Operation.EXCHANGE, RAX, low, width)
    if 0xB0 <= byte < 0xB8:
        return _other(address, size + 1, _byte_register(low, prefixes, low != byte & 7))
    if 0xB8 <= byte < 0xC0:
        value = _signed(code, at, width)
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
        mask = Immediate(_signed(code, at, length))
        return Instruction(address, size + length, Operation.TEST, RAX, mask, 1 if byte == 0xA8 else width)
    plain = opcodes.ONE_BYTE_PLAIN.get(byte)
    if plain is None:
        return None
    immediate, overwritten = plain
    if immediate == opcodes.IMMEDIATE_Z:
        immediate = 2 if prefixes.word else 4
    return Instruction(address, size + immediate, Operation.OTHER, writes=overwritten)


def _decode_arithmetic(
    code: bytes, start: int, at: int, address: int, prefixes: _Prefixes, byte: int, width: int
) -> Instruction | None:
    """ADD, OR, ADC, SBB, AND, SUB, XOR, CMP: opcodes 00–3F."""
    kind, form = byte >> 3, byte & 7
    if form > 5:
        return None
    if form >= 4:
        length = 1 if form == 4 else 2 if prefixes.word else 4
        value = Immediate(_signed(code, at, length))
        return _arithmetic(address, at - start + length, kind, RAX, value, 1 if form == 4 else width)
    modrm = _read_modrm(code, at, prefixes, start, address, 0)
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
        return _other(address, size, memory, *whole, reads=(*whole, source))
    if kind in (5, 6) and destination == source and width >= 4:
        return Instruction(address, size, Operation.ZERO, destination, width=8)
    if kind in (0, 5) and width == 8 and isinstance(source, Immediate) and isinstance(destination, int):
        value = source.value if kind == 0 else -source.value
        return Instruction(address, size, Operation.ADD, destination, Immediate(value), width)
    if kind in (1, 4) and isinstance(source, Immediate) and isinstance(destination, int):
        operation = Operation.OR if kind == 1 else Operation.AND
        return Instruction(address, size, operation, destination, source, width)
    return _other(address, size, destination, reads=(destination, source))


def _decode_with_modrm(
    code: bytes, start: int, at: int, address: int, prefixes: _Prefixes, byte: int, width: int
) -> Instruction | None:
    immediate = opcodes.ONE_BYTE_MODRM[byte]
    if byte in (0xF6, 0xF7):
        immediate = 0 if code[at] >> 3 & 7 > 1 else 1 if byte == 0xF6 else opcodes.IMMEDIATE_Z
    if immediate == opcodes.IMMEDIATE_Z:
        immediate = 2 if prefixes.word else 4
    modrm = _read_modrm(code, at, prefixes, start, address, immediate)
    reg, rm, at, digit = modrm
    size = at - start + immediate
    value = Immediate(_signed(code, at, immediate)) if immediate else Immediate(0)
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
            return _other(address, size, rm, rm & 3, reads=(reg,))
        case 0x8A:
            return _other(address, size, reg, reg & 3, reads=(rm,))
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
                return _other(address, size, rm)
            return _other(address, size, reg, reads=(rm,))
        case 0x8F:
            return Instruction(address, size, Operation.POP, destination=rm)
        case 0xF6 | 0xF7:
            if digit < 2:
                return Instruction(address, size, Operation.TEST, rm, value, 1 if byte == 0xF6 else width)
            if digit < 4:
                return _other(address, size, rm, reads=(rm,))
            return _other(address, size, None, RAX, RDX, reads=(RAX, rm) if digit < 6 else (RAX, RDX, rm))
        case 0xFE | 0xFF:
            return _decode_group_five(address, size, byte, digit, rm)
    if 0xD8 <= byte <= 0xDF:
        return _other(address, size, rm if isinstance(rm, Memory) else None, RAX)  # x87
    # What is left are shifts and rotates; D2 and D3 take the count from CL.
    registers: tuple[int, ...] = (rm & 3,) if isinstance(rm, int) else ()
    return _other(address, size, rm, *registers, reads=(rm, RCX) if byte in (0xD2, 0xD3) else (rm,))


def _decode_group_five(
    address: int, size: int, byte: int, digit: int, rm: int | Memory
) -> Instruction | None:
    if digit < 2:
        whole: tuple[int, ...] = (rm & 3,) if byte == 0xFE and isinstance(rm, int) else ()
        return _other(address, size, rm, *whole, reads=(rm,))
    if byte == 0xFE:
        return None
    if digit == 2:
        return Instruction(address, size, Operation.CALL, source=rm)
    if digit == 4:
        return Instruction(address, size, Operation.JUMP, source=rm)
    if digit == 6:
        return Instruction(address, size, Operation.PUSH, source=rm)
    return None


def _decode_extended(
    code: bytes, start: int, at: int, address: int, prefixes: _Prefixes, table: int, byte: int
) -> Instruction | None:
    """Opcodes behind 0F (table 1), 0F 38 (2) and 0F 3A (3), without VEX or EVEX."""
    if table == 1:
        if byte in opcodes.TWO_BYTE_PLAIN:
            if byte == 0x0B:
                return Instruction(address, at - start, Operation.TRAP)
            return Instruction(address, at - start, Operation.OTHER, writes=opcodes.TWO_BYTE_PLAIN[byte])
        if 0x80 <= byte < 0x90:
            size = at - start + 4
            target = address + size + _signed(code, at, 4)
            return Instruction(address, size, Operation.BRANCH, target=target, condition=byte & 15)
        if 0xC8 <= byte < 0xD0:
            return _other(address, at - start, byte & 7 | prefixes.b << 3)
        if byte in opcodes.TWO_BYTE_INVALID:
            return None
        immediate = 1 if byte in opcodes.TWO_BYTE_IMMEDIATE else 0
    else:
        immediate = table - 2
    modrm = _read_modrm(code, at, prefixes, start, address, immediate)
    size = modrm.end - start + immediate
    if table == 1:
        return _two_byte(address, size, prefixes, byte, modrm)
    if table == 2:
        if byte in (0xF0, 0xF1):  # MOVBE, CRC32
            stores = byte == 0xF1 and prefixes.repeat != 0xF2
            return _other(address, size, modrm.rm if stores else modrm.reg, reads=(modrm.reg, modrm.rm))
        if byte in (0xF6, 0xF8, 0xF9):  # ADCX, ADOX; MOVDIR64B, MOVDIRI
            return _other(address, size, modrm.rm if byte == 0xF9 else None, modrm.reg, reads=(modrm.rm,))
        return _other(address, size, None, XMM0 + modrm.reg, reads=_address_of(modrm.rm))
    if 0x14 <= byte <= 0x17:
        return _other(address, size, modrm.rm)
    return _other(address, size, None, XMM0 + modrm.reg)


def _two_byte(address: int, size: int, prefixes: _Prefixes, byte: int, modrm: _ModRM) -> Instruction | None:
    reg, rm, _, digit = modrm
    vector = opcodes.VECTOR_MOVES.get((byte, prefixes.repeat or (0x66 if prefixes.word else 0)))
    if vector is not None:
        return _vector_move(address, size, vector, reg, rm)
    if byte in (0x57, 0xEF) and rm == reg:
        return Instruction(address, size, Operation.ZERO, XMM0 + reg, width=16)
    if 0x40 <= byte < 0x50:
        return Instruction(
            address, size, Operation.SELECT, reg, rm, _operand_width(prefixes), condition=byte & 15
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
        sources = _address_of(rm) if vector_source else (rm, reg) if byte == 0xAF else (rm,)
        return _other(address, size, None, reg, reads=sources)
    if 0x90 <= byte < 0xA0 and isinstance(rm, int) and (rm < 4 or rm > 7):
        return Instruction(address, size, Operation.SET, rm, width=1, condition=byte & 15)
    if 0x90 <= byte < 0xA0:
        return _other(address, size, rm, *((rm & 3,) if isinstance(rm, int) else ()))
    if byte in opcodes.TWO_BYTE_WRITES_RM or (byte == 0xBA and digit > 4):
        return _other(address, size, rm, reads=(rm,) if byte == 0xBA else (rm, reg))
    if byte in (0xA3, 0xBA):
        return _other(address, size, None, reads=(rm,) if byte == 0xBA else (rm, reg))
    if byte in (0xB0, 0xB1):
        return _other(address, size, rm, RAX, reads=(RAX, rm, reg))
    if byte in (0xC0, 0xC1):
        return _other(address, size, rm, reg, reads=(rm, reg))
    if byte == 0xC7:
        return _other(address, size, rm, RAX, RDX, reads=(RAX, RBX, RCX, RDX))
    if byte in (0x00, 0x01):
        return _other(address, size, rm if isinstance(rm, Memory) else None, RAX, RCX, RDX)
    if byte in opcodes.TWO_BYTE_VECTOR_STORES:
        return _other(address, size, rm if isinstance(rm, Memory) else XMM0 + rm)
    integer_source = byte == 0xC4 or (byte == 0x2A and prefixes.repeat != 0)  # PINSRW, CVTSI2SS and SD
    return _other(address, size, None, XMM0 + reg, reads=(rm,) if integer_source else _address_of(rm))


def _address_of(rm: int | Memory) -> tuple[Operand, ...]:
    """*rm* as something read if it is memory; a vector register is none of ours."""
    return (rm,) if isinstance(rm, Memory) else ()


def _vector_move(address: int, size: int, move: tuple[int, bool], reg: int, rm: int | Memory) -> Instruction:
    width, store = move
    register = XMM0 + reg
    other: int | Memory = XMM0 + rm if isinstance(rm, int) else rm
    if store:
        return Instruction(address, size, Operation.MOVE, other, register, width)
    return Instruction(address, size, Operation.MOVE, register, other, width)


def _decode_vector(code: bytes, start: int, at: int, address: int, prefixes: _Prefixes) -> Instruction | None:
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
    modrm = _read_modrm(code, at, prefixes, start, address, immediate)
    reg, rm, end, _ = modrm
    size = end - start + immediate
    if table == 2 and 0xF2 <= byte <= 0xF7 and not prefixes.evex:
        return _other(address, size, None, reg, prefixes.vvvv, reads=(rm, prefixes.vvvv, RDX))
    if table == 3 and byte == 0xF0:
        return _other(address, size, None, reg, reads=(rm,))
    if table == 1 and byte in opcodes.VECTOR_WRITES_REG:
        return _other(address, size, None, reg, reads=_address_of(rm))
    if (table == 1 and byte == 0x7E and mandatory == 1) or (table == 3 and 0x14 <= byte <= 0x17):
        return _other(address, size, rm)
    move = opcodes.VECTOR_MOVES.get((byte, (0, 0x66, 0xF3, 0xF2)[mandatory])) if table == 1 else None
    if move is not None and move[0] == 16 and not wide and not prefixes.evex:
        return _vector_move(address, size, move, reg, rm)
    if isinstance(rm, Memory) and (move is None or move[1]):
        return _other(address, size, rm, XMM0 + reg)  # may be a store: forget what was there
    return _other(address, size, None, XMM0 + reg, reads=_address_of(rm))
