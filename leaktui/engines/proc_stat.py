"""`/proc/PID`: the counters of one process, and what a failed read of it means.

Law: every OSError from `/proc` becomes a sentence about the process here and nowhere else. Text is read
as bytes: names in it are the target's and may hold anything (proc(5)).
"""

from __future__ import annotations

import errno
import os
import pwd
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

from leaktui.errors import TargetError, TargetForbidden, TargetGone
from leaktui.text import printable

CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")

_READ_LIMIT = 8 << 20
_KERNEL_THREAD = 0x0020_0000  # PF_KTHREAD, include/linux/sched.h


@dataclass(frozen=True, slots=True)
class ProcStat:
    """The fields of `/proc/PID/stat` leaktui uses. `started_ticks` counts from boot, in CLOCK_TICKS.

    (pid, started_ticks) names a process for good; a pid alone is reused.
    """

    pid: int
    name: str
    state: str
    kernel_thread: bool
    cpu_seconds: float
    threads: int
    started_ticks: int
    vms_bytes: int

    @property
    def dead(self) -> bool:
        """Exited, though its parent has not collected it yet (zombie)."""
        return self.state in "ZXx"


def target_error(pid: int, error: OSError) -> TargetError:
    """What *error*, met while reading `/proc/PID`, says of the process."""
    if error.errno in (errno.EACCES, errno.EPERM):
        return _forbidden(pid)
    if error.errno in (errno.ENOENT, errno.ESRCH):
        if _is_hidden(pid):
            return TargetForbidden(
                f"process {pid} is hidden from this user (/proc is mounted with hidepid)",
                remedy="run leaktui as the user the process runs as, or as root",
            )
        if not Path("/proc/self/stat").exists():
            return TargetForbidden(
                "there is no /proc here", remedy="mount it, or give the program's pprof address with --url"
            )
        return TargetGone(f"there is no process {pid}", remedy="see `leaktui ps` for the Go processes here")
    return TargetForbidden(f"process {pid} cannot be read: {os.strerror(error.errno or 0)}")


def _forbidden(pid: int) -> TargetForbidden:
    owner = ""
    with suppress(OSError):
        owner = f" (it runs as {user_name(Path(f'/proc/{pid}').stat().st_uid)})"
    if os.geteuid() == 0:
        return TargetForbidden(
            f"process {pid} is closed even to root here{owner}, by a container or a security module",
            remedy="run leaktui on the host, or give the container the right (docker run --cap-add=SYS_PTRACE)",
        )
    return TargetForbidden(
        f"process {pid} is not yours to look at{owner}",
        remedy="run leaktui as that user, or as root with sudo",
    )


def _is_hidden(pid: int) -> bool:
    """hidepid makes the directory vanish, but the kernel still says EPERM to a signal (no. 0: none sent)."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return False


def read_proc(pid: int, name: str, limit: int = _READ_LIMIT) -> bytes:
    """The bytes of `/proc/PID/name`, at most *limit*; raises TargetGone or TargetForbidden."""
    try:
        with open(f"/proc/{pid}/{name}", "rb", buffering=0) as file:  # noqa: PTH123 - unbuffered, and hot
            parts: list[bytes] = []
            size = 0
            while size < limit and (part := file.read(min(1 << 16, limit - size))):
                parts.append(part)
                size += len(part)
            return b"".join(parts)
    except OSError as error:
        raise target_error(pid, error) from None


def read_stat(pid: int) -> ProcStat:
    """Decode `/proc/PID/stat`; zombies are returned too, see `ProcStat.dead`."""
    data = read_proc(pid, "stat")
    # The name is in parentheses and may itself hold parentheses and blanks: the last one ends it.
    head, _, tail = data.rpartition(b")")
    fields = tail.split()
    if len(fields) < 22:
        raise TargetGone(f"process {pid} exited")
    return ProcStat(
        pid=pid,
        name=printable(head.partition(b"(")[2].decode("utf-8", "surrogateescape")),
        state=fields[0].decode("ascii", "replace"),
        kernel_thread=bool(int(fields[6]) & _KERNEL_THREAD),
        cpu_seconds=(int(fields[11]) + int(fields[12])) / CLOCK_TICKS,
        threads=int(fields[17]),
        started_ticks=int(fields[19]),
        vms_bytes=int(fields[20]),
    )


def read_rss(pid: int) -> int:
    """Resident bytes.

    From `statm`, not from `stat`: since the counters went per CPU (Linux 6.2) `stat` lacks what each CPU
    has not yet handed in, megabytes on a large machine; newer kernels sum them up again for `statm`
    (fs/proc/task_mmu.c `task_statm`; on 6.18 a process just started showed 0 or 156 kB in `stat`, 188 kB here).
    """
    fields = read_proc(pid, "statm").split()
    return int(fields[1]) * PAGE_BYTES if len(fields) > 1 else 0


def read_live_stat(pid: int, started_ticks: int | None = None) -> ProcStat:
    """`read_stat` of a process that lives; TargetGone for a zombie or another process under this pid."""
    try:
        stat = read_stat(pid)
    except TargetGone:
        if started_ticks is None:
            raise
        raise TargetGone(f"process {pid} has exited") from None
    if started_ticks is not None and stat.started_ticks != started_ticks:
        raise TargetGone(f"process {pid} has exited, and another one has its pid now")
    if stat.dead:
        raise TargetGone(
            f"process {pid} ({stat.name}) has exited; only its parent has not collected it yet (zombie)",
            remedy="see `leaktui ps` for the Go processes here",
        )
    return stat


@cache
def boot_time() -> float:
    """Seconds since 1970 at boot: `btime` of `/proc/stat`, whole seconds, stable unless the clock is set."""
    with suppress(OSError, ValueError):
        for line in Path("/proc/stat").read_bytes().splitlines():
            if line.startswith(b"btime "):
                return float(line.split()[1])
    return 0.0


def started_at(stat: ProcStat) -> float:
    """When the process began, seconds since 1970; equal for every call about the same process."""
    return boot_time() + stat.started_ticks / CLOCK_TICKS


def read_cmdline(pid: int) -> bytes:
    """The arguments, each ended by a NUL, as `/proc/PID/cmdline` has them."""
    return read_proc(pid, "cmdline")


def format_cmdline(cmdline: bytes, limit: int = 400) -> str:
    """Arguments on one printable line."""
    text = cmdline.rstrip(b"\0").replace(b"\0", b" ")[: 4 * limit].decode("utf-8", "surrogateescape")
    return printable(text, limit)


def read_fd_limit(pid: int) -> int | None:
    """The soft RLIMIT_NOFILE; None when unlimited or not told."""
    with suppress(TargetForbidden):
        for line in read_proc(pid, "limits").splitlines():
            if line.startswith(b"Max open files"):
                soft = line[len(b"Max open files") :].split()[0]
                return int(soft) if soft.isdigit() else None
    return None


def count_fds(pid: int) -> int | None:
    """How many descriptors are open; None when it is not ours to know.

    Linux 6.2 gives the number as the size of `/proc/PID/fd`; before that the size is 0 and we list.
    """
    path = f"/proc/{pid}/fd"
    try:
        count = os.stat(path).st_size  # noqa: PTH116 - hot
        if count == 0:
            count = len(os.listdir(path))  # noqa: PTH208 - a count, not paths
    except PermissionError:
        return None
    except OSError as error:
        raise target_error(pid, error) from None
    return count


def read_exe(pid: int) -> str:
    """The path of the executable as the process's own mount namespace names it, made safe to print."""
    try:
        path = os.readlink(f"/proc/{pid}/exe")  # noqa: PTH115 - the text, not a Path
    except OSError as error:
        raise target_error(pid, error) from None
    return printable(path.removesuffix(" (deleted)"))


@lru_cache(maxsize=256)
def user_name(uid: int) -> str:
    """The user's name, or the number where there is none (a container's user)."""
    try:
        return printable(pwd.getpwuid(uid).pw_name, 64)
    except KeyError:
        return str(uid)
