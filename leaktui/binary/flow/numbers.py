"""Arithmetic on abstract values, and the methods of an itab: small, pure and total."""

from __future__ import annotations

from leaktui.binary.flow.values import ITAB_FIRST_METHOD, Constant, Method, Ones, Pointer, Value
from leaktui.binary.x86_instruction import Operation

_WORD = 8
_MOST_FLAGS = 0xFF
"""Bits of the byte that says which of a function's defers are due (cmd/compile, ssagen: deferBits)."""


def method_at(names: tuple[str, ...], displacement: int) -> Value | None:
    number, rest = divmod(displacement - ITAB_FIRST_METHOD, _WORD)
    if rest or number < 0:
        return None
    return Method(names[number] if number < len(names) else "")


def move_value(value: Value | None, by: int) -> Value | None:
    if isinstance(value, Pointer):
        return Pointer(value.region, value.offset + by)
    if isinstance(value, Constant):
        return Constant(value.number + by & (1 << 64) - 1)
    return None


def signed_number(number: int, width: int) -> int:
    bits = 8 * width
    number &= (1 << bits) - 1
    return number - (1 << bits) if number >> bits - 1 else number


def mask_value(operation: Operation, value: Value | None, mask: int, width: int) -> Value | None:
    """*value* and-ed or or-ed with *mask*; bits that are set for sure stay known where the rest is not."""
    if not isinstance(value, Constant):
        known = value.bits if isinstance(value, Ones) else 0
        known = known | mask if operation is Operation.OR else known & mask
        return Ones(known) if 0 < known <= _MOST_FLAGS else None
    number = value.number | mask if operation is Operation.OR else value.number & mask
    return Constant(number & (1 << 8 * width) - 1)
