"""A pid made into a Target: whose executable it runs, since when, and who already traces it.

Law: nothing here needs more than reading `/proc` and the executable; the process is not touched.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from leaktui.binary.executable import Executable
from leaktui.engines.proc_stat import ProcStat, read_exe, read_live_stat, read_proc, read_stat, started_at
from leaktui.errors import DecodeError, NotGo, TargetError, TargetForbidden, TargetGone, UsageError
from leaktui.model.target import Target
from leaktui.text import printable


@dataclass(frozen=True, slots=True)
class Tracer:
    """A process that traces another one (a debugger, strace)."""

    pid: int
    name: str


def read_target(pid: int) -> Target:
    """The process *pid* as a Target.

    Raises UsageError for a pid that cannot be one, TargetGone, TargetForbidden, NotGo.
    """
    if not 0 < pid < 1 << 22:  # PID_MAX_LIMIT, include/linux/threads.h
        raise UsageError(f"{pid} is not a process id", remedy="see `leaktui ps` for the Go processes here")
    stat = read_live_stat(pid)
    if stat.kernel_thread:
        raise NotGo(
            f"process {pid} ({stat.name}) is a thread of the kernel",
            remedy="see `leaktui ps` for the Go processes here",
        )
    exe = read_exe(pid)
    try:
        with Executable.open(f"/proc/{pid}/exe") as executable:
            build, stripped = executable.build, executable.stripped
    except NotGo:
        _refuse_thread(pid, stat)
        raise NotGo(
            f"process {pid} runs {exe}, which was not built by the Go toolchain",
            remedy="see `leaktui ps` for the Go processes here",
        ) from None
    except (DecodeError, TargetForbidden) as error:
        read_live_stat(pid, stat.started_ticks)
        raise TargetForbidden(f"the executable of process {pid} ({exe}) cannot be read: {error}") from None
    read_live_stat(pid, stat.started_ticks)
    return Target(
        pid=pid,
        exe=exe,
        go_version=printable(build.go_version),
        module=printable(build.module.path) if build.module else "",
        main_package=printable(build.main_package),
        stripped=stripped,
        started_at=started_at(stat),
        build=build,
    )


def _refuse_thread(pid: int, stat: ProcStat) -> None:
    """A process that exited or called exec while we read its executable is not "not Go"."""
    with suppress(TargetForbidden):
        if read_live_stat(pid, stat.started_ticks).name != stat.name:
            raise TargetGone(
                f"process {pid} started another program while it was looked at", remedy="try again"
            )


def tracer_of(pid: int) -> Tracer | None:
    """Who traces *pid* (`TracerPid` of `/proc/PID/status`), None when nobody does."""
    for line in read_proc(pid, "status").splitlines():
        if line.startswith(b"TracerPid:"):
            tracer = int(line.split()[1])
            if tracer == 0:
                return None
            name = "unknown"  # a tracer in another pid namespace shows as a pid we cannot read
            with suppress(TargetError):
                name = read_stat(tracer).name
            return Tracer(tracer, name)
    return None
