"""Descriptors that pile up.

Law: /proc says what grows, never who opened it; `fd_openers` looks for that in traces.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from leaktui.analysis.growth import rises, theil_sen
from leaktui.analysis.series import Points, captures, series_by_key
from leaktui.model.assessment import FdRow, Slope
from leaktui.model.process import FdEntry, FdKind
from leaktui.model.snapshot import Snapshot

_LEAST_COLLAPSE = 5.0
LEAST_GAIN = 4
# So many must be opened and not closed at once before a coming and going is worth a word.
_LEAST_INFLOW = 24
_DIGITS = re.compile(r"\d+")

FILE_KINDS = (FdKind.FILE, FdKind.DIRECTORY, FdKind.DEVICE)


@dataclass(frozen=True, slots=True)
class RisingFds:
    """Descriptors of one kind that rise in number, or (`steady` False) rise and are taken back by a GC.

    `collapses` is how often many went at once after they had piled up.
    """

    kind: FdKind
    count: int
    gain: int
    per_minute: float
    seconds: float
    examples: tuple[str, ...]
    seconds_to_limit: float | None
    steady: bool = True
    collapses: int = 0


def pattern_of(entry: FdEntry) -> str:
    """A descriptor's name with digits folded, so that `upload-17.tmp` and `upload-18.tmp` are one row."""
    if entry.socket is not None:
        peer = entry.socket.remote or entry.socket.local
        return f"{entry.socket.family} {entry.socket.state} {peer}".strip()
    if entry.kind in FILE_KINDS:
        return _DIGITS.sub("*", entry.target)
    return _DIGITS.sub("*", entry.target.split(":", 1)[0])


def list_fds(snapshots: Sequence[Snapshot]) -> tuple[FdRow, ...]:
    """A row per kind and pattern, the fastest growing first."""
    taken = captures(snapshots, lambda item: item.fds, lambda item: item.fds_time)
    if not taken:
        return ()
    series = series_by_key(
        [(time, [((entry.kind, pattern_of(entry)), 1.0) for entry in fds]) for time, fds in taken]
    )
    limit = _limit(snapshots)
    total = len(taken[-1][1])
    rows = []
    for (kind, pattern), points in series.items():
        if not points[-1][1]:
            continue
        slope = theil_sen(points) if points[-1][1] != points[0][1] else None
        rows.append(FdRow(kind, pattern, round(points[-1][1]), slope, _to_limit(slope, total, limit)))
    rows.sort(key=lambda row: (-(row.slope.per_minute if row.slope else 0.0), -row.count))
    return tuple(rows)


def _limit(snapshots: Sequence[Snapshot]) -> int | None:
    process = snapshots[-1].process
    return process.fd_limit if process is not None else None


def _to_limit(slope: Slope | None, total: int, limit: int | None) -> float | None:
    """Seconds until *limit* descriptors are open at this pace; None when they do not rise."""
    if limit is None or slope is None or not slope.rising or slope.per_minute <= 0:
        return None
    return max(0.0, (limit - total) / slope.per_minute * 60)


def rising_fds(snapshots: Sequence[Snapshot]) -> list[RisingFds]:
    """Kinds of descriptors that rise, the fastest first."""
    taken = captures(snapshots, lambda item: item.fds, lambda item: item.fds_time)
    if len(taken) < 4:
        return []
    series = series_by_key([(time, [(_family(entry.kind), 1.0) for entry in fds]) for time, fds in taken])
    limit = _limit(snapshots)
    first = {entry.target for entry in taken[0][1]}
    found = []
    for kind, points in series.items():
        slope = rises(points, least_gain=LEAST_GAIN)
        inflow = sum(max(0.0, later[1] - earlier[1]) for earlier, later in pairwise(points))
        seconds = points[-1][0] - points[0][0]
        if slope is None and inflow < _LEAST_INFLOW:
            continue
        examples: dict[str, None] = {}
        for entry in taken[-1][1]:
            if _family(entry.kind) is kind and entry.target not in first:
                examples.setdefault(pattern_of(entry))
        found.append(
            RisingFds(
                kind=kind,
                count=round(points[-1][1]),
                gain=round(points[-1][1] - points[0][1]) if slope else round(inflow),
                per_minute=slope.per_minute if slope else inflow / seconds * 60,
                seconds=seconds,
                examples=tuple(examples)[:3],
                seconds_to_limit=_to_limit(slope, len(taken[-1][1]), limit),
                steady=slope is not None,
                collapses=_count_collapses(points),
            )
        )
    found.sort(key=lambda item: (not item.steady, -item.per_minute))
    return found


def _count_collapses(points: Points) -> int:
    """How often the number climbed for several looks and then fell at once; 0 where it just goes up and down.

    What nobody closes goes so, whenever a garbage collection happens to come by.
    """
    steps = [later[1] - earlier[1] for earlier, later in pairwise(points)]
    climbs, falls = [step for step in steps if step > 0], [-step for step in steps if step < 0]
    if not falls or len(climbs) < 3 * len(falls):
        return 0
    fell, climbed = sum(falls) / len(falls), sum(climbs) / len(climbs)
    return len(falls) if fell >= 2 * climbed and fell >= _LEAST_COLLAPSE else 0


def _family(kind: FdKind) -> FdKind:
    """Files, directories and devices are opened by the same calls and count as one."""
    return FdKind.FILE if kind in FILE_KINDS else kind
