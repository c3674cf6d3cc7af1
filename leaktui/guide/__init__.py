"""The guided walkthrough: steps as data, and a pure step function over facts, time and keys.

A process is shown to it as a `Sight`; what it wants done stands in `State.wishes`; a screen or a log draws
the `State`. `leaktui.walkthrough` runs one on an investigation.
"""

from leaktui.guide.script import CLOCK_SECONDS, STEPS, Name, Step
from leaktui.guide.sight import Sight
from leaktui.guide.state import (
    Outcome,
    Progress,
    Question,
    Seen,
    State,
    StepState,
    Subject,
    Weight,
    Wish,
    WishKind,
)
from leaktui.guide.walk import BRIEF, begin, step

__all__ = [
    "BRIEF",
    "CLOCK_SECONDS",
    "STEPS",
    "Name",
    "Outcome",
    "Progress",
    "Question",
    "Seen",
    "Sight",
    "State",
    "Step",
    "StepState",
    "Subject",
    "Weight",
    "Wish",
    "WishKind",
    "begin",
    "step",
]
