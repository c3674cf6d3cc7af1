"""The heap profile from the process's memory: the runtime's own buckets, one per allocation stack and size.

Law: the buckets are found by machine code and believed when their hashes are those of their stacks; the figures
are those of the last completed GC, scaled and shown as pprof shows them (runtime/mprof.go, runtime/pprof/protomem.go;
Go 1.22 to 1.27), so that a profile read here and one fetched there can be compared frame by frame.
"""

from __future__ import annotations

import math
import struct
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from leaktui.binary.mentions import iter_mentions
from leaktui.engines.memory.attachment import Attachment
from leaktui.engines.memory.reader import CachedMemory
from leaktui.errors import DecodeError
from leaktui.model.frame import Frame, Stack
from leaktui.model.profile import AllocSite, HeapProfile

BUCKETS_LIMIT = 1 << 20
"""More buckets than leaktui reads; a large service has some ten thousands."""

_BUCKET = struct.Struct("<8xQQQQQ")  # next, allnext, typ, hash, size, nstk
_BUCKET_SIZE = 48
_TWO = struct.Struct("<QQ")
_MEMORY_PROFILE = 1  # bucketType memProfile
_STACK_LIMIT = 1024 + 8  # GODEBUG profstackdepth at most, and room for its inlined calls
_RECORDS = 4  # of memRecord: active and a ring of three
_WIDE, _NARROW = 4, 2  # words of memRecordCycle: with bytes, and (Go 1.27) without
_AGREEING = 0.95
_HASHES_CHECKED = 32
_WIDTHS_CHECKED = 2000
_TRIES = 3
_CANCEL_EVERY = 1024
_WORD = (1 << 64) - 1
_RATE_LIMIT = 1 << 62

# Those that mention mbuckets, the one that mentions little else first.
_MENTION_BUCKETS = (
    "runtime.mProf_FlushLocked",
    "runtime.memProfileInternal",
    "runtime.MemProfile",
    "runtime.stkbucket",
)
_HIDDEN = ("runtime.", "internal/runtime/")
_OUTERMOST = "runtime.goexit"


class _Bucket(NamedTuple):
    """What was allocated with one stack (return addresses, innermost first), in objects of `size` bytes."""

    stack: tuple[int, ...]
    size: int
    record: tuple[int, ...]
    """The words of its memRecord, and others where that has fewer than we read."""
    place: int
    """The address of the record."""


class MemoryProfile:
    """The heap profile of one process."""

    def __init__(self, attachment: Attachment) -> None:
        self._attachment = attachment
        self._calls: dict[int, tuple[int, Stack]] = {}
        self._pairs: dict[tuple[int, int], Stack] = {}
        self._known: dict[Frame, Frame] = {}
        self._hidden: dict[int, bool] = {}

    @classmethod
    def read(cls, attachment: Attachment, cancel: threading.Event) -> HeapProfile | None:
        """The profile as of the last completed GC; None where there is none, or where *cancel* is set.

        A program that never asks for a heap profile has none: the linker then turns sampling off. Raises
        TargetGone, and DecodeError when the buckets make no sense.
        """
        return cls(attachment)._read(cancel)

    @classmethod
    def is_kept(cls, attachment: Attachment) -> bool:
        """Whether the program samples its allocations at all. Raises TargetGone."""
        return cls(attachment)._find_rate() > 0

    def _read(self, cancel: threading.Event) -> HeapProfile | None:
        rate = self._find_rate()
        head = self._find_buckets() if rate > 0 else 0
        if not head:
            return None
        for _ in range(_TRIES):
            buckets = self._read_buckets(head, cancel)
            # A GC that ends meanwhile publishes a cycle bucket by bucket.
            if cancel.is_set():
                return None
            if self._are_unchanged(buckets):
                break
        sites = self._sites(buckets, rate, cancel)
        return None if cancel.is_set() else HeapProfile(sites, time.time_ns(), rate)

    # --- where ---

    def _find_rate(self) -> int:
        """runtime.MemProfileRate: what runtime.profilealloc reads that is no pointer; 0 where that is not plain."""
        start, end = self._attachment.layout.variables.noptrdata
        found = {address for address in self._mentioned("runtime.profilealloc") if start <= address < end}
        if len(found) != 1:
            return 0
        rate: int = struct.unpack("<q", self._attachment.memory.read(found.pop(), 8))[0]
        return rate if rate < _RATE_LIMIT else 0

    def _find_buckets(self) -> int:
        """The first bucket of runtime.mbuckets, the newest; 0 for none."""
        layout = self._attachment.layout
        for address in dict.fromkeys(self._mentioned(*_MENTION_BUCKETS)):
            if layout.data[0] <= address <= layout.data[1] - 8:
                head = int.from_bytes(self._attachment.memory.read(address, 8), "little")
                if head and self._are_buckets(head):
                    return head
        return 0

    def _mentioned(self, *functions: str) -> Iterator[int]:
        """Addresses of the variables that the named functions read or point to."""
        for mention in iter_mentions(self._attachment.executable, functions):
            if mention.taken:
                yield mention.address + self._attachment.bias

    def _are_buckets(self, head: int) -> bool:
        """Whether what begins at *head* are buckets of the memory profile, with the hashes of their stacks."""
        memory = CachedMemory(self._attachment.memory)
        address = head
        for _ in range(_HASHES_CHECKED):
            try:
                following, kind, hashed, size, depth = _BUCKET.unpack(memory.read(address, _BUCKET_SIZE))
                if kind != _MEMORY_PROFILE or depth > _STACK_LIMIT:
                    return False
                stack = struct.unpack(f"<{depth}Q", memory.read(address + _BUCKET_SIZE, 8 * depth))
            except DecodeError:
                return False
            if hash_stack(stack, size) != hashed:
                return False
            address = following
            if not address:
                break
        return True

    # --- reading ---

    def _read_buckets(self, head: int, cancel: threading.Event) -> list[_Bucket]:
        """Every bucket from *head* on, some where *cancel* is set. Raises DecodeError."""
        memory = CachedMemory(self._attachment.memory, pages=BUCKETS_LIMIT)
        buckets: list[_Bucket] = []
        seen: set[int] = set()
        address = head
        while address:
            if len(buckets) % _CANCEL_EVERY == 0 and cancel.is_set():
                break
            if address in seen or len(buckets) >= BUCKETS_LIMIT:
                raise DecodeError("the list of memory profile buckets has no end")
            seen.add(address)
            following, kind, _, size, depth = _BUCKET.unpack(memory.read(address, _BUCKET_SIZE))
            if kind != _MEMORY_PROFILE or depth > _STACK_LIMIT:
                raise DecodeError("the list of memory profile buckets leads to something else")
            words = depth + _RECORDS * _WIDE
            try:
                data = memory.read(address + _BUCKET_SIZE, 8 * words)
            except DecodeError:
                words = depth + _RECORDS * _NARROW  # the last of the memory they are cut from
                data = memory.read(address + _BUCKET_SIZE, 8 * words)
            values = struct.unpack(f"<{words}Q", data)
            place = address + _BUCKET_SIZE + 8 * depth
            buckets.append(_Bucket(values[:depth], size, values[depth:], place))
            address = following
        return buckets

    def _are_unchanged(self, buckets: Sequence[_Bucket]) -> bool:
        """Whether the published figures are still those."""
        memory = CachedMemory(self._attachment.memory, pages=BUCKETS_LIMIT)
        return all(memory.read(bucket.place, 16) == _TWO.pack(*bucket.record[:2]) for bucket in buckets)

    # --- facts ---

    def _sites(self, buckets: Sequence[_Bucket], rate: int, cancel: threading.Event) -> tuple[AllocSite, ...]:
        """One site a stack, the newest first, as runtime/pprof's writeHeapProto lists them."""
        width = _width_of(buckets)
        # Before the first GC nothing is published, and pprof shows all there is (memProfileInternal).
        cycles = 1 if any(bucket.record[0] or bucket.record[1] for bucket in buckets) else _RECORDS
        totals: dict[tuple[int, ...], tuple[Stack, list[int]]] = {}
        for number, bucket in enumerate(buckets):
            if number % _CANCEL_EVERY == 0 and cancel.is_set():
                break
            allocs = sum(bucket.record[: cycles * width : width])
            frees = sum(bucket.record[1 : cycles * width : width])
            stack = self._stack(bucket.stack)
            # Equal frames are one object here, so their identities will do, and are quick to compare.
            _, total = totals.setdefault(tuple(map(id, stack)), (stack, [0, 0, 0, 0]))
            for at, count in ((0, allocs), (2, allocs - frees)):
                objects, size = scale_sample(count, bucket.size, rate)
                total[at] += objects
                total[at + 1] += size
        return tuple(AllocSite(stack, *total) for stack, total in totals.values())

    def _stack(self, pcs: tuple[int, ...]) -> Stack:
        """The calls at *pcs* without those of the runtime that lead to the allocation."""
        shown = next((at for at, pc in enumerate(pcs) if not self._is_hidden(pc)), 0)
        return self._expand(pcs[shown:]) or self._expand(pcs)

    def _expand(self, pcs: tuple[int, ...]) -> Stack:
        """The recorded pcs have one for each inlined call; only the last may stand for several, cut off."""
        frames: list[Frame] = []
        pairs = self._pairs
        for pair in zip(pcs, (*pcs[1:], 0), strict=True):
            found = pairs.get(pair)
            if found is None:
                found = pairs[pair] = self._frames_between(*pair)
            frames += found
        return tuple(frames)

    def _frames_between(self, pc: int, outer_pc: int) -> Stack:
        """What is shown of *pc* where *outer_pc* is recorded next, 0 for nothing.

        As in a fetched profile, a frame is inlined only if what it was inlined into is the next one.
        """
        function, frames = self._calls_at(pc)
        if not outer_pc:
            return self._interned((*frames[:-1], *(replace(frame, inlined=False) for frame in frames[-1:])))
        frames = frames[:1]
        if frames and frames[0].inlined:
            into, outer = self._calls_at(outer_pc)
            if into != function or not outer or outer[0].function == frames[0].function:
                frames = (replace(frames[0], inlined=False),)  # a wrapper, left out, is between them
        return self._interned(frames)

    def _interned(self, frames: Stack) -> Stack:
        return tuple(self._known.setdefault(frame, frame) for frame in frames)

    def _calls_at(self, pc: int) -> tuple[int, Stack]:
        """The entry of the function that a call returns to at *pc*, and the calls there."""
        known = self._calls.get(pc)
        if known is None:
            executable, bias = self._attachment.executable, self._attachment.bias
            found = executable.frames_at(pc, bias=bias)
            index = executable.pc_lines.index_at(pc - bias - 1)
            entry = 0 if index is None else executable.pc_lines.entry(index)
            if not found:
                found = (Frame(f"{pc:#x}", pc=pc),)
            elif found[0].function == _OUTERMOST:
                found = ()
            else:
                found = tuple(replace(frame, pc=0) for frame in found)
            known = self._calls[pc] = (entry, found)
        return known

    def _is_hidden(self, pc: int) -> bool:
        """Whether pprof leaves the call out where it is innermost; it asks for the function at *pc* itself."""
        hidden = self._hidden.get(pc)
        if hidden is None:
            attachment = self._attachment
            found = attachment.executable.frames_at(pc, return_address=False, bias=attachment.bias)
            hidden = self._hidden[pc] = bool(found) and found[0].function.startswith(_HIDDEN)
        return hidden


def hash_stack(stack: Sequence[int], size: int) -> int:
    """The hash of a bucket for objects of *size* bytes (runtime/mprof.go stkbucket)."""
    value = 0
    for word in (*stack, size):
        value = value + word & _WORD
        value = value + (value << 10) & _WORD
        value ^= value >> 6
    value = value + (value << 3) & _WORD
    return value ^ value >> 11


def scale_sample(count: int, size: int, rate: int) -> tuple[int, int]:
    """Objects and bytes that *count* sampled objects of *size* bytes stand for (runtime/pprof scaleHeapSample)."""
    if not count or not size:
        return 0, 0
    if rate <= 1:
        return count, count * size
    scale = 1 / (1 - math.exp(-size / rate))
    return int(count * scale), int(count * size * scale)


def _width_of(buckets: Sequence[_Bucket]) -> int:
    """Words of a memRecordCycle: with bytes beside the counts, these are all counts × size.

    Raises DecodeError when the records are of neither form.
    """
    wide = narrow = used = 0
    for bucket in buckets[:: len(buckets) // _WIDTHS_CHECKED + 1]:
        record, size = bucket.record, bucket.size
        if not any(record[: _RECORDS * _NARROW]):
            continue
        used += 1
        wide += len(record) == _RECORDS * _WIDE and all(
            record[at + 2] == record[at] * size and record[at + 3] == record[at + 1] * size
            for at in range(0, _RECORDS * _WIDE, _WIDE)
        )
        narrow += record[1] <= record[0]
    if wide >= used * _AGREEING and len(buckets[-1].record) == len(buckets[0].record):
        return _WIDE
    if narrow >= used * _AGREEING:
        return _NARROW
    raise DecodeError("the records of the memory profile make no sense")
