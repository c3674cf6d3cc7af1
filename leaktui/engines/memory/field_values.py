"""Whether the words of an object have values that the fields of a type can have.

Law: only what the language promises counts: a string's length, an itab's interface, a pointer that leads to memory
with pointers where its element has them. Memory that is not the heap's may hold anything.
"""

from __future__ import annotations

from collections.abc import Callable

from leaktui.binary.runtime_types import (
    KIND_CHAN,
    KIND_FUNC,
    KIND_INTERFACE,
    KIND_MAP,
    KIND_POINTER,
    KIND_SLICE,
    KIND_STRING,
    KIND_UNSAFE_POINTER,
    TypeInfo,
)
from leaktui.engines.memory.attachment import Attachment
from leaktui.engines.memory.heap_map import HeapMap, HeapObject
from leaktui.engines.memory.spans import HEAP_BITS_LIMIT
from leaktui.engines.memory.type_catalogue import TypeCatalogue
from leaktui.errors import DecodeError
from leaktui.text import printable

KIND_BOOL = 1
_LENGTH_LIMIT = 1 << 40
_MAP_SIZE = 48
"""Bytes of a map's header, runtime.hmap and maps.Map."""

_INTERFACE_METHODS = 64
"""Where abi.InterfaceType has the length of its methods: after the type, the package and the slice's pointer."""

Contradicts = Callable[[HeapObject, TypeInfo], bool]
"""Whether an object is known not to begin with a value of a type."""


class FieldValues:
    """Looks at words of the heap's objects. Not thread-safe."""

    def __init__(
        self, attachment: Attachment, heap: HeapMap, catalogue: TypeCatalogue, contradicts: Contradicts
    ) -> None:
        self._attachment = attachment
        self._memory = attachment.memory
        self._heap = heap
        self._types = attachment.layout.types
        self._catalogue = catalogue
        self._contradicts = contradicts
        self._masks: dict[int, int | None] = {}
        self._variables = attachment.layout.data

    def makes_sense(self, info: TypeInfo, data: bytes) -> bool:
        """Whether every field of the values of that type in *data* has a value that its type can have."""
        leaves = self._catalogue.leaves(info)
        if leaves is None:
            return True
        for base in range(0, len(data) // info.size * info.size, info.size):
            for leaf in leaves:
                if not self._is_value(leaf.type, data, base + leaf.offset):
                    return False
        return True

    def closure_of(self, found: HeapObject) -> str:
        """The function of a closure: its first word, no pointer, is that function's entry."""
        if found.size > HEAP_BITS_LIMIT or found.size < 16 or (self.mask(found) or 0) & 1:
            return ""
        entry = self.word(found.start) - self._attachment.bias
        table = self._attachment.executable.pc_lines
        try:
            index = table.index_at(entry) if entry > 0 else None
            if index is None or table.entry(index) != entry:
                return ""
            return printable(table.name(index))
        except DecodeError:
            return ""

    def itab_type(self, address: int, interface: int = 0) -> TypeInfo | None:
        """The type of the value an itab (abi.ITab: Inter, Type) is for."""
        if address % 8 or not address:
            return None
        inter = self._types.at(self.word(address))
        if inter is None or inter.kind != KIND_INTERFACE or interface not in (0, inter.address):
            return None
        return self._types.at(self.word(address + 8))

    def mask(self, found: HeapObject) -> int | None:
        """The pointer bits of a small object; None for others and where they are not known."""
        if found.size > HEAP_BITS_LIMIT:
            return None
        if found.start not in self._masks:
            words = self._heap.pointer_words(found)
            exact = words.exact and words.period == found.size
            value = words.mask if exact else (None if found.span.scannable else 0)
            self._masks[found.start] = value
        return self._masks[found.start]

    def word(self, address: int) -> int:
        try:
            return int.from_bytes(self._memory.read(address, 8), "little")
        except DecodeError:
            return 0

    def _is_value(self, info: TypeInfo, data: bytes, offset: int) -> bool:
        kind = info.kind
        if kind == KIND_BOOL:
            return data[offset] <= 1
        if offset % 8 or offset + 8 > len(data):
            return True
        word = int.from_bytes(data[offset : offset + 8], "little")
        second = int.from_bytes(data[offset + 8 : offset + 16], "little")
        if kind == KIND_INTERFACE:
            if not word:
                return not second
            if self.word(info.address + _INTERFACE_METHODS):
                return self.itab_type(word, info.address) is not None
            return self._types.at(word) is not None
        if kind == KIND_STRING:
            return second < _LENGTH_LIMIT and (not second or self._has_room(word, second))
        if kind == KIND_SLICE:
            capacity = int.from_bytes(data[offset + 16 : offset + 24], "little")
            if not second <= capacity < _LENGTH_LIMIT or not capacity:
                return second <= capacity < _LENGTH_LIMIT
            element = self._types.element_of(info.address)
            size = element.size if element is not None else 0
            return self._has_room(word, capacity * size) and self._can_point(word, element)
        if kind == KIND_POINTER:
            return not word or self._can_point(word, self._types.element_of(info.address))
        if kind in (KIND_MAP, KIND_CHAN, KIND_FUNC, KIND_UNSAFE_POINTER):
            if not word:
                return True
            found = self._heap.find(word)
            if kind == KIND_MAP and found is not None:
                return found.start == word and found.size == _MAP_SIZE
            if kind == KIND_FUNC and found is not None:
                return bool(self.closure_of(found)) or found.size < 16
            return self._is_address(word)
        return True

    def _can_point(self, word: int, element: TypeInfo | None) -> bool:
        found = self._heap.find(word)
        if found is None:
            return self._is_address(word)
        if element is None:
            return True
        room = found.start + found.size - word
        if element.size > room or not self._has_pointers(found, word - found.start, element):
            return False
        return word != self._heap.value_of(found) or not self._contradicts(found, element)

    def _has_pointers(self, found: HeapObject, offset: int, element: TypeInfo) -> bool:
        """Whether the object has pointers at *offset* where a value of type *element* has them, and no others."""
        if not found.span.scannable or not element.pointer_bytes:
            return not element.pointer_bytes
        mask = self._catalogue.mask_of(element)
        words = self.mask(found)
        if mask is None or words is None or offset % 8 or element.size % 8:
            return True
        return words >> offset // 8 & (1 << element.size // 8) - 1 == mask

    def _has_room(self, word: int, size: int) -> bool:
        """Whether *size* bytes can be at *word*."""
        found = self._heap.find(word)
        return self._is_address(word) if found is None else word + size <= found.start + found.size

    def _is_address(self, word: int) -> bool:
        """Whether there is memory at *word*: the heap, the variables, the executable, or what else is mapped."""
        low, high = self._variables
        if self._heap.span_at(word) is not None or low <= word < high:
            return True
        try:
            return bool(self._memory.read(word, 1))
        except DecodeError:
            return False
