"""The one type of a program that an object can be of, by elimination.

Law: of all types with the object's size and pointers, those are left whose fields suit what the object points to and
whose values make sense; if one is left, the object is of it. Two left, and nothing is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from leaktui.binary.runtime_types import (
    KIND_ARRAY,
    KIND_CHAN,
    KIND_INTERFACE,
    KIND_MAP,
    KIND_POINTER,
    KIND_SLICE,
    KIND_UNSAFE_POINTER,
)
from leaktui.engines.memory.field_values import FieldValues
from leaktui.engines.memory.object_forms import CHANNEL, MAPS, Form, Forms, Known
from leaktui.engines.memory.type_catalogue import Match, Place, TypeCatalogue

_UNTOLD_LIMIT = 64
"""With more types to choose from, and nothing known of what they point to, there is no telling."""

_CLOSURE = "struct { F uintptr"

_PLAIN, _ODD, _NOT = range(3)
"""How a pointer suits the field it would be in. A pointer to the first field of an object, or one without a type,
is possible, but so odd that it counts only if nothing else fits."""


class Clue(NamedTuple):
    """A pointer *offset* bytes into the object, to the start of a `target` of known form.

    `boxed` is what it points to if it and the word before it are an interface value.
    """

    offset: int
    target: Known
    boxed: Known | None


class TypeMatcher:
    """Tells what objects are by their size, pointers, content and clues."""

    def __init__(self, catalogue: TypeCatalogue, forms: Forms, values: FieldValues) -> None:
        self._types = catalogue.types
        self._catalogue = catalogue
        self._forms = forms
        self._values = values
        self._told: dict[tuple[bytes, int, tuple[Clue, ...]], Known | None] = {}

    def match(self, size: int, mask: int, data: bytes, clues: Sequence[Clue]) -> Known | None:
        """What a small object of that size class, with these pointers and this content, must be."""
        matches = self._catalogue.matches(size, mask)
        if not matches or (not clues and len(matches) > _UNTOLD_LIMIT):
            return None
        key = (data, mask, tuple(clues))
        if key not in self._told:
            if len(self._told) >= 1 << 12:
                self._told.clear()
            self._told[key] = self._eliminate(matches, data, clues)
        return self._told[key]

    def _eliminate(self, matches: Sequence[Match], data: bytes, clues: Sequence[Clue]) -> Known | None:
        beginnings = [self._forms.beginnings(clue.target) for clue in clues]
        possible: dict[Known, int] = {}
        for match in matches:
            if match.type.name.startswith(_CLOSURE):
                continue  # it would be known by its function
            known = self._as_known(match)
            odd = _PLAIN
            for clue, addresses in zip(clues, beginnings, strict=True):
                odd = max(odd, self._admits(known, clue, addresses))
                if odd == _NOT:
                    break
            if odd < _NOT and self._values.makes_sense(match.type, data):
                possible[known] = min(odd, possible.get(known, _NOT))
        least = min(possible.values(), default=_NOT)
        certain = [known for known, odd in possible.items() if odd == least]
        if len(certain) != 1 or certain[0].type is None:
            return None
        entries = self._catalogue.map_of(certain[0].type.address)
        return certain[0] if entries is None else Known(Form.ENTRIES, entries)

    def _as_known(self, match: Match) -> Known:
        """An object that is one array is not told from one that is several of its elements."""
        info, array = match.type, match.array
        while info.kind == KIND_ARRAY:
            element = self._types.element_of(info.address)
            if element is None or not element.size:
                break
            info, array = element, array or self._types.length_of(info.address) > 1
        return Known(Form.ARRAY if array else Form.VALUE, info)

    def _admits(self, known: Known, clue: Clue, beginnings: frozenset[int]) -> int:
        """Whether an object of that type can have such a pointer."""
        info = known.type
        if info is None:
            return _NOT
        if known.form is Form.ARRAY and info.kind == KIND_POINTER:
            place: Place | None = Place("", info, 0)  # the commonest by far
        else:
            place = self._forms.place(known, clue.offset)
        if place is None:
            return _NOT
        info, target = place.type, clue.target
        if info.kind == KIND_INTERFACE:
            return _PLAIN if place.offset == 8 and clue.boxed in (None, target) else _NOT
        if clue.boxed == target:
            return _NOT  # by chance no integer is the type of what the word after it points to
        if info.kind in (KIND_POINTER, KIND_SLICE):
            element = self._types.element_of(info.address)
            if element is None or element.address not in beginnings:
                return _NOT
            whole = target.form not in (Form.VALUE, Form.ARRAY)
            same = target.type is not None and target.type.address == element.address
            return _PLAIN if whole or same else _ODD
        if info.kind == KIND_UNSAFE_POINTER:
            return _ODD
        if info.kind == KIND_MAP:
            same = target.form is Form.MAP and target.type is not None and target.type.address == info.address
            return _PLAIN if same or self._forms.is_one(target.type, *MAPS) else _NOT
        if info.kind == KIND_CHAN:
            same = target.form is Form.CHAN or self._forms.is_one(target.type, CHANNEL)
            return _PLAIN if same else _NOT
        return _NOT
