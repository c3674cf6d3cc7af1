"""Series out of a session's snapshots: one value per distinct capture, in time order."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TypeVar

from leaktui.model.snapshot import Snapshot

Part = TypeVar("Part")
Key = TypeVar("Key", bound=Hashable)
Points = list[tuple[float, float]]


def captures(
    snapshots: Sequence[Snapshot],
    part: Callable[[Snapshot], Part | None],
    time: Callable[[Snapshot], float],
) -> list[tuple[float, Part]]:
    """(seconds, part) once for every capture: snapshots repeat the newest part until a newer one comes."""
    result: list[tuple[float, Part]] = []
    for snapshot in snapshots:
        value = part(snapshot)
        if value is None:
            continue
        if result and (result[-1][1] is value or time(snapshot) <= result[-1][0]):
            continue
        result.append((time(snapshot), value))
    return result


def series_by_key(
    samples: Sequence[tuple[float, Iterable[tuple[Key, float]]]],
) -> dict[Key, Points]:
    """A complete series per key: a key missing from a sample counts 0 there."""
    totals: list[tuple[float, dict[Key, float]]] = []
    keys: dict[Key, None] = {}
    for time, pairs in samples:
        sums: dict[Key, float] = {}
        for key, value in pairs:
            sums[key] = sums.get(key, 0.0) + value
            keys.setdefault(key)
        totals.append((time, sums))
    return {key: [(time, sums.get(key, 0.0)) for time, sums in totals] for key in keys}
