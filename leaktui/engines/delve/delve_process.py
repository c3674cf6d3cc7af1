"""A dlv of our own: started, woken when somebody stops it, ended.

Law: it listens on a unix socket in a directory that is ours alone, reads no configuration but ours and fetches
nothing from the network. It is a session of its own, so that no hang-up reaches it (a SIGHUP kills dlv, and with its
breakpoints the target). It is ended only after it has let the target go, or when nothing else is left.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from leaktui.engines.delve import traced
from leaktui.engines.delve.rpc import RpcConnection, connect_unix
from leaktui.errors import EngineUnavailable
from leaktui.text import printable

_ENDS_SECONDS = 3.0
_STEP_SECONDS = 0.002


class DelveProcess:
    """dlv attached to a process. `pid` is dlv's own, `socket` the path it listens at."""

    def __init__(self, dlv: str, target: int) -> None:
        """Start it. Raises EngineUnavailable."""
        runtime = os.environ.get("XDG_RUNTIME_DIR", "")
        base = runtime if runtime and os.access(runtime, os.W_OK | os.X_OK) and len(runtime) < 60 else None
        self.directory = Path(tempfile.mkdtemp(prefix="leaktui-delve-", dir=base))  # mode 0700
        self.socket = str(self.directory / "rpc")
        self._said = self.directory / "said"
        kept = {name: value for name, value in os.environ.items() if name != "DEBUGINFOD_URLS"}
        try:
            with self._said.open("wb") as said:
                self._process = subprocess.Popen(
                    [
                        dlv,
                        "attach",
                        str(target),
                        "--headless",
                        "--accept-multiclient",  # so that whoever has to may connect and let the target go
                        "--api-version=2",
                        "--check-go-version=false",
                        f"--listen=unix:{self.socket}",
                    ],
                    stdin=subprocess.DEVNULL,
                    stdout=said,
                    stderr=said,
                    start_new_session=True,
                    cwd="/",
                    env={**kept, "XDG_CONFIG_HOME": str(self.directory)},
                )
        except OSError as error:
            self.remove()
            raise EngineUnavailable(
                f"{printable(dlv)} cannot be run: {error.strerror}", remedy="see `leaktui doctor`"
            ) from None
        self.pid = self._process.pid

    def connect(self, seconds: float, meanwhile: Callable[[], None]) -> RpcConnection:
        """A connection; it may well not have attached yet. Raises EngineUnavailable with what dlv said."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if not self.alive:
                raise EngineUnavailable(self.explain_end())
            with suppress(OSError):
                return RpcConnection(connect_unix(self.socket))
            meanwhile()
            time.sleep(_STEP_SECONDS)
        raise EngineUnavailable(f"Delve did not start within {seconds:.0f} s")

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process.poll() is None

    def explain_end(self) -> str:
        """What it said last, in a sentence."""
        with suppress(OSError):
            lines = self._said.read_bytes()[-4096:].decode("utf-8", "replace").splitlines()
            said = [line for line in lines if line.strip() and "listening at" not in line]
            if said:
                return f"Delve ended: {printable(said[-1], 300)}"
        return "Delve ended without a word"

    def wake(self) -> bool:
        """Have it go on when somebody stopped it (SIGSTOP); whether it was stopped."""
        return wake_stopped(self.pid)

    def wait(self, seconds: float) -> bool:
        """Whether it has ended within *seconds*."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        return not self.alive

    def end(self) -> None:
        """The target is let go: wait for it to end, help it where it does not, remove what it left."""
        self.wake()
        if not self.wait(_ENDS_SECONDS):
            self._process.kill()
            self._process.wait()
        self.remove()

    def remove(self) -> None:
        """Remove its directory; safe to call again."""
        shutil.rmtree(self.directory, ignore_errors=True)


def wake_stopped(pid: int) -> bool:
    """SIGCONT for process *pid* where it is stopped; whether it was."""
    if traced.state_of(pid) != traced.STOPPED:
        return False
    with suppress(OSError):
        os.kill(pid, signal.SIGCONT)
    return True
