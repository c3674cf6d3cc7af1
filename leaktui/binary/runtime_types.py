"""Types from the runtime's own type descriptors, which stripped executables have too.

Law: bytes in, values out. A type is found by the name its descriptor carries, or by its address, and believed
only if kind, size and fields agree with each other (internal/abi/type.go `Type`, `StructType`, `StructField`, `Name`;
the parts used here are the same in Go 1.21 to 1.27). 64-bit little-endian targets only.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

_TYPE = struct.Struct("<QQIBBBBQQii")
_STRING_OFFSET = 40
_STRUCT_TAIL = struct.Struct("<QQQQ")
_FIELD = struct.Struct("<QQQ")
_STRINGS_CACHED = 1 << 14
KIND_ARRAY, KIND_CHAN, KIND_FUNC, KIND_INTERFACE, KIND_MAP = 17, 18, 19, 20, 21
KIND_POINTER, KIND_SLICE, KIND_STRING, KIND_STRUCT, KIND_UNSAFE_POINTER = 22, 23, 24, 25, 26
"""internal/abi.Kind."""

_WITH_ELEMENT = frozenset((KIND_ARRAY, KIND_CHAN, KIND_POINTER, KIND_SLICE))

_KIND_MASK = 0x1F
_EXTRA_STAR = 1 << 1
_FIELDS_LIMIT = 1024
_SIZE_LIMIT = 1 << 32
_NAME_LIMIT = 1 << 12


@dataclass(frozen=True, slots=True)
class Field:
    """A struct's field: bytes from its start, the size of its type in bytes, and that type's address."""

    offset: int
    size: int
    type: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class StructLayout:
    """A struct type of the target. `package` is its import path, empty where the descriptor has none."""

    name: str
    package: str
    size: int
    fields: Mapping[str, Field]


@dataclass(frozen=True, slots=True)
class TypeInfo:
    """A type of the target, by the *address* of its descriptor in the process.

    `name` is as reflect spells it (`*http.Request`, `map[string]int`), `kind` an internal/abi.Kind,
    `size` bytes of a value, `pointer_bytes` the bytes from its start that may hold pointers.
    """

    address: int
    name: str
    kind: int
    size: int
    pointer_bytes: int
    gc_data: int


class RuntimeTypes:
    """The type descriptors in *data*, the memory from moduledata.types (at *base*) to etypes.

    *data* must hold the pointers as they are in the process, or in a file that is not relocated.
    """

    def __init__(self, data: bytes, base: int) -> None:
        self._data = data
        self._base = base
        self._known: dict[int, TypeInfo | None] = {}

    def at(self, address: int) -> TypeInfo | None:
        """The type whose descriptor is at *address*, None where there is none that makes sense."""
        if address not in self._known:
            if len(self._known) >= _STRINGS_CACHED:
                self._known.clear()
            self._known[address] = self._decode_type(address)
        return self._known[address]

    def element_of(self, address: int) -> TypeInfo | None:
        """What the array, chan, pointer or slice type at *address* is of; the values' type for a map."""
        info = self.at(address)
        if info is None or (info.kind not in _WITH_ELEMENT and info.kind != KIND_MAP):
            return None
        place = address - self._base + _TYPE.size + (8 if info.kind == KIND_MAP else 0)
        return self.at(self._word(place))

    def key_of(self, address: int) -> TypeInfo | None:
        """The type of the keys of the map type at *address*."""
        info = self.at(address)
        if info is None or info.kind != KIND_MAP:
            return None
        return self.at(self._word(address - self._base + _TYPE.size))

    def length_of(self, address: int) -> int:
        """The length of the array type at *address*, 0 for what is none."""
        info = self.at(address)
        if info is None or info.kind != KIND_ARRAY:
            return 0
        return self._word(address - self._base + _TYPE.size + 16)

    def struct_at(self, address: int) -> StructLayout | None:
        """The struct type whose descriptor is at *address*."""
        info = self.at(address)
        if info is None or info.kind != KIND_STRUCT:
            return None
        return self._decode(address - self._base, info.name)

    def _decode_type(self, address: int) -> TypeInfo | None:
        start = address - self._base
        if address % 8 or not 0 <= start <= len(self._data) - _TYPE.size:
            return None
        size, pointers, _hash, flags, align, field_align, kind, _equal, gc_data, _name, _pointer_to = (
            _TYPE.unpack_from(self._data, start)
        )
        kind &= _KIND_MASK
        if not 0 < kind <= KIND_UNSAFE_POINTER or pointers > size or max(align, field_align) > 64:
            return None
        name = self._type_name(start, flags)
        if not name:
            return None
        return TypeInfo(address, name, kind, size, pointers, gc_data)

    def _word(self, place: int) -> int:
        if not 0 <= place <= len(self._data) - 8:
            return 0
        word: int = struct.unpack_from("<Q", self._data, place)[0]
        return word

    def find_struct(self, name: str, package: str = "") -> StructLayout | None:
        """The struct that reflect would call *name* (`runtime.g`), of *package* where one is given.

        Only the last element of the import path is in a type's name: `package` tells twins apart.
        """
        for descriptor in self._iter_named(name):
            layout = self._decode(descriptor, name)
            if layout is not None and package in ("", layout.package):
                return layout
        return None

    def has_kind(self, name: str, kind: int) -> bool:
        """Whether there is a type that reflect would call *name*, of that internal/abi.Kind."""
        for start in self._iter_named(name):
            if start + _TYPE.size <= len(self._data):
                fields = _TYPE.unpack_from(self._data, start)
                if fields[6] & _KIND_MASK == kind and self._type_name(start, fields[3]) == name:
                    return True
        return False

    def _iter_named(self, name: str) -> Iterator[int]:
        """Offsets in the data where a type descriptor called *name* may begin."""
        data = self._data
        # The linker keeps one string for a type and its pointer, with the star the type then disowns.
        for spelled in (f"*{name}".encode(), name.encode()):
            if len(spelled) > 0x7F:
                continue
            pattern = bytes((len(spelled),)) + spelled
            place = data.find(pattern)
            while place > 0:
                offset = struct.pack("<i", place - 1)
                found = data.find(offset)
                while found >= 0:
                    if found >= _STRING_OFFSET and (found - _STRING_OFFSET) % 8 == 0:
                        yield found - _STRING_OFFSET
                    found = data.find(offset, found + 1)
                place = data.find(pattern, place + 1)

    def _decode(self, start: int, name: str) -> StructLayout | None:
        data = self._data
        if start + _TYPE.size + _STRUCT_TAIL.size > len(data):
            return None
        size, pointers, _hash, flags, _align, _field_align, kind, _equal, _gc, _name, _pointer_to = (
            _TYPE.unpack_from(data, start)
        )
        if kind & _KIND_MASK != KIND_STRUCT or pointers > size or size > _SIZE_LIMIT:
            return None
        if self._type_name(start, flags) != name:
            return None
        package, fields, count, capacity = _STRUCT_TAIL.unpack_from(data, start + _TYPE.size)
        if not 0 < count == capacity <= _FIELDS_LIMIT:
            return None
        place = fields - self._base
        if place < 0 or place + count * _FIELD.size > len(data):
            return None
        found: dict[str, Field] = {}
        end = 0
        for field_name, field_type, offset in _FIELD.iter_unpack(data[place : place + count * _FIELD.size]):
            label = self._name(field_name - self._base)
            field_size = self._size_of(field_type - self._base)
            if label is None or field_size is None or offset < end or offset + field_size > size:
                return None
            found[label] = Field(offset, field_size, field_type)
            end = offset + field_size
        return StructLayout(name, self._name(package - self._base) or "", size, found)

    def _type_name(self, start: int, flags: int) -> str | None:
        (offset,) = struct.unpack_from("<i", self._data, start + _STRING_OFFSET)
        text = self._name(offset)
        return text[1:] if text is not None and flags & _EXTRA_STAR else text

    def _size_of(self, start: int) -> int | None:
        if not 0 <= start <= len(self._data) - _TYPE.size:
            return None
        size: int = struct.unpack_from("<Q", self._data, start)[0]
        return size if size <= _SIZE_LIMIT else None

    def _name(self, start: int) -> str | None:
        """abi.Name: a byte of flags, a varint length, the text."""
        data = self._data
        if not 0 <= start <= len(data) - 3:
            return None
        length, begin = data[start + 1], start + 2
        if length & 0x80:
            length, begin = length & 0x7F | data[start + 2] << 7, start + 3
        if length > _NAME_LIMIT or begin + length > len(data):
            return None
        return data[begin : begin + length].decode("utf-8", "replace")
