"""How long goroutines were blocked, by reason and stack.

Law: counts and totals are exact; percentiles are of every k-th block once there are very many, k doubling
as they grow, so that a long trace costs no more memory than a short one.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable

from leaktui.analysis.trace_goroutines import GoroutineRecord
from leaktui.analysis.trace_stacks import StackBook
from leaktui.model.trace import BlockStat

_MAX_SAMPLES = 1 << 14
_MAX_DURATION_NS = 1 << 62


class _Blocks:
    __slots__ = ("count", "oldest_ns", "parked", "samples", "stride", "total_ns")

    def __init__(self) -> None:
        self.count = 0
        self.total_ns = 0
        self.stride = 1
        self.samples = array("q")
        self.parked = 0
        self.oldest_ns: int | None = None


class BlockTimes:
    """Blocks that ended, by (reason, stack)."""

    def __init__(self) -> None:
        self._blocks: dict[tuple[str, int], _Blocks] = {}

    def add(self, reason: str, stack: int, duration_ns: int) -> None:
        """A goroutine was blocked for *duration_ns* at *stack*."""
        duration_ns = min(max(duration_ns, 0), _MAX_DURATION_NS)  # a damaged trace may say anything
        blocks = self._blocks.get((reason, stack))
        if blocks is None:
            blocks = self._blocks[reason, stack] = _Blocks()
        if not blocks.count % blocks.stride:
            blocks.samples.append(duration_ns)
            if len(blocks.samples) > _MAX_SAMPLES:
                del blocks.samples[1::2]
                blocks.stride *= 2
        blocks.count += 1
        blocks.total_ns += duration_ns

    def stats(self, goroutines: Iterable[GoroutineRecord], book: StackBook) -> tuple[BlockStat, ...]:
        """The figures by reason and stack, the longest total first; *goroutines* are those alive."""
        for goroutine in goroutines:
            if goroutine.blocked_ns > 0:
                key = (goroutine.reason, goroutine.stack)
                blocks = self._blocks.setdefault(key, _Blocks())
                blocks.parked += 1
                if blocks.oldest_ns is None or goroutine.blocked_ns < blocks.oldest_ns:
                    blocks.oldest_ns = goroutine.blocked_ns
        stats = []
        for (reason, stack), blocks in self._blocks.items():
            ordered = sorted(blocks.samples)
            stats.append(
                BlockStat(
                    reason=reason,
                    stack=book.stacks[stack],
                    count=blocks.count,
                    total_ns=blocks.total_ns,
                    p50_ns=_percentile(ordered, 50),
                    p99_ns=_percentile(ordered, 99),
                    parked=blocks.parked,
                    oldest_ns=blocks.oldest_ns,
                )
            )
        stats.sort(key=lambda stat: (-stat.total_ns, -stat.parked))
        return tuple(stats)


def _percentile(ordered: list[int], percent: int) -> int:
    """The nearest-rank percentile of sorted values, 0 of none."""
    if not ordered:
        return 0
    return ordered[max(0, -(-percent * len(ordered) // 100) - 1)]
