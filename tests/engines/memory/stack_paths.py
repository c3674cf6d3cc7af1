"""Stacks of the program `churn` beside the path each goroutine says it is on: which of them cannot have been."""

from __future__ import annotations

import re

from leaktui.model.frame import Stack
from leaktui.model.goroutine import Labels

_STEP = re.compile(r"main\.step(\d)$")
_ENDS = {
    "main.endReceive": "r",
    "main.endSelect": "s",
    "main.endSleep": "z",
    "main.endMutex": "m",
    "main.endYield": "y",
    "main.endGet": "g",
}


def path_of(stack: Stack) -> str:
    """The steps on *stack*, the outermost first, and its end where it got there."""
    path = ""
    for frame in reversed(stack):
        if match := _STEP.match(frame.function):
            path += match[1]
        else:
            path += _ENDS.get(frame.function, "")
    return path


def is_possible(stack: Stack, labels: Labels) -> bool:
    """Whether *stack* is a beginning of the path its goroutine was on.

    A goroutine without a path is not on one; what it started inherits its label and has no steps.
    """
    return dict(labels).get("path", "").startswith(path_of(stack))
