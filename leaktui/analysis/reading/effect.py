"""What a statement does to the one thing that is followed through a function."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple


class Effect(Enum):
    """The ways in which a statement touches it."""

    ACQUIRED = "acquired"
    RELEASED = "released"
    DEFERRED = "deferred"
    """A deferred call will release it."""
    COVERED = "covered"
    """A deferred function literal will release whatever the variable holds by then."""
    STORED = "stored"
    PASSED = "passed"
    """Handed to a function nothing is known of, or to one that releases it on some paths only."""
    RETURNED = "returned"
    RETURNED_WRAPPED = "returned in a wrapper that does not release it"
    WRAPPER_RELEASED = "its wrapper was released"
    OVERWRITTEN = "overwritten"
    WRAPPED_OVER = "overwritten by a wrapper that does not release it"


class Callee(NamedTuple):
    """Who is called: the last word of it, and how the package declares it (`Type.Name`), empty where that is open."""

    last: str
    declared: str = ""


@dataclass(frozen=True, slots=True)
class Touch:
    """An effect at a position of the file, and what to call the other side: the place stored to, the callee."""

    effect: Effect
    position: int
    line: int
    text: str = ""
    sends: bool = False
    deferred: bool = False
    callee: Callee | None = None
    argument: int = -1


class Hold(Enum):
    """How things stand on a path."""

    NONE = "not acquired"
    UNCHECKED = "acquired, unless that failed"
    HELD = "held"
    RELEASED = "released"
    DEFERRED = "released by a defer"
    STORED = "stored"
    PASSED = "passed"
    RETURNED = "returned"


OWED = frozenset({Hold.HELD, Hold.UNCHECKED})


class Exit(Enum):
    """How a path leaves what it holds behind."""

    RETURN = "return"
    END = "end"
    CONTINUE = "continue"
    BREAK = "break"
    TURN = "end of a loop's turn"
    AGAIN = "acquired again"
    OVERWRITTEN = "overwritten"
    WRAPPED_OVER = "wrapped over"
    WRAPPED = "returned wrapped"
    DEFERRED_AGAIN = "deferred in a loop"
    PANIC = "panic"


@dataclass(frozen=True, slots=True)
class Departure:
    """A place where it is left behind: `start` is the leaving statement's position, `truths` what held on the path."""

    exit: Exit
    line: int
    start: int
    truths: frozenset[tuple[str, bool]] = frozenset()
    unchecked: bool = False
