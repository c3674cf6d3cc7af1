"""Response bodies whose caller the memory engine saw: the counterpart of a trace's hand-offs."""

from __future__ import annotations

from dataclasses import dataclass

from leaktui.model.trace import BodyHandoff


@dataclass(frozen=True, slots=True)
class HandoffWatch:
    """What a while of looking again and again showed.

    Times are CLOCK_MONOTONIC nanoseconds. `handoffs` are the bodies whose caller was seen: still in
    `roundTrip`, or by what the call left on its stack. `unattributed` bodies appeared meanwhile, too, and no
    caller of theirs was caught. `looks` is how often was looked.
    """

    start_ns: int
    end_ns: int
    handoffs: tuple[BodyHandoff, ...] = ()
    unattributed: int = 0
    looks: int = 0
