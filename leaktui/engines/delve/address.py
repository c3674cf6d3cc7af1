"""Where somebody else's headless Delve listens: `host:port`, `[v6]:port`, `unix:PATH`."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path

from leaktui.errors import EngineUnavailable, UsageError
from leaktui.text import printable

_CONNECT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Address:
    """`path` of a unix socket, or `host` and `port`."""

    host: str = ""
    port: int = 0
    path: str = ""

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """Raises UsageError."""
    if text.startswith("unix:") and len(text) > len("unix:"):
        return Address(path=text.removeprefix("unix:"))
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not (port.isascii() and port.isdigit()) or not 0 < int(port[:6]) < 1 << 16 or len(port) > 5:
        raise UsageError(
            f"{printable(text, 80)!r} is no address of a headless Delve", remedy="give host:port or unix:PATH"
        )
    return Address(host or "localhost", int(port))


def connect(address: Address) -> socket.socket:
    """Raises EngineUnavailable."""
    try:
        if address.path:
            connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
            connected.settimeout(_CONNECT_SECONDS)
            try:
                connected.connect(address.path)
            except BaseException:
                connected.close()
                raise
        else:
            connected = socket.create_connection((address.host, address.port), _CONNECT_SECONDS)
    except OSError as error:
        reason = error.strerror or str(error)
        raise EngineUnavailable(
            f"no Delve answers at {printable(str(address))}: {printable(reason)}",
            remedy="start one with `dlv attach PID --headless --accept-multiclient --listen=ADDRESS`",
        ) from None
    return connected


def refuse_single_client(address: Address) -> None:
    """Raises EngineUnavailable for a server on this machine that ends with its first client, and its target with it.

    One that cannot be asked before it is connected to: only its command line tells.
    """
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = [word.decode("utf-8", "replace") for word in path.read_bytes().split(b"\0")]
        except OSError:
            continue
        if "--headless" not in words or not any(
            _listens(words, index, address) for index in range(len(words))
        ):
            continue
        if not any(word.startswith("--accept-multiclient") for word in words):
            raise EngineUnavailable(
                f"the Delve at {printable(str(address))} serves one client, and ends with it",
                remedy="start it with --accept-multiclient",
            )


def _listens(words: list[str], index: int, address: Address) -> bool:
    """Whether the word at *index* has it listen at *address*."""
    word = words[index]
    if word in ("--listen", "-l") and index + 1 < len(words):
        value = words[index + 1]
    elif word.startswith(("--listen=", "-l=")):
        value = word.partition("=")[2]
    else:
        return False
    return value == f"unix:{address.path}" if address.path else value.endswith(f":{address.port}")
