"""Go maps in the target's memory, of any type of key and value.

Law: where a map keeps its entries is read from the map type's own descriptors, and its form is known by their
fields: a bucket with `topbits` (runtime/map.go, Go 1.21 to 1.23) or a group with `ctrl`
(internal/runtime/maps, Go 1.24 to 1.27). Nothing in the memory is believed: what does not add up to the map's
own count raises DecodeError, so that a map that changed while it was read is never passed off as whole.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterator
from typing import NamedTuple

from leaktui.binary.runtime_types import KIND_MAP, Field, RuntimeTypes, StructLayout
from leaktui.engines.memory.reader import MemoryReader
from leaktui.errors import DecodeError, LimitExceeded

ENTRIES_LIMIT = 1 << 22
"""Entries of one map that are read."""

_WORD = 8
_POINTER_TYPE = struct.Struct("<Q")
_SLOTS = 8
_TYPE_POINTERS = struct.Struct("<QQQ")
_TYPE_SIZE = 48
_CHUNK = 1 << 20
"""Bytes of buckets or groups read at once."""

_HMAP = struct.Struct("<QBBHIQQ")
"""count, flags, B, noverflow, hash0, buckets, oldbuckets (runtime/map.go `hmap`)."""
_SAME_SIZE_GROWTH = 8
_MIN_TOP_HASH, _EVACUATED = 5, (2, 3, 4)
_LOG_BUCKETS_LIMIT = 24

_MAP = struct.Struct("<Q8xQqBB")
"""used, dirPtr, dirLen, globalDepth, globalShift (internal/runtime/maps/map.go `Map`)."""
_TABLE = struct.Struct("<HHHBxqQQ")
"""used, capacity, growthLeft, localDepth, index, groups.data, groups.lengthMask (table.go `table`)."""
_FREE = 0x80
"""The bit of a control byte that says its slot is empty or deleted."""
_DEPTH_LIMIT = 16
_GROUPS_LIMIT = 1 << 13


class Entry(NamedTuple):
    """A key and its value as they lie in memory."""

    key: bytes
    value: bytes


class _Form(NamedTuple):
    """How a bucket or group of one map type is laid out, in bytes."""

    swiss: bool
    size: int
    keys: int
    key_step: int
    key_size: int
    key_apart: int
    """Bytes of a key the slot only has the address of, 0 where the key itself is in the slot."""
    values: int
    value_step: int
    value_size: int
    value_apart: int
    overflow: int


class GoMapReader:
    """Reads maps of a process. Keeps only how map types are laid out; not thread-safe."""

    def __init__(self, memory: MemoryReader, types: RuntimeTypes) -> None:
        self._memory = memory
        self._types = types
        self._forms: dict[int, _Form] = {}

    def count(self, map_address: int) -> int:
        """How many entries the map at *map_address* says it has; 0 for a nil map."""
        if not map_address:
            return 0
        count: int = _POINTER_TYPE.unpack(self._memory.read(map_address, _WORD))[0]
        return count

    def iter_entries(
        self, map_address: int, map_type: int, cancel: threading.Event | None = None
    ) -> Iterator[Entry]:
        """The entries of the map at *map_address*, what a variable of that type holds; none for a nil map.

        *map_type* is the address of the map type's descriptor. They come in no order. Raises DecodeError when
        it is no map, and after the last entry when they are not as many as it says; LimitExceeded for too
        many; TargetGone. A set *cancel* ends it early.
        """
        if not map_address:
            return
        form = self._form(map_type)
        read = self._iter_swiss if form.swiss else self._iter_old
        entries = read(map_address, form, cancel or threading.Event())
        before = self.count(map_address)
        if before > ENTRIES_LIMIT:
            raise LimitExceeded(f"a map of {before} entries, more than {ENTRIES_LIMIT}")
        found = 0
        for entry in entries:
            found += 1
            if found > before:
                break
            yield entry
            if not found % 1024 and cancel is not None and cancel.is_set():
                return
        if cancel is not None and cancel.is_set():
            return
        if found != before or self.count(map_address) != before:
            raise DecodeError(f"the map at {map_address:#x} changed while it was read")

    # --- the type ---

    def _form(self, map_type: int) -> _Form:
        form = self._forms.get(map_type)
        if form is None:
            form = self._forms[map_type] = self._find_form(map_type)
        return form

    def _find_form(self, map_type: int) -> _Form:
        types = self._types
        info, key, value = types.at(map_type), types.key_of(map_type), types.element_of(map_type)
        if info is None or info.kind != KIND_MAP or key is None or value is None:
            raise DecodeError(f"no map type at {map_type:#x}")
        inner = _TYPE_POINTERS.unpack(self._memory.read(map_type + _TYPE_SIZE, _TYPE_POINTERS.size))[2]
        layout = types.struct_at(inner)
        if layout is None:
            raise DecodeError(f"the map type at {map_type:#x} does not say how its entries are laid out")
        swiss = "ctrl" in layout.fields
        if swiss and "slots" in layout.fields:
            slots = layout.fields["slots"]
            slot = self._element(slots)
            pair = types.struct_at(slot)
            if pair is None:
                raise DecodeError(f"the slots of the map type at {map_type:#x} are no structs")
            keys, values, overflow = _field(pair, "key"), _field(pair, "elem"), 0
            key_at, value_at = slots.offset + keys.offset, slots.offset + values.offset
            key_step = value_step = pair.size
            key_type, value_type = keys.type, values.type
        else:
            if not swiss and _field(layout, "topbits").size != _SLOTS:
                raise DecodeError(f"the map type at {map_type:#x} has buckets of another form")
            keys, values = _field(layout, "keys"), _field(layout, "elems")
            overflow = 0 if swiss else _field(layout, "overflow").offset
            key_at, value_at = keys.offset, values.offset
            key_step, value_step = keys.size // _SLOTS, values.size // _SLOTS
            key_type, value_type = self._element(keys), self._element(values)
        key_apart = 0 if key_type == key.address else key.size
        value_apart = 0 if value_type == value.address else value.size
        form = _Form(
            swiss,
            layout.size,
            key_at,
            key_step,
            _WORD if key_apart else key.size,
            key_apart,
            value_at,
            value_step,
            _WORD if value_apart else value.size,
            value_apart,
            overflow,
        )
        if (
            max(key_at + 7 * key_step + form.key_size, value_at + 7 * value_step + form.value_size)
            > layout.size
        ):
            raise DecodeError(f"the entries of the map type at {map_type:#x} are larger than their place")
        return form

    def _element(self, array: Field) -> int:
        """The type of an array of one element for each slot."""
        element = self._types.element_of(array.type)
        if element is None or self._types.length_of(array.type) != _SLOTS:
            raise DecodeError("a map type whose entries are no array of eight")
        return element.address

    # --- Go 1.21 to 1.23 ---

    def _iter_old(self, address: int, form: _Form, cancel: threading.Event) -> Iterator[Entry]:
        _count, flags, log, _overflow, _seed, buckets, old = _HMAP.unpack(
            self._memory.read(address, _HMAP.size)
        )
        if log > _LOG_BUCKETS_LIMIT:
            raise LimitExceeded(f"a map of 2^{log} buckets, more than 2^{_LOG_BUCKETS_LIMIT}")
        budget = [(2 << log) + ENTRIES_LIMIT // _SLOTS]
        if buckets:  # made when the first entry comes
            yield from self._iter_buckets(buckets, 1 << log, form, budget, cancel, old=False)
        if old:
            same = flags & _SAME_SIZE_GROWTH or not log
            yield from self._iter_buckets(
                old, 1 << (log if same else log - 1), form, budget, cancel, old=True
            )

    def _iter_buckets(
        self, address: int, count: int, form: _Form, budget: list[int], cancel: threading.Event, *, old: bool
    ) -> Iterator[Entry]:
        """The entries of an array of buckets and what overflows from them; *old* ones may have moved out."""
        for place, data in self._iter_pieces(address, count, form.size, cancel):
            for start in range(0, len(data), form.size):
                if old and data[start] in _EVACUATED:
                    continue
                bucket, offset = data, start
                while True:
                    yield from self._decode_slots(bucket, offset, form)
                    (following,) = _POINTER_TYPE.unpack_from(bucket, offset + form.overflow)
                    if not following:
                        break
                    budget[0] -= 1
                    if budget[0] < 0:
                        raise DecodeError(f"the buckets at {place:#x} overflow without end")
                    bucket, offset = self._memory.read(following, form.size), 0

    # --- Go 1.24 and later ---

    def _iter_swiss(self, address: int, form: _Form, cancel: threading.Event) -> Iterator[Entry]:
        _used, directory, length, depth, _shift = _MAP.unpack(self._memory.read(address, _MAP.size))
        if length == 0:
            if directory:
                yield from self._decode_slots(self._memory.read(directory, form.size), 0, form)
            return
        if depth > _DEPTH_LIMIT or length != 1 << depth:
            raise DecodeError(f"the map at {address:#x} has a directory of absurd length")
        tables = struct.unpack(f"<{length}Q", self._memory.read(directory, _WORD * length))
        for table in dict.fromkeys(tables):
            _u, capacity, _left, local, _index, groups, mask = _TABLE.unpack(
                self._memory.read(table, _TABLE.size)
            )
            if mask >= _GROUPS_LIMIT or capacity != _SLOTS * (mask + 1) or local > depth:
                raise DecodeError(f"a table of the map at {address:#x} makes no sense")
            for _place, data in self._iter_pieces(groups, mask + 1, form.size, cancel):
                for start in range(0, len(data), form.size):
                    yield from self._decode_slots(data, start, form)

    # --- both ---

    def _iter_pieces(
        self, address: int, count: int, size: int, cancel: threading.Event
    ) -> Iterator[tuple[int, bytes]]:
        """An array of *count* things of *size* bytes, as (address, bytes) of whole ones."""
        step = max(1, _CHUNK // size)
        for first in range(0, count, step):
            if cancel.is_set():
                return
            number = min(step, count - first)
            place = address + first * size
            yield place, self._memory.read(place, number * size)

    def _decode_slots(self, data: bytes, offset: int, form: _Form) -> Iterator[Entry]:
        """The entries of the bucket or group at *offset*."""
        marks = data[offset : offset + _SLOTS]
        swiss = form.swiss
        for slot in range(_SLOTS):
            mark = marks[slot]
            if mark & _FREE if swiss else mark < _MIN_TOP_HASH:
                continue
            place = offset + form.keys + slot * form.key_step
            key = data[place : place + form.key_size]
            place = offset + form.values + slot * form.value_step
            value = data[place : place + form.value_size]
            if form.key_apart:
                key = self._memory.read(_POINTER_TYPE.unpack(key)[0], form.key_apart)
            if form.value_apart:
                value = self._memory.read(_POINTER_TYPE.unpack(value)[0], form.value_apart)
            yield Entry(key, value)


def _field(layout: StructLayout, name: str) -> Field:
    field = layout.fields.get(name)
    if field is None:
        raise DecodeError(f"{layout.name} has no field {name}")
    return field
