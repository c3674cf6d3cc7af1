"""Messages between leaktui and the guardian: a header that is JSON, and bytes that go with it untouched.

Law: neither end ever waits for the other to read while the target stands: what cannot be sent at once is kept and
sent later, and past a limit the other end counts as gone.
"""

from __future__ import annotations

import json
import select
import socket
import struct
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

_SIZES = struct.Struct("<II")
_CHUNK = 1 << 18
_MOST_UNSENT = 64 << 20
_LONGEST = 128 << 20


class ChannelClosed(Exception):
    """The other end is gone, or has not read for too long."""


@dataclass(frozen=True, slots=True)
class Message:
    """`head` says what it is; `lines` are what Delve said."""

    head: dict[str, Any]
    lines: list[bytes] = field(default_factory=list)


class Channel:
    """One end of a connected stream socket. One thread, but for `wake_up`."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._socket.setblocking(False)
        self._unsent = bytearray()
        self._received = bytearray()

    def fileno(self) -> int:
        """For select."""
        return self._socket.fileno()

    def post(self, head: dict[str, Any], lines: list[bytes] | None = None) -> None:
        """Send as much as can be sent at once, keep the rest. Raises ChannelClosed."""
        encoded, body = json.dumps(head).encode(), b"\n".join(lines or ())
        self._unsent += _SIZES.pack(len(encoded), len(body)) + encoded + body
        self.flush()
        if len(self._unsent) > _MOST_UNSENT:
            raise ChannelClosed

    def flush(self) -> bool:
        """Send what is left of earlier messages; whether that is all. Raises ChannelClosed."""
        try:
            while self._unsent:
                sent = self._socket.send(bytes(self._unsent[:_CHUNK]))
                del self._unsent[:sent]
        except BlockingIOError:
            return False
        except OSError:
            raise ChannelClosed from None
        return True

    def flush_all(self, seconds: float) -> None:
        """Send everything. Raises ChannelClosed when that takes longer than *seconds*."""
        deadline = time.monotonic() + seconds
        while not self.flush():
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([], [self._socket], [], left)[1]:
                raise ChannelClosed

    def receive(self, seconds: float) -> Message | None:
        """The next message, None when none is whole within *seconds*. Raises ChannelClosed."""
        deadline = time.monotonic() + seconds
        while True:
            message = self._cut()
            if message is not None:
                return message
            left = max(0.0, deadline - time.monotonic())
            if not select.select([self._socket], [], [], left)[0]:
                return None
            try:
                data = self._socket.recv(_CHUNK)
            except BlockingIOError:
                continue
            except OSError:
                data = b""
            if not data:
                raise ChannelClosed
            self._received += data

    def _cut(self) -> Message | None:
        if len(self._received) < _SIZES.size:
            return None
        head_size, body_size = _SIZES.unpack_from(self._received)
        if head_size + body_size > _LONGEST:
            raise ChannelClosed
        end = _SIZES.size + head_size + body_size
        if len(self._received) < end:
            return None
        head = json.loads(self._received[_SIZES.size : _SIZES.size + head_size])
        body = bytes(self._received[_SIZES.size + head_size : end])
        del self._received[:end]
        return Message(head, body.split(b"\n") if body_size else [])

    def close(self) -> None:
        """Safe to call again."""
        with suppress(OSError):
            self._socket.close()
