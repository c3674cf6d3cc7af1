"""An execution trace as it arrives: bytes → decoder → summary, with progress twice a second.

Law: the trace is decoded while it is received, so its length costs no memory of its own; what came
before the connection broke is used, and said to be cut short.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from queue import Empty, Full, Queue
from time import monotonic

from leaktui.analysis.trace_summary import TraceSummarizer
from leaktui.engines.pprof_connection import CaptureCancelled
from leaktui.engines.protocol import TraceProgress, TraceSeen
from leaktui.errors import EndpointUnreachable, LimitExceeded, Truncated

_TICK_SECONDS = 0.5


Receive = Callable[[Callable[[], bool]], Iterator[bytes]]
"""Opens the trace and yields its bytes; is told by a function when to give up."""


def record_trace(receive: Receive, cancelled: Callable[[], bool]) -> Iterator[TraceProgress | TraceSeen]:
    """Decode what *receive* yields; TraceProgress about each half second and TraceSeen at the end.

    Raises DecodeError when the bytes are no trace, EndpointUnreachable or Truncated when they end before
    anything can be made of them, CaptureCancelled.
    """
    began = reported = monotonic()
    received = 0
    summarizer = TraceSummarizer()
    broken: EndpointUnreachable | Truncated | LimitExceeded | None = None
    try:
        for chunk in _paced(receive, cancelled):
            received += len(chunk)
            if chunk:
                summarizer.feed(chunk)
            now = monotonic()
            if now - reported >= _TICK_SECONDS:
                reported = now
                yield TraceProgress(received, now - began)
    except (EndpointUnreachable, Truncated, LimitExceeded) as error:
        broken = error
    try:
        summary = summarizer.finish()
    except Truncated:
        if broken is not None:
            raise broken from None
        raise
    yield TraceSeen(summary if broken is None else replace(summary, truncated=True))


def _paced(receive: Receive, cancelled: Callable[[], bool]) -> Iterator[bytes]:
    """The bytes, with an empty piece now and then while none comes.

    They are received in a thread of its own: the handler sends not even its headers before the program
    has written some kilobytes of events, and we promise progress.
    """
    queue: Queue[bytes | BaseException | None] = Queue(maxsize=64)
    over = threading.Event()

    def put(item: bytes | BaseException | None) -> bool:
        while not over.is_set():
            try:
                queue.put(item, timeout=_TICK_SECONDS / 4)
            except Full:
                continue
            return True
        return False

    def pump() -> None:
        end: BaseException | None = None
        try:
            for chunk in receive(lambda: over.is_set() or cancelled()):
                if not put(chunk):
                    return
        except BaseException as error:  # noqa: BLE001 - carried over to the thread that reads
            end = error
        put(end)

    thread = threading.Thread(target=pump, name="leaktui-pprof-trace", daemon=True)
    thread.start()
    try:
        while True:
            if cancelled():
                raise CaptureCancelled
            try:
                item = queue.get(timeout=_TICK_SECONDS / 4)
            except Empty:
                yield b""
                continue
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        over.set()
        thread.join(timeout=2.0)
