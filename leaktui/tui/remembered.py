"""A function's last answer, for as long as it is asked about the same thing."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


def remembered(function: Callable[[K], V]) -> Callable[[K], V]:
    """*function*, which is not asked again about an object that is the very same (`is`, not `==`)."""
    known: list[tuple[K, V]] = []

    @wraps(function)
    def ask(value: K) -> V:
        for asked, answer in known:
            if asked is value:
                return answer
        answer = function(value)
        known[:] = [(value, answer)]  # one step: safe from any thread
        return answer

    return ask
