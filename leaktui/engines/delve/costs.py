"""What Delve costs the target, in the sentences a user is shown before saying yes.

Law: every figure here was measured by tests/engines/delve; change them together.
"""

from __future__ import annotations

ATTACH_COST = (
    "attaching stops the program once for 0.3 to 1.3 s, and each look for some milliseconds, seldom over 100"
)
"""Before an inspection or evaluation."""

BREAKPOINT_COST = (
    "each hit of a tracepoint stops the program for 1 to 2 ms, and so does one whose condition does not hold"
)
"""Before a burst."""

KILL_COST = "if dlv itself is killed with kill -9 while tracepoints are set, the program may die"
"""What remains, before a burst."""

LOOK_KILL_COST = "if dlv itself is killed with kill -9 just while it holds the program, the program dies"
"""What remains, before a look."""
