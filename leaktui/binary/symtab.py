"""The ELF symbol table: addresses of C functions and of data, where it was not stripped.

Law: one name is found by searching the string table and then the symbol table for its offset (2 ms on
100,000 symbols); all symbols are decoded only for a question about an address.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property

from leaktui.binary.elf import ElfImage

_STT_FUNC, _STT_GNU_IFUNC = 2, 10
_SHN_UNDEF = 0


@dataclass(frozen=True, slots=True)
class Symbol:
    """An ELF symbol; `size` is 0 where the assembler gave none."""

    name: str
    address: int
    size: int
    is_function: bool


class SymbolTable:
    """`.symtab`, or `.dynsym` of what was stripped; empty where there is neither."""

    def __init__(self, image: ElfImage) -> None:
        name, strings = (".symtab", ".strtab") if ".symtab" in image.sections else (".dynsym", ".dynstr")
        self._symbols = image.section_data(name) or b""
        self._strings = image.section_data(strings) or b""
        # Elf64_Sym orders name, info, other, shndx, value, size; Elf32_Sym name, value, size, info, other, shndx.
        self._wide = image.word_size == 8
        self._entry = struct.Struct(image.order + ("IBBHQQ" if self._wide else "IIIBBH"))

    def find(self, name: str) -> Symbol | None:
        """The defined symbol called *name*."""
        encoded = b"\0" + name.encode("utf-8", "surrogateescape") + b"\0"
        place = self._strings.find(encoded)
        if place < 0:
            return None
        offset = place + 1
        pattern = struct.pack(self._entry.format[0] + "I", offset)
        found = self._symbols.find(pattern)
        while found >= 0:
            if found % self._entry.size == 0 and found + self._entry.size <= len(self._symbols):
                symbol = self._decode(found)
                if symbol is not None:
                    return symbol
            found = self._symbols.find(pattern, found + 1)
        return None

    def function_at(self, address: int) -> Symbol | None:
        """The function symbol that covers *address*."""
        addresses, offsets = self._functions
        index = bisect_right(addresses, address) - 1
        if index < 0:
            return None
        symbol = self._decode(offsets[index])
        if symbol is None or (symbol.size and address >= symbol.address + symbol.size):
            return None
        return symbol

    @cached_property
    def _functions(self) -> tuple[list[int], list[int]]:
        found = []
        size = self._entry.size
        whole = len(self._symbols) // size * size
        for number, fields in enumerate(self._entry.iter_unpack(self._symbols[:whole])):
            info, section, value = (
                (fields[1], fields[3], fields[4]) if self._wide else (fields[3], fields[5], fields[1])
            )
            if section != _SHN_UNDEF and info & 15 in (_STT_FUNC, _STT_GNU_IFUNC):
                found.append((value, number * size))
        found.sort()
        return [value for value, _ in found], [offset for _, offset in found]

    def _decode(self, offset: int) -> Symbol | None:
        fields = self._entry.unpack_from(self._symbols, offset)
        if self._wide:
            name, info, _, section, value, size = fields
        else:
            name, value, size, info, _, section = fields
        if section == _SHN_UNDEF:
            return None
        end = self._strings.find(b"\0", name)
        text = self._strings[name:end] if end >= 0 else b""
        return Symbol(text.decode("utf-8", "replace"), value, size, info & 15 in (_STT_FUNC, _STT_GNU_IFUNC))
