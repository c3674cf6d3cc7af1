"""Roots besides goroutine stacks: the program's variables, and what the runtime keeps beside the heap.

Law: a word of a variable counts only if the linker's pointer mask says it may be a pointer (moduledata.gcdatamask,
gcbssmask). Of an object's specials the functions of finalizers and cleanups are roots, and an object with a
finalizer holds what it points to without being held itself (runtime/mgcmark.go `markrootSpans`,
`gcScanFinalizer`, Go 1.22 to 1.27). What kind a special is, its content says: the numbers differ by release.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from leaktui.binary.runtime_types import KIND_POINTER
from leaktui.engines.memory.attachment import Attachment
from leaktui.engines.memory.heap_map import HeapMap, Span
from leaktui.engines.memory.near_structs import iter_structs
from leaktui.engines.memory.reader import READ_LIMIT
from leaktui.engines.memory.word_search import WordSearch
from leaktui.errors import DecodeError

_SPECIALS_LIMIT = 1 << 20
_SPECIALS_A_SPAN = 1 << 12
_WORDS = struct.Struct("<QQQQ")
_RESULTS_LIMIT = 64


class GlobalPointers:
    """Finds the variables of *attachment* that point into given ranges."""

    def __init__(self, attachment: Attachment) -> None:
        self._memory = attachment.memory
        variables = attachment.layout.variables
        self._sections = [
            (section, self._read_mask(mask, section))
            for section, mask in ((variables.data, variables.data_mask), (variables.bss, variables.bss_mask))
            if section[0] < section[1]
        ]
        self.scanned = 0
        """Bytes the last `iter_pointers` went through."""
        self.unknown = 0
        """Pieces of memory the last `iter_pointers` could not read."""

    def iter_pointers(self, search: WordSearch, cancel: threading.Event) -> Iterator[tuple[int, int]]:
        """(address, value) of the variables' words that point into a range of *search*. Raises TargetGone."""
        self.scanned = self.unknown = 0
        for (start, end), mask in self._sections:
            start = (start + 7) & ~7
            for place in range(start, end - 7, READ_LIMIT):
                if cancel.is_set():
                    return
                try:
                    data = self._memory.read(place, min(READ_LIMIT, end - place))
                except DecodeError:
                    self.unknown += 1
                    continue
                self.scanned += len(data)
                for offset, value in search.iter_hits(data):
                    word = (place + offset - start) // 8
                    if not mask or (word // 8 < len(mask) and mask[word // 8] >> word % 8 & 1):
                        yield place + offset, value

    def _read_mask(self, address: int, section: tuple[int, int]) -> bytes:
        """The section's pointer mask, a bit per word; empty where it is not known."""
        if not address:
            return b""
        words = (section[1] - section[0] + 7) // 8
        try:
            return self._memory.read(address, min((words + 7) // 8, READ_LIMIT))
        except DecodeError:
            return b""


class SpecialPointer(NamedTuple):
    """A pointer of the runtime's own at `address`; `what` names it, for the object that begins at `object`."""

    address: int
    value: int
    what: str
    object: int


@dataclass(frozen=True, slots=True)
class Specials:
    """What hangs on the heap's objects. `finalized` are the starts of those with a finalizer.

    They come with the address of the type of a pointer to them.
    """

    pointers: tuple[SpecialPointer, ...]
    finalized: Mapping[int, int]
    whole: bool


def read_specials(attachment: Attachment, heap: HeapMap, cancel: threading.Event) -> Specials:
    """The finalizers and cleanups of all objects, as far as they can be read. Raises TargetGone."""
    types = attachment.layout.types
    mspan = types.find_struct("runtime.mspan", "runtime")
    special = types.find_struct("runtime.special", "runtime")
    head = mspan.fields.get("specials") if mspan is not None else None
    following = special.fields.get("next") if special is not None else None
    offset = special.fields.get("offset") if special is not None else None
    if head is None or special is None or following is None or offset is None or offset.size not in (2, 8):
        return Specials((), {}, whole=False)
    spans = {span.address: span for span in heap.iter_spans()}
    pointers: list[SpecialPointer] = []
    finalized: dict[int, int] = {}
    whole = True
    seen = 0
    reader = _SpecialReader(attachment)
    for address, data in iter_structs(attachment.memory, sorted(spans), head.offset + 8):
        if cancel.is_set():
            return Specials((), {}, whole=False)
        place = int.from_bytes(data[head.offset :], "little")
        span = spans[address]
        count = 0
        while place and count < _SPECIALS_A_SPAN and seen < _SPECIALS_LIMIT:
            count, seen = count + 1, seen + 1
            try:
                record = attachment.memory.read(place, special.size + _WORDS.size)
            except DecodeError:
                whole = False
                break
            at = int.from_bytes(record[offset.offset : offset.offset + offset.size], "little")
            start = _object_start(span, at)
            finalizer, found = reader.decode(record, special.size)
            if finalizer:
                finalized[start] = finalizer
            pointers += [SpecialPointer(place + word, value, what, start) for word, value, what in found]
            place = int.from_bytes(record[following.offset : following.offset + 8], "little")
        whole = whole and not place
    return Specials(tuple(pointers), finalized, whole)


def _object_start(span: Span, offset: int) -> int:
    """The start of the object at *offset* in its span; tiny objects share one."""
    return span.start + offset // span.element_size * span.element_size if span.element_size else span.start


class _SpecialReader:
    """Says what a special is by what follows its header."""

    def __init__(self, attachment: Attachment) -> None:
        self._attachment = attachment
        self._types = attachment.layout.types
        # Since Go 1.26 a cleanup is (call, function, argument), before it was the function alone.
        self._triple = self._types.find_struct("runtime.cleanupFn", "runtime") is not None

    def decode(self, record: bytes, start: int) -> tuple[int, list[tuple[int, int, str]]]:
        """The pointer type of a finalizer's object, 0 for others; and its pointers: (offset, value, what)."""
        first, second, third, fourth = _WORDS.unpack_from(record, start)
        if second <= _RESULTS_LIMIT and third and fourth:
            # specialfinalizer: fn, nret, fint, ot
            own, given = self._types.at(fourth), self._types.at(third)
            if own is not None and own.kind == KIND_POINTER and given is not None:
                return fourth, [(start, first, "finalizer")]
        if self._triple and self._is_function(first) and self._is_function(second):
            return 0, [(start + 8, second, "cleanup"), (start + 16, third, "cleanup's argument")]
        return 0, [(start, first, "cleanup" if self._is_function(first) else "special")]

    def _is_function(self, value: int) -> bool:
        """Whether *value* points to a function value: a word that is a function's entry."""
        attachment = self._attachment
        try:
            entry = int.from_bytes(attachment.memory.read(value, 8), "little") - attachment.bias
        except DecodeError:
            return False
        table = attachment.executable.pc_lines
        index = table.index_at(entry) if entry > 0 else None
        return index is not None and table.entry(index) == entry
