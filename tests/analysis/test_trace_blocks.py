from __future__ import annotations

import pytest

from leaktui.analysis import trace_blocks
from leaktui.analysis.trace_blocks import BlockTimes
from leaktui.analysis.trace_goroutines import GoroutineRecord
from leaktui.analysis.trace_stacks import StackBook


def test_figures() -> None:
    times = BlockTimes()
    for duration in range(1, 201):
        times.add("select", 0, duration)
    times.add("sleep", 0, 7)
    select, sleep = times.stats([], StackBook())
    assert (select.reason, select.count, select.total_ns) == ("select", 200, 200 * 201 // 2)
    assert (select.p50_ns, select.p99_ns) == (100, 198)
    assert (sleep.p50_ns, sleep.p99_ns, sleep.total_ns) == (7, 7, 7)


def test_who_still_sleeps() -> None:
    asleep, older, awake, before = (
        GoroutineRecord(goid, blocked) for goid, blocked in enumerate((90, 40, 0, -1))
    )
    for goroutine in (asleep, older, awake, before):
        goroutine.reason = "select"
    (stat,) = BlockTimes().stats([asleep, older, awake, before], StackBook())
    assert (stat.count, stat.parked, stat.oldest_ns, stat.p99_ns) == (0, 2, 40, 0)


def test_percentiles_of_very_many_are_of_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace_blocks, "_MAX_SAMPLES", 64)
    times = BlockTimes()
    for duration in range(10_000):
        times.add("select", 0, duration)
    (stat,) = times.stats([], StackBook())
    assert stat.count == 10_000
    assert stat.total_ns == 10_000 * 9_999 // 2
    assert stat.p50_ns == pytest.approx(5_000, rel=0.05)
    assert stat.p99_ns == pytest.approx(9_900, rel=0.05)
    assert len(times._blocks["select", 0].samples) <= 64


def test_a_damaged_trace_may_say_anything() -> None:
    times = BlockTimes()
    times.add("select", 0, -5)
    times.add("select", 0, 1 << 80)
    (stat,) = times.stats([], StackBook())
    assert stat.p50_ns == 0
