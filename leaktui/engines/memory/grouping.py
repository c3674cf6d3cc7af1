"""Goroutines read from memory, counted by stack."""

from __future__ import annotations

from leaktui.engines.memory.goroutines import GoroutineReader, Seen
from leaktui.model.frame import Frame, Stack
from leaktui.model.goroutine import GoroutineGroup, Labels

_GroupKey = tuple[Stack, Labels, str, Frame | None]


def group_seen(reader: GoroutineReader, seen: list[Seen], now: int) -> tuple[GoroutineGroup, ...]:
    """*seen* counted by stack, labels, wait reason and creator, largest first."""
    # Hashing a stack is slow: first by the identity of its parts, which equal goroutines mostly share.
    quick: dict[tuple[int, Labels, str, int], list[int]] = {}
    keys: list[_GroupKey] = []
    for item in seen:
        stack, creator = reader.stack(item), reader.created_by(item)
        labels, reason = reader.labels(item), reader.wait_reason(item)
        minutes = reader.wait_minutes(item, now) or 0
        known = quick.get((id(stack), labels, reason, id(creator)))
        if known is None:
            quick[id(stack), labels, reason, id(creator)] = [1, minutes]
            keys.append((stack, labels, reason, creator))
        else:
            known[0] += 1
            if minutes > known[1]:
                known[1] = minutes
    merged: dict[_GroupKey, tuple[int, int]] = {}
    for key, (count, minutes) in zip(keys, quick.values(), strict=True):
        before = merged.get(key, (0, 0))
        merged[key] = before[0] + count, max(before[1], minutes)
    groups = [
        GoroutineGroup(count, stack, labels, reason, creator, minutes or None)
        for (stack, labels, reason, creator), (count, minutes) in merged.items()
    ]
    groups.sort(key=lambda group: -group.count)
    return tuple(groups)
