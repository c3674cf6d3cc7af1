"""pprof's profile.proto → Profile and HeapProfile.

Law: two samples with the same calls share one and the same Stack object, so whoever aggregates may
compare stacks by identity. Frames name source lines, not addresses: `Frame.pc` is 0 except where the
profile has an address and no symbol. Names, files and labels have gone through `text.printable`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from leaktui.errors import DecodeError, LimitExceeded
from leaktui.model.frame import Frame, Stack
from leaktui.model.goroutine import Labels
from leaktui.model.profile import AllocSite, HeapProfile, Profile, Sample, ValueType
from leaktui.text import format_count, printable
from leaktui.wire.profile_records import ProfileRecords, read_profile_records
from leaktui.wire.profile_schema import ProfileParsers, profile_parsers
from leaktui.wire.runtime_frames import printed_function

MAX_STACK = 16_384
"""Frames of one stack, inlined calls included. Go's profiler records at most 1,024."""

MAX_INLINED = 1_024
"""Calls inlined into one."""

MAX_FRAMES = 32_000_000
"""Frames of all different stacks together: 256 MB of references."""

MAX_LINES = 4_000_000
"""Lines of all locations together: the Frames themselves."""

_HEAP_COLUMNS = ("alloc_objects", "alloc_space", "inuse_objects", "inuse_space")


def decode_profile(data: bytes, *, limit_bytes: int = 256 << 20) -> Profile:
    """The profile in *data*: profile.proto, gzip-compressed or not.

    Numeric sample labels (heap's `bytes`) are left out. Raises Truncated, LimitExceeded (more than
    *limit_bytes* inflated, or one of this module's bounds) or DecodeError, which says what *data*
    looks like when it is not a profile.
    """
    return ProfileReader(data, limit_bytes=limit_bytes).profile


def decode_heap(data: bytes, *, limit_bytes: int = 256 << 20) -> HeapProfile:
    """The allocation sites of a heap or allocs profile, one a stack (the profile has one a stack and
    object size). Raises as decode_profile does, and DecodeError for a profile of another kind.
    """
    profile = ProfileReader(data, limit_bytes=limit_bytes, labels=False).profile
    found = [profile.column(name) for name in _HEAP_COLUMNS]
    columns = [column for column in found if column is not None]
    if len(columns) != len(_HEAP_COLUMNS):
        names = ", ".join(value_type.name for value_type in profile.value_types[:8])
        raise DecodeError(f"not a heap profile: its columns are {names}")
    alloc_objects, alloc_bytes, inuse_objects, inuse_bytes = columns
    totals: dict[int, list[int]] = {}
    stacks: dict[int, Stack] = {}
    for sample in profile.samples:
        key, values = id(sample.stack), sample.values
        total = totals.get(key)
        if total is None:
            stacks[key] = sample.stack
            total = totals[key] = [0, 0, 0, 0]
        total[0] += values[alloc_objects]
        total[1] += values[alloc_bytes]
        total[2] += values[inuse_objects]
        total[3] += values[inuse_bytes]
    return HeapProfile(
        sites=tuple(AllocSite(stack, *totals[key]) for key, stack in stacks.items()),
        time_ns=profile.time_ns,
        sample_rate=max(0, profile.period),
    )


class ProfileReader:
    """Decodes one profile; `profile` is the result.

    `start_lines` maps a function's name to the line it begins at, where the profile says so (Go does
    since 1.21). Without *labels* samples have none: reading them takes a tenth of the time.
    """

    def __init__(self, data: bytes, *, limit_bytes: int, labels: bool = True) -> None:
        records = read_profile_records(data, limit_bytes=limit_bytes)
        self._parsers: ProfileParsers = profile_parsers()
        self._strings = records.strings
        self._wants_labels = labels
        self._texts: dict[int, str] = {}
        self._functions: dict[int, tuple[str, str]] = {}
        self.start_lines: dict[str, int] = {}
        try:
            self._read_functions(records.functions)
            # A location number stands for its frames: locations that differ in address only share one.
            self._numbers: dict[int, int] = {}
            self._frames: list[Stack] = []
            self._read_locations(records.locations)
            self.profile = self._read_profile(records)
        except self._parsers.error as error:
            raise DecodeError("the profile is damaged", remedy="fetch it again") from error

    def _text(self, index: int) -> str:
        text = self._texts.get(index)
        if text is None:
            if not 0 <= index < len(self._strings):
                raise DecodeError(f"the profile refers to string {index}, which it does not have")
            text = self._texts[index] = printable(self._strings[index].decode("utf-8", "replace"))
        return text

    def _value_type(self, record: bytes) -> ValueType:
        value_type = self._parsers.value_type(record)
        return ValueType(self._text(value_type.type), self._text(value_type.unit))

    def _read_functions(self, functions: list[bytes]) -> None:
        parse: Callable[[bytes], Any] = self._parsers.function
        for record in functions:
            function = parse(record)
            name = printed_function(self._text(function.name))
            self._functions[function.id] = (name, self._text(function.filename))
            if function.start_line > 0:
                self.start_lines[name] = function.start_line

    def _read_locations(self, locations: list[bytes]) -> None:
        parse: Callable[[bytes], Any] = self._parsers.location
        interned: dict[tuple[str, str, int, bool], Frame] = {}
        number_of: dict[tuple[int, ...], int] = {}
        lines_left = MAX_LINES
        for record in locations:
            location = parse(record)
            lines = location.line[:]
            lines_left -= len(lines)
            if lines_left < 0 or len(lines) > MAX_INLINED:
                raise LimitExceeded(
                    f"the profile has more than {format_count(MAX_LINES)} lines, or "
                    f"{format_count(MAX_INLINED)} at one address, the most leaktui reads"
                )
            frames = []
            last = len(lines) - 1
            for index, line in enumerate(lines):
                function = self._functions.get(line.function_id)
                if function is None:
                    raise DecodeError(
                        f"the profile refers to function {line.function_id}, which it does not have"
                    )
                name, file = function
                number, inlined = max(0, line.line), index < last
                key = (name, file, number, inlined)
                frame = interned.get(key)
                if frame is None:
                    frame = interned[key] = Frame(name, file, number, inlined=inlined)
                frames.append(frame)
            if not frames:
                # No symbol (C code, as a rule): debug=1 prints the bare address, and so do we.
                address = location.address
                frames.append(
                    interned.setdefault((f"{address:#x}", "", 0, False), Frame(f"{address:#x}", pc=address))
                )
            identity = tuple(map(id, frames))
            shared = number_of.get(identity)
            if shared is None:
                shared = number_of[identity] = len(self._frames)
                self._frames.append(tuple(frames))
            self._numbers[location.id] = shared

    def _read_profile(self, records: ProfileRecords) -> Profile:
        value_types = tuple(map(self._value_type, records.sample_types))
        if not value_types:
            raise DecodeError("the profile names no columns: it is cut off, or not a profile")
        return Profile(
            value_types=value_types,
            samples=self._read_samples(records.samples, len(value_types)),
            time_ns=records.time_ns,
            duration_ns=records.duration_ns,
            period=records.period,
            period_type=self._value_type(records.period_type) if records.period_type is not None else None,
            comments=tuple(map(self._text, records.comments)),
        )

    def _read_samples(self, samples: list[bytes], columns: int) -> tuple[Sample, ...]:
        parse: Callable[[bytes], Any] = self._parsers.sample
        number_of, frames_of = self._numbers, self._frames
        stacks: dict[tuple[int, ...], Stack] = {}
        frames_left = MAX_FRAMES
        result = []
        for record in samples:
            sample = parse(record)
            values = tuple(sample.value[:])
            if len(values) != columns:
                raise DecodeError(f"the profile has {columns} columns and a sample of {len(values)} values")
            try:
                numbers = tuple([number_of[location] for location in sample.location_id[:]])
            except KeyError as error:
                raise DecodeError(
                    f"the profile refers to location {error.args[0]}, which it does not have"
                ) from None
            stack = stacks.get(numbers)
            if stack is None:
                frames: list[Frame] = []
                for number in numbers[: MAX_STACK + 1]:
                    frames += frames_of[number]
                frames_left -= len(frames)
                if len(frames) > MAX_STACK or frames_left < 0:
                    raise LimitExceeded(
                        f"the profile has a stack of more than {format_count(MAX_STACK)} frames, or more "
                        f"than {format_count(MAX_FRAMES)} in all, the most leaktui holds"
                    )
                stack = stacks[numbers] = tuple(frames)
            labels = self._read_labels(sample.label) if self._wants_labels else ()
            result.append(Sample(stack, values, labels))
        return tuple(result)

    def _read_labels(self, labels: Any) -> Labels:
        # A label with neither text nor number has the empty text: proto3 leaves out what is zero.
        found = [(label.key, label.str) for label in labels if label.str or not label.num]
        if not found:
            return ()
        return tuple(sorted((self._text(key), self._text(text)) for key, text in found))
