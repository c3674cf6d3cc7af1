"""What the types of a capture look like, read off their annotations.

Law: only frozen dataclasses that were registered, and what they are made of: numbers, strings, enums, None, tuples,
frozen sets. An annotation that is none of these is a defect of ours and is found when the registry is made.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Union, get_args, get_origin, get_type_hints

from leaktui.model.frame import Frame

Default = Callable[[], Any] | None


@dataclass(frozen=True, slots=True)
class Plain:
    """A number or a truth value: as JSON has it."""

    type: type


@dataclass(frozen=True, slots=True)
class Text:
    """A string. `is_name` of a symbol or a path, `is_url` of a URL: what masking goes by."""

    is_name: bool = False
    is_url: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """A member of an enum, by its value."""

    type: type[Enum]


@dataclass(frozen=True, slots=True)
class Optional:
    """Nothing, or `of`."""

    of: Shape


@dataclass(frozen=True, slots=True)
class Many:
    """Any number of `of`, in a tuple or (`unordered`) a frozen set."""

    of: Shape
    unordered: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """A tuple with a place for each of `of`."""

    of: tuple[Shape, ...]


@dataclass(frozen=True, slots=True)
class StackOf:
    """A stack of frames: given once, and by its number from then on."""


@dataclass(frozen=True, slots=True)
class Named:
    """A value of the registered type `name`."""

    name: str


Shape = Plain | Text | Choice | Optional | Many | Row | StackOf | Named


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a registered type; `default` makes its default, None where it has none."""

    name: str
    shape: Shape
    default: Default


@dataclass(frozen=True, slots=True)
class TypeShape:
    """A registered type. `interned` ones are given once, and by their number from then on."""

    type: type
    fields: tuple[Field, ...]
    interned: bool


class Registry:
    """The types a capture may hold: *roots*, and all that they are made of.

    Raises TypeError for a type that cannot be in a capture.
    """

    def __init__(self, roots: Iterable[type], interned: Iterable[type] = ()) -> None:
        self._interned = {Frame, *interned}
        self._types: dict[str, TypeShape] = {}
        for root in (Frame, *roots):
            self._add(root)

    @property
    def types(self) -> dict[str, TypeShape]:
        """The registered types by their names."""
        return self._types

    def _add(self, found: type) -> Named:
        name = found.__name__
        known = self._types.get(name)
        if known is not None:
            if known.type is not found:
                raise TypeError(f"two types are called {name}")
            return Named(name)
        parameters = getattr(found, "__dataclass_params__", None)
        if parameters is None or not parameters.frozen:
            raise TypeError(f"{name} is no frozen dataclass")
        # Known before its fields are looked at: a type may hold others of its kind.
        self._types[name] = TypeShape(found, (), found in self._interned)
        hints = get_type_hints(found)
        fields = tuple(
            Field(item.name, self._shape(hints[item.name], found, item.name), _default_of(item))
            for item in dataclasses.fields(found)
        )
        self._types[name] = TypeShape(found, fields, found in self._interned)
        return Named(name)

    def _shape(self, hint: Any, owner: type, field: str) -> Shape:
        origin, arguments = get_origin(hint), get_args(hint)
        if hint in (int, float, bool):
            return Plain(hint)
        if hint is str:
            return Text(is_name=owner is Frame or field in _NAMES, is_url=field == "url")
        if origin in (Union, types.UnionType):
            rest = [item for item in arguments if item is not type(None)]
            if len(rest) == 1 and len(arguments) == 2:
                return Optional(self._shape(rest[0], owner, field))
        elif origin is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:
            if arguments[0] is Frame:
                return StackOf()
            return Many(self._shape(arguments[0], owner, field))
        elif origin is tuple and arguments:
            return Row(tuple(self._shape(item, owner, field) for item in arguments))
        elif origin is frozenset:
            return Many(self._shape(arguments[0], owner, field), unordered=True)
        elif isinstance(hint, type) and issubclass(hint, Enum):
            return Choice(hint)
        elif isinstance(hint, type) and dataclasses.is_dataclass(hint):
            return self._add(hint)
        raise TypeError(f"{owner.__name__}.{field} cannot be in a capture: {hint}")


_NAMES = frozenset(
    ("function", "functions", "file", "exe", "module", "main_package", "go_version", "type_name", "path")
)
"""Fields that hold symbols, types and paths: nothing in them is a secret, and masking would spoil them."""


def _default_of(field: dataclasses.Field[Any]) -> Default:
    if field.default is not dataclasses.MISSING:
        value = field.default
        return lambda: value
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory
    return None


def field_names(shape: TypeShape) -> Sequence[str]:
    """The fields of a type in their order."""
    return [field.name for field in shape.fields]
