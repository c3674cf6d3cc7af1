"""The deferred calls of a goroutine that have not run yet, and the panics it is in.

Law: g, its stack, its records, g and its stack again: only what held still is told. A record of the `_defer`
chain is believed if it belongs to a frame of the stack and was made by that frame's function; deferred calls
the compiler open-coded are told by the bits in their frame (runtime/panic.go: `nextDefer`, `nextFrame`,
`initOpenCodedDefers`, `deferrangefunc`; cmd/compile ssagen: `emitOpenDeferInfo`; Go 1.22 to 1.27). They come
as they would run: the innermost frame's first, the newest of a frame first.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

from leaktui.binary.runtime_types import StructLayout
from leaktui.binary.x86 import decode
from leaktui.binary.x86_instruction import RSP, XMM0, Immediate, Instruction, Memory, Operation
from leaktui.engines.memory.attachment import Attachment
from leaktui.engines.memory.func_value import FuncValues
from leaktui.engines.memory.goroutines import Seen, StackBytes
from leaktui.engines.memory.panics import decode_panics
from leaktui.engines.memory.runtime_layout import GState
from leaktui.engines.memory.unwind import Call, End
from leaktui.errors import DecodeError
from leaktui.model.frame import Frame
from leaktui.model.wait import DeferredCall, Panic
from leaktui.text import printable

DEFERRED_LIMIT = 10_000
"""Deferred calls told of one goroutine: a `defer` in a loop may leave any number."""

_STACK_LIMIT = 16 << 20
_DEPTH_LIMIT = 1 << 16
_TRIES = 4
_OPEN_SLOTS = 8
_CODE_LIMIT = 1 << 18
_CACHED = 1 << 12
_TAKEN = 1
"""runtime.badDefer: the loop over a function is over, its calls were taken over by the chain."""

_OPEN_CODED_DEFERS = 4
"""FUNCDATA_OpenCodedDeferInfo (internal/abi/symtab.go)."""

_Found = TypeVar("_Found", DeferredCall, Panic)


class _Inconsistent(DecodeError):
    """A record that cannot belong to the stack: one of them changed meanwhile."""


@dataclass(frozen=True, slots=True)
class _Record:
    """A runtime._defer."""

    sp: int
    pc: int
    function: int
    link: int
    head: int
    """Where the list of a loop over a function is, 0 for none."""


class _RecordLayout:
    """Decodes runtime._defer as this program has it."""

    def __init__(self, layout: StructLayout) -> None:
        """Raises DecodeError when a field is missing."""
        self.size = layout.size
        self._fields = {}
        for name in ("sp", "pc", "fn", "link"):
            found = layout.fields.get(name)
            if found is None or found.size != 8:
                raise DecodeError(f"runtime._defer has no field {name}")
            self._fields[name] = found.offset
        flag, head = layout.fields.get("rangefunc"), layout.fields.get("head")
        self._range = (flag.offset, head.offset) if flag and head and head.size == 8 else None

    def decode(self, data: bytes) -> _Record:
        sp, pc, function, link = (_word(data, self._fields[name]) for name in ("sp", "pc", "fn", "link"))
        head = _word(data, self._range[1]) if self._range and data[self._range[0]] else 0
        return _Record(sp, pc, function, link, head)


class DeferReader:
    """Reads the deferred calls and panics of goroutines of *attachment*. Not thread-safe."""

    def __init__(self, attachment: Attachment) -> None:
        """Raises DecodeError where this program's records are not as known ones."""
        types = attachment.layout.types
        layout = types.find_struct("runtime._defer", "runtime")
        if layout is None:
            raise DecodeError("the runtime's type descriptors do not include runtime._defer")
        self._attachment = attachment
        self._records = _RecordLayout(layout)
        self._panic = types.find_struct("runtime._panic", "runtime")
        self._functions = FuncValues(attachment.executable, attachment.memory, attachment.bias)
        self._places: dict[int, tuple[int, ...]] = {}
        self._stores: dict[int, tuple[Instruction, ...]] = {}
        self.torn = 0
        """Goroutines that moved whenever they were read: nothing was told of them."""

    def deferred(self, seen: Seen) -> tuple[DeferredCall, ...]:
        """The deferred calls of *seen* that are pending, the next to run first; empty where it runs.

        Raises TargetGone.
        """
        for _ in range(_TRIES):
            found = self._read(seen, self._find_deferred)
            if found is not None:
                return found
        self.torn += 1
        return ()

    def panics(self, seen: Seen) -> tuple[Panic, ...]:
        """The panics *seen* is in, the newest first; empty where it runs. Raises TargetGone."""
        for _ in range(_TRIES):
            found = self._read(seen, self._find_panics)
            if found is not None:
                return found
        self.torn += 1
        return ()

    # --- reading tightly ---

    def _read(
        self, seen: Seen, find: Callable[[GState, StackBytes], tuple[_Found, ...]]
    ) -> tuple[_Found, ...] | None:
        """What *find* finds; None where the goroutine runs or moved meanwhile."""
        reader = self._attachment.goroutines
        state = reader.state_at(seen.address)
        if state is None or state.goid != seen.state.goid:
            return ()
        stack = reader.read_stack(state, _STACK_LIMIT)
        if stack is None:
            return None
        try:
            found = find(state, stack)
        except DecodeError:
            return None
        if reader.state_at(seen.address) != state or reader.read_stack(state, _STACK_LIMIT) != stack:
            return None
        return found

    def _find_panics(self, state: GState, stack: StackBytes) -> tuple[Panic, ...]:
        if self._panic is None or not state.panicking:
            return ()
        types = self._attachment.layout.types
        return decode_panics(self._panic, state.panicking, stack, types, self._attachment.memory)

    # --- deferred calls ---

    def _find_deferred(self, state: GState, stack: StackBytes) -> tuple[DeferredCall, ...]:
        chain = self._attachment.unwinder.chain(
            stack.pc, stack.data, in_syscall=stack.in_syscall, whole=stack.whole, depth=_DEPTH_LIMIT
        )
        if chain.end is End.TORN:
            raise _Inconsistent("the stack does not end")
        found: list[DeferredCall] = []
        records = self._iter_records(state.deferred)
        record = next(records, None)
        for call in chain.calls:
            sp = stack.sp + call.offset
            while record is not None and record.sp == sp and len(found) < DEFERRED_LIMIT:
                found += self._linked(record, call)
                record = next(records, None)
            if len(found) >= DEFERRED_LIMIT:
                return tuple(found[:DEFERRED_LIMIT])
            if record is not None and record.sp < sp:
                break
            found += self._open_coded(call, stack)
        if record is not None and (chain.end is End.TOP or record.sp < stack.sp):
            raise _Inconsistent("a deferred call belongs to no frame")
        return tuple(found)

    def _iter_records(self, address: int) -> Iterator[_Record]:
        """The chain that begins at *address*, DEFERRED_LIMIT of it at most."""
        seen: set[int] = set()
        while address and len(seen) < DEFERRED_LIMIT:
            if address % 8 or address in seen:
                raise _Inconsistent("the chain of deferred calls goes astray")
            seen.add(address)
            record = self._records.decode(self._attachment.memory.read(address, self._records.size))
            yield record
            address = record.link

    def _linked(self, record: _Record, call: Call) -> Iterator[DeferredCall]:
        """What *record* stands for: one call, or those of a loop over a function."""
        unwinder = self._attachment.unwinder
        if unwinder.entry_at(record.pc) != call.entry:
            raise _Inconsistent("a deferred call was made by another function")
        statement = next(iter(unwinder.frames_before(record.pc)), None)
        if not record.head:
            yield DeferredCall(self._named(record.function), statement)
            return
        head = _word(self._attachment.memory.read(record.head, 8), 0)
        if head == _TAKEN:
            return
        # They were deferred by the loop's body, a function of its own that their records do not name.
        place = None if statement is None else _without_line(statement)
        for inner in self._iter_records(head):
            yield DeferredCall(self._named(inner.function), place)

    def _named(self, value: int) -> Frame:
        function = self._functions.function(value)
        if function is None:
            raise _Inconsistent("what was deferred is no function")
        return function

    # --- open-coded ---

    def _open_coded(self, call: Call, stack: StackBytes) -> Iterator[DeferredCall]:
        """The pending calls that the bits in the frame of *call* stand for, the newest first."""
        attachment = self._attachment
        entry = call.entry - attachment.bias
        places = self._open_coded_places(entry)
        # runtime.stkframe: the locals end below the saved frame pointer. Where there is no frame yet,
        # the function has only begun.
        top = call.size - 8
        if not places or call.size == 0:
            return
        bits_at, slots_at = (top - place for place in places)
        if not 0 <= slots_at <= top - 8 or not 0 <= bits_at < top or call.offset + top > len(stack.data):
            raise _Inconsistent("open-coded deferred calls are outside their frame")
        bits = stack.data[call.offset + bits_at]
        if not bits or not (call.at_call or self._is_set_up(call, bits_at)):
            return
        for number in reversed(range(_OPEN_SLOTS)):
            if bits >> number & 1:
                place = slots_at + 8 * number
                if place > top - 8:
                    raise _Inconsistent("open-coded deferred calls are outside their frame")
                function = self._named(_word(stack.data, call.offset + place))
                yield DeferredCall(function, self._statement(call, place), open_coded=True)

    def _open_coded_places(self, entry: int) -> tuple[int, ...]:
        """How far below the top of the locals the bits and the slots are; empty where there are none."""
        places = self._places.get(entry)
        if places is None:
            if len(self._places) >= _CACHED:
                self._places.clear()
            table = self._attachment.executable.pc_lines
            index = table.index_at(entry)
            data = () if index is None else table.tables(index).data
            start = data[_OPEN_CODED_DEFERS] if len(data) > _OPEN_CODED_DEFERS else None
            places = () if start is None else tuple(_decode_varints(table.funcdata, start, 2))
            self._places[entry] = places
        return places

    def _is_set_up(self, call: Call, place: int) -> bool:
        """Whether a function that was interrupted had cleared its bits at *place* before."""
        return any(
            store.end <= call.pc - self._attachment.bias
            and isinstance(store.source, Immediate)
            and _is_slot(store.destination, place)
            for store in self._stores_of(call)
        )

    def _statement(self, call: Call, place: int) -> Frame | None:
        """The defer statement: the one line that puts a func value into the slot at *place* of the frame.

        Without a line where there is not one such place; what puts nil there is not told from clearing.
        """
        attachment = self._attachment
        found = {
            attachment.executable.frames_at(store.address, return_address=False)[:1]
            for store in self._stores_of(call)
            if store.width == 8 and _is_pointer(store.source) and _is_slot(store.destination, place)
        }
        lines = {(frame.function, frame.file, frame.line) for frames in found for frame in frames}
        if len(lines) == 1:
            ((function, file, line),) = lines
            return Frame(printable(function), printable(file), line)
        frames = attachment.unwinder.frames_before(call.pc)
        return _without_line(frames[-1]) if frames else None

    def _stores_of(self, call: Call) -> tuple[Instruction, ...]:
        """The instructions of the function that store into its frame; none where its code is not understood."""
        stores = self._stores.get(call.entry)
        if stores is None:
            if len(self._stores) >= _CACHED:
                self._stores.clear()
            stores = self._stores[call.entry] = tuple(self._iter_stores(call.entry - self._attachment.bias))
        return stores

    def _iter_stores(self, entry: int) -> Iterator[Instruction]:
        executable = self._attachment.executable
        function = executable.function_at(entry)
        if function is None or function.end - entry > _CODE_LIMIT:
            return
        code = executable.image.read(entry, function.end - entry)
        offset = 0
        while offset < len(code):
            instruction = decode(code, offset, entry + offset)
            if instruction is None:
                return
            offset += instruction.size
            destination = instruction.destination
            if instruction.operation is not Operation.MOVE or not isinstance(destination, Memory):
                continue
            if destination.base == RSP and destination.scaled is None:
                yield instruction


def _decode_varints(data: bytes, place: int, count: int) -> Iterator[int]:
    for _ in range(count):
        value = shift = 0
        while True:
            if place >= len(data) or shift > 28:
                raise DecodeError("a varint of a function's table does not end")
            byte = data[place]
            place += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        yield value


def _without_line(frame: Frame) -> Frame:
    return replace(frame, line=0, pc=0, inlined=False)


def _is_pointer(operand: object) -> bool:
    """Whether it is a register that can hold one: vector registers clear slots."""
    return isinstance(operand, int) and operand < XMM0


def _is_slot(operand: object, place: int) -> bool:
    return isinstance(operand, Memory) and operand.displacement == place


def _word(data: bytes, offset: int) -> int:
    word: int = struct.unpack_from("<Q", data, offset)[0]
    return word
