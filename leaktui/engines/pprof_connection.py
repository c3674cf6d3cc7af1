"""Connections that can be given up: the network floor under httpx for the pprof engine.

Law: no wait is longer than a tenth of a second without a look at the clock and at the cancel event, so
an endpoint that hangs or drips cannot hold a thread. Sockets may be unix sockets of the target's mount
namespace, or be made in the target's network namespace (setns(2) in a thread of its own, which then
ends: our other threads never leave their namespace).
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpcore

from leaktui.engines.pprof_endpoint import Endpoint
from leaktui.errors import EndpointUnreachable, EngineUnavailable
from leaktui.text import format_duration

_SLICE_SECONDS = 0.1
_CLONE_NEWNET = 0x4000_0000

T = TypeVar("T")


class CaptureCancelled(Exception):
    """The capture was cancelled. Raised inside the engine only; never leaves it."""


@dataclass(slots=True)
class Patience:
    """How long one exchange may take: *total* seconds in all, *idle* seconds without a byte."""

    total: float
    idle: float
    cancelled: Callable[[], bool] = lambda: False
    began: float = field(default_factory=time.monotonic)

    def remaining(self) -> float:
        """Seconds left of the total, not below zero."""
        return max(0.0, self.began + self.total - time.monotonic())

    def check(self, waiting_since: float, endpoint: str) -> float:
        """Seconds the next wait may last; raises CaptureCancelled or EndpointUnreachable."""
        if self.cancelled():
            raise CaptureCancelled
        now = time.monotonic()
        if now - self.began >= self.total:
            raise EndpointUnreachable(
                f"{endpoint} did not finish its answer within {format_duration(self.total)}",
                remedy="the program may be overloaded or stuck; try again, or look with `leaktui doctor`",
            )
        if now - waiting_since >= self.idle:
            raise EndpointUnreachable(
                f"{endpoint} took the connection but sent nothing for {format_duration(self.idle)}",
                remedy="the program may be stopped, overloaded or stuck in the handler; try again",
            )
        return min(_SLICE_SECONDS, self.began + self.total - now, waiting_since + self.idle - now)


class PatientStream(httpcore.NetworkStream):
    """A connected, non-blocking socket, plain or TLS. `patience` is the current exchange's."""

    def __init__(self, sock: socket.socket, dialer: Dialer) -> None:
        self._socket = sock
        self._dialer = dialer

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        try:
            return self._perform(lambda: self._socket.recv(max_bytes), select.POLLIN)
        except OSError as error:
            raise httpcore.ReadError(_reason(error)) from None

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        view = memoryview(buffer)
        try:
            while view:
                part = view
                view = view[self._perform(lambda part=part: self._socket.send(part), select.POLLOUT) :]  # type: ignore[misc]
        except OSError as error:
            raise httpcore.WriteError(_reason(error)) from None

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        try:
            secured = ssl_context.wrap_socket(
                self._socket, server_hostname=server_hostname, do_handshake_on_connect=False
            )
            self._socket = secured
            self._perform(secured.do_handshake, select.POLLIN)
        except OSError as error:
            self.close()
            raise httpcore.ConnectError(_reason(error)) from None
        return self

    def close(self) -> None:
        self._socket.close()

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable":  # httpcore asks before it reuses a connection: EOF is readable
            return bool(_poll(self._socket, select.POLLIN, 0.0))
        return None

    def _perform(self, action: Callable[[], T], events: int) -> T:
        """Do *action*, waiting as often as the socket or TLS asks for it."""
        since = time.monotonic()
        while True:
            try:
                return action()
            except (BlockingIOError, ssl.SSLWantReadError):
                wanted = events if not isinstance(self._socket, ssl.SSLSocket) else select.POLLIN
            except ssl.SSLWantWriteError:
                wanted = select.POLLOUT
            self._dialer.wait(self._socket, wanted, since)


class Dialer(httpcore.NetworkBackend):
    """Connects to one endpoint. `connections` counts how often; `patience` is set for each exchange."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.connections = 0
        self.patience = Patience(total=10.0, idle=5.0)

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        self.connections += 1
        if self.endpoint.unix_path is not None:
            return PatientStream(self._connect_unix(self.endpoint.unix_path), self)
        failure: OSError | None = None
        for family, address in self._resolve(host, port):
            sock = self._open(family)
            try:
                self._connect(sock, address)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return PatientStream(sock, self)
            except OSError as error:
                sock.close()
                failure = error
            except BaseException:
                sock.close()
                raise
        raise httpcore.ConnectError(_reason(failure) if failure else "it has no address")

    def wait(self, sock: socket.socket, events: int, since: float) -> None:
        """Wait until *sock* is ready; raises CaptureCancelled or EndpointUnreachable."""
        while True:
            seconds = self.patience.check(since, self.endpoint.name)
            if _poll(sock, events, seconds):
                return

    def _open(self, family: int) -> socket.socket:
        pid = self.endpoint.namespace_pid
        sock = socket.socket(family, socket.SOCK_STREAM) if pid is None else socket_in_namespace(pid, family)
        sock.setblocking(False)
        return sock

    def _connect(self, sock: socket.socket, address: Any) -> None:
        since = time.monotonic()
        while (code := sock.connect_ex(address)) == errno.EAGAIN:  # a unix listener whose queue is full
            time.sleep(self.patience.check(since, self.endpoint.name) / 2)
        if code == errno.EINPROGRESS:
            self.wait(sock, select.POLLOUT, since)
            code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))

    def _connect_unix(self, path: bytes) -> socket.socket:
        sock = self._open(socket.AF_UNIX)
        try:
            if path.startswith(b"\0"):
                self._connect(sock, path)
                return sock
            # A path longer than sun_path (108 bytes) still fits through a descriptor's link.
            handle = os.open(self._reachable(path), os.O_PATH | os.O_CLOEXEC)
            try:
                self._connect(sock, f"/proc/self/fd/{handle}")
            finally:
                os.close(handle)
            return sock
        except OSError as error:
            sock.close()
            raise httpcore.ConnectError(_reason(error)) from None
        except BaseException:
            sock.close()
            raise

    def _reachable(self, path: bytes) -> bytes:
        """*path* as we can open it: the process may have another root or working directory."""
        pid = self.endpoint.owner_pid
        if pid is None:
            return path
        seen = b"/proc/%d/root%s" % (pid, path) if path.startswith(b"/") else b"/proc/%d/cwd/%s" % (pid, path)
        return seen if os.path.exists(seen) else path  # noqa: PTH110 - bytes

    def _resolve(self, host: str, port: int) -> list[tuple[int, Any]]:
        """Addresses to try. The resolver cannot be interrupted, so names are looked up in a thread."""
        with contextlib.suppress(OSError):
            return _lookup(host, port, socket.AI_NUMERICHOST)
        answer: list[list[tuple[int, Any]] | OSError] = []

        def look_up() -> None:
            try:
                answer.append(_lookup(host, port))
            except OSError as error:
                answer.append(error)

        thread = threading.Thread(target=look_up, name="leaktui-resolver", daemon=True)
        thread.start()
        since = time.monotonic()
        while thread.is_alive():
            thread.join(self.patience.check(since, self.endpoint.name))
        result = answer[0]
        if isinstance(result, OSError):
            raise httpcore.ConnectError(f"the name does not resolve ({_reason(result)})")
        return result


def socket_in_namespace(pid: int, family: int) -> socket.socket:
    """A stream socket that belongs to the network namespace of *pid*.

    Raises EngineUnavailable without the permission (CAP_SYS_ADMIN over that namespace).
    """
    result: list[socket.socket | OSError] = []

    def enter() -> None:
        try:
            namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            try:
                libc = ctypes.CDLL(None, use_errno=True)
                if libc.setns(namespace, _CLONE_NEWNET) != 0:
                    code = ctypes.get_errno()
                    raise OSError(code, os.strerror(code))
                result.append(socket.socket(family, socket.SOCK_STREAM))
            finally:
                os.close(namespace)
        except OSError as error:
            result.append(error)

    thread = threading.Thread(target=enter, name="leaktui-setns", daemon=True)
    thread.start()
    thread.join()
    made = result[0]
    if isinstance(made, OSError):
        raise EngineUnavailable(
            f"process {pid} lives in another network namespace (a container), and entering it failed "
            f"({_reason(made)})",
            remedy="run leaktui as root, or inside the container, or give a reachable address with --url",
        )
    return made


def _lookup(host: str, port: int, flags: int = 0) -> list[tuple[int, Any]]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    return [(family, address) for family, _, _, _, address in found]


def _poll(sock: socket.socket, events: int, seconds: float) -> bool:
    poll = select.poll()
    poll.register(sock, events)
    return bool(poll.poll(max(0.0, seconds) * 1000))


def _reason(error: OSError) -> str:
    """The error in plain words: verify failures keep OpenSSL's, the others the system's."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {(error.reason or 'unexpected end').replace('_', ' ').lower()}"
    return (error.strerror or str(error) or type(error).__name__).lower()
