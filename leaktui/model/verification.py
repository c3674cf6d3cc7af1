"""Is it fixed? What was measured before and after, side by side."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from leaktui.model.assessment import Slope
from leaktui.model.finding import LeakKind
from leaktui.model.target import Target


@dataclass(frozen=True, slots=True)
class Measure:
    """One thing that was measured over a while: its first and last value and its trend.

    `name` is what it is called in a table (`open bodies`, `bodies of main.loadUser user.go:41`, `live heap`); `unit` is
    `bytes` or empty for a number of things. `kind` is what kind of leak it tells of, None for a mere number.
    `left` of `opened` are left behind, where that was counted (None elsewhere).
    """

    name: str
    first: float
    last: float
    slope: Slope | None = None
    unit: str = ""
    kind: LeakKind | None = None
    opened: int | None = None
    left: int | None = None


@dataclass(frozen=True, slots=True)
class Measurement:
    """A process measured for `seconds`, with the suspect whose mending is to be shown.

    `suspect` is (kind, function, file, line), None where nothing leaked. `sources` are those that measured.
    """

    target: Target
    seconds: float
    measures: tuple[Measure, ...]
    suspect: tuple[LeakKind, str, str, int] | None = None
    sources: tuple[str, ...] = ()


class VerificationVerdict(Enum):
    """What the comparison comes to."""

    FIXED = "fixed"
    NOT_FIXED = "not fixed"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Verification:
    """Two measurements of the same length compared; `reasons` says why, a sentence each.

    `rows` pairs what was measured on both sides; None on the side where it was not.
    """

    before: Measurement
    after: Measurement
    verdict: VerificationVerdict
    rows: tuple[tuple[Measure | None, Measure | None], ...]
    reasons: tuple[str, ...] = ()
