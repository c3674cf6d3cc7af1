"""Why what a line acquires is not given back, read from the source of the one function that owns it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class SkipReason(Enum):
    """What keeps the release from happening."""

    NEVER_RELEASED = "never released"
    EARLY_RETURN = "early return"
    LOOP = "loop"
    """Acquired again in a loop before it is released, or released by a defer that waits for the function's end."""
    OVERWRITTEN = "overwritten"
    DISCARDED = "discarded"
    """The result was assigned to _ or to nothing."""
    PANIC = "panic"
    """Released at the end and not by a defer: a panic in between goes past it."""
    STORED = "stored"
    """Kept in a field, map, slice, channel or closure that outlives the call."""
    WRAPPED = "wrapped"
    """What is closed is a wrapper that does not close what it wraps, or what wraps it was never closed."""
    BLOCKED = "blocked"
    """A goroutine that waits for what nobody does any more."""
    GROWS = "grows"
    """A map, slice, list or cache that is only ever added to."""


@dataclass(frozen=True, slots=True)
class MarkedLine:
    """A line of the function that says so: `note` is a few words for its margin."""

    line: int
    note: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """The reason in one sentence, the lines that show it, and a change that would mend it.

    Lines are 1-based in `file`, which is the path the reader found it at. `first_line` to `last_line` is the function.
    `acquire_line` is the suspect's; `certain` is False where the text allows another reading ("possible").
    `diff` is the suggested change in unified form with 3 lines of context, empty where none is known;
    `diff_certain` is False where it has to be looked over (names, error handling, who else uses the value).
    `seen` is what the running process says to it, where something does: a deferred call that is pending, a panic.
    """

    function: str
    file: str
    first_line: int
    last_line: int
    acquire_line: int
    reason: SkipReason
    text: str
    marks: tuple[MarkedLine, ...] = ()
    certain: bool = True
    diff: str = ""
    diff_certain: bool = False
    seen: tuple[str, ...] = ()
