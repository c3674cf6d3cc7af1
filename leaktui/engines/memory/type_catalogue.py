"""All types of a program, to be found by what the allocator remembers of an object: its size and its pointers.

Law: the compiler makes a descriptor for every type it allocates, so if a single type (or array of a type) has the
size class and the pointer mask of an object, the object is of that type. Types made at run time by package
reflect, and those of plugins, are not known.
"""

from __future__ import annotations

import re
import struct
import threading
from bisect import bisect_left
from collections.abc import Iterator
from typing import NamedTuple

from leaktui.binary.runtime_types import (
    KIND_ARRAY,
    KIND_CHAN,
    KIND_FUNC,
    KIND_INTERFACE,
    KIND_MAP,
    KIND_POINTER,
    KIND_SLICE,
    KIND_STRING,
    KIND_STRUCT,
    KIND_UNSAFE_POINTER,
    Field,
    StructLayout,
    TypeInfo,
)
from leaktui.engines.memory.attachment import Attachment
from leaktui.engines.memory.reader import READ_LIMIT
from leaktui.engines.memory.spans import HEADER, HEAP_BITS_LIMIT
from leaktui.errors import DecodeError

# runtime/sizeclasses.go, internal/runtime/gc/sizeclasses.go: the same in Go 1.22 to 1.27.
# fmt: off
SIZE_CLASSES = (
    8, 16, 24, 32, 48, 64, 80, 96, 112, 128, 144, 160, 176, 192, 208, 224, 240, 256, 288, 320, 352, 384, 416,
    448, 480, 512, 576, 640, 704, 768, 896, 1024, 1152, 1280, 1408, 1536, 1792, 2048, 2304, 2688, 3072, 3200,
    3456, 4096, 4864, 5376, 6144, 6528, 6784, 6912, 8192, 9472, 9728, 10240, 10880, 12288, 13568, 14336, 16384,
    18432, 19072, 20480, 21760, 24576, 27264, 28672, 32768,
)
# fmt: on

_POINTERS = frozenset((KIND_CHAN, KIND_FUNC, KIND_INTERFACE, KIND_MAP, KIND_POINTER, KIND_UNSAFE_POINTER))
_DESCRIPTOR = 48
_ALIGNS = 21
_POINTERFUL = re.compile(rb"\x08\x08[\x00-\xff]", re.DOTALL)
_DEPTH_LIMIT = 64
_LEAVES_LIMIT = 512


class Place(NamedTuple):
    """A word of a value: the way to it (`.resp.Body`, `[3]`), the type it is in, and its offset in that."""

    way: str
    type: TypeInfo
    offset: int


class Match(NamedTuple):
    """An object may be a value of `type`, or an `array` of some."""

    type: TypeInfo
    array: bool


class TypeCatalogue:
    """The types of *attachment*. The first look-up by pointers reads them all."""

    def __init__(self, attachment: Attachment) -> None:
        self._attachment = attachment
        self._memory = attachment.memory
        self.types = attachment.layout.types
        self._patterns: dict[tuple[int, int], list[int]] | None = None
        """Types by size and mask; those that fit an object of few words."""
        self._maps: dict[int, int] = {}
        """The map type for each type of a group or bucket."""
        self._slots: set[int] = set()
        """Types of what maps have for each entry: made for their groups, and never allocated."""
        self._structs: dict[str, list[int]] = {}
        self._layouts: dict[int, StructLayout | None] = {}
        self._leaves: dict[int, tuple[Place, ...] | None] = {}
        self._matches: dict[tuple[int, int], tuple[Match, ...]] = {}

    def read(self, cancel: threading.Event) -> None:
        """Read all types now; where *cancel* is set, none are known."""
        if self._patterns is None:
            self._patterns = {}
            for info in self._iter_pointerful():
                if cancel.is_set():
                    self._patterns = None
                    return
                self._add(info)

    def find(self, name: str, package: str) -> TypeInfo | None:
        """The struct type that reflect would call *name*, of the package with that import path."""
        for address in self._structs.get(name, ()):
            layout = self.layout(address)
            if layout is not None and layout.package == package:
                return self.types.at(address)
        return None

    # --- a type's parts ---

    def place(self, info: TypeInfo, offset: int) -> Place | None:
        """Where the word *offset* bytes into a value of the type is; None beyond its fields."""
        way = ""
        for _ in range(_DEPTH_LIMIT):
            if info.kind == KIND_STRUCT:
                layout = self.layout(info.address)
                if layout is None:
                    return None
                found = _field_at(layout, offset)
                if found is None:
                    return None
                inner = self.types.at(found[1].type)
                way, offset = f"{way}.{found[0]}", offset - found[1].offset
            elif info.kind == KIND_ARRAY:
                inner = self.types.element_of(info.address)
                if inner is None or not inner.size:
                    return None
                way, offset = f"{way}[{offset // inner.size}]", offset % inner.size
            else:
                return Place(way, info, offset)
            if inner is None:
                return None
            info = inner
        return None

    def map_of(self, group: int) -> TypeInfo | None:
        """The map type whose entries are kept in groups (or buckets) of the type at *group*."""
        return self.types.at(self._maps[group]) if group in self._maps else None

    def group_of(self, map_type: TypeInfo) -> TypeInfo | None:
        """The type of a map's groups or buckets (abi.MapType.Group, .Bucket)."""
        if map_type.kind != KIND_MAP:
            return None
        try:
            pointer = self._memory.read(map_type.address + _DESCRIPTOR + 16, 8)
        except DecodeError:
            return None
        return self.types.at(int.from_bytes(pointer, "little"))

    def mask_of(self, info: TypeInfo) -> int | None:
        """A bit for each word of a small value that may be a pointer; None where there is no such mask."""
        if info.size > HEAP_BITS_LIMIT or info.pointer_bytes % 8 or not info.gc_data:
            return 0 if not info.pointer_bytes else None
        count = info.pointer_bytes // 8
        try:
            data = self._memory.read(info.gc_data, (count + 7) // 8)
        except DecodeError:
            return None
        mask = int.from_bytes(data, "little") & (1 << count) - 1
        return mask if not count or mask >> count - 1 else None

    # --- what an object can be ---

    def matches(self, size: int, mask: int) -> tuple[Match, ...]:
        """All that a small object of that size class, with these pointers, can be."""
        key = (size, mask)
        if key not in self._matches:
            if len(self._matches) >= 1 << 12:
                self._matches.clear()
            self._matches[key] = tuple(dict.fromkeys(self._iter_matches(size, mask)))
        return self._matches[key]

    def _iter_matches(self, size: int, mask: int) -> Iterator[Match]:
        smaller = class_below(size)
        for (value, pattern), addresses in (self._patterns or {}).items():
            for count in range(smaller // value + 1, size // value + 1):
                if _repeated(pattern, value // 8, count) == mask:
                    for address in addresses:
                        info = self.types.at(address)
                        # Code is generated for shapes, values are made of the types that have them.
                        if info is not None and "go.shape." not in info.name and address not in self._slots:
                            yield Match(info, count > 1)

    def leaves(self, info: TypeInfo) -> tuple[Place, ...] | None:
        """The fields of a small value that are no structs or arrays; None where there are too many."""
        if info.address not in self._leaves:
            found: list[Place] = []
            whole = self._collect(info, 0, found)
            self._leaves[info.address] = tuple(found) if whole else None
        return self._leaves[info.address]

    def _collect(self, info: TypeInfo, offset: int, found: list[Place]) -> bool:
        if len(found) > _LEAVES_LIMIT:
            return False
        if info.kind == KIND_STRUCT:
            layout = self.layout(info.address)
            if layout is None:
                return not info.size
            for field in layout.fields.values():
                inner = self.types.at(field.type)
                if inner is None or not self._collect(inner, offset + field.offset, found):
                    return False
            return True
        if info.kind == KIND_ARRAY:
            inner = self.types.element_of(info.address)
            count = self.types.length_of(info.address)
            if inner is None or count > _LEAVES_LIMIT:
                return False
            return all(self._collect(inner, offset + number * inner.size, found) for number in range(count))
        found.append(Place("", info, offset))
        return True

    def fits(self, info: TypeInfo, size: int, mask: int, *, array: bool = False) -> bool:
        """Whether a small object of that size class with these pointers can be a value, or values, of the type."""
        pattern = self.mask_of(info)
        if pattern is None or not info.size or info.size > size:
            return False
        if not array:
            return class_of(info.size, pointers=bool(pattern)) == size and pattern == mask
        if info.size % 8:
            return not mask and not pattern
        smaller = class_below(size)
        return any(
            _repeated(pattern, info.size // 8, count) == mask
            for count in range(smaller // info.size + 1, size // info.size + 1)
        )

    # --- inside ---

    def _add(self, info: TypeInfo) -> None:
        if info.kind == KIND_STRUCT:
            self._structs.setdefault(info.name, []).append(info.address)
        if info.kind == KIND_MAP:
            group = self.group_of(info)
            if group is not None:
                self._maps[group.address] = info.address
                layout = self.layout(group.address)
                slots = layout.fields.get("slots") if layout is not None else None
                slot = self.types.element_of(slots.type) if slots is not None else None
                if slot is not None:
                    self._slots.add(slot.address)
        if info.size <= HEAP_BITS_LIMIT and info.size % 8 == 0 and self._patterns is not None:
            mask = self.mask_of(info)
            if mask:
                self._patterns.setdefault((info.size, mask), []).append(info.address)

    def _iter_pointerful(self) -> Iterator[TypeInfo]:
        """Every type that is aligned as pointers are."""
        start, end = self._bounds()
        try:
            data = self._memory.read(start, min(end - start, READ_LIMIT))
        except DecodeError:
            return
        match = _POINTERFUL.search(data, _ALIGNS)
        while match is not None:
            place = match.start()
            if (place - _ALIGNS) % 8 == 0:
                info = self.types.at(start + place - _ALIGNS)
                if info is not None and info.pointer_bytes and info.size % 8 == 0:
                    yield info
            match = _POINTERFUL.search(data, place + 1)

    def _bounds(self) -> tuple[int, int]:
        """moduledata.types and etypes in the process; (0, 0) where they are not known."""
        module = self._attachment.executable.module_data
        layout = self.types.find_struct("runtime.moduledata", "runtime")
        if module is None or layout is None:
            return 0, 0
        places = [layout.fields.get(name) for name in ("types", "etypes")]
        words = []
        for place in places:
            if place is None or place.size != 8:
                return 0, 0
            address = module.address + self._attachment.bias + place.offset
            try:
                words.append(struct.unpack("<Q", self._memory.read(address, 8))[0])
            except DecodeError:
                return 0, 0
        return words[0], words[1]

    def layout(self, address: int) -> StructLayout | None:
        """The struct type whose descriptor is at *address*."""
        if address not in self._layouts:
            self._layouts[address] = self.types.struct_at(address)
        return self._layouts[address]


def is_pointer(place: Place) -> bool:
    """Whether the word of a field is a pointer: not a length, a capacity or a number."""
    if place.type.kind in (KIND_SLICE, KIND_STRING):
        return place.offset == 0
    return place.type.kind in _POINTERS


def class_of(size: int, *, pointers: bool) -> int:
    """The size class an object of *size* bytes is put into; 0 for a large object."""
    if pointers and size > HEAP_BITS_LIMIT:
        size += HEADER
    index = bisect_left(SIZE_CLASSES, size)
    return SIZE_CLASSES[index] if index < len(SIZE_CLASSES) else 0


def class_below(size: int) -> int:
    """The next smaller size class, 0 below the smallest."""
    index = bisect_left(SIZE_CLASSES, size)
    return SIZE_CLASSES[index - 1] if index else 0


def _field_at(layout: StructLayout, offset: int) -> tuple[str, Field] | None:
    for name, field in layout.fields.items():
        if field.offset <= offset < field.offset + field.size:
            return name, field
    return None


def _repeated(mask: int, words: int, count: int) -> int:
    if count == 1:
        return mask
    value = 0
    for _ in range(count):
        value = value << words | mask
    return value
