"""The forms an object can have, and where its fields are.

Law: a type and a form say all that is known of an object: a value, an array, a part of a map (runtime/map.go `hmap`,
`bmap`; internal/runtime/maps `Map`, `table`, groups), a channel (runtime/chan.go `hchan`), a closure. The runtime's
own structs are told from the program's by their package.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from leaktui.binary.runtime_types import TypeInfo
from leaktui.engines.memory.heap_map import HeapObject
from leaktui.engines.memory.type_catalogue import Place, TypeCatalogue

MAPS = ("maps.Map", "runtime.hmap")
TABLE = "maps.table"
CHANNEL = "runtime.hchan"
GOROUTINE = "runtime.g"
_PACKAGES = {"maps": "internal/runtime/maps", "runtime": "runtime"}
_NESTED_LIMIT = 8


class Form(Enum):
    """How an object is made of a type."""

    VALUE = "value"
    ARRAY = "array"
    MAP = "map"
    DIRECTORY = "map directory"
    TABLE = "map table"
    ENTRIES = "map entries"
    CHAN = "channel"
    CLOSURE = "closure"
    TEXT = "string"


class Known(NamedTuple):
    """An object's type: a value of `type`, an array of such, a part of a map of that type, a channel of such.

    `type` is None where only the form is known; `function` is that of a closure.
    """

    form: Form
    type: TypeInfo | None
    function: str = ""


class Link(NamedTuple):
    """The word at `address` points, with `value`, into `target`; it is in `holder`, or in a variable.

    `adjacent` says that the word before it may belong to the same value (not so in a frame).
    """

    address: int
    value: int
    holder: HeapObject | None
    target: HeapObject | None
    adjacent: bool


class Forms:
    """Knows the runtime's own structs, and the fields of objects of known form."""

    def __init__(self, catalogue: TypeCatalogue) -> None:
        self._catalogue = catalogue
        self._types = catalogue.types
        self._found: dict[str, TypeInfo | None] = {}

    def find(self, name: str) -> TypeInfo | None:
        """The runtime's struct type of that name."""
        if name not in self._found:
            self._found[name] = self._catalogue.find(name, _PACKAGES[name.partition(".")[0]])
        return self._found[name]

    def is_one(self, info: TypeInfo | None, *names: str) -> bool:
        """Whether *info* is one of the runtime's structs of these names."""
        if info is None or info.name not in names:
            return False
        found = self.find(info.name)
        return found is not None and found.address == info.address

    def is_directory(self, known: Known) -> bool:
        """Whether it can be the directory of a map of unknown type."""
        if known.form is Form.DIRECTORY:
            return known.type is None
        return (
            known.form in (Form.VALUE, Form.ARRAY)
            and known.type is not None
            and self.is_one(self._types.element_of(known.type.address), TABLE)
        )

    def place(self, known: Known, offset: int) -> Place | None:
        """The field *offset* bytes into the value of an object of known form."""
        info = known.type
        if known.form is Form.MAP:
            info = next((found for found in map(self.find, MAPS) if found is not None), None)
        elif known.form is Form.TABLE:
            info = self.find(TABLE)
        elif known.form is Form.CHAN:
            info = self.find(CHANNEL)
        elif known.form is Form.ENTRIES and info is not None:
            info = self._catalogue.group_of(info)
        if info is None or not info.size or offset < 0:
            return None
        if known.form is Form.DIRECTORY:
            return Place(f"[{offset // 8}]", info, 0)
        if known.form is Form.VALUE and offset >= info.size:
            return None
        place = self._catalogue.place(info, offset % info.size)
        if place is None or known.form not in (Form.ARRAY, Form.ENTRIES):
            return place
        return place._replace(way=f"[{offset // info.size}]{place.way}")

    def beginnings(self, known: Known) -> frozenset[int]:
        """The types (by address) of which a value can be at the very beginning of such an object."""
        names: tuple[str, ...] = ()
        if known.form is Form.MAP:
            names = MAPS
        elif known.form is Form.TABLE:
            names = (TABLE,)
        elif known.form is Form.CHAN:
            names = (CHANNEL,)
        if names:
            return frozenset(found.address for found in map(self.find, names) if found is not None)
        info = known.type
        if known.form is Form.ENTRIES and info is not None:
            info = self._catalogue.group_of(info)
        addresses: set[int] = set()
        for _ in range(_NESTED_LIMIT):
            if info is None:
                break
            addresses.add(info.address)
            layout = self._catalogue.layout(info.address)
            if layout is not None:
                first = next(iter(layout.fields.values()), None)
                info = self._types.at(first.type) if first is not None else None
            else:
                info = self._types.element_of(info.address) if self._types.length_of(info.address) else None
        return frozenset(addresses)
