"""What a document's line may lead to beside a Frame, a Goroutine and a Holder, which stand for themselves."""

from __future__ import annotations

from dataclasses import dataclass

from leaktui.guide import Subject
from leaktui.model.tracepoint import Tracepoint, TracepointHit


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


@dataclass(frozen=True, slots=True)
class HitLink:
    """One hit of a tracepoint of a burst."""

    hit: TracepointHit
    point: Tracepoint


@dataclass(frozen=True, slots=True)
class FoldLink:
    """A line of a tree that opens and closes. `key` names it for good; `frame_index` is the frame it stands in."""

    key: tuple[str, ...]
    frame_index: int = 0


@dataclass(frozen=True, slots=True)
class ExpressionLink:
    """An expression to be evaluated in frame `frame_index` of goroutine `goid` (0 for none in particular)."""

    expression: str
    goid: int = 0
    frame_index: int = 0
