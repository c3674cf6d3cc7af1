"""A function's record in the pc-line table: runtime._func, and the numbers of its tables after it.

Law: bytes in, values out. The layout is that of Go 1.20 and newer (runtime/runtime2.go `_func`; runtime/symtab.go
`pcdatastart`, `funcdata`; internal/abi/symtab.go for the numbers of tables).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from leaktui.errors import Truncated

NO_TABLE = 0xFFFFFFFF
"""An offset that leads nowhere."""

_PCDATA_INL_TREE = 2
_FUNCDATA_INL_TREE = 3
_SIZE = 44
_FUNC_ID = 40
_TABLES_LIMIT = 64


class FuncInfo(NamedTuple):
    """What we need of a runtime._func; a tuple, because large programs have 200,000 of them."""

    entry: int
    size: int
    name_offset: int
    file_values: int
    line_values: int
    unit: int
    start_line: int
    func_id: int
    inline_values: int
    inline_tree: int | None
    stack_values: int
    flags: int


class FuncTables(NamedTuple):
    """What follows a runtime._func, by number (internal/abi/symtab.go PCDATA_*, FUNCDATA_*).

    `args` is bytes of arguments and results passed on the stack, negative where only the caller knows;
    `deferreturn` is an offset in the function, 0 for none. `values` are tables for `value_at`, 0 for none;
    `data` are offsets in `funcdata`, None for none.
    """

    args: int
    deferreturn: int
    values: tuple[int, ...]
    data: tuple[int | None, ...]


class FuncRecords:
    """The records in *data*, in the byte order *order*; one is known by the offset it starts at."""

    def __init__(self, data: bytes, order: str) -> None:
        self._data = data
        self._order = order
        self._func = struct.Struct(order + "IiiIIIIIIiBBxB")
        self._counts = struct.Struct(order + "28xI11xB")
        self._u32 = struct.Struct(order + "I")

    def info(self, start: int, entry: int, size: int) -> FuncInfo:
        """The record at *start*, of the function at *entry* with *size* bytes of code; raises Truncated."""
        (
            _entry,
            name_offset,
            _args,
            _deferreturn,
            stack_values,
            file_values,
            line_values,
            pcdata_count,
            unit,
            start_line,
            func_id,
            flags,
            funcdata_count,
        ) = self._fields(self._func, start)
        inline_values = 0
        inline_tree: int | None = None
        if pcdata_count > _PCDATA_INL_TREE and funcdata_count > _FUNCDATA_INL_TREE:
            inline_values = self._table(start, _PCDATA_INL_TREE)
            tree = self._table(start, pcdata_count + _FUNCDATA_INL_TREE)
            inline_tree = None if tree == NO_TABLE else tree
        return FuncInfo(
            entry=entry,
            size=size,
            name_offset=name_offset,
            file_values=file_values,
            line_values=line_values,
            unit=unit,
            start_line=start_line,
            func_id=func_id,
            inline_values=inline_values,
            inline_tree=inline_tree,
            stack_values=stack_values,
            flags=flags,
        )

    def tables(self, start: int) -> FuncTables:
        """All tables of the record at *start*; raises Truncated."""
        fields = self._fields(self._func, start)
        values, funcdata = fields[7], fields[12]
        if values > _TABLES_LIMIT or start + _SIZE + 4 * (values + funcdata) > len(self._data):
            raise Truncated("the pc-line table ends inside a function's record")
        numbers = struct.unpack_from(f"{self._order}{values + funcdata}I", self._data, start + _SIZE)
        offsets = tuple(None if number == NO_TABLE else number for number in numbers[values:])
        return FuncTables(fields[2], fields[3], numbers[:values], offsets)

    def inline_tree(self, start: int) -> int | None:
        """The offset of the inline tree, None for none: all that is wanted of most; raises Truncated."""
        pcdata_count, funcdata_count = self._fields(self._counts, start)
        if pcdata_count <= _PCDATA_INL_TREE or funcdata_count <= _FUNCDATA_INL_TREE:
            return None
        tree = self._table(start, pcdata_count + _FUNCDATA_INL_TREE)
        return None if tree == NO_TABLE else tree

    def iter_func_ids(self, starts: Iterable[int]) -> Iterator[int]:
        """The funcID of each record that is there."""
        data = self._data
        return (data[start + _FUNC_ID] for start in starts if start + _FUNC_ID < len(data))

    def _fields(self, record: struct.Struct, start: int) -> tuple[int, ...]:
        if start + _SIZE > len(self._data):
            raise Truncated("the pc-line table ends inside a function's record")
        return record.unpack_from(self._data, start)

    def _table(self, start: int, number: int) -> int:
        offset = start + _SIZE + 4 * number
        if offset > len(self._data) - 4:
            raise Truncated("the pc-line table ends early")
        value: int = self._u32.unpack_from(self._data, offset)[0]
        return value
