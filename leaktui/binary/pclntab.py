"""The pc-line table: every Go function, and file and line of every instruction; present when stripped too.

Law: bytes in, values out; program counters here are link-time addresses. The layout is that of Go 1.20
and newer (cmd/link/internal/ld/pcln.go; runtime/symtab.go `funcInfo`;
runtime/symtabinl.go `inlinedCall`). The address of the text comes from outside, as does function data.
"""

from __future__ import annotations

import re
import struct
import sys
from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from leaktui.binary.func_record import NO_TABLE, FuncInfo, FuncRecords, FuncTables
from leaktui.binary.pcheader import decode_header
from leaktui.binary.pcvalue import decode_values, find_value
from leaktui.errors import DecodeError, Truncated
from leaktui.model.frame import Frame, Stack

__all__ = ["Function", "PcLineTable", "printed_name"]

_INLINED_CALL_SIZE = 16
_INLINE_DEPTH = 256
_LARGE_FUNCTION = 8192
_CACHED_TABLES = 1024


@dataclass(frozen=True, slots=True)
class Function:
    """A Go function. `entry` and `end` are link-time addresses; `line` is where it is declared."""

    name: str
    entry: int
    end: int
    file: str = ""
    line: int = 0


class PcLineTable:
    """A table loaded at `text_start`. `funcdata` is the memory at moduledata.gofunc, or empty.

    Raises DecodeError when built from bytes that are no table; look-ups raise it when an entry they
    need is damaged.
    """

    def __init__(self, data: bytes, *, text_start: int, funcdata: bytes = b"") -> None:
        self.header = header = decode_header(data)
        self.text_start = text_start
        self._data = data
        self._funcdata = funcdata
        order = header.order
        self._records = FuncRecords(data, order)
        self._u32 = struct.Struct(order + "I")
        self._call = struct.Struct(order + "B3xiixxxx")
        words = 2 * header.function_count + 1
        end = header.functions + 4 * words
        if end > len(data):
            raise Truncated("the pc-line table ends before its functions do")
        table = array("I")
        table.frombytes(data[header.functions : end])
        if (order == "<") != (sys.byteorder == "little"):
            table.byteswap()
        self._entries = table[::2]
        """Entry of each function as an offset from the text's start, ascending; then the text's end."""
        self._infos = table[1::2]
        self._names: dict[int, str] = {}
        self._printed: dict[int, str] = {}
        self._files: dict[int, str] = {}
        self._tables: dict[int, tuple[array[int], array[int]]] = {}
        self._wrapper_id: int | None = None

    # --- functions ---

    def __len__(self) -> int:
        return self.header.function_count

    @property
    def text_end(self) -> int:
        """The address after the last function."""
        return self.text_start + int(self._entries[-1])

    def index_at(self, pc: int) -> int | None:
        """Index of the function that has *pc*."""
        index = bisect_right(self._entries, pc - self.text_start) - 1
        return index if 0 <= index < self.header.function_count else None

    def entry(self, index: int) -> int:
        """Entry address of function *index*."""
        return self.text_start + self._entries[index]

    def name(self, index: int) -> str:
        """Name of function *index*, as the linker wrote it."""
        return self._name_at(self._unpack_u32(self.header.functions + self._infos[index] + 4))

    def function(self, index: int) -> Function:
        """Function *index* with the file and line of its declaration."""
        info = self.info(index)
        file = self._file(info, self._value(info, info.file_values, info.entry))
        start, end = self._entries[index], self._entries[index + 1]
        return Function(
            name=self._name_at(info.name_offset),
            entry=self.text_start + start,
            end=self.text_start + end,
            file=file,
            line=max(info.start_line, 0),
        )

    def find_indexes(self, name: str) -> Iterator[int]:
        """Indexes of the functions called exactly *name* (there may be several, e.g. ABI wrappers).

        Costs two scans over the table's bytes instead of an index of all names.
        """
        offset = self.find_name(name)
        if offset is None:
            return
        pattern = self._u32.pack(offset)
        data, base = self._data, self.header.functions
        found = data.find(pattern, base)
        while found >= 0:
            # The bytes are a _func's nameOff only if the function table has an entry for that _func.
            start = found - 4
            if (start - base) % 4 == 0 and start >= base:
                index = bisect_right(self._entries, self._unpack_u32(start)) - 1
                if 0 <= index < self.header.function_count and self._infos[index] == start - base:
                    yield index
            found = data.find(pattern, found + 1)

    def find_name(self, name: str) -> int | None:
        """Offset of *name* in the name table; a name is there also if it was inlined everywhere."""
        encoded = name.encode("utf-8", "surrogateescape")
        if not encoded or b"\0" in encoded:
            return None
        start, end = self.header.names, self.header.units
        found = self._data.find(b"\0" + encoded + b"\0", start, end)
        if found >= 0:
            return found + 1 - start
        return 0 if self._data.startswith(encoded + b"\0", start) else None

    def iter_names(self, prefix: str = "") -> Iterator[str]:
        """Every name in the name table that begins with *prefix*, inlined-only functions included."""
        names = self._data[self.header.names : self.header.units]
        wanted = re.escape(prefix.encode("utf-8", "surrogateescape"))
        for match in re.finditer(rb"(?:\A|(?<=\0))" + wanted + rb"[^\0]*(?=\0)", names):
            if match.group():
                yield match.group().decode("utf-8", "replace")

    def info(self, index: int) -> FuncInfo:
        """Decode the _func of function *index*."""
        entry = self._entries[index]
        return self._records.info(
            self.header.functions + self._infos[index],
            entry=self.text_start + entry,
            size=self._entries[index + 1] - entry,
        )

    @property
    def funcdata(self) -> bytes:
        """The memory at moduledata.gofunc; empty where it was not found."""
        return self._funcdata

    def tables(self, index: int) -> FuncTables:
        """The tables of function *index*."""
        return self._records.tables(self.header.functions + self._infos[index])

    def value_at(self, info: FuncInfo, table: int, pc: int) -> int:
        """The value one of the function's tables gives for *pc*, -1 where it has none."""
        return self._value(info, table, pc)

    def stack_delta(self, info: FuncInfo, pc: int) -> int:
        """Bytes the function has on the stack at *pc*, its return address not counted; -1 where unknown."""
        return self._value(info, info.stack_values, pc)

    # --- calls at an instruction ---

    def frames(self, pc: int, *, shown_pc: int | None = None) -> Stack:
        """The calls at instruction *pc*, innermost first; empty outside Go code.

        Follows runtime/symtabinl.go `inlineUnwinder` and, like `Frames.Next`, leaves out a compiler-made
        wrapper around an inlined call. The frames carry *shown_pc*, or else *pc*.
        """
        index = self.index_at(pc)
        if index is None:
            return ()
        info = self.info(index)
        if shown_pc is None:
            shown_pc = pc
        found: list[Frame] = []
        for _ in range(_INLINE_DEPTH):  # a damaged tree may have a cycle
            call = self._inlined_call(info, pc)
            if call is None:
                break
            func_id, name_offset, parent_pc = call
            if not found or not self.is_wrapper(func_id):
                found.append(self._frame(info, name_offset, pc, shown_pc, inlined=True))
            pc = info.entry + parent_pc
        if not found or not self.is_wrapper(info.func_id):
            found.append(self._frame(info, info.name_offset, pc, shown_pc, inlined=False))
        return tuple(found)

    def _frame(self, info: FuncInfo, name_offset: int, pc: int, shown_pc: int, *, inlined: bool) -> Frame:
        file = self._file(info, self._value(info, info.file_values, pc))
        line = self._value(info, info.line_values, pc) if file else 0
        name = self._printed.get(name_offset)
        if name is None:
            name = self._printed[name_offset] = printed_name(self._name_at(name_offset))
        return Frame(name, file, max(line, 0), shown_pc, inlined)

    def iter_inlined(self, name: str) -> Iterator[int]:
        """Instructions that stand for a call to *name* which the compiler inlined.

        `positions` of one begins with the caller.
        """
        offset = self.find_name(name)
        if offset is None or not self._funcdata:
            return
        pattern = self._u32.pack(offset)
        found = self._funcdata.find(pattern, 4)
        hits = []
        while 0 <= found <= len(self._funcdata) - _INLINED_CALL_SIZE + 4:
            hits.append(found - 4)
            found = self._funcdata.find(pattern, found + 1)
        if not hits:
            return
        trees = self._trees()
        starts = [start for start, _ in trees]
        for hit in hits:
            order = bisect_right(starts, hit) - 1
            if order < 0 or (hit - starts[order]) % _INLINED_CALL_SIZE:
                continue
            # Several functions may share one tree: content-addressed symbols are merged by the linker.
            first = order
            while first > 0 and starts[first - 1] == starts[order]:
                first -= 1
            for _, index in trees[first : order + 1]:
                info = self.info(index)
                tree_index = (hit - starts[order]) // _INLINED_CALL_SIZE
                if info.inline_values and tree_index in self._decoded(info.inline_values)[1]:
                    parent_pc: int = self._call.unpack_from(self._funcdata, hit)[2]
                    yield info.entry + parent_pc

    def _trees(self) -> list[tuple[int, int]]:
        """(offset of the inline tree, function index) of every function that has one, ascending."""
        base, records = self.header.functions, self._records
        trees = ((records.inline_tree(base + start), index) for index, start in enumerate(self._infos))
        found = [(tree, index) for tree, index in trees if tree is not None]
        found.sort()
        return found

    def _inlined_call(self, info: FuncInfo, pc: int) -> tuple[int, int, int] | None:
        """funcID, nameOff and parentPc of the runtime.inlinedCall in force at *pc*, if any."""
        if info.inline_tree is None or not self._funcdata:
            return None
        tree_index = self._value(info, info.inline_values, pc)
        if tree_index < 0:
            return None
        offset = info.inline_tree + tree_index * _INLINED_CALL_SIZE
        if offset + _INLINED_CALL_SIZE > len(self._funcdata):
            raise Truncated("the inline tree ends early")
        call: tuple[int, int, int] = self._call.unpack_from(self._funcdata, offset)
        return call

    def validates(self, funcdata: bytes, *, functions: int = 64) -> bool:
        """Whether *funcdata* holds this table's inline trees, judged by the first *functions* that have one."""
        checked = 0
        names, end = self.header.names, self.header.units
        for index in range(self.header.function_count):
            info = self.info(index)
            if info.inline_tree is None:
                continue
            if info.inline_tree + _INLINED_CALL_SIZE > len(funcdata):
                return False
            _, name_offset, parent_pc = self._call.unpack_from(funcdata, info.inline_tree)
            size = self._entries[index + 1] - self._entries[index]
            start = names + name_offset
            if not names <= start < end or not 0 <= parent_pc < size:
                return False
            if name_offset and self._data[start - 1] != 0:
                return False
            checked += 1
            if checked >= functions:
                break
        return True

    def is_wrapper(self, func_id: int) -> bool:
        """Whether *func_id* is abi.FuncIDWrapper: 20 to 23 by release, and always the commonest special id."""
        if func_id == 0:
            return False
        if self._wrapper_id is None:
            base = self.header.functions
            ids = Counter(self._records.iter_func_ids(base + start for start in self._infos))
            del ids[0]
            self._wrapper_id = max(ids, key=ids.__getitem__, default=-1)
        return func_id == self._wrapper_id

    def _file(self, info: FuncInfo, number: int) -> str:
        """File *number* of the function's compilation unit, empty where unknown (runtime.funcline1)."""
        header = self.header
        entry = header.units + 4 * (info.unit + number)
        if number < 0 or entry + 4 > header.files:
            return ""
        offset = self._unpack_u32(entry)
        if offset == NO_TABLE:
            return ""
        file = self._files.get(offset)
        if file is None:
            file = self._files[offset] = self._string(header.files + offset, header.values)
        return file

    def _value(self, info: FuncInfo, table: int, pc: int) -> int:
        """The value a table of the function gives for *pc*, -1 where it has none."""
        if table == 0:
            return -1
        target = (pc - info.entry) // self.header.quantum
        if info.size < _LARGE_FUNCTION:
            return find_value(self._data, self.header.values + table, target)
        ends, values = self._decoded(table)
        position = bisect_right(ends, target)
        return values[position] if position < len(values) else -1

    def _decoded(self, table: int) -> tuple[array[int], array[int]]:
        decoded = self._tables.get(table)
        if decoded is None:
            if len(self._tables) >= _CACHED_TABLES:
                self._tables.clear()
            decoded = self._tables[table] = decode_values(self._data, self.header.values + table)
        return decoded

    def _name_at(self, offset: int) -> str:
        name = self._names.get(offset)
        if name is None:
            header = self.header
            if not 0 <= offset < header.units - header.names:
                raise DecodeError("a function's name is outside the name table")
            name = self._names[offset] = self._string(header.names + offset, header.units)
        return name

    def _string(self, start: int, end: int) -> str:
        stop = self._data.find(b"\0", start, end)
        if not 0 <= start < stop:
            return ""
        return self._data[start:stop].decode("utf-8", "replace")

    def _unpack_u32(self, offset: int) -> int:
        if not 0 <= offset <= len(self._data) - 4:
            raise Truncated("the pc-line table ends early")
        value: int = self._u32.unpack_from(self._data, offset)[0]
        return value


def printed_name(name: str) -> str:
    """A function's name as the runtime prints it: type arguments become `[...]` (runtime.funcNameForPrint)."""
    start = name.find("[")
    end = name.rfind("]")
    return name if start < 0 or end < start else f"{name[:start]}[...]{name[end + 1 :]}"
