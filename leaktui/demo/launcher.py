"""The demo as running processes: the storefront to look at, and the warehouse it asks.

Law: both hang on a pipe we hold. However leaktui ends, `kill -9` included, the pipes end and so do they.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from leaktui.demo.builder import DemoBinaries, build_demo
from leaktui.errors import LeaktuiError, UsageError
from leaktui.text import printable

LEAKS = ("body", "goroutine", "fd", "heap", "none")
"""What the demo can forget to give back."""

READY_SECONDS = 30.0
"""How long a process may take until it says that it serves."""

_GRACE_SECONDS = 2.0
_READY_BYTES = 64 << 10


class DemoService:
    """The demo shop, leaking *leak* at *rate* a second; with *fixed* the repaired build, which does not.

    Use it as a context manager, or call `start` and `stop`.
    """

    def __init__(
        self,
        leak: str = "body",
        *,
        rate: float = 20.0,
        fixed: bool = False,
        progress: Callable[[str], None] | None = None,
        binaries: DemoBinaries | None = None,
    ) -> None:
        """*progress* hears of a long wait; *binaries* are run instead of building.

        Raises UsageError for a leak or rate there is not.
        """
        if leak not in LEAKS:
            raise UsageError(
                f"the demo cannot leak {printable(leak)!r}", remedy=f"choose one of {', '.join(LEAKS)}"
            )
        if not 0 < rate <= 1000:
            raise UsageError("the demo's rate is out of range", remedy="give leaks per second, up to 1000")
        self.leak = leak
        self.rate = rate
        self.fixed = fixed
        self._progress = progress
        self._processes: list[_Process] = []
        self._binaries = binaries
        self._pprof = ""

    def start(self) -> None:
        """Build where needed and start; returns when the storefront serves. Starting twice does nothing.

        Raises EngineUnavailable without Go, LeaktuiError when building or starting fails.
        """
        if self._processes:
            return
        binaries = self._binaries = self._binaries or build_demo(self._progress)
        try:
            warehouse = self._start_process(binaries.warehouse, ())
            arguments = [
                "-warehouse",
                str(warehouse.ready.get("url", "")),
                "-leak",
                self.leak,
                "-rate",
                str(self.rate),
            ]
            if self.fixed:
                arguments.append("-fixed")
            storefront = self._start_process(binaries.storefront, arguments)
            self._pprof = str(storefront.ready.get("pprof", ""))
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End both processes and wait for them; safe to call again."""
        while self._processes:
            self._processes.pop().stop()  # the storefront first, or it would log a lost warehouse

    @property
    def pid(self) -> int:
        """The storefront's process id: the process to look at."""
        return self._storefront.popen.pid

    @property
    def pprof_url(self) -> str:
        """Base of its pprof pages, `http://127.0.0.1:41234/debug/pprof`."""
        if not self._processes:
            raise LeaktuiError("the demo is not running", remedy="start it first")
        return f"http://{self._pprof}/debug/pprof"

    @property
    def source(self) -> Path:
        """Where the Go source is that its line numbers point into."""
        if self._binaries is None:
            raise LeaktuiError("the demo has not been built", remedy="start it first")
        return self._binaries.source

    @property
    def alive(self) -> bool:
        """Whether both processes run."""
        return bool(self._processes) and all(process.popen.poll() is None for process in self._processes)

    def __enter__(self) -> DemoService:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def _storefront(self) -> _Process:
        if not self._processes:
            raise LeaktuiError("the demo is not running", remedy="start it first")
        return self._processes[-1]

    def _start_process(self, executable: Path, arguments: Sequence[str]) -> _Process:
        process = _Process(executable, arguments)
        self._processes.append(process)
        process.wait_until_ready()
        return process


class _Process:
    """One program of the demo, from its first line to its last."""

    def __init__(self, executable: Path, arguments: Sequence[str]) -> None:
        self.name = executable.name
        self.ready: dict[str, Any] = {}
        self._stderr: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (stop closes it)
        try:
            # A session of its own: Ctrl-C in the terminal is for leaktui, which then stops us in order.
            self.popen = subprocess.Popen(
                [executable, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                bufsize=0,
                start_new_session=True,
            )
        except OSError as error:
            self._stderr.close()
            raise LeaktuiError(
                f"cannot run the demo's {self.name} ({error.strerror})",
                remedy="where the cache directory is mounted noexec, set XDG_CACHE_HOME to another",
            ) from error

    def wait_until_ready(self) -> None:
        """Read the ready line. Raises LeaktuiError when it does not come."""
        stdout = self.popen.stdout
        assert stdout is not None
        deadline = time.monotonic() + READY_SECONDS
        line = b""
        while not line.endswith(b"\n"):
            readable, _, _ = select.select([stdout], [], [], max(0.0, deadline - time.monotonic()))
            if not readable:
                raise LeaktuiError(
                    f"the demo's {self.name} did not start within {READY_SECONDS:.0f} s", remedy="try again"
                )
            piece = os.read(stdout.fileno(), 4096)
            line += piece
            if not piece or len(line) > _READY_BYTES:
                raise LeaktuiError(
                    f"the demo's {self.name} did not start ({self._last_words()})", remedy="try again"
                )
        try:
            ready = json.loads(line)
        except ValueError:
            ready = None
        if not isinstance(ready, dict) or ready.get("ready") is not True:
            raise LeaktuiError(f"the demo's {self.name} said {printable(repr(line), 80)}", remedy="try again")
        self.ready = ready

    def stop(self) -> None:
        """End of its stdin, then SIGTERM, then SIGKILL; returns when it is gone."""
        for pipe in (self.popen.stdin, self.popen.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        for sign in (None, signal.SIGTERM, signal.SIGKILL):
            if sign is not None:
                self.popen.send_signal(sign)
            with suppress(subprocess.TimeoutExpired):
                self.popen.wait(_GRACE_SECONDS)
                break
        self._stderr.close()

    def _last_words(self) -> str:
        with suppress(subprocess.TimeoutExpired):
            self.popen.wait(1.0)
        self._stderr.seek(0)
        words = self._stderr.read(4096).decode(errors="replace").strip()
        return printable(words.splitlines()[-1], 200) if words else f"exit status {self.popen.poll()}"
