"""Leaktui's end of the guardian: it is started with the first order and asked for looks and bursts.

Law: Delve is reached through it and in no other way. When it is gone nothing is attached any more, whatever happened.
"""

from __future__ import annotations

import atexit
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leaktui.engines.delve import traced
from leaktui.engines.delve.address import Address
from leaktui.engines.delve.channel import Channel, ChannelClosed, Message
from leaktui.errors import DecodeError, EngineError, EngineUnavailable, TargetGone

_START_SECONDS = 20.0
_ATTACH_SECONDS = 90.0
_ANSWER_SECONDS = 60.0
_END_SECONDS = 15.0
_STEP_SECONDS = 0.1

_START = (
    "import sys; sys.path[:] = sys.argv[2:]; "
    "from leaktui.engines.delve.guardian import guard; guard(int(sys.argv[1]))"
)

Call = tuple[str, dict[str, Any]]
"""A method of Delve's RPC and its arguments."""


@dataclass(frozen=True, slots=True)
class Look:
    """What came of a look: the answers to the calls that were made, fewer where time did not do for all.

    `stop_ms` is what the target stood still, in milliseconds; `took_ms` what each call took.
    """

    lines: list[bytes]
    stop_ms: float
    took_ms: list[float]


class GuardedDelve:
    """Delve attached to a process, under a guardian. One thread asks; `close` may be called from any."""

    def __init__(
        self,
        dlv: str,
        pid: int,
        started_ticks: int,
        *,
        address: Address | None = None,
        idle_seconds: float,
    ) -> None:
        """Start the guardian. With *address* it is to connect to somebody else's Delve. Raises EngineUnavailable."""
        self._address = address
        self._dlv = dlv
        self._pid = pid
        self._ticks = started_ticks
        self._idle_seconds = idle_seconds
        self._closing = threading.Lock()
        self._over = False
        import leaktui

        parent = str(Path(leaktui.__file__).parents[1])
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, "-I", "-S", "-c", _START, str(theirs.fileno()), parent, *sys.path],
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=None if os.environ.get("LEAKTUI_DEBUG") else subprocess.DEVNULL,
                    start_new_session=True,
                    cwd="/",
                    env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
                )
        except OSError as error:
            self._socket.close()
            raise _cannot_start(error.strerror or "") from None
        self.standby_pid = self.dlv_pid = 0
        atexit.register(self.close)
        self._channel = Channel(self._socket)
        try:
            message = self._channel.receive(_START_SECONDS)
        except ChannelClosed:
            message = None
        if message is None or message.head.get("event") != "ready":
            self.close()
            raise _cannot_start("it did not start")
        self.standby_pid = int(message.head["standby"])

    @property
    def guardian_pid(self) -> int:
        """The guardian's process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it can be asked: False once it has ended or let the target go by itself."""
        if self._over or self._process.poll() is not None:
            return False
        with suppress(ChannelClosed):
            message = self._channel.receive(0.0)
            if message is None:
                return True
        self.close()
        return False

    def attach(self, calls: list[Call]) -> Look:
        """Attach, make *calls* in the same stop, and let it run.

        Raises EngineUnavailable with what Delve said, TargetGone, EngineError.
        """
        order = {
            "do": "attach",
            "pid": self._pid,
            "started_ticks": self._ticks,
            "dlv": self._dlv,
            "calls": calls,
            "idle_seconds": self._idle_seconds,
        }
        if self._address is not None:
            order |= {"do": "connect", "address": str(self._address)}
        message = self._ask(order, "attach", _ATTACH_SECONDS)
        head = message.head
        self.dlv_pid = int(head["dlv_pid"])
        return Look(message.lines, float(head["stop_ms"]), [])

    def look(self, calls: list[Call], most_ms: float, *, goid: int = 0) -> Look:
        """Halt the target, make as many of *calls* as can be made in *most_ms*, let it run.

        With *goid* the first call is a listing, and the others are made only if that goroutine is in it.

        Raises EngineError, TargetGone, DecodeError.
        """
        order = {"do": "look", "calls": calls, "most_ms": most_ms, "goid": goid}
        message = self._ask(order, "look", _ANSWER_SECONDS)
        head = message.head
        return Look(message.lines, float(head["stop_ms"]), [float(each) for each in head["took_ms"]])

    def burst(self, order: dict[str, Any], cancel: threading.Event) -> Iterator[Message]:
        """Carry out a burst: its messages as they come, the last one when everything is out of the target.

        Raises EngineError, TargetGone, DecodeError.
        """
        self._post(order | {"do": "burst"})
        deadline = time.monotonic() + float(order["seconds"]) + _ANSWER_SECONDS
        asked = over = False
        try:
            while not over:
                message = self._receive(_STEP_SECONDS)
                if message is not None:
                    over = message.head.get("event") == "over"
                    yield message
                if (cancel.is_set() or self._over) and not asked:
                    asked = True
                    self._post({"do": "stop"})
                if time.monotonic() > deadline:
                    raise self._lost("does not answer")
        finally:
            if not over:  # whoever took the messages went away
                self.close()

    def close(self) -> None:
        """Have the target let go, and wait for that. Safe to call again, from any thread."""
        self._over = True
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)
        with self._closing:
            atexit.unregister(self.close)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_END_SECONDS)
            # Where the guardian was killed the standby is at work now.
            deadline = time.monotonic() + _END_SECONDS
            while self.standby_pid and traced.state_of(self.standby_pid) and time.monotonic() < deadline:
                time.sleep(0.005)
            self.standby_pid = 0
            self._socket.close()

    # --- messages ---

    def _ask(self, order: dict[str, Any], reply: str, seconds: float) -> Message:
        self._post(order)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            message = self._receive(_STEP_SECONDS)
            if message is not None and message.head.get("reply") == reply:
                return message
        raise self._lost("does not answer")

    def _post(self, head: dict[str, Any]) -> None:
        try:
            self._channel.post(head)
            self._channel.flush_all(_ANSWER_SECONDS)
        except (ChannelClosed, OSError, ValueError):
            raise self._lost("is gone") from None

    def _receive(self, seconds: float) -> Message | None:
        try:
            message = self._channel.receive(seconds)
        except (ChannelClosed, OSError, ValueError):
            raise self._lost("is gone") from None
        if message is None or "error" not in message.head:
            return message
        head = message.head
        self.close()
        reason, remedy = str(head["error"]), str(head["remedy"])
        if head.get("gone"):
            raise TargetGone(reason, remedy=remedy)
        if head.get("garbage"):
            raise DecodeError(f"{reason} (the target was let go)", remedy=remedy)
        if head.get("unavailable"):
            raise EngineUnavailable(reason, remedy=remedy)
        raise EngineError(reason, remedy=remedy)

    def _lost(self, how: str) -> EngineError:
        self.close()
        return EngineError(
            f"the process that guards Delve {how}: the target was let go by the one beside it",
            remedy="ask again",
        )


def _cannot_start(why: str) -> EngineUnavailable:
    reason = "the process that guards the target from Delve could not be started"
    return EngineUnavailable(f"{reason}: {why}", remedy="without it Delve is not used; use the memory engine")
