"""What a document's line may lead to beside a Frame, a Goroutine and a Holder, which stand for themselves."""

from __future__ import annotations

from dataclasses import dataclass

from leaktui.guide import Subject


@dataclass(frozen=True, slots=True)
class GoroutineLink:
    """A goroutine known by its number only; it is looked up in the newest dump when it is opened."""

    goid: int


@dataclass(frozen=True, slots=True)
class ObjectLink:
    """A heap object at `address` of `size` bytes, 0 where not known; it is opened with what holds it."""

    address: int
    size: int = 0


@dataclass(frozen=True, slots=True)
class HoldersLink:
    """The search for what holds the object at `address` in the target's memory."""

    address: int


@dataclass(frozen=True, slots=True)
class SubjectLink:
    """What a line of the walkthrough tells of: a row in one of the panes."""

    subject: Subject
