"""The ancestors of a goroutine, which the runtime keeps under GODEBUG=tracebackancestors.

Law: a record is written once, before its goroutine runs, and never changed; what does not look like one is none.
Frames are chosen as in a dump (runtime/traceback.go `printAncestorTraceback`, runtime/proc.go `saveAncestors`).
"""

from __future__ import annotations

import struct
from dataclasses import replace

from leaktui.engines.memory.reader import MemoryReader
from leaktui.engines.memory.runtime_layout import RuntimeLayout
from leaktui.engines.memory.unwind import Unwinder
from leaktui.errors import DecodeError
from leaktui.model.frame import Frame
from leaktui.model.goroutine import Ancestor
from leaktui.wire.runtime_frames import hide_runtime_frames, is_runtime_function

ANCESTORS_LIMIT = 32
"""Generations told of."""

_DEPTH_LIMIT = 128
_CACHED = 1 << 12
_PANIC = "runtime.gopanic"


class AncestorReader:
    """Reads records of ancestors; each set of records once for all goroutines that share it."""

    def __init__(self, memory: MemoryReader, layout: RuntimeLayout, unwinder: Unwinder) -> None:
        self._memory = memory
        self._unwinder = unwinder
        self._types = layout.types
        self._record: struct.Struct | None = None
        self._described = False
        self._size = 0
        self._known: dict[bytes, Ancestor] = {}

    def read(self, address: int) -> tuple[Ancestor, ...]:
        """The ancestors whose slice is at *address*, the closest first. Raises TargetGone."""
        record = self._described_record()
        if record is None:
            return ()
        try:
            pointer, length, capacity = struct.unpack("<QQQ", self._memory.read(address, 24))
            if not 0 < length <= capacity:
                return ()
            count = min(length, ANCESTORS_LIMIT)
            data = self._memory.read(pointer, count * self._size)
            return tuple(
                self._ancestor(record, data[start : start + self._size])
                for start in range(0, len(data), self._size)
            )
        except DecodeError:
            return ()

    def _described_record(self) -> struct.Struct | None:
        """runtime.ancestorInfo: its pcs (pointer, length), goid and gopc."""
        if not self._described:
            self._described = True
            layout = self._types.find_struct("runtime.ancestorInfo", "runtime")
            places = [layout.fields[name].offset for name in ("pcs", "goid", "gopc")] if layout else []
            if layout is not None and places == [0, 24, 32]:
                self._record, self._size = struct.Struct("<QQ8xQQ"), layout.size
        return self._record

    def _ancestor(self, record: struct.Struct, data: bytes) -> Ancestor:
        known = self._known.get(data)
        if known is not None:
            return known
        pointer, depth, goid, creator = record.unpack_from(data)
        if depth > _DEPTH_LIMIT:
            raise DecodeError("the stack of an ancestor is absurdly deep")
        pcs = struct.unpack(f"<{depth}Q", self._memory.read(pointer, 8 * depth)) if depth else ()
        frames: list[Frame] = []
        for number, pc in enumerate(pcs):
            name = self._unwinder.function_name(pc)
            # Unlike elsewhere it is the function that has the pc that is hidden or not, and of the calls
            # inlined there the innermost that is named.
            if is_runtime_function(name) and not (number and name == _PANIC):
                continue
            frames += [replace(frame, inlined=False) for frame in self._unwinder.frames_exactly_at(pc)[:1]]
        created_by = self._unwinder.creator(creator) if creator and goid != 1 else None
        ancestor = Ancestor(goid, hide_runtime_frames(tuple(frames)), created_by)
        if len(self._known) >= _CACHED:
            self._known.clear()
        self._known[data] = ancestor
        return ancestor
