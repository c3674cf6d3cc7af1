"""Whether Delve can be used on a process, found out without attaching.

Law: only files are read and `dlv version` is run; the first thing that is missing is named, with its remedy. Delve
itself would stop the target first and then say `could not find goroutine array`.
"""

from __future__ import annotations

from leaktui.binary.executable import Executable
from leaktui.engines.delve.finding import Dlv, find_dlv
from leaktui.engines.memory.reader import ProcessMemory
from leaktui.engines.proc_stat import read_live_stat
from leaktui.engines.proc_target import tracer_of
from leaktui.errors import EngineUnavailable
from leaktui.text import printable

_MACHINES = ("amd64",)


def check_fitness(pid: int) -> Dlv:
    """The dlv to use on process *pid*. Raises EngineUnavailable, TargetGone, TargetForbidden."""
    dlv = find_dlv()
    stat = read_live_stat(pid)
    tracer = tracer_of(pid)
    if tracer is not None:
        raise EngineUnavailable(
            f"process {pid} is traced by process {tracer.pid} ({printable(tracer.name)})",
            remedy="end that session first: a process has one debugger at a time",
        )
    with Executable.open(f"/proc/{pid}/exe") as executable:
        machine, debuggable = executable.machine, executable.has_dwarf and not executable.stripped
    if machine not in _MACHINES:
        raise EngineUnavailable(
            f"Delve was tried on {' and '.join(_MACHINES)} only, and this program is for {printable(machine)}",
            remedy="use the memory and pprof engines",
        )
    if not debuggable:
        raise EngineUnavailable(
            "the program is stripped, so Delve finds neither its goroutines nor its variables",
            remedy='build it without `-ldflags="-s -w"` (strip), or do without: the memory engine needs no symbols',
        )
    ProcessMemory(pid).close()  # the same right as to trace it
    read_live_stat(pid, stat.started_ticks)
    return dlv


def refuse_stopped(pid: int) -> int:
    """When the process began, in clock ticks since boot.

    Raises EngineUnavailable for one that is stopped: Delve would set it going. TargetGone.
    """
    stat = read_live_stat(pid)
    if stat.state == "T":
        raise EngineUnavailable(
            f"process {pid} is stopped, and Delve would set it going",
            remedy=f"let it run on with `kill -CONT {pid}` first",
        )
    return stat.started_ticks
