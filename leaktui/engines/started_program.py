"""A program that is started to be looked at: it ends with leaktui.

Law: it runs by itself, not under a debugger, and Delve attaches when it is asked to: a program that `dlv exec` started
cannot be let go, Delve kills it at the end (service/debugger `detach`: without an attached pid, always). It is a
process group of its own and is asked to end (SIGTERM) before it is made to. Should leaktui be killed, the kernel asks
it to (PR_SET_PDEATHSIG). Other processes of ours may trace it, also where kernel.yama.ptrace_scope is 1.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from leaktui.errors import UsageError
from leaktui.text import printable

_GRACE_SECONDS = 3.0
_PR_SET_PDEATHSIG = 1
_PR_SET_PTRACER = 0x59616D61
_PR_SET_PTRACER_ANY = ctypes.c_ulong(-1).value


class StartedProgram:
    """A running program; `output` is the file (mode 0600) that holds what it says."""

    def __init__(self, command: Sequence[str], directory: Path | None = None) -> None:
        """Start *command*. Its stdin is empty. Raises UsageError when it cannot be run."""
        if not command or not command[0]:
            raise UsageError("no program was named", remedy="give --exec ./app, and its arguments after --")
        file, path = tempfile.mkstemp(prefix="leaktui-output-", suffix=".log", dir=directory)
        self.output = Path(path)
        libc = ctypes.CDLL(None)

        def prepare() -> None:
            libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
            libc.prctl(_PR_SET_PTRACER, ctypes.c_ulong(_PR_SET_PTRACER_ANY), 0, 0, 0)

        try:
            self._process = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
                preexec_fn=prepare,  # noqa: PLW1509 - two system calls, nothing that could wait for a thread
            )
        except (OSError, subprocess.SubprocessError) as error:
            self.output.unlink(missing_ok=True)
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise UsageError(
                f"{printable(command[0])} cannot be run: {reason}", remedy="name an executable with --exec"
            ) from None
        finally:
            os.close(file)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def last_words(self) -> str:
        """The last line it said, safe to print; empty when it said nothing."""
        with suppress(OSError):
            lines = self.output.read_bytes()[-4096:].decode("utf-8", "replace").splitlines()
            return next((printable(line, 200) for line in reversed(lines) if line.strip()), "")
        return ""

    def stop(self) -> None:
        """Ask it to end, then make it; what it said goes with it. Safe to call again."""
        for sign in (signal.SIGTERM, signal.SIGKILL):
            if not self.alive:
                break
            with suppress(OSError):
                self._process.send_signal(sign)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_GRACE_SECONDS)
        self.output.unlink(missing_ok=True)
