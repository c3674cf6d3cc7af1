"""An execution trace in a file, as `go test -trace`, `runtime/trace` and `/debug/pprof/trace` write them.

Law: the file is read in pieces and never written; there is no process, so nothing here can touch one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from leaktui.engines.pprof_connection import CaptureCancelled
from leaktui.engines.pprof_trace import record_trace
from leaktui.engines.protocol import Fact, Refused, Request, Want
from leaktui.errors import EngineUnavailable
from leaktui.model.capability import Capability, Impact
from leaktui.model.target import Target
from leaktui.text import printable
from leaktui.wire.trace import looks_like_trace

_PIECE_BYTES = 1 << 20
_HEADER_BYTES = 16


class TraceFileEngine:
    """Gives the trace at *path*, as often as it is asked for."""

    name = "trace file"

    def __init__(self, path: Path) -> None:
        self._path = path

    def probe(self, target: Target) -> Capability:
        """Whether the file can be read and is a trace."""
        try:
            validate_trace_file(self._path)
        except EngineUnavailable as error:
            return Capability(self.name, False, Impact.NONE, reason=str(error), remedy=error.remedy)
        return Capability(self.name, True, Impact.NONE, gives=(Want.TRACE.value,))

    def capture(self, request: Request, cancel: threading.Event) -> Iterator[Fact]:
        """The trace, with how far reading is.

        Raises EngineUnavailable when the file cannot be read, DecodeError when it is no sound trace.
        """
        for want in request.wants - {Want.TRACE}:
            yield Refused(want, "a file holds no process")
        if Want.TRACE not in request.wants:
            return
        try:
            yield from record_trace(self._read, cancel.is_set)
        except CaptureCancelled:
            return
        except OSError as error:
            raise _unreadable(self._path, error) from error

    def _read(self, cancelled: Callable[[], bool]) -> Iterator[bytes]:
        with self._path.open("rb") as file:
            while not cancelled() and (piece := file.read(_PIECE_BYTES)):
                yield piece

    def close(self) -> None:
        """Nothing is held between captures."""


def validate_trace_file(path: Path) -> None:
    """Raises EngineUnavailable, with what to do, where *path* cannot be read or holds no execution trace."""
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER_BYTES)
    except OSError as error:
        raise _unreadable(path, error) from error
    if not looks_like_trace(header):
        raise EngineUnavailable(
            f"{printable(str(path), 200)} is no Go execution trace",
            remedy="record one with `go test -trace FILE`, runtime/trace or /debug/pprof/trace?seconds=5",
        )


def _unreadable(path: Path, error: OSError) -> EngineUnavailable:
    return EngineUnavailable(
        f"{printable(str(path), 200)} cannot be read: {error.strerror or type(error).__name__}",
        remedy="check the name and the permissions of the file",
    )
