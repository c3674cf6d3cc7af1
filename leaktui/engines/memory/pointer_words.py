"""Which words of a heap object may hold pointers.

Law: what the collector would look at, no less: where a mask is not known, every word. A mask is a bit per
word for one value, repeated to the end of the object (runtime/mbitmap.go `typePointers`).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from leaktui.binary.runtime_types import RuntimeTypes
from leaktui.engines.memory.reader import MemoryReader
from leaktui.errors import DecodeError

WORD = 8

_DESCRIPTOR = struct.Struct("<QQ4xB2xB8xQ8x")  # abi.Type: Size_, PtrBytes, TFlag, Kind_, GCData
_GC_ON_DEMAND, _GC_PROGRAM = 1 << 4, 1 << 6  # abi.TFlagGCMaskOnDemand (1.24), abi.KindGCProg (to 1.23)
_MASK_LIMIT = 1 << 20
_MASKS_CACHED = 1 << 14


@dataclass(frozen=True, slots=True)
class PointerWords:
    """Offsets of words in an object of *size* bytes: the set bits of *mask*, from byte *first* on, every *period*.

    `exact` says that the runtime's own mask was found; otherwise these are all words.
    """

    first: int
    period: int
    mask: int
    size: int
    exact: bool = True

    def __contains__(self, offset: int) -> bool:
        """Whether the word that begins *offset* bytes into the object may be a pointer."""
        place = offset - self.first
        if place < 0 or offset + WORD > self.size or place % WORD:
            return False
        return bool(self.mask >> place % self.period // WORD & 1)

    def __iter__(self) -> Iterator[int]:
        """The offsets, ascending."""
        marked = [WORD * bit for bit in range(self.mask.bit_length()) if self.mask >> bit & 1]
        if not marked:
            return
        last = self.size - WORD
        for base in range(self.first, last + 1, self.period):
            for offset in marked:
                if base + offset > last:
                    return
                yield base + offset


def no_words(size: int) -> PointerWords:
    """Nothing in an object of *size* bytes is a pointer."""
    return PointerWords(0, WORD, 0, size)


def all_words(size: int) -> PointerWords:
    """Anything in an object of *size* bytes may be a pointer."""
    return PointerWords(0, WORD, 1, size, exact=False)


class TypeMasks:
    """The collector's masks of types, by the address of the descriptor an object or a span keeps."""

    def __init__(self, memory: MemoryReader, types: RuntimeTypes) -> None:
        self._memory = memory
        self._types = types
        self._known: dict[int, PointerWords | None] = {}

    def mask_of(self, address: int) -> PointerWords | None:
        """The pointer words of one value of the type at *address*, None where they are not known."""
        if address not in self._known:
            if len(self._known) >= _MASKS_CACHED:
                self._known.clear()
            try:
                self._known[address] = self._read_mask(address)
            except DecodeError:
                return None
        return self._known[address]

    def _read_mask(self, address: int) -> PointerWords | None:
        size, pointers, flags, kind, mask = _DESCRIPTOR.unpack(self._memory.read(address, _DESCRIPTOR.size))
        exact = True
        if not 0 < pointers <= size or pointers % WORD or size % WORD or pointers // 64 > _MASK_LIMIT:
            return None
        if self._types.at(address) is None:
            # Up to Go 1.23 a large object of a type that has a program instead of a mask gets a type made
            # up for it, with nothing but its size and the mask right after it (heapSetType).
            if kind or mask != address + _DESCRIPTOR.size:
                return None
            exact = False
        elif kind & _GC_PROGRAM:
            return None
        elif flags & _GC_ON_DEMAND:
            (mask,) = struct.unpack("<Q", self._memory.read(mask, 8))
        if not mask:
            return None
        count = pointers // WORD
        bits = int.from_bytes(self._memory.read(mask, (count + 7) // 8), "little") & (1 << count) - 1
        # The last of the words up to `pointers` is a pointer (abi.Type.PtrBytes), but for programs.
        return PointerWords(0, size, bits, size) if bits and (bits >> count - 1 or not exact) else None
