"""Response bodies whose caller the memory engine saw: the counterpart of a trace's hand-offs."""

from __future__ import annotations

from dataclasses import dataclass

from leaktui.model.trace import BodyHandoff


@dataclass(frozen=True, slots=True)
class HandoffWatch:
    """What a while of looking again and again showed.

    Times are CLOCK_MONOTONIC nanoseconds. `handoffs` are the bodies whose caller was seen: still in
    `roundTrip`, or by what the call left on its stack. `unattributed` bodies appeared meanwhile, too, and no
    caller of theirs was caught. `looks` is how often was looked, `longest_gap_ns` the longest time between two looks at
    all goroutines: beside others that keep the processors busy the watch does not keep up, and misses more.
    """

    start_ns: int
    end_ns: int
    handoffs: tuple[BodyHandoff, ...] = ()
    unattributed: int = 0
    looks: int = 0
    longest_gap_ns: int = 0
