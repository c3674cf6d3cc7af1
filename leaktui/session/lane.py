"""One thread that asks one engine for things at their pace.

Law: a lane never lets an exception out; it reports it and goes on, slower. It asks for what is due, and
never spends more than about a tenth of the time asking: what takes long is asked for less often.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from leaktui.engines.protocol import Engine, Fact, Request, Want
from leaktui.errors import LeaktuiError, TargetGone
from leaktui.text import printable

# A capture may take this share of a lane's time before its pace is slowed.
_DUTY = 0.1
_LONGEST_PAUSE_SECONDS = 60.0


class Lane:
    """Runs `engine.capture` for each want at its cadence (seconds), and for orders at once."""

    def __init__(
        self,
        engine: Engine,
        cadence: Mapping[Want, float],
        on_fact: Callable[[Engine, Fact], None],
        on_failure: Callable[[Engine, Exception], None],
        on_done: Callable[[Request], None] = lambda request: None,
        *,
        allow_pauses: bool = False,
    ) -> None:
        self.engine = engine
        self._cadence = dict(cadence)
        self._on_fact = on_fact
        self._on_failure = on_failure
        self._on_done = on_done
        self._allow_pauses = allow_pauses
        self._orders: queue.SimpleQueue[Request] = queue.SimpleQueue()
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._paused = threading.Event()
        self._cancel = threading.Event()
        self._due: dict[Want, float] = dict.fromkeys(cadence, 0.0)
        self._paces = threading.Lock()
        self._turn = threading.Lock()
        self._thread = threading.Thread(target=self._run, name=f"leaktui-{engine.name}", daemon=True)

    def start(self) -> None:
        """Begin asking."""
        self._thread.start()

    def set_cadence(self, cadence: Mapping[Want, float]) -> None:
        """From now on ask for these, at these paces; what is new, or wanted more often, is asked for at once."""
        with self._paces:
            if cadence == self._cadence:
                return
            before, self._cadence = self._cadence, dict(cadence)
            self._due = {
                want: self._due.get(want, 0.0) if pace >= before.get(want, 0.0) else 0.0
                for want, pace in cadence.items()
            }
        self._wake.set()

    def order(self, request: Request) -> None:
        """Ask for *request* as soon as the capture under way is over."""
        self._orders.put(request)
        self._wake.set()

    def cancel(self) -> None:
        """Give up the capture under way and the orders that wait; later ones go on."""
        given_up = []
        with self._turn:
            self._cancel.set()
            with suppress(queue.Empty):
                while True:
                    given_up.append(self._orders.get_nowait())
        for request in given_up:
            self._on_done(request)

    def pause(self, paused: bool) -> None:
        """Stop or resume the regular asking; orders are still carried out."""
        if paused:
            self._paused.set()
        else:
            self._paused.clear()
        self._wake.set()

    def stop(self) -> None:
        """End the thread; does not wait for it."""
        self._stop.set()
        self._cancel.set()
        self._wake.set()

    def join(self, timeout: float) -> None:
        """Wait at most *timeout* seconds for the thread to end."""
        if self._thread.ident is not None:
            self._thread.join(timeout)

    def _run(self) -> None:
        failures = 0
        while not self._stop.is_set():
            request = self._next_request()
            if request is None:
                continue
            if self._stop.is_set():
                return
            began = time.monotonic()
            try:
                for fact in self.engine.capture(request, self._cancel):
                    self._on_fact(self.engine, fact)
                failures = 0
            except TargetGone as error:
                self._on_failure(self.engine, error)
                self._on_done(request)
                return
            except LeaktuiError as error:
                failures += 1
                self._on_failure(self.engine, error)
            except Exception as error:  # noqa: BLE001 - one engine's defect must not end the session
                failures += 1
                what = printable(str(error), 200)
                self._on_failure(
                    self.engine, LeaktuiError(f"{type(error).__name__} in {self.engine.name}: {what}")
                )
            self._on_done(request)
            took = time.monotonic() - began
            now = time.monotonic()
            with self._paces:
                for want in request.wants & self._due.keys():
                    pace = max(self._cadence[want], took * (1 / _DUTY - 1))
                    self._due[want] = now + min(_LONGEST_PAUSE_SECONDS, pace * 2 ** min(failures, 5))

    def _next_request(self) -> Request | None:
        """The next thing to do, or None after a wait."""
        with self._turn:  # what is cancelled from here on is what comes out of here
            self._cancel.clear()
            with suppress(queue.Empty):
                return self._orders.get_nowait()
        now = time.monotonic()
        with self._paces:
            due = dict(self._due)
        if self._paused.is_set() or not due:
            self._wait(None)
            return None
        # One want a capture, so that a slow one does not hold back the facts of a quick one.
        want = min(due, key=lambda item: due[item])
        if due[want] <= now:
            return Request(frozenset({want}), allow_pauses=self._allow_pauses)
        self._wait(due[want] - now)
        return None

    def _wait(self, seconds: float | None) -> None:
        self._wake.wait(seconds)
        self._wake.clear()
