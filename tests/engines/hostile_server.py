"""An HTTP server that misbehaves on purpose, on loopback, in threads.

Law: it answers what it was told to, byte for byte; `requests` lists the heads it has read, `sent` counts
what the other side took.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType

Conversation = Callable[["HostileServer", socket.socket], None]
Answer = bytes | Conversation

PPROF_NOT_FOUND = (
    b"HTTP/1.1 404 Not Found\r\nX-Go-Pprof: 1\r\nContent-Length: 16\r\nConnection: close\r\n\r\n"
    b"Unknown profile\n"
)
"""What net/http/pprof says of a profile it does not have: enough to be recognised as pprof."""


def reply(body: bytes, *, status: str = "200 OK", headers: str = "") -> bytes:
    """A whole, honest answer."""
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n{headers}\r\n"
    return head.encode() + body


class HostileServer:
    """Serves *answers* by path; what is not listed is 404 by pprof."""

    def __init__(self, answers: Mapping[str, Answer]) -> None:
        self.answers = dict(answers)
        self.requests: list[bytes] = []
        self.sent = 0
        self.over = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/debug/pprof/"

    def __enter__(self) -> HostileServer:
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.over.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in list(self._threads):
            thread.join(timeout=5)

    def paths(self) -> list[str]:
        """The paths asked for, in order."""
        return [head.split(b" ")[1].decode() for head in self.requests]

    def send(self, connection: socket.socket, data: bytes) -> None:
        """Send and count; raises OSError when the other side is gone."""
        view = memoryview(data)
        while view:
            count = connection.send(view)
            self.sent += count
            view = view[count:]

    def _accept(self) -> None:
        while not self.over.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.settimeout(5)
            head = b""
            while b"\r\n\r\n" not in head:
                part = connection.recv(65536)
                if not part:
                    return
                head += part
            self.requests.append(head)
            path = head.split(b" ")[1].decode().split("?", 1)[0]
            answer = self.answers.get(path, PPROF_NOT_FOUND)
            if isinstance(answer, bytes):
                self.send(connection, answer)
            else:
                answer(self, connection)


def hang(server: HostileServer, connection: socket.socket) -> None:
    """Take the request and say nothing."""
    server.over.wait(30)


def drip(server: HostileServer, connection: socket.socket) -> None:
    """A byte now and then, for ever."""
    server.send(connection, b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while not server.over.wait(0.02):
        server.send(connection, b"x")


def flood(server: HostileServer, connection: socket.socket) -> None:
    """Chunks without end."""
    server.send(connection, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    chunk = b"10000\r\n" + bytes(0x10000) + b"\r\n"
    while not server.over.is_set():
        server.send(connection, chunk)


def reset(server: HostileServer, connection: socket.socket) -> None:
    """Half an answer, then RST."""
    server.send(connection, b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


@contextlib.contextmanager
def closed_port() -> Iterator[int]:
    """A port nobody listens on (bound, so that nobody else takes it)."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]
