"""The lines of a capture → values.

Law: makes only what its registry names, of the types it declares, and nothing of what it was not given before. A file
of a newer leaktui is refused by its header, in one sentence; whatever else is wrong with a line is a DecodeError.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from leaktui.errors import DecodeError, LimitExceeded
from leaktui.model.frame import Frame
from leaktui.text import printable
from leaktui.wire.capture.encoder import FORMAT, VERSION
from leaktui.wire.capture.shapes import (
    Choice,
    Field,
    Many,
    Optional,
    Plain,
    Registry,
    Row,
    Shape,
    StackOf,
    Text,
    TypeShape,
)

_MOST_ENTRIES = 1_000_000
_MOST_TEXT = 128 << 20
_LONGEST = 1e9
_LARGEST = 1 << 64
_UPDATE = "update this leaktui to open it"

_Read = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Record:
    """What *source* said `seconds` after the start of the capture."""

    seconds: float
    source: str
    value: Any


class _Wrong(Exception):
    """A value is not what it should be."""


class Decoder:
    """Decodes one capture from its lines. *clean* makes strings safe that are shown later on.

    `header` is there after `read_header`; `records` goes on from there.
    """

    def __init__(self, registry: Registry, lines: Iterable[bytes], clean: Callable[[str], str] = str) -> None:
        self._registry = registry.types
        self._lines = iter(lines)
        self._clean = clean
        self._kept: bytes | None = None
        self._texts: list[str] = []
        self._text_room = _MOST_TEXT
        self._values: list[Any] = []
        self._stacks: list[tuple[Frame, ...]] = []
        self._types: list[TypeShape] = []
        self._plans: list[list[tuple[Field, _Read]]] = []
        self._numbers: dict[str, int] = {}
        self.header: Mapping[str, Any] = {}

    def read_header(self) -> Mapping[str, Any]:
        """The header, once. Raises DecodeError for a file that is no capture, or one of a newer leaktui."""
        line = next(self._lines, None)
        if line is None:
            raise DecodeError("it ends before it has begun")
        header = _parse(line)
        name = header.get("format") if isinstance(header, dict) else None
        if not isinstance(header, dict) or not isinstance(name, str) or not name.startswith(FORMAT + "/"):
            raise DecodeError("it is not a capture of leaktui")
        if name != f"{FORMAT}/{VERSION}":
            raise DecodeError(f"it was written by a newer leaktui ({printable(name, 60)})", remedy=_UPDATE)
        self.header = dict(header)
        for line in self._lines:
            content = _parse(line)
            if not (isinstance(content, list) and content and content[0] == "T"):
                self._kept = line
                break
            self._declare(content)
        for number in range(len(self._types)):
            self._plans[number] = [(field, self._reader(field.shape)) for field, _ in self._plans[number]]
        return self.header

    def records(self) -> Iterator[Record]:
        """The records in their order. Raises DecodeError at the first line that is not as it should be."""
        if self._kept is not None:
            kept, self._kept = self._kept, None
            record = self._take(kept)
            if record is not None:
                yield record
        for line in self._lines:
            record = self._take(line)
            if record is not None:
                yield record

    # -- lines ---------------------------------------------------------------------------------

    def _declare(self, content: list[Any]) -> None:
        writer = printable(str(self.header.get("leaktui", "?")), 40)
        match content:
            case ["T", str(name), list(names)] if all(isinstance(item, str) for item in names):
                pass
            case _:
                raise DecodeError("a type in it is not described as it should be")
        shape = self._registry.get(name)
        fields = {field.name: field for field in shape.fields} if shape is not None else {}
        unknown = [item for item in names if item not in fields]
        if shape is None or unknown:
            what = printable(f"{name}.{unknown[0]}" if shape is not None else name, 80)
            raise DecodeError(
                f"it was written by another leaktui ({writer}) and holds what this one does not know ({what})",
                remedy=_UPDATE,
            )
        if name in self._numbers or len(set(names)) != len(names):
            raise DecodeError("a type in it is described twice")
        missing = [field for field in shape.fields if field.name not in names]
        if any(field.default is None for field in missing):
            raise DecodeError(
                f"it was written by another leaktui ({writer}), whose {printable(name, 60)} is not this one's"
            )
        self._numbers[name] = len(self._types)
        self._types.append(shape)
        self._plans.append([(fields[item], _unread) for item in names])

    def _take(self, line: bytes) -> Record | None:
        try:
            return self._understand(_parse(line))
        except _Wrong as error:
            raise DecodeError(f"a line in it is not as it should be ({error})") from None
        except RecursionError:
            raise DecodeError("a line in it is nested too deeply") from None

    def _understand(self, content: object) -> Record | None:
        match content:
            case ["S", str(text)]:
                self._text_room -= len(text)
                if self._text_room < 0:
                    raise LimitExceeded("it holds more text than leaktui is ready to keep")
                self._add(self._texts, self._clean(text))
            case ["D", int(number), list(fields)]:
                self._add(self._values, self._make(number, fields))
            case ["K", list(frames)]:
                self._add(self._stacks, tuple(self._frame(item) for item in frames))
            case ["R", float() | int() as seconds, source, int(number), list(fields)] if (
                0 <= seconds < _LONGEST
            ):
                return Record(float(seconds), self._text(source), self._make(number, fields))
            case _:
                raise _Wrong("what it is cannot be told")
        return None

    def _add(self, table: list[Any], value: object) -> None:
        if len(table) >= _MOST_ENTRIES:
            raise LimitExceeded("it holds more than leaktui is ready to keep")
        table.append(value)

    # -- values --------------------------------------------------------------------------------

    def _make(self, number: int, values: list[Any]) -> Any:
        if not 0 <= number < len(self._types):
            raise _Wrong("a type was not described before")
        plan = self._plans[number]
        if len(values) > len(plan):
            raise _Wrong("a value has too many fields")
        made = {field.name: read(value) for (field, read), value in zip(plan, values, strict=False)}
        if any(field.default is None for field, _ in plan[len(values) :]):
            raise _Wrong("a field is missing")
        return self._types[number].type(**made)

    def _reader(self, shape: Shape) -> _Read:
        if isinstance(shape, Plain):
            return _PLAIN[shape.type]
        if isinstance(shape, Text):
            return self._text
        if isinstance(shape, Choice):
            return _choice_reader(shape.type)
        if isinstance(shape, Optional):
            inner = self._reader(shape.of)
            return lambda value: None if value is None else inner(value)
        if isinstance(shape, StackOf):
            return self._stack
        if isinstance(shape, Many):
            one = self._reader(shape.of)
            container: Callable[[Iterable[Any]], Any] = frozenset if shape.unordered else tuple
            return lambda value: container([one(item) for item in _array(value)])
        if isinstance(shape, Row):
            return _row_reader([self._reader(item) for item in shape.of])
        return self._named_reader(shape.name)

    def _named_reader(self, name: str) -> _Read:
        expected = self._registry[name].type

        def read(value: Any) -> Any:
            if type(value) is int:
                found = _entry(self._values, value)
                if not isinstance(found, expected):
                    raise _Wrong(f"a {name} is something else")
                return found
            if name not in self._numbers:
                raise _Wrong(f"{name} was not described before")
            return self._make(self._numbers[name], _array(value))

        return read

    def _frame(self, value: Any) -> Frame:
        frame = _entry(self._values, value) if type(value) is int else self._named_reader("Frame")(value)
        if not isinstance(frame, Frame):
            raise _Wrong("a frame is something else")
        return frame

    def _stack(self, value: Any) -> tuple[Frame, ...]:
        if type(value) is int:
            found = _entry(self._stacks, value)
            return found if isinstance(found, tuple) else ()
        return tuple(self._frame(item) for item in _array(value))

    def _text(self, value: Any) -> str:
        if type(value) is int:
            return str(_entry(self._texts, value))
        if not isinstance(value, str):
            raise _Wrong("a text is something else")
        return self._clean(value)


def _parse(line: bytes) -> object:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        raise DecodeError("a line in it cannot be read") from None


def _unread(value: Any) -> Any:
    raise _Wrong("a type was not described before")


def _entry(table: list[Any], number: int) -> Any:
    if not 0 <= number < len(table):
        raise _Wrong("a number means nothing yet")
    return table[number]


def _array(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise _Wrong("a list is something else")
    return value


def _choice_reader(choices: type[Enum]) -> _Read:
    members = {item.value: item for item in choices}

    def read(value: Any) -> Enum:
        member = members.get(value) if isinstance(value, str) else None
        if member is None:
            raise DecodeError(
                f"it says {printable(str(value), 40)} of a {choices.__name__}, which this leaktui does not know",
                remedy=_UPDATE,
            )
        return member

    return read


def _row_reader(places: list[_Read]) -> _Read:
    def read(value: Any) -> tuple[Any, ...]:
        if len(_array(value)) != len(places):
            raise _Wrong("a row has another length")
        return tuple(one(item) for one, item in zip(places, value, strict=True))

    return read


def _whole(value: Any) -> int:
    if type(value) is not int or abs(value) > _LARGEST:
        raise _Wrong("a number is something else")
    return value


def _number(value: Any) -> float | int:
    if type(value) is float:
        return value
    return _whole(value)


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _Wrong("a yes or no is something else")
    return value


_PLAIN: dict[type, _Read] = {int: _whole, float: _number, bool: _truth}
