"""A connection to Delve: calls out, answers in, each by its number, and never a wait without an end.

Law: blocking on purpose, one thread. An answer that comes while another one is waited for is kept. Lines are decoded
only when somebody takes them: a hit is passed on as it came.
"""

from __future__ import annotations

import re
import select
import socket
import time
from contextlib import suppress
from typing import Any

from leaktui.errors import DecodeError, EngineError
from leaktui.wire.delve.framing import Answer, LineCutter, decode_answer, encode_request

_NUMBER = re.compile(rb'\s*\{"id":(\d+),')
_CHUNK = 1 << 18
_SEND_SECONDS = 10.0


class DelveGone(EngineError):
    """Delve closed the connection, or ended."""


class DelveSilent(EngineError):
    """Delve did not answer in time."""


class DelveRefused(EngineError):
    """Delve says it cannot do what it was asked for: the message is its own."""


class RpcConnection:
    """Our end of a connected stream socket."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._socket.setblocking(False)
        self._cutter = LineCutter()
        self._lines: dict[int, bytes] = {}
        self._forgotten: set[int] = set()
        self._last = 0
        self.over = False
        """Whether Delve has closed it."""

    def fileno(self) -> int:
        """For select."""
        return self._socket.fileno()

    def send(self, method: str, **arguments: Any) -> int:
        """Make a call; the number of its answer. Raises DelveGone, DelveSilent."""
        self._last += 1
        data = memoryview(encode_request(self._last, method, arguments))
        deadline = time.monotonic() + _SEND_SECONDS
        while data:
            try:
                data = data[self._socket.send(data) :]
            except BlockingIOError:
                _, ready, _ = select.select([], [self._socket], [], max(0.0, deadline - time.monotonic()))
                if not ready:
                    raise DelveSilent("Delve does not read what it is asked") from None
            except OSError:
                raise DelveGone("Delve closed the connection") from None
        return self._last

    def take(self, number: int, seconds: float) -> bytes | None:
        """The line that answers call *number*, None when it has not come within *seconds*.

        Raises DelveGone, DecodeError.
        """
        deadline = time.monotonic() + seconds
        while number not in self._lines:
            left = deadline - time.monotonic()
            if not self.read(max(0.0, left)) and left <= 0:
                return None
        return self._lines.pop(number)

    def read(self, seconds: float) -> bool:
        """Take in what has come, or comes within *seconds*; whether anything did. Raises DelveGone, DecodeError."""
        if self.over:
            raise DelveGone("Delve closed the connection")
        ready, _, _ = select.select([self._socket], [], [], seconds)
        if not ready:
            return False
        try:
            data = self._socket.recv(_CHUNK)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            self.over = True
            raise DelveGone("Delve closed the connection")
        for line in self._cutter.feed(data):
            self._keep(line)
        return True

    def forget(self, number: int) -> None:
        """Nobody will take that answer."""
        if self._lines.pop(number, None) is None:
            self._forgotten.add(number)

    def _keep(self, line: bytes) -> None:
        match = _NUMBER.match(line)
        number = int(match.group(1)) if match else decode_answer(line).number
        if not 0 < number <= self._last:
            raise DecodeError("Delve answered what it was not asked")
        if number in self._forgotten:
            self._forgotten.discard(number)
            return
        self._lines[number] = line

    def close(self) -> None:
        """Safe to call again."""
        with suppress(OSError):
            self._socket.close()


def open_answer(line: bytes) -> Any:
    """The result in *line*. Raises DelveRefused, DecodeError."""
    answer: Answer = decode_answer(line)
    if answer.error:
        raise DelveRefused(answer.error)
    return answer.result


def connect_unix(path: str) -> socket.socket:
    """Raises OSError."""
    connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        connected.settimeout(5.0)
        connected.connect(path)
    except BaseException:
        connected.close()
        raise
    return connected
