"""What objects and their fields are called: `map[string]*http.Request (entries)`, `["key"].Body`.

Law: Go's spelling where there is one; everything of the target passes `printable`.
"""

from __future__ import annotations

from leaktui.binary.runtime_types import KIND_STRING, TypeInfo
from leaktui.engines.memory.heap_map import HeapMap, HeapObject
from leaktui.engines.memory.object_forms import Form, Forms, Known
from leaktui.engines.memory.reader import MemoryReader
from leaktui.engines.memory.type_catalogue import Place, TypeCatalogue
from leaktui.errors import DecodeError
from leaktui.text import printable

_KEY_LIMIT = 40
_FIRST_INTEGER, _FIRST_UNSIGNED, _LAST_INTEGER = 2, 7, 12  # internal/abi.Kind: Int, Uint, Uintptr


class TypeNames:
    """Names what is known of the objects of one heap."""

    def __init__(self, memory: MemoryReader, heap: HeapMap, catalogue: TypeCatalogue, forms: Forms) -> None:
        self._memory = memory
        self._heap = heap
        self._types = catalogue.types
        self._catalogue = catalogue
        self._forms = forms

    def name_of(self, known: Known | None) -> str:
        """An object's type in Go's spelling, empty where it is not known."""
        if known is None:
            return ""
        if known.form is Form.CLOSURE:
            return f"func {known.function}"
        if known.form is Form.TEXT:
            return "string"
        if known.type is None:
            return ""
        name = printable(known.type.name)
        if known.form is Form.CHAN:
            return f"chan {name}"
        if known.form is Form.ARRAY:
            return f"[]{name}"
        if known.form in (Form.VALUE, Form.MAP):
            return name
        return f"{name} ({known.form.value.removeprefix('map ')})"

    def field_of(self, found: HeapObject, known: Known | None, address: int) -> str:
        """The way to the word at *address* within the object: `.resp.Body`, `[3]`, `+0x18` in an unknown one."""
        offset = address - self._heap.value_of(found)
        place = self._forms.place(known, offset) if known is not None else None
        if known is None or place is None:
            return f"+{offset:#x}"
        if known.form is Form.ENTRIES:
            return self._entry_way(found, known, offset, place)
        return printable(place.way)

    def _entry_way(self, found: HeapObject, known: Known, offset: int, place: Place) -> str:
        """`["key"].field` for a word in the entries of a map."""
        map_type = known.type
        group = self._catalogue.group_of(map_type) if map_type is not None else None
        parts = place.way.split("]", 2)  # [group], .slots[3] or .elems[3], .elem.rest
        if map_type is None or group is None or len(parts) < 3 or "[" not in parts[1]:
            return printable(place.way)
        column, _, number = parts[1].partition("[")
        rest = parts[2]
        slot = int(number)
        in_key = column == ".keys" or (column == ".slots" and rest.startswith(".key"))
        rest = rest.removeprefix(".key").removeprefix(".elem") if column == ".slots" else rest
        key = self._key_text(map_type, found, offset // group.size * group.size, group, slot)
        where = f"[{key}]" if key else f"[entry {offset // group.size * 8 + slot}]"
        return f"key of {where}{printable(rest)}" if in_key else f"{where}{printable(rest)}"

    def _key_text(self, map_type: TypeInfo, found: HeapObject, base: int, group: TypeInfo, slot: int) -> str:
        """A key that is a string or a number, as Go would write it; empty for others."""
        key = self._types.key_of(map_type.address)
        start = self._heap.value_of(found) + base
        if key is None:
            return ""
        for offset in range(0, group.size, 8):
            place = self._catalogue.place(group, offset)
            if place is None or place.way not in (f".slots[{slot}].key", f".keys[{slot}]") or place.offset:
                continue
            if place.type.address != key.address:
                return ""
            try:
                return self._format_key(key, start + offset)
            except DecodeError:
                return ""
        return ""

    def _format_key(self, key: TypeInfo, address: int) -> str:
        memory = self._memory
        if key.kind == KIND_STRING:
            data = memory.read(address, 16)
            pointer, length = int.from_bytes(data[:8], "little"), int.from_bytes(data[8:], "little")
            text = memory.read(pointer, min(length, _KEY_LIMIT)).decode("utf-8", "replace")
            return f'"{printable(text)}{"…" if length > _KEY_LIMIT else ""}"'
        if _FIRST_INTEGER <= key.kind <= _LAST_INTEGER:
            value = int.from_bytes(
                memory.read(address, key.size), "little", signed=key.kind < _FIRST_UNSIGNED
            )
            return str(value)
        return ""
