"""What Delve costs the target, in the sentences a user is shown before saying yes.

Law: what is said here was measured by tests/engines/delve (`fault_suite`, `pauses`): change them together. A program
of 10 MB is attached to in 0.3 s on a quiet machine; hits take 1 to 4 ms, more where little of a processor is left.
"""

from __future__ import annotations

ATTACH_COST = (
    "attaching stops the program once for 0.3 to 1.3 s, and each look for some milliseconds, seldom over 100"
)
"""Before an inspection or evaluation."""

BREAKPOINT_COST = (
    "each hit of a tracepoint stops the program for 1 to 4 ms, and so does one whose condition does not hold"
)
"""Before a burst."""

KILL_COST = "killing dlv itself (kill -9) while tracepoints are set kills the program"
"""What remains, before a burst. Measured at 1,000 requests a second, each of which comes by: dead in 16 of 20 and in 12
of 12. The guardian puts the code back within some milliseconds: the rarer the hits, the better the odds."""

LOOK_KILL_COST = "killing dlv itself (kill -9) at the very moment a look begins may kill the program"
"""What remains, before a look. Measured with one look after the other: dead in 3 of 20; with dlv attached and idle in
none of 40."""

SAFE_ENDS = (
    "leaktui killed, its terminal closed, its guardian killed, dlv stopped: the program lives, unchanged"
)
"""What does not harm it: measured, 50 trials each with tracepoints firing."""
