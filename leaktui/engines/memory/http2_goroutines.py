"""The goroutines of HTTP/2 clients: those that read frames, those that read bodies, those that wait for a stream's end.

Law: a goroutine belongs to a stream if it is queued on it (its sudog is on the pipe's list, or on a channel of the
stream), or if the address of that stream, and of no other open one, is in the frame of the function that works on it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

from leaktui.engines.memory.attachment import Attachment
from leaktui.engines.memory.goroutines import Seen
from leaktui.engines.memory.http2_layout import Http2Duty, Http2Package, find_duty
from leaktui.engines.memory.http2_streams import OpenStream
from leaktui.engines.memory.reader import MemoryReader
from leaktui.engines.memory.semaphores import SudogLayout
from leaktui.engines.memory.unwind import End
from leaktui.errors import DecodeError
from leaktui.model.body import BodyState
from leaktui.model.open_body import OpenBody

_SUDOGS_LIMIT = 16
_FUNCTIONS_CACHED = 1 << 16
_SPILL_BYTES = 32
"""Above a frame: the home of the arguments it was called with (cmd/compile/abi-internal.md)."""


class ClientGoroutines(NamedTuple):
    """The goroutines of HTTP/2 clients, by what they do."""

    frames: list[tuple[Seen, Http2Package]]
    readers: list[Seen]
    holders: list[Seen]


class Http2Goroutines:
    """Tells whose the goroutines of one process are. Not thread-safe."""

    def __init__(self, attachment: Attachment) -> None:
        """Raises EngineUnavailable when the runtime's sudog is not as expected."""
        self._attachment = attachment
        self._memory: MemoryReader = attachment.memory
        self._sudogs = SudogLayout(attachment.layout.types)
        self._duties: dict[str, tuple[Http2Duty, Http2Package] | None] = {}

    def sort(self, seen: Iterable[Seen]) -> ClientGoroutines:
        """The goroutines that serve HTTP/2 clients; those that run are known by the function they began with."""
        found = ClientGoroutines([], [], [])
        by_stack: dict[int, list[tuple[Http2Duty, Http2Package]]] = {}
        for goroutine in seen:
            trace = goroutine.trace
            if trace.end is End.TORN:
                name = self._attachment.unwinder.function_name(goroutine.state.start_pc)
                duties = self._duties_of((name,))
            else:
                cached = by_stack.get(id(trace.stack))
                if cached is None:
                    cached = self._duties_of(frame.function for frame in trace.stack)
                    by_stack[id(trace.stack)] = cached
                duties = cached
            for duty, package in duties:
                if duty is Http2Duty.FRAMES:
                    found.frames.append((goroutine, package))
                    break
                (found.readers if duty is Http2Duty.BODY else found.holders).append(goroutine)
        return found

    def attend(self, streams: list[OpenStream], goroutines: ClientGoroutines) -> list[OpenBody]:
        """The bodies with the goroutines that wait for their streams and those that read them."""
        by_channel = {
            channel: number for number, stream in enumerate(streams) for channel in stream.channels if channel
        }
        holders: dict[int, int] = {}
        by_address = {stream.body.body: number for number, stream in enumerate(streams)}
        for seen in goroutines.holders:
            number = self._awaited(seen, by_channel)
            if number is None:
                number = self._in_frame(seen, by_address, Http2Duty.STREAM)
            if number is not None:
                holders.setdefault(number, seen.state.goid)
        readers = self._readers(streams, by_address, goroutines.readers)
        bodies = []
        for number, stream in enumerate(streams):
            body = replace(stream.body, holder_goid=holders.get(number, 0))
            if number in readers:
                body = replace(body, state=BodyState.BEING_READ, reader_goid=readers[number])
            bodies.append(body)
        return bodies

    def _awaited(self, seen: Seen, by_channel: dict[int, int]) -> int | None:
        """The stream for whose end *seen* is queued."""
        at = seen.state.waiting
        for _ in range(_SUDOGS_LIMIT):
            if not at:
                return None
            try:
                sudog = self._sudogs.read(self._memory, at)
            except DecodeError:
                return None
            if sudog.g != seen.address:
                return None
            if sudog.channel in by_channel:
                return by_channel[sudog.channel]
            at = sudog.waitlink
        return None

    def _readers(
        self, streams: list[OpenStream], by_address: dict[int, int], readers: list[Seen]
    ) -> dict[int, int]:
        """The numbers of goroutines inside a Read, by stream."""
        found: dict[int, int] = {}
        taken: set[int] = set()
        for number, stream in enumerate(streams):
            if stream.waiter:
                owner = self._owner_of(stream)
                state = self._attachment.goroutines.state_at(owner) if owner else None
                if state is not None:
                    found[number] = state.goid
                    taken.add(owner)
        for seen in readers:
            if seen.address in taken:
                continue
            inside = self._in_frame(seen, by_address, Http2Duty.BODY)
            if inside is not None:
                found.setdefault(inside, seen.state.goid)
        return found

    def _owner_of(self, stream: OpenStream) -> int:
        """The address of the runtime.g that waits for bytes of *stream*, 0 where it does no longer."""
        try:
            owner = self._sudogs.read(self._memory, stream.waiter).g
            (now,) = struct.unpack("<Q", self._memory.read(stream.waiter_place, 8))
        except DecodeError:
            return 0
        return owner if now == stream.waiter else 0

    def _in_frame(self, seen: Seen, by_address: dict[int, int], duty: Http2Duty) -> int | None:
        """The one stream whose address is in the frame of the function that gives *seen* its *duty*."""
        goroutines = self._attachment.goroutines
        state = goroutines.state_at(seen.address)
        stack = None if state is None or state.goid != seen.state.goid else goroutines.read_stack(state)
        if stack is None:
            return None
        calls = self._attachment.unwinder.calls(
            stack.pc, stack.data, in_syscall=stack.in_syscall, whole=stack.whole
        )
        for call in calls or ():
            if any(known is duty for known, _ in self._duties_of((call.name,))):
                # Arguments passed in registers have their home above the frame (cmd/compile/abi-internal.md).
                end = min(call.offset + call.size + _SPILL_BYTES, len(stack.data) & ~7)
                words = struct.unpack_from(f"<{max(0, end - call.offset) // 8}Q", stack.data, call.offset)
                numbers = {by_address[word] for word in words if word in by_address}
                still = goroutines.state_at(seen.address) == state
                return numbers.pop() if still and len(numbers) == 1 else None
        return None

    def _duties_of(self, functions: Iterable[str]) -> list[tuple[Http2Duty, Http2Package]]:
        found: dict[Http2Duty, tuple[Http2Duty, Http2Package]] = {}
        for function in functions:
            if function not in self._duties:
                if len(self._duties) >= _FUNCTIONS_CACHED:
                    self._duties.clear()
                self._duties[function] = find_duty(function)
            duty = self._duties[function]
            if duty is not None:
                found.setdefault(duty[0], duty)
        return list(found.values())
