"""A server that claims to be pprof and answers whatever a test wants. In our own process, on loopback."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Write = Callable[[bytes], None]
Answer = Callable[[str, Write], None]
"""Takes the request's path and a way to write; returning closes the connection."""

HEAD = b"HTTP/1.1 200 OK\r\nX-Go-Pprof: 1\r\nConnection: close\r\n"
INDEX = b"<html><body><td>7</td><td><a href='goroutine?debug=1'>goroutine</a></td></body></html>"


def send_index(path: str, write: Write) -> bool:
    """Answer what an endpoint is recognised by; False for the profiles themselves."""
    if path.split("?")[0].rstrip("/").endswith(("goroutine", "heap", "trace", "allocs")):
        return False
    if "threadcreate" in path or "cmdline" in path:
        write(HEAD + b"Content-Length: 0\r\n\r\n")
    else:
        write(HEAD + b"Content-Type: text/html\r\nContent-Length: %d\r\n\r\n%s" % (len(INDEX), INDEX))
    return True


@contextmanager
def impostor(answer: Answer) -> Iterator[str]:
    """Serve *answer* for the length of a `with`; yields the URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def serve(connection: socket.socket) -> None:
        with connection, suppress(OSError, ValueError, IndexError):
            connection.settimeout(30)
            request = b""
            while b"\r\n\r\n" not in request:
                piece = connection.recv(4096)
                if not piece:
                    return
                request += piece

            def write(data: bytes) -> None:
                if over.is_set():
                    raise OSError("the test is over")
                connection.sendall(data)

            answer(request.split()[1].decode(), write)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/debug/pprof/"
    finally:
        over.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)
