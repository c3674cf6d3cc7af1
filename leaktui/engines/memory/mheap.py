"""runtime.mheap_.allspans: every run of pages (mspan) the runtime's heap was ever divided into.

Law: nothing describes runtime.mheap, so its list of spans is looked for near what the machine code of the
sweeper and the allocator mentions, then in all variables. It is believed only if what it lists are spans whose
fields agree with each other (runtime/mheap.go `mheap`, `mspan`, `initSpan`; Go 1.22 to 1.27).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from leaktui.binary.executable import Executable
from leaktui.binary.mentions import iter_mentions
from leaktui.binary.runtime_types import StructLayout
from leaktui.engines.memory.packed_fields import pack_fields
from leaktui.engines.memory.pointer_slices import iter_pointer_slices, read_pointer_slice
from leaktui.engines.memory.reader import CachedMemory, MemoryReader
from leaktui.engines.memory.runtime_layout import RuntimeLayout
from leaktui.errors import DecodeError, EngineUnavailable

PAGE_SIZE = 8192
"""The runtime's page (runtime/sizeclasses.go _PageSize)."""

IN_USE, MANUAL = 1, 2
"""mSpanState: holds objects; managed by hand (goroutine stacks, the collector's work buffers)."""

SPANS_LIMIT = 16 << 20
"""More spans than leaktui reads."""

_ADDRESS_LIMIT = 1 << 48
_SAMPLE = 256
_GOOD_SHARE = 0.95
_WINDOW = 160 << 10  # mheap_.pages, before allspans, is about 70 kB
_LOOKS = 3
_COLLECTIONS = 64  # twice those that may happen while a sample is read

# Those that use mheap_'s fields by name, then those that mention its address.
_SWEEPERS = ("runtime.gcSweep", "runtime.finishsweep_m", "runtime.sweepone", "runtime.bgsweep")
_ALLOCATORS = (
    "runtime.mallocinit",
    "runtime.(*mcache).refill",
    "runtime.(*mcache).allocLarge",
    "runtime.stackalloc",
    "runtime.schedinit",
)

_FIELDS = (
    ("startAddr", 8),
    ("npages", 8),
    ("freeindex", 2),
    ("nelems", 2),
    ("allocBits", 8),
    ("gcmarkBits", 8),
    ("sweepgen", 4),
    ("allocCount", 2),
    ("spanclass", 1),
    ("state", 1),
    ("elemsize", 8),
    ("limit", 8),
    ("isUserArenaChunk", 1),
    ("largeType", 8),
)


class SpanState(NamedTuple):
    """What we read of a runtime.mspan, in the order of `_FIELDS`."""

    start: int
    pages: int
    free_index: int
    places: int
    alloc_bits: int
    mark_bits: int
    sweep_generation: int
    alloc_count: int
    span_class: int
    state: int
    element_size: int
    limit: int
    user_arena: int
    large_type: int


class SpanLayout:
    """Decodes runtime.mspan structs as this program has them."""

    def __init__(self, layout: StructLayout) -> None:
        """Raises EngineUnavailable when a field is missing or of another size."""
        places = []
        for name, size in _FIELDS:
            field = layout.fields.get(name)
            if field is None or field.size != size:
                raise unusable(
                    f"runtime.mspan has no field {name} of {size} bytes", "the layout of runtime.mspan"
                )
            places.append((field.offset, size))
        self.size = layout.size
        """Bytes of a runtime.mspan."""
        self._struct, self._pick = pack_fields(places)

    def decode(self, data: bytes, offset: int = 0) -> SpanState:
        """The runtime.mspan at *offset* of *data*; raises struct.error when *data* ends inside it."""
        return SpanState._make(self._pick(self._struct.unpack_from(data, offset)))


@dataclass(frozen=True, slots=True)
class SpanList:
    """Where runtime.mheap_.allspans is, and how to read what it lists.

    `sweep_generation` is the address of mheap_.sweepgen, 0 where it did not prove to be just before.
    """

    address: int
    sweep_generation: int
    layout: SpanLayout

    def read_generation(self, memory: MemoryReader) -> int:
        """mheap_.sweepgen, 2 more after every GC; 0 where it is not known."""
        if not self.sweep_generation:
            return 0
        return int.from_bytes(memory.read(self.sweep_generation, 4), "little")


def unusable(reason: str, check: str) -> EngineUnavailable:
    """The refusal that names the self-check that failed."""
    return EngineUnavailable(
        f"{reason} (self-check: {check})",
        remedy="use its pprof endpoint, and report the Go release this program was built with",
    )


def find_span_list(executable: Executable, memory: MemoryReader, layout: RuntimeLayout) -> SpanList:
    """runtime.mheap_.allspans in the process; raises EngineUnavailable when nothing proves to be it."""
    mspan = layout.types.find_struct("runtime.mspan", "runtime")
    if mspan is None:
        raise unusable("the runtime's type descriptors do not include runtime.mspan", "type descriptors")
    spans = SpanLayout(mspan)
    operands = tuple(dict.fromkeys(_iter_operands(executable, layout, _SWEEPERS)))
    # A heap that is swept at this moment may look odd; what the sweepers mention is worth another look.
    for candidates in (
        *((operands,) * _LOOKS),
        _iter_windows(executable, memory, layout),
        iter_pointer_slices(memory, layout.data, layout.data[1], SPANS_LIMIT),
    ):
        best, length = None, 0
        cached = CachedMemory(memory)
        for address in dict.fromkeys(candidates):
            found = _checked(cached, layout, spans, address)
            if found is not None and found[1] > length:
                best, length = found
        if best is not None:
            return best
    raise unusable("the runtime's list of heap spans was not found", "allspans")


def read_span_list(memory: MemoryReader, address: int) -> tuple[int, ...]:
    """The addresses of all runtime.mspan; raises DecodeError when the slice keeps moving or makes no sense."""
    return read_pointer_slice(memory, address, SPANS_LIMIT, "the list of heap spans")


def is_plausible(span: SpanState) -> bool:
    """Whether *span* can be one that is in use, with fields that agree as initSpan leaves them."""
    if span.state not in (IN_USE, MANUAL) or span.start % PAGE_SIZE or not 0 < span.start < _ADDRESS_LIMIT:
        return False
    size = span.pages * PAGE_SIZE
    if not 0 < size <= _ADDRESS_LIMIT:
        return False
    if span.state == MANUAL:
        return span.places == 0 and span.element_size <= size
    if span.user_arena:
        return span.places == 1
    return (
        span.places > 0
        and span.element_size > 0
        and span.element_size * span.places <= size
        # The end of the objects, or (Go 1.22) of the room for them; large objects may end before their pages do.
        and (span.start + span.element_size * span.places <= span.limit or span.places == 1)
        and span.start < span.limit <= span.start + size
        and span.free_index <= span.places
        and span.alloc_bits % 8 == span.mark_bits % 8 == 0
    )


def _iter_operands(executable: Executable, layout: RuntimeLayout, names: Iterable[str]) -> Iterator[int]:
    """Where allspans may be if the named functions mention mheap_.sweepgen, allspans or their neighbours."""
    for address in _iter_mentioned(executable, layout, names):
        for start in (address + 8, address, address - 8, address - 16):
            if start % 8 == 0 and layout.data[0] <= start <= layout.data[1] - 24:
                yield start


def _iter_windows(executable: Executable, memory: MemoryReader, layout: RuntimeLayout) -> Iterator[int]:
    """What looks like a slice of pointers after the variables that the allocator mentions."""
    end = 0
    for address in sorted(set(_iter_mentioned(executable, layout, _SWEEPERS + _ALLOCATORS))):
        start = max(address, end)
        end = min(address + _WINDOW, layout.data[1])
        if start < end:
            yield from iter_pointer_slices(memory, (start, end), layout.data[1], SPANS_LIMIT)


def _iter_mentioned(executable: Executable, layout: RuntimeLayout, names: Iterable[str]) -> Iterator[int]:
    """Addresses of variables that the code of the named functions mentions."""
    for mention in iter_mentions(executable, names):
        address = mention.address + layout.bias & ~7
        if layout.data[0] <= address < layout.data[1]:
            yield address


def _checked(
    memory: CachedMemory, layout: RuntimeLayout, spans: SpanLayout, address: int
) -> tuple[SpanList, int] | None:
    """The list at *address* and its length, if a sample of it are spans; None otherwise."""
    try:
        pointer, length, capacity = struct.unpack("<QQQ", memory.read(address, 24))
        if not pointer or pointer % 8 or not 0 < length <= capacity <= SPANS_LIMIT:
            return None
        before = int.from_bytes(memory.read(address - 8, 4), "little")
        places = sorted({length * number // _SAMPLE for number in range(_SAMPLE)})
        states = []
        for place in places:
            (span,) = struct.unpack("<Q", memory.read(pointer + 8 * place, 8))
            if span % 8 or not span:
                return None
            states.append(spans.decode(memory.read(span, spans.size)))
        memory.clear()
        after = int.from_bytes(memory.read(address - 8, 4), "little")
    except DecodeError:
        return None
    # A span that is given back keeps its struct, dead, until another takes it.
    used = [state for state in states if state.state in (IN_USE, MANUAL)]
    good = [state for state in used if is_plausible(state)]
    if not used or len(good) < len(used) * _GOOD_SHARE or any(state.state > MANUAL for state in states):
        return None
    if len({state.start for state in good}) < len(good) * _GOOD_SHARE:
        return None  # pages go from one span to another, but not as often
    return SpanList(address, address - 8 if _is_generation(before, after, good) else 0, spans), length


def _is_generation(before: int, after: int, spans: list[SpanState]) -> bool:
    """Whether mheap_.sweepgen was *before* and *after*: even, each span as far from it as mheap.go says."""
    ours = [span.sweep_generation for span in spans if span.state == IN_USE]
    near = sum(1 for generation in ours if before - 2 <= generation <= after + 3)
    possible = before % 2 == after % 2 == 0 and before <= after <= before + _COLLECTIONS
    return possible and len(ours) > 0 and near >= len(ours) * _GOOD_SHARE
