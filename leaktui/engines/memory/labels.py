"""The labels runtime/pprof.SetGoroutineLabels gave to a goroutine.

Law: a label set is never changed once it is set (runtime/pprof/label.go, Go 1.24 to 1.27: a slice of pairs of
strings), so reading it while the program runs is safe; what does not look like one is no label.
"""

from __future__ import annotations

import struct

from leaktui.engines.memory.reader import MemoryReader
from leaktui.errors import DecodeError
from leaktui.model.goroutine import Labels
from leaktui.text import printable

_PAIR = struct.Struct("<QQQQ")
_LABELS_LIMIT = 64
_LENGTH_LIMIT = 1 << 12


def read_labels(memory: MemoryReader, address: int) -> Labels:
    """The label set at *address*, sorted by key; empty where there is none."""
    try:
        pointer, length, capacity = struct.unpack("<QQQ", memory.read(address, 24))
        if not 0 < length <= capacity or length > _LABELS_LIMIT:
            return ()
        pairs = []
        for key, key_size, value, value_size in _PAIR.iter_unpack(memory.read(pointer, _PAIR.size * length)):
            if key_size > _LENGTH_LIMIT or value_size > _LENGTH_LIMIT:
                return ()
            pairs.append((_read_text(memory, key, key_size), _read_text(memory, value, value_size)))
    except DecodeError:
        return ()
    return tuple(sorted(pairs))


def _read_text(memory: MemoryReader, address: int, size: int) -> str:
    return printable(memory.read(address, size).decode("utf-8", "replace")) if size else ""
