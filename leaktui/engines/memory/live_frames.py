"""The live pointers on goroutine stacks, as the garbage collector sees them.

Law: a word of a frame counts only if the collector's stack maps say so, a variable whose address was taken only
if a live pointer leads to it, a deferred call as long as it is pending (runtime/mgcmark.go `scanstack`,
`scanframeworker`). g, stack, g: what moved meanwhile is not told. What a running goroutine holds is not known.
"""

from __future__ import annotations

import struct
import threading
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from leaktui.binary.stack_maps import StackMaps
from leaktui.engines.memory.allgs import SCAN_BIT, read_allgs
from leaktui.engines.memory.attachment import Attachment
from leaktui.engines.memory.goroutines import StackBytes
from leaktui.engines.memory.near_structs import iter_structs
from leaktui.engines.memory.reader import READ_LIMIT
from leaktui.engines.memory.runtime_layout import GState
from leaktui.engines.memory.unwind import Call, End
from leaktui.engines.memory.word_search import WordSearch
from leaktui.errors import DecodeError
from leaktui.model.frame import Frame
from leaktui.text import printable

# runtime/runtime2.go
_RUNNING, _DEAD = 2, 6
_NO_STACK = frozenset((0, _DEAD, 11))

_CONSERVATIVE = frozenset(("runtime.asyncPreempt", "runtime.debugCallV2"))
"""They hold the registers of the frame that was interrupted; of both every word counts."""

_TRAPPED = "runtime.sigpanic"
_DEPTH_LIMIT = 1 << 16
_DEFER_LIMIT = 10_000
_BATCH = 1 << 20
_GAP = 4 << 10
_TRIES = 4
_EXAMINED = 256
"""Goroutines looked at closely in one search: enough to say who holds something."""


class StackRange(NamedTuple):
    """The part of a goroutine's stack that is in use, and the address of its runtime.g."""

    start: int
    end: int
    g: int


class LivePointer(NamedTuple):
    """A live word at `address` with `value`, in the frame of `call`; `deferred`: it is a call put off."""

    address: int
    value: int
    call: Call
    deferred: bool = False


class LiveFrames:
    """Finds what goroutines of *attachment* hold. Not thread-safe."""

    def __init__(self, attachment: Attachment) -> None:
        self._memory = attachment.memory
        self._attachment = attachment
        self._maps = StackMaps(attachment.executable.pc_lines, _mask_reader(attachment))
        layout = attachment.layout.types.find_struct("runtime._defer", "runtime")
        names = ("sp", "fn", "link")
        fields = [layout.fields.get(name) if layout is not None else None for name in names]
        self._defer = tuple(field.offset for field in fields if field is not None and field.size == 8)
        self.unknown = 0
        """Goroutines of the last `iter_held` whose frames could not be judged: they ran, or their stack is odd."""
        self.omitted = 0
        """Goroutines of the last `iter_held` with such words that were not looked at, there being many."""
        self.scanned = 0
        """Bytes the last `iter_held` went through."""

    # --- what is held ---

    def iter_held(
        self, search: WordSearch, cancel: threading.Event
    ) -> Iterator[tuple[int, GState, LivePointer]]:
        """The live pointers into the ranges of *search*, with the goroutine: the address of its g, and its state.

        Raises TargetGone, DecodeError.
        """
        self.unknown = self.omitted = self.scanned = 0
        candidates: dict[int, None] = {}
        ranges = []
        for part, deferred in self._iter_ranges(cancel):
            ranges.append(part)
            # Records of deferred calls may lie in the heap.
            if deferred and any(search.range_of(value) for value in self._deferred_calls(part, deferred)):
                candidates[part.g] = None
        for data, parts in self._iter_stacks(sorted(ranges), cancel):
            self.scanned += len(data)
            starts = [part.start for part in parts]
            base = starts[0]
            for offset, _ in search.iter_hits(data):
                part = parts[bisect_right(starts, base + offset) - 1]
                if base + offset < part.end:
                    candidates[part.g] = None
        for number, g in enumerate(candidates):
            if cancel.is_set():
                return
            if number >= _EXAMINED:
                self.omitted = len(candidates) - number
                return
            found = self.look(g)
            if found is None:
                continue
            state, pointers = found
            for pointer in pointers:
                if search.range_of(pointer.value) is not None:
                    yield g, state, pointer

    def look(self, g: int) -> tuple[GState, tuple[LivePointer, ...]] | None:
        """The live pointers of the goroutine whose runtime.g is at *g*; None where they are not known."""
        reader = self._attachment.goroutines
        for _ in range(_TRIES):
            state = reader.state_at(g)
            if state is None or state.status in _NO_STACK:
                return None
            stack = reader.read_stack(state, READ_LIMIT)
            if stack is None:
                continue
            pointers = self._find_pointers(state, stack)
            if pointers is not None and _is_same(reader.state_at(g), state):
                return state, pointers
        self.unknown += 1
        return None

    def frame_of(self, pointer: LivePointer) -> Frame | None:
        """The function and line the frame of *pointer* is at, not those of calls inlined there."""
        attachment, call = self._attachment, pointer.call
        try:
            frames = attachment.executable.frames_at(call.pc, bias=attachment.bias)
        except DecodeError:
            return None
        if not frames:
            return None
        frame = frames[-1]
        return Frame(printable(frame.function), printable(frame.file), frame.line, call.pc)

    # --- all stacks ---

    def goroutines(self) -> list[int]:
        """The addresses of all runtime.g there are, those of the dead too."""
        return sorted(g for g in read_allgs(self._memory, self._attachment.allgs) if g)

    def _iter_stacks(
        self, ranges: Sequence[StackRange], cancel: threading.Event
    ) -> Iterator[tuple[bytes, Sequence[StackRange]]]:
        """Memory that holds the stacks in *ranges*, and which parts of it are whose, ascending."""
        start = 0
        while start < len(ranges) and not cancel.is_set():
            stop, end = start + 1, ranges[start].end
            while (
                stop < len(ranges)
                and ranges[stop].start - end <= _GAP
                and ranges[stop].end - ranges[start].start <= _BATCH
            ):
                end = max(end, ranges[stop].end)
                stop += 1
            yield from self._read_stacks(ranges[start:stop])
            start = stop

    def _read_stacks(self, parts: Sequence[StackRange]) -> Iterator[tuple[bytes, Sequence[StackRange]]]:
        start, end = parts[0].start, max(part.end for part in parts)
        try:
            yield self._memory.read(start, min(end - start, READ_LIMIT)), parts
        except DecodeError:
            if len(parts) == 1:
                self.unknown += 1
                return
            for part in parts:
                yield from self._read_stacks((part,))

    def _iter_ranges(self, cancel: threading.Event) -> Iterator[tuple[StackRange, int]]:
        """Every stack, with the address of the goroutine's newest deferred call, 0 for none."""
        layout = self._attachment.layout.g
        for g, data in iter_structs(self._memory, self.goroutines(), layout.size):
            if cancel.is_set():
                return
            state = layout.decode(data)
            status = state.status & ~SCAN_BIT
            if status in _NO_STACK or not state.low < state.high or state.high - state.low > 1 << 32:
                continue
            sp = state.syscall_sp or state.sp
            if status == _RUNNING:
                self.unknown += 1
            elif state.low <= sp < state.high and sp % 8 == 0:
                yield StackRange(sp, state.high, g), state.deferred
            else:
                self.unknown += 1

    # --- one stack ---

    def _find_pointers(self, state: GState, stack: StackBytes) -> tuple[LivePointer, ...] | None:
        unwinder, bias = self._attachment.unwinder, self._attachment.bias
        end = unwinder.unwind(stack.pc, stack.data, in_syscall=stack.in_syscall, whole=stack.whole).end
        calls = unwinder.calls(
            stack.pc, stack.data, in_syscall=stack.in_syscall, whole=stack.whole, depth=_DEPTH_LIMIT
        )
        if calls is None or end is End.TORN:
            return None
        found: dict[int, LivePointer] = {}
        objects: list[tuple[int, int, tuple[int, ...], Call]] = []
        conservative = False
        callee = ""
        whole = end is End.TOP
        for call in calls:
            pc = call.pc - bias
            top = stack.sp + call.offset + call.size  # where the return address is
            varp = top - 8 if call.size else top  # below it the caller's frame pointer is saved
            argp = top + 8
            if call.name in _CONSERVATIVE or conservative:
                conservative = call.name in _CONSERVATIVE
                self._add(found, stack, call, range(stack.sp + call.offset, varp, 8))
                callee = call.name
                continue
            if callee == _TRAPPED:
                pc = self._resumed(pc)
            callee = call.name
            if not pc:
                continue  # it does not go on
            frame = self._maps.at(pc)
            if frame is None:
                whole = False
                continue
            whole = whole and frame.whole
            self._add(found, stack, call, [varp + offset for offset in frame.locals])
            self._add(found, stack, call, [argp + offset for offset in frame.args])
            for item in frame.objects:
                place = (varp if item.offset < 0 else argp) + item.offset
                if place >= stack.sp + call.offset:
                    objects.append((place, place + item.size, item.pointers, call))
        if not whole:
            self.unknown += 1
        seeds = [pointer.value for pointer in found.values()]
        deferred = self._deferred(state, stack, calls)
        seeds += [pointer.value for pointer in deferred]
        seeds.append(state.panicking)
        self._add_objects(found, stack, objects, seeds)
        return (*found.values(), *deferred)

    def _add(
        self, found: dict[int, LivePointer], stack: StackBytes, call: Call, places: Sequence[int]
    ) -> list[int]:
        """Take the words at *places* for live; their values."""
        values = []
        for place in places:
            offset = place - stack.sp
            if place not in found and 0 <= offset <= len(stack.data) - 8:
                (value,) = struct.unpack_from("<Q", stack.data, offset)
                found[place] = LivePointer(place, value, call)
                values.append(value)
        return values

    def _add_objects(
        self,
        found: dict[int, LivePointer],
        stack: StackBytes,
        objects: list[tuple[int, int, tuple[int, ...], Call]],
        seeds: list[int],
    ) -> None:
        """Follow pointers into the stack itself: what they lead to is alive, too."""
        objects.sort(key=lambda item: item[:2])
        starts = [item[0] for item in objects]
        low, high = stack.sp, stack.sp + len(stack.data)
        done: set[int] = set()
        while seeds:
            value = seeds.pop()
            if not low <= value < high:
                continue
            index = bisect_right(starts, value) - 1
            if index < 0 or index in done or value >= objects[index][1]:
                continue
            done.add(index)
            start, _end, pointers, call = objects[index]
            seeds += self._add(found, stack, call, [start + offset for offset in pointers])

    def _resumed(self, pc: int) -> int:
        """Where a function that a signal stopped goes on if a deferred call recovers; 0 for nowhere."""
        table = self._attachment.executable.pc_lines
        try:
            index = table.index_at(pc)
            after = table.tables(index).deferreturn if index is not None else 0
        except DecodeError:
            return 0
        return table.entry(index) + after + 1 if index is not None and after else 0

    def _deferred(self, state: GState, stack: StackBytes, calls: Sequence[Call]) -> tuple[LivePointer, ...]:
        by_sp = {stack.sp + call.offset: call for call in calls}
        found = []
        for place, sp, function in self._iter_records(state.deferred):
            if sp in by_sp:
                found.append(LivePointer(place, function, by_sp[sp], deferred=True))
        return tuple(found)

    def _deferred_calls(self, part: StackRange, first: int) -> Iterator[int]:
        """The functions of deferred calls whose records are not all on the stack."""
        if not part.start <= first < part.end:
            for _place, _sp, function in self._iter_records(first):
                yield function

    def _iter_records(self, place: int) -> Iterator[tuple[int, int, int]]:
        """(address of the function, stack pointer of the frame, function) of a chain of runtime._defer."""
        if len(self._defer) != 3:
            return
        sp_at, fn_at, link_at = self._defer
        seen: set[int] = set()
        size = max(self._defer) + 8
        while place and place not in seen and len(seen) < _DEFER_LIMIT:
            seen.add(place)
            try:
                record = self._memory.read(place, size)
            except DecodeError:
                return
            sp, function, place_after = (
                struct.unpack_from("<Q", record, at)[0] for at in (sp_at, fn_at, link_at)
            )
            if function:
                yield place + fn_at, sp, function
            place = place_after


def _is_same(now: GState | None, before: GState) -> bool:
    return now is not None and now == before


def _mask_reader(attachment: Attachment) -> Callable[[int, int], bytes] | None:
    """Reads at offsets from moduledata.rodata; None where that is not known."""
    module = attachment.executable.module_data
    layout = attachment.layout.types.find_struct("runtime.moduledata", "runtime")
    field = layout.fields.get("rodata") if layout is not None else None
    if module is None or field is None or field.size != 8:
        return None
    try:
        data = attachment.memory.read(module.address + attachment.bias + field.offset, 8)
    except DecodeError:
        return None
    (start,) = struct.unpack("<Q", data)
    image, bias = attachment.executable.image, attachment.bias
    return lambda offset, size: image.read(start + offset - bias, size)
