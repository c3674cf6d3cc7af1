"""Some fields of a struct of the target, unpacked all at once.

Law: bytes in, unsigned numbers out, little-endian. There may be hundreds of thousands of such structs: one unpack takes
the fields as they lie, and one itemgetter puts them in the order wanted.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

_CODES = {1: "B", 2: "H", 4: "I", 8: "Q"}


def pack_fields(
    places: Sequence[tuple[int, int]],
) -> tuple[struct.Struct, Callable[[tuple[Any, ...]], tuple[int, ...]]]:
    """What unpacks two fields or more at *places*, (offset, bytes), and what orders them as they are in *places*."""
    ordered = sorted((offset, size, order) for order, (offset, size) in enumerate(places))
    codes, end = ["<"], 0
    for offset, size, _ in ordered:
        codes.append(f"{offset - end}x{_CODES[size]}")
        end = offset + size
    positions = {order: position for position, (_, _, order) in enumerate(ordered)}
    return struct.Struct("".join(codes)), itemgetter(*(positions[order] for order in range(len(places))))
