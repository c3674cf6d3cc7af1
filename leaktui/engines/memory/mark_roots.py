"""Where marking begins, besides goroutines: variables, objects with finalizers, and what is queued to be finalized.

Law: the roots are the collector's (runtime/mgcmark.go `markroot`, Go 1.22 to 1.27), or more. Variables count where
the runtime's masks say that a pointer is, all their words where there is no mask. An object somebody may get hold of
without a pointer to it (by its finalizer, its cleanup, a weak pointer) is a root.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterator

from leaktui.binary.mentions import iter_mentions
from leaktui.engines.memory.attachment import Attachment
from leaktui.engines.memory.heap_map import HeapMap
from leaktui.engines.memory.marking import Marking, select_words
from leaktui.engines.memory.reader import CachedMemory
from leaktui.errors import DecodeError, EngineUnavailable

_BLOCK = 4096
"""_FinBlockSize (runtime/mfinal.go); a block of cleanups is smaller."""

_BLOCKS_LIMIT = 1 << 14
_LINKS = (0, 2)
"""Words of a block that point at another: finblock.alllink, cleanupBlock.alllink after an lfnode."""

_SPECIALS_LIMIT = 1 << 22
_SPECIAL_WORDS = 4
"""Of a special, after its head: specialfinalizer.fn, nret, fint, ot; specialCleanup's function and argument."""

_CHUNK = 4 << 20


class MarkRoots:
    """Marks the roots of one process. Not thread-safe."""

    def __init__(self, attachment: Attachment) -> None:
        """Raises EngineUnavailable when a part of the runtime is not as known ones."""
        self._memory = attachment.memory
        layout = attachment.layout
        self._variables = layout.variables
        self._text = _text_range(attachment)
        types = layout.types
        mspan = types.find_struct("runtime.mspan", "runtime")
        special = types.find_struct("runtime.special", "runtime")
        specials = mspan.fields.get("specials") if mspan is not None else None
        if mspan is None or special is None or specials is None or specials.size != 8:
            raise _unusable("the runtime's lists of specials are not described")
        if {"next", "offset", "kind"} - special.fields.keys() or special.fields["next"].offset:
            raise _unusable("runtime.special is not as known ones")
        self._mspan_size, self._specials = mspan.size, specials.offset
        self._special_size = special.size
        self._offset = special.fields["offset"]
        self._masks: list[tuple[int, int, bytes]] | None = None
        self._queues = tuple(dict.fromkeys(_iter_queues(attachment)))
        if not self._queues:
            raise _unusable("the queue of finalizers was not found")
        self._module = _Modules(attachment)

    def mark_variables(self, marking: Marking) -> None:
        """Mark what variables point to. Raises DecodeError where they cannot be read."""
        if self._module.has_more():
            raise DecodeError("the program has plugins loaded, whose variables are not looked at")
        if self._masks is None:
            self._masks = [
                (start, end - start, self._memory.read(mask, (end - start + 63) // 64) if mask else b"")
                for start, end, mask in (
                    (*self._variables.data, self._variables.data_mask),
                    (*self._variables.bss, self._variables.bss_mask),
                )
                if start < end
            ]
        for start, size, mask in self._masks:
            # 64 bytes of variables have a byte of mask.
            for place in range(0, size, _CHUNK):
                data = self._memory.read(start + place, min(_CHUNK, size - place))
                if mask:
                    marking.mark_words(select_words(data, mask[place // 64 : (place + len(data) + 63) // 64]))
                else:
                    marking.mark_bytes(data)

    def mark_queues(self, marking: Marking) -> None:
        """Mark what is queued for the goroutines that run finalizers and cleanups."""
        known: set[int] = set()
        todo = []
        for address in self._queues:
            try:
                todo.append(struct.unpack("<Q", self._memory.read(address, 8))[0])
            except DecodeError:
                continue
        while todo and len(known) < _BLOCKS_LIMIT:
            block = todo.pop()
            # The blocks are in memory of the runtime's own (persistentalloc), never in the heap.
            if block in known or block % 8 or block < _BLOCK or marking.has_span(block):
                continue
            known.add(block)
            data = self._read_block(block)
            if data is None:
                continue
            words = memoryview(data).cast("Q")
            marking.mark_words(words)
            todo += [words[link] for link in _LINKS]

    def mark_specials(self, marking: Marking, heap: HeapMap, cancel: threading.Event) -> None:
        """Mark objects that have finalizers, cleanups or weak pointers, and what these hold."""
        cached = CachedMemory(self._memory)
        count = 0
        for number, span in enumerate(heap.iter_spans()):
            if not number % 1024 and cancel.is_set():
                return
            try:
                # The structs of spans lie side by side, so a page of them costs one read.
                (at,) = struct.unpack("<Q", cached.read(span.address + self._specials, 8))
            except DecodeError:
                continue
            while at:
                count += 1
                if count > _SPECIALS_LIMIT:
                    raise DecodeError("a list of specials has no end")
                try:
                    at = self._mark_special(marking, cached, at, span.start, span.size)
                except DecodeError:
                    marking.torn += 1
                    break

    def _mark_special(self, marking: Marking, memory: CachedMemory, at: int, start: int, size: int) -> int:
        """Returns the address of the next."""
        data = memory.read(at, self._special_size + 8 * _SPECIAL_WORDS)
        offset = int.from_bytes(data[self._offset.offset : self._offset.offset + self._offset.size], "little")
        words = struct.unpack_from(f"<{_SPECIAL_WORDS}Q", data, self._special_size)
        marking.mark_words(words)
        holds = words[0]
        # A sampled object's special has its bucket there, which is in no span and no function value.
        if offset < size and (marking.low <= holds < marking.high or self._is_function(memory, holds)):
            marking.mark_words((start + offset,))
        following: int = struct.unpack_from("<Q", data)[0]
        return following

    def _is_function(self, memory: CachedMemory, value: int) -> bool:
        """Whether there is a function value (a word that points into text) at *value*, or it is code itself."""
        if self._text[0] <= value < self._text[1]:
            return True
        if value % 8 or not value:
            return False
        try:
            (entry,) = struct.unpack("<Q", memory.read(value, 8))
        except DecodeError:
            return False
        return bool(self._text[0] <= entry < self._text[1])

    def _read_block(self, block: int) -> bytes | None:
        for size in (_BLOCK, 512):
            try:
                return self._memory.read(block, size)
            except DecodeError:
                continue
        return None


class _Modules:
    """Whether there is more than one module (plugins): moduledata.next."""

    def __init__(self, attachment: Attachment) -> None:
        self._memory = attachment.memory
        module = attachment.executable.module_data
        layout = attachment.layout.types.find_struct("runtime.moduledata", "runtime")
        following = layout.fields.get("next") if layout is not None else None
        if module is None or following is None or following.size != 8:
            raise _unusable("the list of modules is not described")
        self._next = module.address + attachment.bias + following.offset

    def has_more(self) -> bool:
        return self._memory.read(self._next, 8) != bytes(8)


def _text_range(attachment: Attachment) -> tuple[int, int]:
    module = attachment.executable.module_data
    if module is None:  # not so where there is an Attachment
        raise _unusable("the runtime's moduledata was not found")
    return module.text + attachment.bias, module.etext + attachment.bias


def _iter_queues(attachment: Attachment) -> Iterator[int]:
    """Addresses of variables that markroot mentions: those of the blocks of finalizers and cleanups are among them."""
    start, end = attachment.layout.data
    for mention in iter_mentions(attachment.executable, ("runtime.markroot", "runtime.queuefinalizer")):
        address = mention.address + attachment.bias
        if address % 8 == 0 and start <= address < end:
            yield address


def _unusable(reason: str) -> EngineUnavailable:
    return EngineUnavailable(
        f"{reason} (self-check: roots)",
        remedy="report the Go release this program was built with",
    )
