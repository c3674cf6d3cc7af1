"""What the background threads tell the interface. Newer news replace older ones still waiting."""

from __future__ import annotations

from dataclasses import dataclass

from textual.message import Message

from leaktui.errors import LeaktuiError
from leaktui.tui.source import InvestigationLike, ProcessScan


@dataclass
class FactsArrived(Message):
    """The snapshot or the assessment moved; the newest are read where they live."""

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, FactsArrived)


@dataclass
class ProgressArrived(Message):
    """A long capture goes on; `fraction` 1.0 ends it."""

    source: str
    text: str
    fraction: float | None

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, ProgressArrived) and message.source in (self.source, "")


@dataclass
class ExitArrived(Message):
    """The target is gone."""

    text: str


@dataclass
class TargetOpened(Message):
    """An investigation is ready to be started."""

    investigation: InvestigationLike


@dataclass
class OpeningFailed(Message):
    """The target cannot be inspected."""

    error: LeaktuiError


@dataclass
class ProcessesListed(Message):
    """The picker's list, newly read."""

    scan: ProcessScan | None
    error: str = ""

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, ProcessesListed)
