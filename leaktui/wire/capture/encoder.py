"""Values → the lines of a capture.

Law: what is given out is whole lines that stand for themselves and what came before: wherever the file ends, all of
it up to there can be read. Tables are bounded; what does not fit into them is written out each time.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from leaktui.model.frame import Frame
from leaktui.wire.capture.mask import Mask, NoMask, hide_pairs
from leaktui.wire.capture.shapes import (
    Choice,
    Many,
    Named,
    Optional,
    Plain,
    Registry,
    Row,
    Shape,
    StackOf,
    Text,
    field_names,
)

FORMAT = "leaktui.capture"
VERSION = 1
LONGEST_LINE = 16 << 20
"""Bytes of a line: a longer one is neither written nor read."""

_MOST_TEXTS = 100_000
_MOST_VALUES = 300_000
_LONGEST_TEXT = 1 << 20
_LEAST_TEXT = 6
"""Shorter strings are not worth a number."""

_Write = Callable[[Any], Any]


class Encoder:
    """Encodes one capture. *mask* hides what is secret; records longer than *longest_line* bytes are left out."""

    def __init__(
        self, registry: Registry, mask: Mask | None = None, *, longest_line: int = LONGEST_LINE
    ) -> None:
        self._longest = longest_line
        self._mask = mask or NoMask()
        self._masks = mask is not None
        self._types = registry.types
        self._numbers = {name: number for number, name in enumerate(self._types)}
        self._lines: list[bytes] = []
        self._texts: dict[tuple[str, int], int | str] = {}
        self._text_count = 0
        self._values: dict[Any, int] = {}
        self._stacks: dict[tuple[Frame, ...], int] = {}
        self._stacks_by_id: dict[int, int] = {}
        self._writers: dict[str, list[tuple[str, _Write]]] = {}
        self._defaults: dict[str, list[Callable[[], Any] | None]] = {}

    def header(self, facts: Mapping[str, Any]) -> bytes:
        """The header with *facts* (plain JSON values), and the types."""
        self._line({"format": f"{FORMAT}/{VERSION}", **facts})
        for name, shape in self._types.items():
            self._line(["T", name, list(field_names(shape))])
        return self._take()

    def record(self, seconds: float, source: str, value: Any) -> bytes:
        """The lines of one record; empty where it would be longer than a line may be."""
        self._stacks_by_id.clear()
        name = type(value).__name__
        fields = self._fields(name, value)
        text = self._dump(
            ["R", round(seconds, 6), self._text(source, Text(is_name=True)), self._numbers[name], fields]
        )
        if len(text) > self._longest:
            # What it defined may be meant later on.
            return self._take()
        self._lines.append(text)
        return self._take()

    # -- lines ---------------------------------------------------------------------------------

    def _line(self, content: object) -> None:
        self._lines.append(self._dump(content))

    @staticmethod
    def _dump(content: object) -> bytes:
        return json.dumps(content, separators=(",", ":"), ensure_ascii=True).encode("ascii") + b"\n"

    def _take(self) -> bytes:
        taken = b"".join(self._lines)
        self._lines.clear()
        return taken

    # -- values --------------------------------------------------------------------------------

    def _fields(self, name: str, value: Any) -> list[Any]:
        writers = self._writers.get(name)
        if writers is None:
            shape = self._types[name]
            writers = self._writers[name] = [(item.name, self._writer(item.shape)) for item in shape.fields]
            self._defaults[name] = [item.default for item in shape.fields]
        values = [getattr(value, field) for field, _ in writers]
        defaults = self._defaults[name]
        end = len(values)
        while end and (default := defaults[end - 1]) is not None and _is_same(values[end - 1], default()):
            end -= 1
        return [write(item) for (_, write), item in zip(writers[:end], values[:end], strict=True)]

    def _writer(self, shape: Shape) -> _Write:
        if isinstance(shape, Plain):
            return lambda value: value
        if isinstance(shape, Text):
            return lambda value: self._text(value, shape)
        if isinstance(shape, Choice):
            return lambda value: value.value
        if isinstance(shape, Optional):
            inner = self._writer(shape.of)
            return lambda value: None if value is None else inner(value)
        if isinstance(shape, StackOf):
            return self._stack
        if isinstance(shape, Many):
            one = self._writer(shape.of)
            if shape.unordered:
                return lambda value: [one(item) for item in sorted(value)]
            return lambda value: [one(item) for item in value]
        if isinstance(shape, Row):
            places = [self._writer(item) for item in shape.of]
            return lambda value: self._row(value, places)
        return self._named_writer(shape)

    def _row(self, value: tuple[Any, ...], places: list[_Write]) -> list[Any]:
        shown = hide_pairs(value) if self._masks else value
        return [write(item) for write, item in zip(places, shown, strict=True)]

    def _named_writer(self, named: Named) -> _Write:
        shape = self._types[named.name]
        if shape.interned:
            return lambda value: self._interned(named.name, value)
        return lambda value: self._fields(named.name, hide_pairs(value) if self._masks else value)

    def _interned(self, name: str, value: Any) -> Any:
        number = self._values.get(value)
        if number is not None:
            return number
        fields = self._fields(name, value)
        if len(self._values) >= _MOST_VALUES:
            return fields
        number = self._values[value] = len(self._values)
        self._line(["D", self._numbers[name], fields])
        return number

    def _stack(self, stack: tuple[Frame, ...]) -> Any:
        number = self._stacks_by_id.get(id(stack))
        if number is None:
            number = self._stacks.get(stack)
        if number is None:
            frames = [self._interned("Frame", frame) for frame in stack]
            if len(self._stacks) >= _MOST_VALUES:
                return frames
            number = self._stacks[stack] = len(self._stacks)
            self._line(["K", frames])
        # Only while the record is being written is the stack surely the one with this identity.
        self._stacks_by_id[id(stack)] = number
        return number

    def _text(self, text: str, shape: Text) -> int | str:
        key = (text, shape.is_name * 2 + shape.is_url)
        known = self._texts.get(key)
        if known is not None:
            return known
        shown = text[:_LONGEST_TEXT]
        if self._masks and not shape.is_name:
            shown = self._mask.url(shown) if shape.is_url else self._mask.text(shown, _LONGEST_TEXT)
        if len(shown) < _LEAST_TEXT or self._text_count >= _MOST_TEXTS:
            return shown
        number = self._text_count
        self._text_count += 1
        self._line(["S", shown])
        self._texts[key] = number
        return number


def _is_same(value: Any, default: Any) -> bool:
    """Whether leaving *value* out gives it back: equal, and of one type (True is 1, but not on paper)."""
    return type(value) is type(default) and bool(value == default)
