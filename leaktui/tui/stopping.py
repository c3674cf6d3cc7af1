"""Ctrl-Z and `kill -TSTP`: what has to be done before the process is stopped.

Law: a signal handler may interrupt anything, the holder of a lock included. So the work is done by a thread that
was there before, the handler waits for it a moment, and when that was not enough the signal is sent again later.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from types import FrameType

_WAIT_SECONDS = 1.0


class StopGuard:
    """Calls *before_stop* in a thread of its own before SIGTSTP does what it did until now."""

    def __init__(self, before_stop: Callable[[], None]) -> None:
        self._before_stop = before_stop
        self._previous: Callable[[int, FrameType | None], object] | None = None
        self._asked: SimpleQueue[_Stop | None] = SimpleQueue()

    def install(self) -> None:
        """From now on. Does nothing outside the main thread, or where nobody handles the signal."""
        if threading.current_thread() is not threading.main_thread() or self._previous is not None:
            return
        previous = signal.getsignal(signal.SIGTSTP)
        if not callable(previous):
            return
        self._previous = previous
        threading.Thread(target=self._work, name="leaktui-stop", daemon=True).start()
        signal.signal(signal.SIGTSTP, self._stop)

    def remove(self) -> None:
        """Give the signal back. Safe to call again."""
        if self._previous is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTSTP, self._previous)
            self._previous = None
            self._asked.put(None)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        stop = _Stop()
        self._asked.put(stop)  # reentrant, unlike a Queue's
        if not stop.ready.wait(_WAIT_SECONDS):
            stop.late.set()
            if not stop.ready.is_set():
                return
        if self._previous is not None:
            self._previous(number, frame)

    def _work(self) -> None:
        while (stop := self._asked.get()) is not None:
            with suppress(Exception):  # whatever fails here must not keep us from being stopped
                self._before_stop()
            stop.ready.set()
            if stop.late.is_set():
                os.kill(os.getpid(), signal.SIGTSTP)


class _Stop:
    """One stop that was asked for."""

    def __init__(self) -> None:
        self.ready = threading.Event()
        self.late = threading.Event()
