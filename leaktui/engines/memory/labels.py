"""The labels runtime/pprof.SetGoroutineLabels gave to a goroutine.

Law: a label set is never changed once it is set, so reading it while the program runs is safe; what does not
look like one is no label. It is a slice of pairs of strings from Go 1.24 on (runtime/pprof/label.go), and
before that a map, of which only those of one bucket, 8 labels, are read (runtime/map.go `hmap`, `bmap`).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import Enum

from leaktui.engines.memory.reader import MemoryReader
from leaktui.errors import DecodeError
from leaktui.model.goroutine import Labels
from leaktui.text import printable

_STRING = struct.Struct("<QQ")
_LABELS_LIMIT = 64
_LENGTH_LIMIT = 1 << 12
_HMAP = struct.Struct("<QBBHIQ")
_SLOTS = 8
_BUCKET_SIZE = _SLOTS * (1 + 2 * _STRING.size)
_FULL = 5  # minTopHash: smaller ones mark empty slots


class LabelForm(Enum):
    """How runtime.g.labels leads to the labels."""

    SLICE = "slice"
    MAP = "map"
    NONE = "none"


def read_labels(memory: MemoryReader, address: int, form: LabelForm) -> Labels:
    """The label set at *address*, sorted by key; empty where there is none. Raises TargetGone."""
    try:
        if form is LabelForm.SLICE:
            strings = _read_slice(memory, address)
        elif form is LabelForm.MAP:
            strings = _read_map(memory, address)
        else:
            return ()
        texts = [_read_text(memory, pointer, size) for pointer, size in strings]
    except DecodeError:
        return ()
    return tuple(sorted(zip(texts[::2], texts[1::2], strict=True)))


def _read_slice(memory: MemoryReader, address: int) -> list[tuple[int, int]]:
    """The strings, key after value after key, as (address, size)."""
    pointer, length, capacity = struct.unpack("<QQQ", memory.read(address, 24))
    if not 0 < length <= capacity or length > _LABELS_LIMIT:
        return []
    return list(_iter_strings(memory.read(pointer, 2 * _STRING.size * length)))


def _read_map(memory: MemoryReader, address: int) -> list[tuple[int, int]]:
    (head,) = struct.unpack("<Q", memory.read(address, 8))
    count, _flags, log_buckets, _overflow, _seed, bucket = _HMAP.unpack(memory.read(head, _HMAP.size))
    if log_buckets or not 0 < count <= _SLOTS:
        return []
    data = memory.read(bucket, _BUCKET_SIZE)
    middle = _SLOTS * (1 + _STRING.size)
    keys, values = list(_iter_strings(data[_SLOTS:middle])), list(_iter_strings(data[middle:]))
    found = []
    for slot in range(_SLOTS):
        if data[slot] >= _FULL:
            found += [keys[slot], values[slot]]
    return found if len(found) == 2 * count else []


def _iter_strings(data: bytes) -> Iterator[tuple[int, int]]:
    yield from _STRING.iter_unpack(data)


def _read_text(memory: MemoryReader, address: int, size: int) -> str:
    if size > _LENGTH_LIMIT:
        raise DecodeError("a label of absurd length")
    return printable(memory.read(address, size).decode("utf-8", "replace")) if size else ""
