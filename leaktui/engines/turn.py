"""Probes and a debugger take turns: they put breakpoints into the same code, and one process bears but one of them.

Law: whoever wants to put something into a process takes the turn first and gives it back when all is out again. One
who only waits gives way; one at work is not disturbed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from leaktui.errors import EngineUnavailable


@dataclass(slots=True)
class _Holder:
    name: str
    count: int
    give_way: Callable[[], bool]


_lock = threading.RLock()
_holders: dict[int, _Holder] = {}


class Turn:
    """The right of an engine to put something into a process; a context manager. An engine may hold it twice."""

    def __init__(self, pid: int, name: str, give_way: Callable[[], bool] = lambda: False) -> None:
        """*give_way* is asked when another engine wants it: True once nothing is in the process any more.

        Raises EngineUnavailable, naming who has it.
        """
        self._pid = pid
        self._name = name
        self._held = False
        other = self._take(give_way)
        if other is not None and other.give_way():
            other = self._take(give_way)
        if other is not None:
            raise EngineUnavailable(
                f"{other.name} is at work on process {pid}: two that change its code can kill it",
                remedy=f"end {other.name} first, then ask again",
            )

    def _take(self, give_way: Callable[[], bool]) -> _Holder | None:
        """Take it; who has it, where that is another."""
        with _lock:
            holder = _holders.get(self._pid)
            if holder is not None and holder.name != self._name:
                return holder
            if holder is None:
                holder = _holders[self._pid] = _Holder(self._name, 0, give_way)
            holder.count += 1
            self._held = True
            return None

    def release(self) -> None:
        """Give it back; safe to call again."""
        with _lock:
            holder = _holders.get(self._pid)
            if self._held and holder is not None and holder.name == self._name:
                holder.count -= 1
                if holder.count <= 0:
                    del _holders[self._pid]
            self._held = False

    def __enter__(self) -> Turn:
        return self

    def __exit__(self, *exception: object) -> None:
        self.release()
