"""A process under the probes of response bodies, and the books they keep."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from leaktui.analysis.attribution import Attribution, owner_of_body
from leaktui.analysis.executable_program import ExecutableProgram
from leaktui.engines.memory.attachment import Attachment, attach
from leaktui.engines.probes.body_watcher import BodyWatcher
from leaktui.engines.probes.kernel.armed import Armed, arm
from leaktui.model.ledger import Ledger


@dataclass(frozen=True)
class BodySums:
    """What became of all bodies."""

    opened: int = 0
    closed: int = 0
    ended: int = 0
    collected: int = 0
    without: int = 0
    closed_unseen: int = 0

    @property
    def left(self) -> int:
        """Not closed, and not at an end by itself."""
        return self.opened - self.closed - self.ended

    def __sub__(self, other: BodySums) -> BodySums:
        return BodySums(*(getattr(self, name) - getattr(other, name) for name in BodySums.__annotations__))


def sums_of(ledger: Ledger) -> BodySums:
    """The books added up."""
    return BodySums(
        ledger.opened,
        ledger.closed,
        sum(place.ended for place in ledger.places),
        sum(place.collected for place in ledger.places),
        ledger.without,
        ledger.closed_unseen,
    )


class BodyWatch:
    """A process whose response bodies are watched."""

    def __init__(self, attachment: Attachment, watcher: BodyWatcher, armed: Armed) -> None:
        self.armed = armed
        self.watcher = watcher
        self._program = ExecutableProgram(attachment.executable, attachment.bias)
        self._began = time.monotonic()

    def ledger(self) -> Ledger:
        """The books after everything that happened until now."""
        while hits := self.armed.read(0.0):
            for hit in hits:
                self.watcher.handle(hit)
        return self.watcher.ledger(self._began, time.monotonic())

    def owner_of(self, ledger: Ledger, place: int) -> Attribution | None:
        """The call that owns what was opened at *place*."""
        return owner_of_body(ledger.places[place].stack, self._program)


@contextmanager
def watched_bodies(pid: int) -> Iterator[BodyWatch]:
    """Arm the probes on process *pid* for the length of a `with`."""
    attachment = attach(pid, threading.Event())
    try:
        watcher = BodyWatcher(attachment)
        with arm(pid, watcher.sites()) as armed:
            yield BodyWatch(attachment, watcher, armed)
    finally:
        attachment.close()
