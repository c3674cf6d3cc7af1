"""Values on stacks → pprof's profile.proto, as `go tool pprof` and flame-graph viewers read it.

Law: pure, and the same input gives the same bytes. Calls inlined into one machine frame become the lines of one
Location, innermost first, as the runtime writes them. Field numbers are those of the public format (Go 1.22's
runtime/pprof/proto.go: tagProfile_*, tagSample_*, …).
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from leaktui.model.frame import Frame, Stack
from leaktui.model.goroutine import Labels
from leaktui.model.profile import ValueType


@dataclass(frozen=True, slots=True)
class Number:
    """A numeric label: pprof filters by it (`-tagfocus=age=60s:`)."""

    key: str
    value: int
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """A sample to write: one value per column on one stack, innermost call first."""

    stack: Stack
    values: tuple[int, ...]
    labels: Labels = ()
    numbers: tuple[Number, ...] = ()


@dataclass(frozen=True, slots=True)
class Executable:
    """What the calls are calls in: `build_id` is empty where unknown."""

    file: str
    build_id: str = ""


def encode_profile(
    columns: Sequence[ValueType],
    entries: Iterable[Entry],
    *,
    default_column: str = "",
    time_ns: int = 0,
    executable: Executable | None = None,
    comments: Sequence[str] = (),
) -> bytes:
    """A gzip-compressed profile of *entries* with *columns*, the first the default where none is named.

    *time_ns* is nanoseconds since 1970. Raises ValueError for an entry with another number of values.
    """
    writer = _Writer(executable)
    for column in columns:
        writer.column(column)
    for entry in entries:
        if len(entry.values) != len(columns):
            raise ValueError(f"{len(entry.values)} values for {len(columns)} columns")
        writer.entry(entry)
    return gzip.compress(writer.finish(default_column, time_ns, comments), mtime=0)


class _Writer:
    def __init__(self, executable: Executable | None) -> None:
        self._records: list[bytes] = []
        self._strings: dict[str, int] = {"": 0}
        self._functions: dict[tuple[str, str], int] = {}
        self._locations: dict[Stack, int] = {}
        self._mapped = executable is not None
        if executable is not None:
            # Everything is symbolized already: pprof need not look for the file.
            known = _number(7, 1) + _number(8, 1) + _number(9, 1) + _number(10, 1)
            names = _number(5, self._string(executable.file)) + _number(6, self._string(executable.build_id))
            self._records.append(_record(3, _number(1, 1) + names + known))

    def column(self, column: ValueType) -> None:
        value_type = _number(1, self._string(column.name)) + _number(2, self._string(column.unit))
        self._records.append(_record(1, value_type))

    def entry(self, entry: Entry) -> None:
        locations = b"".join(_varint(self._location(frames)) for frames in _machine_frames(entry.stack))
        values = b"".join(map(_varint, entry.values))
        labels = [
            _record(3, _number(1, self._string(key)) + _number(2, self._string(text)))
            for key, text in entry.labels
        ]
        for item in entry.numbers:
            label = _number(1, self._string(item.key)) + _number(3, item.value)
            labels.append(_record(3, label + _number(4, self._string(item.unit))))
        self._records.append(_record(2, _record(1, locations) + _record(2, values) + b"".join(labels)))

    def finish(self, default_column: str, time_ns: int, comments: Sequence[str]) -> bytes:
        tail = _number(9, time_ns)
        tail += b"".join(_number(13, self._string(comment)) for comment in comments)
        tail += _number(14, self._string(default_column))
        table = b"".join(_record(6, text.encode("utf-8", "replace"), empty=True) for text in self._strings)
        return b"".join(self._records) + tail + table

    def _location(self, frames: Stack) -> int:
        found = self._locations.get(frames)
        if found is not None:
            return found
        identity = self._locations[frames] = len(self._locations) + 1
        lines = b"".join(
            _record(4, _number(1, self._function(frame)) + _number(2, frame.line)) for frame in frames
        )
        mapping = _number(2, 1) if self._mapped else b""
        self._records.append(_record(4, _number(1, identity) + mapping + _number(3, frames[-1].pc) + lines))
        return identity

    def _function(self, frame: Frame) -> int:
        key = frame.function, frame.file
        found = self._functions.get(key)
        if found is not None:
            return found
        identity = self._functions[key] = len(self._functions) + 1
        name, file = self._string(frame.function), self._string(frame.file)
        self._records.append(
            _record(5, _number(1, identity) + _number(2, name) + _number(3, name) + _number(4, file))
        )
        return identity

    def _string(self, text: str) -> int:
        return self._strings.setdefault(text, len(self._strings))


def _machine_frames(stack: Stack) -> Iterable[Stack]:
    """The calls of *stack* by the machine frame they were inlined into."""
    frames: list[Frame] = []
    for frame in stack:
        frames.append(frame)
        if not frame.inlined:
            yield tuple(frames)
            frames = []
    if frames:
        yield tuple(frames)


def _varint(value: int) -> bytes:
    value &= 0xFFFF_FFFF_FFFF_FFFF  # a negative number is its 64-bit two's complement
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _number(field: int, value: int) -> bytes:
    """A varint field; nothing for 0, as proto3 has it."""
    return _varint(field << 3) + _varint(value) if value else b""


def _record(field: int, data: bytes, *, empty: bool = False) -> bytes:
    """A field with a length; nothing where there is no data, unless *empty* ones count."""
    return _varint(field << 3 | 2) + _varint(len(data)) + data if data or empty else b""
