"""How often to look, so that looking uses no more than a share of one core.

Law: the time used is this thread's own, as the kernel counts it. While something is going on it may be overdrawn a
little, for what is missed then does not come back; that is made up for when nothing is.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path

_SHORTEST = 0.00003
_LIVELY_NS = 2_000_000
_LIVELY_CREDIT = 0.05
"""Seconds of processor time that may be overdrawn."""

_STEEPNESS = 20.0
"""How much longer, by the second overdrawn, nothing is done."""

_LONGEST = 0.02
_FAR_BEHIND = 0.2
_SLACK_NS = 1000


class LookPace:
    """The pace of one thread's looks, from the moment it is made."""

    def __init__(self, share: float) -> None:
        """*share* is of one core, 0..1."""
        self._share = share
        self._start = time.monotonic()
        self._used = time.thread_time()
        self._lively_until = 0

    def stir(self, now: int) -> None:
        """Something goes on at *now*, CLOCK_MONOTONIC in nanoseconds: the next looks are worth more than others."""
        self._lively_until = now + _LIVELY_NS

    def is_lively(self, now: int) -> bool:
        """Whether something has gone on just before *now*."""
        return now < self._lively_until

    def rest(self, now: int, end: int, cancel: threading.Event) -> None:
        """Wait until the next look, but not past *end*, or for long once *cancel* is set."""
        debt = time.thread_time() - self._used - self._share * (time.monotonic() - self._start)
        left = max(0.0, (end - now) / 1e9)
        if debt > _FAR_BEHIND:
            cancel.wait(min(debt / self._share, left, 1.0))
        elif debt <= 0.0 or (now < self._lively_until and debt < _LIVELY_CREDIT):
            time.sleep(min(_SHORTEST, left))
        else:
            time.sleep(min(_SHORTEST + debt * debt * _STEEPNESS + debt / _STEEPNESS, _LONGEST, left))


@contextlib.contextmanager
def precise_sleep() -> Iterator[None]:
    """Within, sleeps of this thread end when they should, rather than up to 50 µs later (proc(5), timerslack_ns)."""
    place = Path(f"/proc/{threading.get_native_id()}/timerslack_ns")
    before = ""
    with contextlib.suppress(OSError):
        before = place.read_text()
        place.write_text(str(_SLACK_NS))
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            if before:
                place.write_text(before)
