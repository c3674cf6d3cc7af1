"""The clock a process waits by, beside ours.

Law: waits are dated in CLOCK_MONOTONIC as the process sees it. In a time namespace of its own (time_namespaces(7):
containers, restored checkpoints) that is off by what `/proc/PID/timens_offsets` says, which is about the namespace
of its children: it is believed only where that is its own too.
"""

from __future__ import annotations

from pathlib import Path

_NANOSECONDS = 1_000_000_000


def find_clock_offset(pid: int) -> int | None:
    """Nanoseconds to add to our CLOCK_MONOTONIC to have that of process *pid*; None where it is not known."""
    theirs, ours = Path(f"/proc/{pid}"), Path("/proc/self")
    try:
        if (theirs / "ns/time").readlink() == (ours / "ns/time").readlink():
            return 0
    except FileNotFoundError:
        return 0 if theirs.exists() else None  # a kernel without time namespaces
    except OSError:
        return None
    their_offset, our_offset = _read_offset(theirs), _read_offset(ours)
    return None if their_offset is None or our_offset is None else their_offset - our_offset


def _read_offset(process: Path) -> int | None:
    """What CLOCK_MONOTONIC of *process* is ahead of the machine's, in nanoseconds."""
    try:
        if (process / "ns/time").readlink() != (process / "ns/time_for_children").readlink():
            return None
        text = (process / "timens_offsets").read_text(encoding="ascii")
        return decode_offsets(text)
    except (OSError, ValueError):
        return None


def decode_offsets(text: str) -> int | None:
    """The `monotonic` line of *text*, the content of a timens_offsets file, in nanoseconds.

    Raises ValueError for what is no number.
    """
    for line in text.splitlines():
        clock, *numbers = line.split()
        if clock in ("monotonic", "1") and len(numbers) == 2:
            seconds, nanoseconds = map(int, numbers)
            return seconds * _NANOSECONDS + nanoseconds
    return None
