"""One line of the benchmark table, and how it is measured."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """A measurement beside its peer's from the same run.

    `ratio` is ours divided by the peer's, below 1 is better; None where the two are of different kinds or
    there is no peer here (`peer` then says why).
    """

    what: str
    ours: str
    peer: str
    ratio: float | None
    note: str = ""


def median_seconds(action: Callable[[], object], repeats: int = 5) -> float:
    """The median time *action* takes, in seconds; run once before, to warm the caches."""
    action()
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        action()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def format_seconds(seconds: float) -> str:
    """`8 ms`, `0.35 s`."""
    return f"{seconds * 1000:.0f} ms" if seconds < 0.1 else f"{seconds:.2f} s"


def format_table(rows: list[Row]) -> str:
    """*rows* as a Markdown table."""
    lines = ["| what | leaktui | peer | ratio | |", "|---|---|---|---|---|"]
    for row in rows:
        ratio = f"{row.ratio:.2f}" if row.ratio is not None else "–"
        lines.append(f"| {row.what} | {row.ours} | {row.peer} | {ratio} | {row.note} |")
    return "\n".join(lines) + "\n"
