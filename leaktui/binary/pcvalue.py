"""Value tables of the pc-line table: which value holds at which instruction.

Law: pure. A table is pairs of varints, a zigzag value delta (from -1) and a pc delta in instruction
quanta; a value delta of 0 ends it, unless it is the first (runtime/symtab.go `step`).
"""

from __future__ import annotations

import re
from array import array
from itertools import accumulate

from leaktui.errors import Truncated

_ZIGZAG = tuple(-(value >> 1) - 1 if value & 1 else value >> 1 for value in range(1 << 14))
_VARINT = re.compile(rb"[\x80-\xff]{0,4}[\x00-\x7f]")


def find_value(data: bytes, position: int, target: int) -> int:
    """The value of the table at *position* for instruction *target* of its function, -1 where it has none.

    It scans up to the instruction: for a function of ordinary size as quick as looking into a decoded table.
    """
    end, value = 0, -1
    try:
        while True:
            delta = data[position]
            if delta >= 0x80:  # in two bytes, or rarely more
                second = data[position + 1]
                if second < 0x80:
                    position += 2
                    value += _ZIGZAG[delta & 0x7F | second << 7]
                else:
                    delta, position = _long_varint(data, position)
                    value += -(delta >> 1) - 1 if delta & 1 else delta >> 1
            elif delta or not end:
                position += 1
                value += _ZIGZAG[delta]
            else:
                return -1
            step = data[position]
            position += 1
            if step >= 0x80:
                step, position = _long_varint(data, position - 1)
            end += step
            if target < end:
                return value
            if not step:
                return -1
    except IndexError as error:
        raise Truncated("a table of the pc-line table is cut short") from error


def decode_values(data: bytes, position: int) -> tuple[array[int], array[int]]:
    """The table at *position* as (ends, values): values[i] holds up to instruction ends[i]."""
    # No varint ends in a zero byte, but the first may be zero: the next zero byte is the end.
    stop = data.find(b"\0", position + 1)
    varints = _VARINT.findall(data, position, stop) if stop > 0 else []
    steps = varints[1::2]
    ends = accumulate(map(_decode_plain, steps))
    values = accumulate(map(_decode_zigzag, varints[: 2 * len(steps) : 2]), initial=-1)
    next(values)
    return array("q", ends), array("q", values)


def _long_varint(data: bytes, position: int) -> tuple[int, int]:
    """The varint at *position*, and the position after it."""
    value = shift = 0
    while shift <= 28:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
    raise Truncated("a varint of the pc-line table does not end")


def _decode_plain(encoded: bytes) -> int:
    value = 0
    for byte in reversed(encoded):
        value = value << 7 | byte & 0x7F
    return value


def _decode_zigzag(encoded: bytes) -> int:
    value = _decode_plain(encoded)
    return -(value >> 1) - 1 if value & 1 else value >> 1
