"""Recording: engines that tell what they told, and a file that holds it.

Law: who records changes nothing of what is seen: facts are stamped and queued as they pass, encoded and written in a
thread of their own. The file is flushed about once a second, so that it can be read up to there however leaktui ends.
"""

from __future__ import annotations

import queue
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import IO, Any

from leaktui.analysis.program import Program, ResponseStep
from leaktui.engines.capture_records import (
    PROGRAM,
    RECORDER,
    REGISTRY,
    CallSitesFound,
    FunctionNamed,
    RecordingEnded,
    ResponseFollowed,
    SourceFailed,
    TargetNamed,
)
from leaktui.engines.protocol import Engine, Fact, Request, SearchProgress, TraceProgress
from leaktui.errors import LeaktuiError, TargetGone
from leaktui.model.capability import Capability
from leaktui.model.frame import Frame, Stack
from leaktui.model.target import Target
from leaktui.text import format_bytes, printable
from leaktui.wire.capture.encoder import Encoder
from leaktui.wire.capture.mask import Mask

MOST_BYTES = 900 << 20
"""Uncompressed bytes of a capture: there it ends, below what a reader is ready to read."""

_FLUSH_SECONDS = 1.0
_QUEUED = 4096


class Recorder:
    """Writes one capture into *file* (binary, open for writing, closed by `close`).

    `failure` is why nothing more is written, empty while all is well; `is_full` says that the file is good.
    *header* is added to the capture's own.
    """

    def __init__(
        self,
        file: IO[bytes],
        target: Target,
        *,
        header: Mapping[str, Any],
        mask: Mask | None = None,
        clock: Callable[[], float] = time.monotonic,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self._file = file
        self._encoder = Encoder(REGISTRY, mask)
        self._packer = zlib.compressobj(level=6, wbits=31)
        self._clock = clock
        self._began = clock()
        self._most = most_bytes
        self._queue: queue.Queue[tuple[float, str, object] | None] = queue.Queue(_QUEUED)
        self._order = threading.Lock()
        self._closed = False
        self._frozen = False
        self._left_out: dict[str, int] = {}
        self.failure = ""
        self.is_full = False
        self.written = 0
        self.inflated = 0
        self._write(self._encoder.header({**header, "clock": self._began}))
        self._flushed = self._began
        self._thread = threading.Thread(target=self._run, name="leaktui-recorder", daemon=True)
        self._thread.start()
        # Without the build's dependencies a target is as well known, and much shorter.
        build = replace(target.build, dependencies=(), settings=()) if target.build else None
        self.put(RECORDER, TargetNamed(replace(target, build=build)))

    def put(self, source: str, value: object) -> None:
        """Record *value*, told by *source* now."""
        with self._order:  # times ascend in the file
            if not self._closed and not self.failure:
                self._queue.put((self._clock() - self._began, source, value))

    def hear(self, source: str, value: object) -> None:
        """Record what an engine says, until `freeze`."""
        if not self._frozen:
            self.put(source, value)

    def freeze(self) -> None:
        """From now on what engines say is not recorded any more."""
        self._frozen = True

    def close(self, reason: str = "") -> None:
        """Write what is still to be written, and the end; safe to call again."""
        with self._order:
            if self._closed:
                return
            self._closed = True
        self._queue.put(None)
        self._thread.join()
        left_out = tuple(
            f"{count} × {name}: too large to be recorded" for name, count in self._left_out.items()
        )
        if not self.failure or self.is_full:
            seconds = self._clock() - self._began
            self._write(self._encoder.record(seconds, RECORDER, RecordingEnded(reason, left_out)))
        for step in (lambda: self._file.write(self._packer.flush(zlib.Z_FINISH)), self._file.close):
            try:
                step()
            except OSError as error:
                self._fail(error)

    def _run(self) -> None:
        while True:
            try:
                item = self._queue.get(timeout=_FLUSH_SECONDS)
            except queue.Empty:
                self._flush()
                continue
            if item is None:
                return
            if self.failure:
                continue
            seconds, source, value = item
            try:
                lines = self._encoder.record(seconds, source, value)
            except Exception as error:  # noqa: BLE001 - one fact less, and the capture says so
                self._leave_out(f"{type(value).__name__} ({type(error).__name__})")
                continue
            if not lines.rpartition(b"\n")[0].rpartition(b"\n")[2].startswith(b'["R"'):
                self._leave_out(type(value).__name__)
            self._write(lines)
            if self.inflated > self._most:
                self.is_full = True
                self.failure = f"the capture has reached {format_bytes(self._most)}, and ends there"
            if self._clock() - self._flushed > _FLUSH_SECONDS:
                self._flush()

    def _leave_out(self, name: str) -> None:
        self._left_out[name] = self._left_out.get(name, 0) + 1

    def _write(self, lines: bytes) -> None:
        self.inflated += len(lines)
        try:
            packed = self._packer.compress(lines)
            self.written += len(packed)
            self._file.write(packed)
        except OSError as error:
            self._fail(error)

    def _flush(self) -> None:
        self._flushed = self._clock()
        try:
            packed = self._packer.flush(zlib.Z_SYNC_FLUSH)
            self.written += len(packed)
            self._file.write(packed)
            self._file.flush()
        except OSError as error:
            self._fail(error)

    def _fail(self, error: OSError) -> None:
        self.failure = self.failure or f"the capture cannot be written on ({error.strerror or error})"

    # -- what is recorded ----------------------------------------------------------------------

    def engines(self, engines: Sequence[Engine]) -> list[Engine]:
        """*engines*, recorded."""
        return [RecordingEngine(engine, self) for engine in engines]

    def program(self, program: Program) -> Program:
        """*program*, its answers recorded."""
        return RecordingProgram(program, self)


class RecordingEngine:
    """An engine whose answers are recorded as they pass."""

    def __init__(self, engine: Engine, recorder: Recorder) -> None:
        self._engine = engine
        self._recorder = recorder
        self.name = engine.name

    def probe(self, target: Target) -> Capability:
        """What the engine says."""
        capability = self._engine.probe(target)
        self._recorder.hear(self.name, capability)
        return capability

    def capture(self, request: Request, cancel: threading.Event) -> Iterator[Fact]:
        """What the engine yields, and raises."""
        try:
            for fact in self._engine.capture(request, cancel):
                if not isinstance(fact, TraceProgress | SearchProgress):
                    self._recorder.hear(self.name, fact)
                yield fact
        except LeaktuiError as error:
            gone = isinstance(error, TargetGone)
            self._recorder.hear(self.name, SourceFailed(str(error.args[0]), error.remedy, gone))
            raise
        except Exception as error:
            what = printable(f"{type(error).__name__} in {self.name}: {error}", 240)
            self._recorder.hear(self.name, SourceFailed(what))
            raise

    def close(self) -> None:
        """Close the engine."""
        self._engine.close()


class RecordingProgram:
    """A Program whose answers are recorded, each once."""

    def __init__(self, program: Program, recorder: Recorder) -> None:
        self._program = program
        self._recorder = recorder
        self._lock = threading.Lock()
        self._functions: set[str] = set()
        self._followed: set[tuple[Stack, int]] = set()
        self._sites: set[tuple[str, ...]] = set()

    def is_stdlib(self, function: str) -> bool:
        self._name(function)
        return self._program.is_stdlib(function)

    def is_main_module(self, function: str) -> bool:
        self._name(function)
        return self._program.is_main_module(function)

    def _name(self, function: str) -> None:
        if function in self._functions:
            return
        with self._lock:
            if function in self._functions:
                return
            self._functions.add(function)
        stdlib, main = self._program.is_stdlib(function), self._program.is_main_module(function)
        self._recorder.put(PROGRAM, FunctionNamed(function, stdlib, main))

    def follow_response(self, stack: Stack, first: int) -> tuple[ResponseStep, ...]:
        steps = self._program.follow_response(stack, first)
        key = (stack[first:], first)
        if key not in self._followed:
            self._followed.add(key)
            self._recorder.put(PROGRAM, ResponseFollowed(stack[first:], first, steps))
        return steps

    def call_sites(self, functions: tuple[str, ...]) -> tuple[Frame, ...]:
        sites = self._program.call_sites(functions)
        if functions not in self._sites:
            self._sites.add(functions)
            self._recorder.put(PROGRAM, CallSitesFound(functions, sites))
        return sites

    def close(self) -> None:
        self._program.close()
