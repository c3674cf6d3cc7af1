"""Which words of a function's frame hold live pointers at an instruction: the collector's own stack maps.

Law: pure, bytes in, values out. It follows runtime/stkframe.go `getStackMap` and runtime/stack.go
`stackObjectRecord` (Go 1.21 to 1.27; amd64): a frame's locals end at its varp, its arguments begin at its argp;
a variable whose address is taken is a stack object, alive only if a live pointer leads to it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

from leaktui.binary.func_record import FuncTables
from leaktui.binary.pclntab import PcLineTable
from leaktui.errors import DecodeError, Truncated

_PCDATA_STACK_MAP = 1
_FUNCDATA_ARGS, _FUNCDATA_LOCALS, _FUNCDATA_OBJECTS = 0, 1, 2
_BITVECTORS = struct.Struct("<ii")
_COUNT = struct.Struct("<Q")
_OBJECT = struct.Struct("<iiiI")
_OBJECTS_LIMIT = 1 << 14
_BITS_LIMIT = 1 << 20
_MASK_LIMIT = 1 << 20
_CACHED = 1 << 14


@dataclass(frozen=True, slots=True)
class StackObject:
    """A variable in a frame, at `offset` from varp if that is negative, else from argp; `size` in bytes.

    `pointers` are the offsets in it of words that may hold pointers.
    """

    offset: int
    size: int
    pointers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class FrameMap:
    """The live pointers of a frame. `locals` are offsets from varp (negative), `args` from argp, in bytes.

    `whole` is False where a part of the maps is only known to the runtime (stubs of package reflect).
    """

    locals: tuple[int, ...]
    args: tuple[int, ...]
    objects: tuple[StackObject, ...]
    whole: bool = True


class StackMaps:
    """The stack maps of the functions in *table*; `known` is False where the table has no function data.

    *read_mask* gives the bytes at an offset from moduledata.rodata, where the pointer masks of stack
    objects are; without it every word of an object counts as a pointer.
    """

    def __init__(self, table: PcLineTable, read_mask: Callable[[int, int], bytes] | None = None) -> None:
        self._table = table
        self._read_mask = read_mask
        self._maps: dict[int, FrameMap | None] = {}
        self._objects: dict[int, tuple[StackObject, ...]] = {}
        self.known = bool(table.funcdata)

    def at(self, pc: int) -> FrameMap | None:
        """The map of the frame whose function continues at *pc*, a link-time address; None outside Go code.

        None also where the maps make no sense.
        """
        if pc not in self._maps:
            if len(self._maps) >= _CACHED:
                self._maps.clear()
            try:
                self._maps[pc] = self._decode(pc)
            except DecodeError:
                self._maps[pc] = None
        return self._maps[pc]

    def _decode(self, pc: int) -> FrameMap | None:
        table = self._table
        index = table.index_at(pc)
        if index is None or not self.known:
            return None
        info, tables = table.info(index), table.tables(index)
        number = -1
        if pc != info.entry:
            values = tables.values[_PCDATA_STACK_MAP] if len(tables.values) > _PCDATA_STACK_MAP else 0
            number = table.value_at(info, values, pc - 1)  # of the call before it
        number = max(number, 0)  # in the prologue the first map holds
        words = self._bits(tables, _FUNCDATA_LOCALS, number)
        locals_ = tuple(8 * bit - 8 * words[0] for bit in words[1])
        args: tuple[int, ...] = ()
        if tables.args > 0:
            limit = tables.args // 8
            args = tuple(8 * bit for bit in self._bits(tables, _FUNCDATA_ARGS, number)[1] if bit < limit)
        return FrameMap(locals_, args, self._stack_objects(index, tables), whole=tables.args >= 0)

    def _bits(self, tables: FuncTables, which: int, number: int) -> tuple[int, tuple[int, ...]]:
        """(length, bits that are set) of bitmap *number* of a runtime.stackmap: n, nbit, then the bitmaps."""
        offset = tables.data[which] if len(tables.data) > which else None
        if offset is None:
            return 0, ()
        data = self._table.funcdata
        if offset + _BITVECTORS.size > len(data):
            raise Truncated("a stack map lies beyond the function data")
        count, length = _BITVECTORS.unpack_from(data, offset)
        if length == 0:
            return 0, ()
        if not 0 <= number < count or not 0 < length <= _BITS_LIMIT:
            raise DecodeError("a stack map makes no sense")
        size = (length + 7) // 8
        start = offset + _BITVECTORS.size + number * size
        if start + size > len(data):
            raise Truncated("a stack map lies beyond the function data")
        return length, _set_bits(data[start : start + size], length)

    def _stack_objects(self, index: int, tables: FuncTables) -> tuple[StackObject, ...]:
        known = self._objects.get(index)
        if known is not None:
            return known
        offset = tables.data[_FUNCDATA_OBJECTS] if len(tables.data) > _FUNCDATA_OBJECTS else None
        found: list[StackObject] = []
        if offset is not None:
            data = self._table.funcdata
            if offset + _COUNT.size > len(data):
                raise Truncated("a stack object lies beyond the function data")
            (count,) = _COUNT.unpack_from(data, offset)
            start = offset + _COUNT.size
            if count > _OBJECTS_LIMIT or start + count * _OBJECT.size > len(data):
                raise Truncated("a stack object lies beyond the function data")
            for place, size, pointer_bytes, mask in _OBJECT.iter_unpack(
                data[start : start + count * _OBJECT.size]
            ):
                found.append(StackObject(place, size, self._pointers(size, pointer_bytes, mask)))
        if len(self._objects) >= _CACHED:
            self._objects.clear()
        self._objects[index] = tuple(found)
        return self._objects[index]

    def _pointers(self, size: int, pointer_bytes: int, mask: int) -> tuple[int, ...]:
        if not 0 <= size <= 8 * _MASK_LIMIT or abs(pointer_bytes) > size:
            raise DecodeError("a stack object makes no sense")
        # Up to Go 1.23 large types have a program instead of a mask (pointer_bytes is then negative).
        if self._read_mask is None or pointer_bytes < 0:
            return tuple(range(0, abs(pointer_bytes), 8))
        words = pointer_bytes // 8
        return tuple(8 * bit for bit in _set_bits(self._read_mask(mask, (words + 7) // 8), words))


def _set_bits(data: bytes, length: int) -> tuple[int, ...]:
    """The numbers, below *length*, of the bits that are set; the least significant of a byte comes first."""
    found = [
        8 * number + bit for number, byte in enumerate(data) if byte for bit in range(8) if byte >> bit & 1
    ]
    return tuple(bit for bit in found if bit < length)
