"""What `/proc` tells of a process that is being traced: whether it runs, who traces it, which signals wait for it.

Law: it is only looked at here, but for `wake`, which sends SIGCONT to one that was left stopped.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress

SIGTRAP_BIT = 1 << (signal.SIGTRAP - 1)
SIGSTOP_BIT = 1 << (signal.SIGSTOP - 1)

STOPPED, TRACED, DEAD = "T", "t", "ZXx"


def state_of(pid: int) -> str:
    """Its one-letter state, empty when it is gone (proc(5): R, S, D; T stopped, t stopped by its tracer)."""
    return _stat_field(pid, 0)


def started_ticks_of(pid: int) -> int:
    """When it began, in clock ticks since boot; 0 when it is gone."""
    return int(_stat_field(pid, 19) or 0)


def _stat_field(pid: int, index: int) -> str:
    """A field after the name, which may hold anything."""
    try:
        data = _read(f"/proc/{pid}/stat")
    except OSError:
        return ""
    fields = data.rpartition(b")")[2].split()
    return fields[index].decode() if index < len(fields) else ""


def is_there(pid: int, started_ticks: int) -> bool:
    """Whether that very process still runs."""
    return state_of(pid) not in ("", *DEAD) and started_ticks_of(pid) == started_ticks


def tracer_pid(pid: int) -> int:
    """Who traces it; 0 for nobody, and when it is gone."""
    with suppress(OSError, ValueError, IndexError):
        return int(_field(_read(f"/proc/{pid}/status"), b"TracerPid:"))
    return 0


def pending_signals(pid: int) -> int:
    """The signals that wait for the process or one of its threads, as a mask."""
    pending = 0
    for tid in _threads(pid):
        with suppress(OSError, ValueError, IndexError):
            status = _read(f"/proc/{pid}/task/{tid}/status")
            pending |= int(_field(status, b"SigPnd:"), 16) | int(_field(status, b"ShdPnd:"), 16)
    return pending


def thread_states(pid: int) -> str:
    """The states of all threads, a letter each."""
    states = []
    for tid in _threads(pid):
        with suppress(OSError):
            fields = _read(f"/proc/{pid}/task/{tid}/stat").rpartition(b")")[2].split()
            states.append(fields[0].decode())
    return "".join(states)


def wake(pid: int, started_ticks: int, seconds: float) -> bool:
    """Send SIGCONT while it is stopped, for at most *seconds*; whether it was. For what a tracer left stopped."""
    woken = False
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and is_there(pid, started_ticks):
        if STOPPED in thread_states(pid):
            with suppress(OSError):
                os.kill(pid, signal.SIGCONT)
            woken = True
        time.sleep(0.005)
    return woken


def _threads(pid: int) -> list[str]:
    try:
        return os.listdir(f"/proc/{pid}/task")  # noqa: PTH208 - names, not paths
    except OSError:
        return []


def _field(status: bytes, name: bytes) -> bytes:
    return status.split(name, 1)[1].split(None, 1)[0]


def _read(path: str) -> bytes:
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(file, 1 << 16)
    finally:
        os.close(file)
