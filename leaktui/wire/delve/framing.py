"""Delve's JSON-RPC: requests as bytes, and the answers among the bytes that come back.

Law: bytes in, values out. An answer is one line; answers come in any order and are told apart by their number. What
is no answer raises DecodeError, and no line is longer than we are ready to hold.
(service/rpccommon/server.go and net/rpc/jsonrpc, Delve 1.27.)
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from leaktui.errors import DecodeError, LimitExceeded
from leaktui.text import printable

LONGEST_ANSWER = 64 << 20
"""Bytes. 300 goroutines take 0.4 MB, a stack with everything in it seldom more."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for request `number`: a result, or the reason why there is none."""

    number: int
    result: Any
    error: str = ""


def encode_request(number: int, method: str, arguments: dict[str, Any]) -> bytes:
    """A call of `RPCServer.method`."""
    message = {"method": f"RPCServer.{method}", "params": [arguments], "id": number}
    return json.dumps(message, separators=(",", ":")).encode()


def decode_answer(line: bytes) -> Answer:
    """Raises DecodeError for what is no answer."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        raise DecodeError(f"Delve answered what is no JSON: {_begin(line)}") from None
    if not isinstance(message, dict) or type(message.get("id")) is not int:
        raise DecodeError(f"Delve answered without a number: {_begin(line)}")
    error = message.get("error")
    return Answer(message["id"], message.get("result"), printable(str(error), 500) if error else "")


class LineCutter:
    """Bytes as they come, lines as they are whole."""

    def __init__(self, limit: int = LONGEST_ANSWER) -> None:
        self._parts: list[bytes] = []
        self._size = 0
        self._limit = limit

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that *data* makes whole, without their ends. Raises LimitExceeded."""
        *whole, rest = data.split(b"\n")
        lines = []
        for part in whole:
            lines.append(b"".join((*self._parts, part)))
            self._parts.clear()
            self._size = 0
        if rest:
            self._parts.append(rest)
            self._size += len(rest)
            if self._size > self._limit:
                raise LimitExceeded(f"an answer of Delve is longer than {self._limit >> 20} MB")
        return lines


def _begin(line: bytes) -> str:
    return repr(printable(line[:60].decode("utf-8", "replace")))
