"""One leaktui per target: a lock that cannot be left behind.

Law: what is locked is the process itself, its `/proc/PID/maps`: flock(2) takes it on any file. The lock
is therefore the same for every user (who shares this `/proc`), needs no file of ours, vanishes with
whoever dies (leaktui by whatever signal, or the target), and cannot be inherited by a later process
with the same pid. Opening `maps` needs the permission to look at the process, so nobody else can hold it.
"""

from __future__ import annotations

import errno
import fcntl
import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from leaktui.engines.proc_stat import format_cmdline, read_cmdline, read_live_stat, target_error
from leaktui.engines.proc_target import tracer_of
from leaktui.errors import TargetBusy, TargetError


class TargetLock:
    """The right to look at one process, as a context manager or by `acquire` and `release`."""

    def __init__(self, pid: int, *, beside_tracer: bool = False) -> None:
        """With *beside_tracer* a debugger on the process is not refused: one that is to be looked through."""
        self.pid = pid
        self._beside_tracer = beside_tracer
        self._file: int | None = None

    def acquire(self) -> None:
        """Take the lock.

        Raises TargetBusy, naming who holds the process: another leaktui, or a tracer (a debugger,
        strace). Raises TargetGone, TargetForbidden.
        """
        if self._file is not None:
            return
        stat = read_live_stat(self.pid)
        tracer = None if self._beside_tracer else tracer_of(self.pid)
        if tracer is not None:
            raise TargetBusy(
                f"process {self.pid} is traced by process {tracer.pid} ({tracer.name})",
                remedy="end that session first: two tracers can kill the program",
            )
        try:
            file = os.open(f"/proc/{self.pid}/maps", os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise target_error(self.pid, error) from None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = _find_holder(file) if error.errno in (errno.EWOULDBLOCK, errno.EACCES) else None
            os.close(file)
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                return  # a /proc that knows no locks (gVisor): better unlocked than unusable
            raise TargetBusy(
                f"another leaktui looks at process {self.pid}" + (f": process {holder}" if holder else ""),
                remedy="end it first, or use it",
            ) from None
        try:
            read_live_stat(self.pid, stat.started_ticks)
        except TargetError:
            os.close(file)
            raise
        self._file = file

    def release(self) -> None:
        """Give the lock back; safe to call again."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def __enter__(self) -> TargetLock:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _find_holder(file: int) -> str:
    """`1234 (`leaktui --pid 7`)`: who has the flock on *file*, empty where `/proc/locks` hides it.

    A line is `1: FLOCK  ADVISORY  WRITE 1234 00:15:4026 0 EOF`: pid, then major:minor:inode.
    """
    status = os.fstat(file)
    device, inode = (os.major(status.st_dev), os.minor(status.st_dev)), status.st_ino
    with suppress(OSError, ValueError):
        for line in Path("/proc/locks").read_text().splitlines():
            fields = line.split()
            if len(fields) < 6 or fields[1] != "FLOCK":
                continue
            major, minor, number = fields[5].split(":")
            if (int(major, 16), int(minor, 16)) == device and int(number) == inode and int(fields[4]) > 0:
                with suppress(TargetError):
                    return f"{fields[4]} (`{format_cmdline(read_cmdline(int(fields[4])), 60)}`)"
                return fields[4]
    return ""
