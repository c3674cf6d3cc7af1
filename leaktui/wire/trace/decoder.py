"""The trace's framing: header, batches, generations.

Law: no I/O. Bytes go in by `feed`, whole generations come out; what is left over when the bytes end is
an unfinished generation, whose tables had not been written yet, and is dropped. Layout: internal/trace
batch.go and generation.go, runtime/tracebuf.go (Go 1.22 to 1.27).
"""

from __future__ import annotations

import re

from leaktui.errors import DecodeError, LimitExceeded, Truncated
from leaktui.text import format_bytes
from leaktui.wire.trace import events as ev
from leaktui.wire.trace.generation import Generation
from leaktui.wire.trace.varint import decode_varint

MAX_TRACE_BYTES = 512 << 20
_MAX_BATCH_BYTES = 64 << 10  # tracev2.MaxBatchSize
_MAX_BATCH_HEAD = 1 + 5 * 10
_HEADER_BYTES = 16
_HEADER = re.compile(rb"go 1\.(\d{1,3}) trace\x00{2,4}")
_MAGIC = b"go 1."
_FIRST_MINOR, _LAST_MINOR = 22, 26


class TraceDecoder:
    """Execution traces of Go 1.22 to 1.27, as they arrive.

    `format_version` is what the header says (`go1.26` for traces of Go 1.26 and 1.27), empty before it
    was seen. `truncated` is set by `finish`, or by a DecodeError: the end of the trace is missing.
    """

    def __init__(self, max_bytes: int = MAX_TRACE_BYTES) -> None:
        self.format_version = ""
        self.received_bytes = 0
        self.generations = 0
        self.truncated = False
        self._max_bytes = max_bytes
        self._buffer = bytearray()
        self._generation: Generation | None = None
        self._last_number = 0
        self._last_content = 0
        self._finished = False
        self._done: list[Generation] = []  # complete, not yet given out

    def feed(self, data: bytes) -> list[Generation]:
        """Take the next bytes; the generations they complete.

        Raises DecodeError when they are no execution trace, LimitExceeded when there are too many.
        Generations that were complete before that stay good; `finish` still gives those not given out.
        """
        if self._finished:
            raise ValueError("feed after finish")
        self.received_bytes += len(data)
        try:
            if self.received_bytes > self._max_bytes:
                raise LimitExceeded(
                    f"the execution trace is larger than {format_bytes(self._max_bytes)}",
                    remedy="take a shorter one",
                )
            self._buffer += data
            self._take_batches()
        except DecodeError:
            self.truncated = True
            self._finished = True
            self._generation = None
            self._buffer.clear()
            raise
        return self._give_out()

    def finish(self) -> list[Generation]:
        """The last generation, if it is whole (and any that damage kept `feed` from giving out).

        Raises Truncated when the trace ended before any generation was complete.
        """
        if not self._finished:
            self._finished = True
            if self._generation is not None and not self._buffer and self._last_content == ev.STRINGS:
                # Before Go 1.26 nothing marks the end, but strings are always written last
                # (runtime.traceAdvance: stackTab.dump, then stringTab.reset).
                self._complete()
            elif self._generation is not None or self._buffer:
                self.truncated = True
            self._generation = None
            self._buffer.clear()
        if not self.generations:
            raise Truncated(
                "the execution trace ends before its first second is complete"
                if self.format_version
                else "the execution trace is empty",
                remedy="record it again",
            )
        return self._give_out()

    def _give_out(self) -> list[Generation]:
        done, self._done = self._done, []
        return done

    def _take_batches(self) -> None:
        buffer = self._buffer
        index = 0
        if not self.format_version:
            if not _take_header(buffer):
                return
            self.format_version = f"go{bytes(buffer[3:7]).decode('ascii')}"
            index = _HEADER_BYTES
        size = len(buffer)
        while index < size:
            kind = buffer[index]
            if kind == ev.END_OF_GENERATION:
                self._complete()
                index += 1
                continue
            if kind not in (ev.EVENT_BATCH, ev.EXPERIMENTAL_BATCH):
                raise DecodeError(f"the execution trace holds a batch of unknown kind ({kind})")
            try:
                number, thread, tick, length, start = _decode_batch_head(buffer, index)
            except IndexError:
                if size - index > _MAX_BATCH_HEAD:
                    raise DecodeError("a batch of the execution trace has no sound head") from None
                break
            if length > _MAX_BATCH_BYTES:
                raise DecodeError("a batch of the execution trace is larger than the format allows")
            if start + length > size:
                break
            index = start + length
            if kind == ev.EVENT_BATCH and length:
                self._take_batch(number, thread, tick, bytes(buffer[start:index]))
        del buffer[:index]

    def _take_batch(self, number: int, thread: int, tick: int, data: bytes) -> None:
        generation = self._generation
        if generation is not None and number != generation.number:
            # All batches of a generation precede the next one's (runtime.readTrace0).
            self._complete()
            generation = None
        if generation is None:
            if number <= self._last_number:
                raise DecodeError("the generations of the execution trace are out of order")
            self._last_number = number
            generation = self._generation = Generation(number)
        self._last_content = data[0]
        generation.add_batch(thread, tick, data)

    def _complete(self) -> None:
        if self._generation is not None:
            self._done.append(self._generation)
            self._generation = None
            self.generations += 1


def looks_like_trace(header: bytes) -> bool:
    """Whether a file that begins with *header* (16 bytes of it do) is a Go execution trace, of whatever release."""
    return _HEADER.match(header) is not None


def _take_header(buffer: bytearray) -> bool:
    """Whether the header is there and one leaktui reads; raises DecodeError when it is another."""
    if bytes(buffer[: len(_MAGIC)]) != _MAGIC[: len(buffer)]:
        raise DecodeError("this is not a Go execution trace")
    if len(buffer) < _HEADER_BYTES:
        return False
    match = _HEADER.fullmatch(bytes(buffer[:_HEADER_BYTES]))
    if match is None:
        raise DecodeError("this is not a Go execution trace")
    minor = int(match.group(1))
    if minor < _FIRST_MINOR:
        raise DecodeError(
            f"this execution trace has the format of Go 1.{minor}, from before the rewrite in Go 1.22",
            remedy="build the service with Go 1.22 or newer to use traces",
        )
    if minor > _LAST_MINOR:
        raise DecodeError(
            f"this execution trace has the format of Go 1.{minor}, which is newer than this leaktui",
            remedy="update leaktui",
        )
    return True


def _decode_batch_head(buffer: bytearray, index: int) -> tuple[int, int, int, int, int]:
    """Generation, thread, first tick, length of the data and where it starts; IndexError if cut off."""
    if buffer[index] == ev.EXPERIMENTAL_BATCH:
        # `31 experiment …`: the same head behind the experiment's number.
        _, index = decode_varint(buffer, index + 1)
    else:
        index += 1
    number, index = decode_varint(buffer, index)
    thread, index = decode_varint(buffer, index)
    tick, index = decode_varint(buffer, index)
    length, index = decode_varint(buffer, index)
    return number, thread, tick, length, index
