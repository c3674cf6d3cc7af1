"""What the objects of a search are, and which of their fields a word is.

Law: a type is believed if the runtime keeps it for the object (allocation header, large object), if an interface
value or a field of known type points at the object and size and pointers agree, or if of all types of the program
just one has its size, its pointers and values that make sense in every field. Else it is not known.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable

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
from leaktui.engines.memory.field_values import FieldValues
from leaktui.engines.memory.heap_map import HeapMap, HeapObject
from leaktui.engines.memory.object_forms import (
    CHANNEL,
    GOROUTINE,
    MAPS,
    TABLE,
    Form,
    Forms,
    Known,
    Link,
)
from leaktui.engines.memory.spans import HEAP_BITS_LIMIT
from leaktui.engines.memory.type_catalogue import Place, TypeCatalogue, class_of, is_pointer
from leaktui.engines.memory.type_matching import Clue, TypeMatcher
from leaktui.engines.memory.type_names import TypeNames
from leaktui.errors import DecodeError

_ROUNDS = 4
_SIBLINGS_LIMIT = 512


class ObjectTypes:
    """The types of the objects of one search. Not thread-safe."""

    def __init__(
        self, attachment: Attachment, heap: HeapMap, catalogue: TypeCatalogue, cancel: threading.Event
    ) -> None:
        self._attachment = attachment
        self._memory = attachment.memory
        self._heap = heap
        self._types = attachment.layout.types
        self._catalogue = catalogue
        self._cancel = cancel
        self._given: dict[int, Known] = {}
        self._known: dict[int, Known] = {}
        self._changed = False
        self._data: dict[int, bytes] = {}
        self._forms = Forms(catalogue)
        self._names = TypeNames(attachment.memory, heap, catalogue, self._forms)
        self._goroutine = self._forms.find(GOROUTINE)
        self._values = FieldValues(attachment, heap, catalogue, self._contradicts)
        self._matcher = TypeMatcher(catalogue, self._forms, self._values)

    def add_goroutine(self, found: HeapObject) -> None:
        """Take *found* for a runtime.g."""
        if self._goroutine is not None:
            self._given[found.start] = Known(Form.VALUE, self._goroutine)

    def add_type(self, found: HeapObject, pointer: int) -> None:
        """Take *found* for what a pointer of the type at *pointer* points to."""
        info = self._types.element_of(pointer)
        if info is not None and info.size and self._agrees(Known(Form.VALUE, info), found):
            self._given[found.start] = Known(Form.VALUE, info)

    def may_point(self, found: HeapObject, address: int) -> bool:
        """Whether the field at *address* of an object whose pointers the runtime does not tell can be one."""
        info = self._heap.type_of(found)
        if info is None or not info.size:
            return True
        place = self._catalogue.place(info, (address - self._heap.value_of(found)) % info.size)
        return place is not None and is_pointer(place)

    # --- names ---

    def name_of(self, found: HeapObject) -> str:
        """Its type in Go's spelling, empty where it is not known."""
        return self._names.name_of(self._known.get(found.start))

    def field_of(self, found: HeapObject, address: int) -> str:
        """The way to the word at *address* within the object: `.resp.Body`, `[3]`, `+0x18` in an unknown one."""
        return self._names.field_of(found, self._known.get(found.start), address)

    # --- inference ---

    def infer(self, links: Iterable[Link], subject: HeapObject) -> None:
        """Find the types of what *links* join, as far as they can be known."""
        joined = list(links)
        objects = {subject.start: subject}
        for link in joined:
            for item in (link.holder, link.target):
                if item is not None:
                    objects[item.start] = item
        joined += self._find_siblings(joined)
        for link in joined:
            if link.target is not None:
                objects.setdefault(link.target.start, link.target)
        by_holder: dict[int, list[Link]] = {}
        for link in joined:
            if link.holder is not None:
                by_holder.setdefault(link.holder.start, []).append(link)
        # What was told with less to go by may have been found wanting since.
        self._known = dict(self._given)
        for item in objects.values():
            self._look(item)
        for _ in range(_ROUNDS):
            self._changed = True
            while self._changed and not self._cancel.is_set():
                self._changed = False
                for link in joined:
                    self._follow(link)
            for item in objects.values():
                if item.start not in self._known and not self._cancel.is_set():
                    self._match(item, by_holder.get(item.start, []))
            if not self._changed:
                return

    def _find_siblings(self, links: list[Link]) -> list[Link]:
        """What else small holders point to: it may be known, and so tell what they are."""
        found: list[Link] = []
        seen = {link.address for link in links}
        holders = {link.holder.start: link.holder for link in links if link.holder is not None}
        for holder in holders.values():
            mask = self._values.mask(holder) or 0
            data = self._bytes(holder) if mask else b""
            for offset in range(0, len(data), 8):
                if len(found) >= _SIBLINGS_LIMIT:
                    return found
                if mask >> offset // 8 & 1 and holder.start + offset not in seen:
                    value = int.from_bytes(data[offset : offset + 8], "little")
                    target = self._heap.find(value)
                    if target is not None:
                        found.append(Link(holder.start + offset, value, holder, target, adjacent=True))
        return found

    def _know(self, found: HeapObject, known: Known) -> None:
        if known.form is Form.VALUE and self._forms.is_one(known.type, CHANNEL):
            element = self._types.at(self._field_word(found, CHANNEL, "elemtype") or 0)
            known = Known(Form.CHAN, element) if element is not None else known
        if self._known.get(found.start) != known:
            self._known[found.start] = known
            self._changed = True

    def _look(self, found: HeapObject) -> None:
        """What the object itself, or the runtime, says of its type."""
        if found.start in self._known:
            return
        info = self._heap.type_of(found)
        if info is not None and info.size:
            group = self._catalogue.map_of(info.address)
            if group is not None:
                self._know(found, Known(Form.ENTRIES, group))
            else:
                single = found.span.large or class_of(info.size, pointers=True) == found.size
                fits = info.size <= found.size < 2 * info.size if found.span.large else single
                self._know(found, Known(Form.VALUE if fits else Form.ARRAY, info))
            return
        function = self._values.closure_of(found)
        if function:
            self._know(found, Known(Form.CLOSURE, None, function))

    def _follow(self, link: Link) -> None:
        """Know the target by the holder's field, or by the interface value the pointer is in."""
        target = link.target
        if target is None or link.value != self._heap.value_of(target):
            return
        known = self._known.get(target.start)
        holder = self._known.get(link.holder.start) if link.holder is not None else None
        if holder is not None and link.holder is not None:
            if known is not None:
                self._name_map(link, holder, known)
                if known.form is not Form.VALUE or not self._forms.is_one(known.type, *MAPS):
                    return
            place = self._forms.place(holder, link.address - self._heap.value_of(link.holder))
            if place is not None:
                pointed = self._pointed(link, holder, place)
                if pointed is not None and self._agrees(pointed, target):
                    self._know(target, pointed)
            return
        if known is None and link.adjacent:
            pointed = self._boxed(self._values.word(link.address - 8))
            if pointed is not None and self._agrees(pointed, target):
                self._know(target, pointed)

    def _pointed(self, link: Link, holder: Known, place: Place) -> Known | None:
        """What a field of known type points to."""
        info = place.type
        inner = self._pointed_in_map(link, holder, place)
        if inner is not None:
            return inner
        if info.kind in (KIND_POINTER, KIND_SLICE) and not place.offset:
            element = self._types.element_of(info.address)
            if element is None or not element.size:
                return None
            return Known(Form.VALUE if info.kind == KIND_POINTER else Form.ARRAY, element)
        if info.kind == KIND_MAP:
            return Known(Form.MAP, info)
        if info.kind == KIND_CHAN:
            return Known(Form.CHAN, self._types.element_of(info.address))
        if info.kind == KIND_STRING and not place.offset:
            return Known(Form.TEXT, None)
        if info.kind == KIND_INTERFACE and place.offset == 8:
            return self._boxed(self._values.word(link.address - 8))
        if holder.form is Form.CHAN and place.way == ".buf" and holder.type is not None:
            return Known(Form.ARRAY, holder.type)
        return None

    def _pointed_in_map(self, link: Link, holder: Known, place: Place) -> Known | None:
        """The parts of a map (internal/runtime/maps `Map`, `table`; runtime/map.go `hmap`)."""
        if holder.form is Form.VALUE and self._forms.is_one(holder.type, MAPS[0]) and place.way == ".dirPtr":
            length = self._field_word(link.holder, MAPS[0], "dirLen") if link.holder is not None else 0
            return Known(Form.DIRECTORY, None) if length else None
        if holder.form is Form.MAP:
            if place.way == ".dirPtr" and link.holder is not None:
                length = self._field_word(link.holder, MAPS[0], "dirLen")
                return Known(Form.ENTRIES if length == 0 else Form.DIRECTORY, holder.type)
            if place.way in (".buckets", ".oldbuckets"):
                return Known(Form.ENTRIES, holder.type)
        if holder.form is Form.DIRECTORY:
            return Known(Form.TABLE, holder.type)
        if holder.form is Form.TABLE and place.way.endswith(".data"):
            return Known(Form.ENTRIES, holder.type)
        if holder.form is Form.ENTRIES and place.way.endswith(".overflow"):
            return Known(Form.ENTRIES, holder.type)
        return None

    def _name_map(self, link: Link, holder: Known, target: Known) -> None:
        """A map's header, directory or table is of the type its entries are of."""
        if link.holder is None or target.form not in (Form.ENTRIES, Form.TABLE, Form.DIRECTORY):
            return
        form = Form.VALUE
        if holder.form is Form.VALUE and self._forms.is_one(holder.type, *MAPS):
            form = Form.MAP
        elif holder.form is Form.VALUE and self._forms.is_one(holder.type, TABLE):
            form = Form.TABLE
        elif target.form is Form.TABLE and self._forms.is_directory(holder):
            form = Form.DIRECTORY
        if form is not Form.VALUE and target.type is not None:
            self._know(link.holder, Known(form, target.type))

    def _boxed(self, word: int) -> Known | None:
        """What the data word of an interface value with this type word points to."""
        info = self._types.at(word) or self._values.itab_type(word)
        if info is None:
            return None
        if info.kind == KIND_POINTER:
            element = self._types.element_of(info.address)
            return Known(Form.VALUE, element) if element is not None and element.size else None
        if info.kind == KIND_MAP:
            return Known(Form.MAP, info)
        if info.kind == KIND_CHAN:
            return Known(Form.CHAN, self._types.element_of(info.address))
        if info.kind in (KIND_FUNC, KIND_UNSAFE_POINTER) or info.size == info.pointer_bytes == 8:
            return None  # kept in the word itself, as a struct of one pointer is
        return Known(Form.VALUE, info) if info.size else None

    # --- checks ---

    def _agrees(self, known: Known, found: HeapObject) -> bool:
        """Whether an object of that size and with these pointers can be what it is said to be."""
        kept = self._heap.type_of(found)
        if kept is not None:
            return known.type is not None and kept.address == known.type.address
        mask = self._values.mask(found)
        if known.form is Form.MAP:
            return self._is_struct(found, mask, MAPS)
        if known.form is Form.CHAN:
            if known.type is not None and not known.type.pointer_bytes:
                return not found.span.scannable  # with its buffer, in one piece without pointers
            return self._is_struct(found, mask, (CHANNEL,))
        if known.form is Form.TABLE:
            return self._is_struct(found, mask, (TABLE,))
        if known.form is Form.DIRECTORY:
            return found.span.scannable
        if known.form is Form.ENTRIES:
            group = self._catalogue.group_of(known.type) if known.type is not None else None
            if group is None:
                return False
            if found.size > HEAP_BITS_LIMIT:
                return not found.span.scannable and not group.pointer_bytes
            return mask is not None and self._catalogue.fits(group, found.size, mask, array=True)
        if known.form is Form.TEXT:
            return not found.span.scannable
        info = known.type
        if info is None or bool(info.pointer_bytes) != found.span.scannable:
            return False
        if known.form is Form.ARRAY and not info.pointer_bytes:
            return info.size <= found.size
        if found.size > HEAP_BITS_LIMIT:
            return not info.pointer_bytes and class_of(info.size, pointers=False) == found.size
        return mask is not None and self._catalogue.fits(
            info, found.size, mask, array=known.form is Form.ARRAY
        )

    def _is_struct(self, found: HeapObject, mask: int | None, names: tuple[str, ...]) -> bool:
        infos = [self._forms.find(name) for name in names]
        return mask is not None and any(
            info is not None and self._catalogue.fits(info, found.size, mask) for info in infos
        )

    def _match(self, found: HeapObject, links: list[Link]) -> None:
        """Know what the object must be by elimination."""
        mask = self._values.mask(found)
        if not mask:
            return
        clues = []
        for link in links:
            target = self._known.get(link.target.start) if link.target is not None else None
            if link.target is None or target is None or link.value != self._heap.value_of(link.target):
                continue
            if target.type is not None:
                boxed = self._boxed(self._values.word(link.address - 8))
                clues.append(Clue(link.address - found.start, target, boxed))
        known = self._matcher.match(found.size, mask, self._bytes(found), clues)
        if known is not None:
            self._know(found, known)

    def _contradicts(self, found: HeapObject, element: TypeInfo) -> bool:
        known = self._known.get(found.start)
        return (
            known is not None
            and known.type is not None
            and element.address not in self._forms.beginnings(known)
        )

    # --- memory ---

    def _field_word(self, found: HeapObject, struct_name: str, name: str) -> int | None:
        info = self._forms.find(struct_name)
        layout = self._catalogue.layout(info.address) if info is not None else None
        field = layout.fields.get(name) if layout is not None else None
        return self._values.word(found.start + field.offset) if field is not None else None

    def _bytes(self, found: HeapObject) -> bytes:
        if found.start not in self._data:
            try:
                self._data[found.start] = self._memory.read(found.start, found.size)
            except DecodeError:
                self._data[found.start] = b""
        return self._data[found.start]
