"""A process under the probes of descriptors, with the books set beside what the kernel and the program itself say."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from leaktui.analysis.attribution import innermost_user_frame
from leaktui.analysis.executable_program import ExecutableProgram
from leaktui.engines.memory.attachment import Attachment, attach
from leaktui.engines.probes.fd_watcher import FdWatcher
from leaktui.engines.probes.kernel.armed import Armed, arm
from leaktui.model.frame import Frame
from leaktui.model.ledger import Ledger

_BETWEEN_LISTINGS = 100.0
"""Seconds the books are told to have passed, so that they look at the kernel's list again at once."""

_ARMED = 100
"""How often the probes are armed until the program does nothing meanwhile."""


@dataclass
class Sum:
    """What one owner line, or all, opened and what became of it."""

    opened: int = 0
    closed: int = 0
    ended: int = 0
    collected: int = 0

    @property
    def open(self) -> int:
        return self.opened - self.closed - self.ended - self.collected


class FdWatch:
    """A process whose descriptors are watched since `open_before` were open."""

    def __init__(
        self, attachment: Attachment, watcher: FdWatcher, armed: Armed, open_before: int, said: object
    ) -> None:
        self.pid = attachment.pid
        self.armed = armed
        self.open_before = open_before
        self.said = said
        self._watcher = watcher
        self._program = ExecutableProgram(attachment.executable, attachment.bias)
        self._began = time.monotonic()
        self._now = self._began

    def ledger(self, *, settled: bool = False) -> Ledger:
        """The books after everything that happened until now; *settled*: also compared with the kernel twice."""
        for _ in range(2 if settled else 1):
            while hits := self.armed.read(0.001):
                for hit in hits:
                    self._watcher.handle(hit)
            self._now = max(self._now, time.monotonic()) + (_BETWEEN_LISTINGS if settled else 0.0)
            ledger = self._watcher.ledger(self._began, self._now)
        return ledger

    def owner_of(self, ledger: Ledger, place: int) -> Frame | None:
        """The line that opened what was opened at *place*."""
        found = innermost_user_frame(ledger.places[place].stack, self._program)
        return found[1] if found is not None else None

    def by_owner(self, ledger: Ledger) -> dict[tuple[str, str, int], Sum]:
        """By function, file and line; ("", "", 0) for what only the standard library opened."""
        sums: dict[tuple[str, str, int], Sum] = {}
        for index, place in enumerate(ledger.places):
            owner = self.owner_of(ledger, index)
            key = (owner.function, owner.file, owner.line) if owner is not None else ("", "", 0)
            total = sums.setdefault(key, Sum())
            total.opened += place.opened
            total.closed += place.closed
            total.ended += place.ended
            total.collected += place.collected
        return sums


@contextmanager
def watched_fds(
    pid: int, said: Callable[[], object] = lambda: None, *, ring_bytes: int = 8 << 20
) -> Iterator[FdWatch]:
    """Arm the probes on process *pid* for the length of a `with`.

    What *said* says of its doings is the same before and after they were armed, and kept as `FdWatch.said`.
    """
    attachment = attach(pid, threading.Event())
    try:
        for _ in range(_ARMED):
            watcher = FdWatcher(attachment)
            sites = watcher.sites()
            before, listed = said(), count_fds(pid)
            with arm(pid, sites, ring_bytes=ring_bytes) as armed:
                if (said(), count_fds(pid)) != (before, listed):
                    continue
                watch = FdWatch(attachment, watcher, armed, listed, before)
                watch.ledger()
                yield watch
                return
        raise AssertionError("the program was never quiet while the probes were armed")
    finally:
        attachment.close()


def count_fds(pid: int) -> int:
    """How many descriptors the kernel says *pid* has open."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
