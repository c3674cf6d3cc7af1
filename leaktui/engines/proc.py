"""The `proc` engine: what the kernel says of a process, at no cost to it.

Law: reads `/proc/PID` and nothing else. The pid's start time is remembered: once another process has
the pid, the target is gone, whatever `/proc` shows.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator

from leaktui.engines.proc_cgroup import find_memory_limit
from leaktui.engines.proc_fd import check_fds_readable, read_fds
from leaktui.engines.proc_net import find_listeners, find_sockets, find_unix_listeners
from leaktui.engines.proc_stat import count_fds, read_fd_limit, read_live_stat, read_rss
from leaktui.engines.proc_target import Tracer, read_target, tracer_of
from leaktui.engines.protocol import Fact, FdsSeen, ProcessSeen, Refused, Request, Want
from leaktui.errors import TargetError, TargetForbidden
from leaktui.model.capability import Capability, Impact
from leaktui.model.process import ProcessStat
from leaktui.model.target import Target

__all__ = [
    "ProcEngine",
    "Tracer",
    "find_listeners",
    "find_sockets",
    "find_unix_listeners",
    "read_process",
    "read_target",
    "tracer_of",
]


def read_process(pid: int, started_ticks: int | None = None) -> ProcessStat:
    """The counters of *pid* now; raises TargetGone, TargetForbidden."""
    stat = read_live_stat(pid, started_ticks)
    return ProcessStat(
        rss_bytes=read_rss(pid),
        vms_bytes=stat.vms_bytes,
        threads=stat.threads,
        cpu_seconds=stat.cpu_seconds,
        fd_count=count_fds(pid),
        fd_limit=read_fd_limit(pid),
        memory_limit_bytes=find_memory_limit(pid),
    )


class ProcEngine:
    """Counters and descriptors of one process."""

    name = "proc"

    def __init__(self, pid: int | None) -> None:
        self._pid = pid
        self._started_ticks: int | None = None

    def probe(self, target: Target) -> Capability:
        """Usable whenever the process is on this machine; descriptors only where they are ours to see."""
        pid = self._pid
        if pid is None:
            return Capability(
                self.name,
                usable=False,
                impact=Impact.NONE,
                reason="only a URL was given, so the process is not known here",
                remedy="run leaktui on the machine of the process with --pid",
            )
        try:
            self._started_ticks = read_live_stat(pid, self._started_ticks).started_ticks
            check_fds_readable(pid)
        except TargetForbidden as error:
            return self._without_fds(error)
        except TargetError as error:
            return Capability(
                self.name,
                usable=False,
                impact=Impact.NONE,
                reason=str(error.args[0]),
                remedy=error.remedy,
            )
        gives = (Want.PROCESS.value, Want.FDS.value)
        return Capability(self.name, usable=True, impact=Impact.NONE, gives=gives)

    def _without_fds(self, error: TargetForbidden) -> Capability:
        """`/proc/PID/stat` is for everyone, `/proc/PID/fd` for the owner."""
        return Capability(
            self.name,
            usable=self._started_ticks is not None,
            impact=Impact.NONE,
            gives=(Want.PROCESS.value,) if self._started_ticks is not None else (),
            reason=str(error.args[0]),
            remedy=error.remedy,
        )

    def capture(self, request: Request, cancel: threading.Event) -> Iterator[Fact]:
        """Yield ProcessSeen and FdsSeen, as wanted; raises TargetGone, TargetForbidden."""
        pid = self._pid
        if pid is None or not request.wants & {Want.PROCESS, Want.FDS}:
            return
        stat = read_live_stat(pid, self._started_ticks)
        self._started_ticks = stat.started_ticks
        if Want.PROCESS in request.wants:
            yield ProcessSeen(read_process(pid, self._started_ticks))
        if Want.FDS in request.wants and not cancel.is_set():
            try:
                fds = read_fds(pid)
            except TargetForbidden as error:
                yield Refused(Want.FDS, str(error.args[0]), error.remedy)
                return
            # A process that dies between two reads leaves an empty table, not an error.
            read_live_stat(pid, self._started_ticks)
            yield FdsSeen(fds)

    def close(self) -> None:
        """Nothing is held."""
