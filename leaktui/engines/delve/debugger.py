"""A target under Delve: halted, looked at, let run on, let go.

Law: it is halted only when Delve says that it runs, and let go only when no SIGTRAP waits for it: Delve halts by
sending that signal, a target that receives it with nobody tracing it dies. Outside `burst` no breakpoint is set,
Delve's own two (on panics nobody recovers) included.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from leaktui.engines.delve import traced
from leaktui.engines.delve.rpc import DelveRefused, DelveSilent, RpcConnection, open_answer
from leaktui.errors import DecodeError, TargetGone
from leaktui.wire.delve.states import SetPoint, Stop, decode_breakpoints, decode_stop

ANSWER_SECONDS = 10.0
"""What an ordinary call may take. The longest seen is a stack with everything in it: 0.3 s."""

_STEP_SECONDS = 0.05
_DRAIN_TRIES = 60
_RESUME_SECONDS = 0.1


class Debugger:
    """One target behind one connection. `look_after` is called while an answer is waited for, every 50 ms.

    A *foreign* one is somebody else's server: its target is halted only if it runs, and then set going again; it is
    never let go.
    """

    def __init__(
        self,
        rpc: RpcConnection,
        pid: int,
        look_after: Callable[[], None] = lambda: None,
        *,
        foreign: bool = False,
    ) -> None:
        self.rpc = rpc
        self._foreign = foreign
        self._found_running = False
        self.pid = pid
        self._look_after = look_after
        self._continue: int | None = None

    @property
    def running(self) -> bool:
        """Whether it was told to run and has not been seen to stop since."""
        return self._continue is not None

    def adopt(self, other: Debugger) -> None:
        """Go on where *other*, on the same connection, leaves off."""
        self._continue = other._continue

    @property
    def lost(self) -> bool:
        """Whether Delve is gone: there is nobody to ask for anything any more."""
        return self.rpc.over

    # --- calls ---

    def call(self, method: str, *, seconds: float = ANSWER_SECONDS, **arguments: Any) -> Any:
        """The result of a call. Raises DelveRefused, DelveSilent, DelveGone, DecodeError."""
        return open_answer(self.call_raw(method, seconds=seconds, **arguments))

    def call_raw(self, method: str, *, seconds: float = ANSWER_SECONDS, **arguments: Any) -> bytes:
        """The line that answers a call. Raises DelveSilent, DelveGone, DecodeError."""
        return self._await(self.rpc.send(method, **arguments), method, seconds)

    def _await(self, number: int, method: str, seconds: float) -> bytes:
        deadline = time.monotonic() + seconds
        while True:
            line = self.rpc.take(number, _STEP_SECONDS)
            if line is not None:
                return line
            self._look_after()
            if time.monotonic() > deadline:
                self.rpc.forget(number)
                raise DelveSilent(f"Delve did not answer {method} within {seconds:.0f} s")

    # --- running and halted ---

    def resume(self) -> None:
        """Let it run, unless it is foreign and stood before. Raises DelveGone, DelveSilent."""
        if self._continue is None and (self._found_running or not self._foreign):
            self._continue = self.rpc.send("Command", name="continue")

    def await_running(self) -> None:
        """Wait, for a moment, until what `resume` asked for has happened: a stop lasts until then."""
        deadline = time.monotonic() + _RESUME_SECONDS
        while traced.state_of(self.pid) == traced.TRACED and time.monotonic() < deadline:
            time.sleep(0.0002)

    def stopped(self, seconds: float) -> bytes | None:
        """The line Delve says when the target has stopped by itself, None if it has not within *seconds*.

        Raises DelveGone, DecodeError.
        """
        if self._continue is None:
            return None
        line = self.rpc.take(self._continue, seconds)
        if line is not None:
            self._continue = None
            self._found_running = False
        return line

    def halt(self) -> bytes | None:
        """Stop it; the line of the last stop, None where it stood already.

        Raises TargetGone when it has exited, DelveSilent, DelveGone, DecodeError.
        """
        line: bytes | None = None
        if self._foreign and self._continue is None:
            self._found_running = decode_stop(self.call("State", NonBlocking=True)).running
            if self._found_running:
                self.call_raw("Command", name="halt")
                self.call_raw("State", NonBlocking=False)
        elif self._continue is not None:
            line = self.stopped(0.0)
            if line is None:
                # While the answer to `continue` is on its way this may still say that it runs: then a SIGTRAP
                # is left over, which `drain` takes care of.
                halts = decode_stop(self.call("State", NonBlocking=True)).running
                if halts:
                    self.call_raw("Command", name="halt")
                self._found_running = halts
                number, self._continue = self._continue, None
                line = self._await(number, "continue", ANSWER_SECONDS)
            self.refuse_exited(line)
        return line

    def refuse_exited(self, line: bytes) -> Stop:
        """What *line* says. Raises TargetGone when that is that the target has exited; DecodeError."""
        try:
            stop = decode_stop(open_answer(line))
        except DelveRefused as error:
            if "has exited" in str(error):
                raise TargetGone(f"process {self.pid} has exited") from None
            return Stop()
        if stop.exited:
            raise TargetGone(f"process {self.pid} has exited")
        return stop

    # --- breakpoints ---

    def breakpoints(self) -> tuple[SetPoint, ...]:
        """All that are set, Delve's own included; the target must stand. Raises as `call`."""
        logical = decode_breakpoints(self.call("ListBreakpoints", All=False))
        physical = decode_breakpoints(self.call("ListBreakpoints", All=True))
        known = {point.number for point in logical}
        return (*logical, *(point for point in physical if point.number not in known))

    def clear(self, points: Iterable[SetPoint] | None = None) -> None:
        """Take out *points*, or all; the target must stand. Raises as `call`."""
        for point in self.breakpoints() if points is None else points:
            with suppress(DelveRefused):  # one that is gone already
                self.call("ClearBreakpoint", Id=point.number)

    # --- the end ---

    def let_go(self) -> None:
        """End the session so that the target lives on: nothing in it, nothing waiting for it, running.

        Raises TargetGone, DelveRefused, DelveSilent, DelveGone, DecodeError.
        """
        self.halt()
        self.clear()
        self.drain()
        self.call("Detach", Kill=False)

    def drain(self) -> None:
        """Stand with no SIGTRAP or SIGSTOP waiting: run until Delve has taken them in. Raises as `halt`."""
        for _ in range(_DRAIN_TRIES):
            if not traced.pending_signals(self.pid) & (traced.SIGTRAP_BIT | traced.SIGSTOP_BIT):
                return
            self.resume()
            line = self.stopped(0.01)
            if line is not None:
                self.refuse_exited(line)
            else:
                self.halt()
        raise DecodeError("a stop signal of Delve's would not be taken in")
