"""The opcode maps behind `x86`: which opcodes carry a ModRM byte or an immediate, and what they overwrite.

From Intel SDM vol. 2, appendix A, tables A-2 to A-5, 64-bit mode.
"""

from __future__ import annotations

_RAX, _RCX, _RDX, _RBX, _RSP, _RBP, _RSI, _RDI = range(8)
_R11 = 11

IMMEDIATE_Z = -1
"""An immediate of two bytes behind an operand-size prefix, else four."""

LEGACY_PREFIXES = frozenset((0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65, 0x66, 0x67, 0xF0, 0xF2, 0xF3))

ONE_BYTE_MODRM: dict[int, int] = {
    0x63: 0,
    0x69: IMMEDIATE_Z,
    0x6B: 1,
    0x80: 1,
    0x81: IMMEDIATE_Z,
    0x83: 1,
    **dict.fromkeys(range(0x84, 0x90), 0),
    0xC0: 1,
    0xC1: 1,
    0xC6: 1,
    0xC7: IMMEDIATE_Z,
    **dict.fromkeys(range(0xD0, 0xD4), 0),
    **dict.fromkeys(range(0xD8, 0xE0), 0),
    0xF6: 1,
    0xF7: IMMEDIATE_Z,
    0xFE: 0,
    0xFF: 0,
}
"""Opcode → bytes of immediate, for one-byte opcodes above 3F with a ModRM byte."""

ONE_BYTE_PLAIN: dict[int, tuple[int, tuple[int, ...]]] = {
    0x6C: (0, (_RDI, _RCX)),
    0x6D: (0, (_RDI, _RCX)),
    0x6E: (0, (_RSI, _RCX)),
    0x6F: (0, (_RSI, _RCX)),
    0x98: (0, (_RAX,)),
    0x99: (0, (_RDX,)),
    0x9B: (0, ()),
    0x9C: (0, ()),
    0x9D: (0, ()),
    0x9E: (0, ()),
    0x9F: (0, (_RAX,)),
    0xA0: (8, (_RAX,)),
    0xA1: (8, (_RAX,)),
    0xA2: (8, ()),
    0xA3: (8, ()),
    0xA6: (0, (_RSI, _RDI, _RCX)),
    0xA7: (0, (_RSI, _RDI, _RCX)),
    0xAC: (0, (_RAX, _RSI, _RCX)),
    0xAD: (0, (_RAX, _RSI, _RCX)),
    0xAE: (0, (_RDI, _RCX)),
    0xAF: (0, (_RDI, _RCX)),
    0xC8: (3, (_RBP, _RSP)),
    0xC9: (0, (_RBP, _RSP)),
    0xCD: (1, ()),
    0xD7: (0, (_RAX,)),
    0xE4: (1, (_RAX,)),
    0xE5: (1, (_RAX,)),
    0xE6: (1, ()),
    0xE7: (1, ()),
    0xEC: (0, (_RAX,)),
    0xED: (0, (_RAX,)),
    0xEE: (0, ()),
    0xEF: (0, ()),
    **dict.fromkeys((0xF5, 0xF8, 0xF9, 0xFA, 0xFB, 0xFC, 0xFD), (0, ())),
}
"""Opcode → bytes of immediate and registers overwritten, for one-byte opcodes without a ModRM byte."""

TWO_BYTE_PLAIN: dict[int, tuple[int, ...]] = {
    0x05: (_RAX, _RCX, _R11),
    0x06: (),
    0x07: (),
    0x08: (),
    0x09: (),
    0x0B: (),
    0x30: (),
    0x31: (_RAX, _RDX),
    0x32: (_RAX, _RDX),
    0x33: (_RAX, _RDX),
    0x34: (_RCX, _RDX),
    0x35: (_RCX, _RDX),
    0x77: (),
    0xA0: (),
    0xA1: (),
    0xA2: (_RAX, _RBX, _RCX, _RDX),
    0xA8: (),
    0xA9: (),
    0xAA: (),
}
"""0F opcodes without a ModRM byte (0F 80–8F and C8–CF apart) → registers overwritten."""

TWO_BYTE_INVALID = frozenset(
    (0x04, 0x0A, 0x0C, 0x0E, 0x0F, 0x24, 0x25, 0x26, 0x27, 0x36, 0x37, 0x39, *range(0x3A, 0x40), 0xA6, 0xA7)
)
TWO_BYTE_IMMEDIATE = frozenset((0x70, 0x71, 0x72, 0x73, 0xA4, 0xAC, 0xBA, 0xC2, 0xC4, 0xC5, 0xC6))
TWO_BYTE_NOP = frozenset((0x0D, *range(0x18, 0x20), 0xAE))
"""PREFETCH, hinted NOPs, and the fences; 0F AE's saves of vector state write memory no pointer lives in."""

TWO_BYTE_WRITES_REG = frozenset(
    (0x02, 0x03, 0x20, 0x21, 0x2C, 0x2D, 0x50, 0xAF, 0xB6, 0xB7, 0xB8, 0xBC, 0xBD, 0xBE, 0xBF, 0xC5, 0xD7)
)
TWO_BYTE_WRITES_RM = frozenset((*range(0x90, 0xA0), 0xA4, 0xA5, 0xAB, 0xAC, 0xAD, 0xB3, 0xBB, 0xC3))
TWO_BYTE_VECTOR_STORES = frozenset((0x13, 0x17, 0x2B, 0xE7, 0x71, 0x72, 0x73))

VECTOR_WRITES_REG = frozenset((0x2C, 0x2D, 0x50, 0x93, 0xC5, 0xD7))
"""VEX and EVEX opcodes of map 1 that write a general register: conversions, masks, extracts."""

VECTOR_MOVES: dict[tuple[int, int], tuple[int, bool]] = {
    (0x10, 0): (16, False),
    (0x11, 0): (16, True),
    (0x10, 0x66): (16, False),
    (0x11, 0x66): (16, True),
    (0x28, 0): (16, False),
    (0x29, 0): (16, True),
    (0x28, 0x66): (16, False),
    (0x29, 0x66): (16, True),
    (0x6F, 0x66): (16, False),
    (0x7F, 0x66): (16, True),
    (0x6F, 0xF3): (16, False),
    (0x7F, 0xF3): (16, True),
    (0x10, 0xF2): (8, False),
    (0x11, 0xF2): (8, True),
    (0x10, 0xF3): (4, False),
    (0x11, 0xF3): (4, True),
    (0x7E, 0xF3): (8, False),
    (0xD6, 0x66): (8, True),
}
"""(0F opcode, mandatory prefix) → (bytes moved, is it a store): the plain vector moves."""
