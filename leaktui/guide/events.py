"""What happens to a walkthrough: facts, time, keys, and the answers to what it wished for.

Times are seconds on the session's monotonic clock: the walkthrough has no clock of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

from leaktui.guide.sight import Sight
from leaktui.model.explanation import Explanation
from leaktui.model.verification import Verification


@dataclass(frozen=True, slots=True)
class FactsCame:
    """The newest facts, or the same ones later: the clock goes on by this, too."""

    time: float
    sight: Sight


@dataclass(frozen=True, slots=True)
class NextAsked:
    """To the next step, when this one is done."""

    time: float


@dataclass(frozen=True, slots=True)
class BackAsked:
    """To the step before, to read it again."""

    time: float


@dataclass(frozen=True, slots=True)
class SkipAsked:
    """Leave out the step that is being done."""

    time: float


@dataclass(frozen=True, slots=True)
class AutoTurned:
    """On by itself, or key by key from now on."""

    time: float


@dataclass(frozen=True, slots=True)
class Answered:
    """Yes or no to the question that is open."""

    time: float
    yes: bool


@dataclass(frozen=True, slots=True)
class Held:
    """Nobody looks at the walkthrough: its clock stands until `Resumed`."""

    time: float


@dataclass(frozen=True, slots=True)
class Resumed:
    """Somebody looks again."""

    time: float


@dataclass(frozen=True, slots=True)
class Explained:
    """Why the culprit's line does not release what it acquires; None, and why, where that cannot be said."""

    time: float
    explanation: Explanation | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Written:
    """What became of the files that were asked for: their paths, or why there are none."""

    time: float
    paths: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Swapped:
    """The repaired build runs in the place of the leaking one, as `pid`; or why not. Facts are its from here on."""

    time: float
    pid: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Verified:
    """What the same measurement says after the fix."""

    time: float
    verification: Verification | None
    reason: str = ""


Event = (
    FactsCame
    | NextAsked
    | BackAsked
    | SkipAsked
    | AutoTurned
    | Answered
    | Held
    | Resumed
    | Explained
    | Written
    | Swapped
    | Verified
)
