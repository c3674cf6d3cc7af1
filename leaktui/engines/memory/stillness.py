"""Whether a process did anything at all between two moments, by the kernel's count of its threads' time slices.

Law: read from /proc only. If no thread was given a processor in between, what was read of its memory meanwhile is
all of one moment. Where the kernel does not count (no CONFIG_SCHED_INFO), it is never known.
"""

from __future__ import annotations

from pathlib import Path

from leaktui.errors import TargetGone

Moment = dict[int, tuple[int, int]]
"""For each thread, the nanoseconds it ran and how often it was given a processor."""

_RUNNING = "R"


def read_moment(pid: int) -> Moment | None:
    """The counts of all threads of *pid*; None where one runs or may run, and where they are not counted.

    Raises TargetGone.
    """
    directory = Path(f"/proc/{pid}/task")
    moment: Moment = {}
    try:
        threads = [entry for entry in directory.iterdir() if entry.name.isdecimal()]
    except OSError:
        raise TargetGone(f"process {pid} exited while it was looked at") from None
    for thread in threads:
        try:
            # The command in brackets may hold anything, a bracket too.
            state = (thread / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            counts = (thread / "schedstat").read_text(encoding="ascii").split()
            moment[int(thread.name)] = int(counts[0]), int(counts[2])
        except (OSError, IndexError, ValueError):
            return None
        if not state or state[0] == _RUNNING or not any(moment[int(thread.name)]):
            return None
    return moment or None
