"""What an engine can do on a target, what that costs the target, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Impact(Enum):
    """What looking costs the target, least first."""

    NONE = "none"
    LIGHT = "light"
    PAUSES = "pauses"
    WRITES = "writes"
    BREAKPOINTS = "breakpoints"


class SourceState(Enum):
    """What became of a source in this session."""

    WAITING = "waiting"
    USED = "used"
    UNAVAILABLE = "unavailable"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Capability:
    """The answer of `Engine.probe`: usable or not, and in one sentence why.

    `gives` names what it can see (`goroutines`, `heap`, `fds`, …); `remedy` is what to do when it is
    not usable, empty when nothing helps.
    """

    engine: str
    usable: bool
    impact: Impact
    gives: tuple[str, ...] = ()
    reason: str = ""
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """An engine's line in a diagnosis: its state and one sentence of detail.

    `pause_ms` is how long the engine is known to have stopped the target, in milliseconds.
    """

    name: str
    state: SourceState
    detail: str = ""
    pause_ms: float = 0.0
    remedy: str = ""
