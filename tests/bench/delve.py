"""Delve as a peer: attached to a process of ours, it lists all goroutines with their stacks while the target stands.

The process must be one that may be lost. Nothing is set in it and it is let go before dlv is ended.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

DEPTH = 20
"""Frames asked for, as `goroutines -t 20` does."""

_ATTACH_SECONDS = 120.0
_BATCH = 10_000


class DelveRefused(Exception):
    """What Delve says it cannot do."""


class OutOfTime(Exception):
    """The time that was given for a measurement is over."""


class Delve:
    """A connection to a dlv that is attached."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(_ATTACH_SECONDS)
        self._socket.connect(str(path))
        self._lines = self._socket.makefile("rb")
        self._calls = 0

    def call(self, method: str, **arguments: Any) -> Any:
        """The result of an RPC; raises DelveRefused."""
        self._calls += 1
        message = {"method": f"RPCServer.{method}", "params": [arguments], "id": self._calls}
        self._socket.sendall(json.dumps(message).encode())
        line = self._lines.readline()
        if not line:
            raise DelveRefused("dlv went away")
        answer = json.loads(line)
        if answer["error"]:
            raise DelveRefused(str(answer["error"]))
        return answer["result"]

    def close(self) -> None:
        self._lines.close()
        self._socket.close()

    def list_stacks(self, deadline: float) -> int:
        """Ask for every goroutine and the stack of each; how many there were. Raises OutOfTime past *deadline*."""
        start = count = 0
        while start >= 0:
            found = self.call("ListGoroutines", Start=start, Count=_BATCH)
            for goroutine in found["Goroutines"] or ():
                if time.perf_counter() > deadline:
                    raise OutOfTime
                self.call("Stacktrace", Id=goroutine["id"], Depth=DEPTH)
                count += 1
            start = found["Nextg"]
        return count


def find_dlv() -> str | None:
    """The dlv to run: LEAKTUI_DLV, or the one on PATH."""
    return os.environ.get("LEAKTUI_DLV") or shutil.which("dlv")


@contextmanager
def attached(dlv: str, pid: int) -> Iterator[Delve]:
    """dlv attached to *pid*, which is stopped for the length of the `with`. Raises DelveRefused."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "dlv"
        with subprocess.Popen(
            [dlv, "attach", str(pid), "--headless", f"--listen=unix:{path}", "--check-go-version=false"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        ) as process:
            assert process.stderr is not None
            try:
                deadline = time.perf_counter() + _ATTACH_SECONDS
                while not path.exists():
                    if process.poll() is not None or time.perf_counter() > deadline:
                        raise DelveRefused(process.stderr.read().decode(errors="replace").strip())
                    time.sleep(0.005)
                delve = Delve(path)
                try:
                    delve.call("State", NonBlocking=False)  # answered once it is attached
                    yield delve
                finally:
                    with suppress(DelveRefused, OSError):
                        delve.call("Detach", Kill=False)
                    delve.close()
            finally:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(10)
                if process.poll() is None:
                    process.kill()
