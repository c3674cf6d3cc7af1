"""A struct of the target at one moment: its bytes, read at once, taken apart by the program's own type descriptors."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import NamedTuple

from leaktui.binary.runtime_types import RuntimeTypes, StructLayout
from leaktui.engines.memory.reader import MemoryReader, Unreadable

_SIZE_LIMIT = 1 << 16


class StructView(NamedTuple):
    """The bytes of the struct at `address`. A field that the type has not got is a KeyError."""

    address: int
    layout: StructLayout
    data: bytes

    def word(self, field: str) -> int:
        """The first word of *field*, unsigned."""
        return self.words(field, 1)[0]

    def words(self, field: str, count: int = 2) -> tuple[int, ...]:
        """The words *field* begins with: an interface's type and data, a string's pointer and length."""
        return struct.unpack_from(f"<{count}Q", self.data, self.layout.fields[field].offset)

    def signed(self, field: str) -> int:
        """An int or int64."""
        value: int = struct.unpack_from("<q", self.data, self.layout.fields[field].offset)[0]
        return value

    def byte(self, field: str) -> int:
        """The first byte of *field*: a bool."""
        return self.data[self.layout.fields[field].offset]


def read_struct(memory: MemoryReader, layout: StructLayout, address: int) -> StructView:
    """The *layout* at *address*; raises Unreadable, also for the nil pointer, and TargetGone."""
    if not address or address % 8:
        raise Unreadable(f"no {layout.name} at {address:#x}")
    return StructView(address, layout, memory.read(address, layout.size))


def find_layout(
    types: RuntimeTypes, name: str, package: str, words: Iterable[str] = (), pairs: Iterable[str] = ()
) -> StructLayout | None:
    """The struct *name* of *package* if it has all of *words*, of a word or more, and *pairs*, of two or more.

    The descriptor of a struct without unexported fields has no package in it.
    """
    for where in (package, ""):
        layout = types.find_struct(name, where)
        if layout is None or layout.package not in (package, "") or layout.size > _SIZE_LIMIT:
            continue
        fields = layout.fields
        if all(field in fields and fields[field].size >= 8 for field in words) and all(
            field in fields and fields[field].size >= 16 for field in pairs
        ):
            return layout
    return None
