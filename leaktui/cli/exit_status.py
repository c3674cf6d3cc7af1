"""What the shell sees when leaktui ends.

Law: these numbers are part of the contract; scripts and CI jobs branch on them.
"""

from __future__ import annotations

from enum import IntEnum


class ExitStatus(IntEnum):
    """`CLEAN` doubles as "went well" for the commands that give no verdict."""

    CLEAN = 0
    LEAK = 1
    CANNOT_INSPECT = 2
    UNDECIDED = 3
    INTERRUPTED = 130
