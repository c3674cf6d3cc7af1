"""Histories as a session would have kept them, made second by second."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from leaktui.model.capability import Source, SourceState
from leaktui.model.goroutine import Goroutine, GoroutineGroup
from leaktui.model.process import FdEntry, FdKind, ProcessStat
from leaktui.model.profile import AllocSite, HeapProfile
from leaktui.model.snapshot import Snapshot
from leaktui.model.target import Target
from leaktui.model.trace import TraceSummary

SOURCES = (Source("proc", SourceState.USED), Source("pprof", SourceState.USED))


def files(count: int) -> tuple[FdEntry, ...]:
    return tuple(FdEntry(10 + index, FdKind.FILE, f"/tmp/part-{index}") for index in range(count))


def history(
    seconds: int,
    groups: Callable[[int], Sequence[GoroutineGroup]],
    *,
    fds: Callable[[int], Sequence[FdEntry]] = lambda second: (),
    heap: Callable[[int], Sequence[AllocSite]] = lambda second: (),
    dumps: dict[int, tuple[Goroutine, ...]] | None = None,
    traces: dict[int, TraceSummary] | None = None,
    rss: Callable[[int], int] = lambda second: 50 << 20,
    sources: tuple[Source, ...] = SOURCES,
) -> list[Snapshot]:
    """One snapshot a second with what the functions give for it."""
    result = []
    dump: tuple[Goroutine, ...] | None = None
    dump_time = trace_time = 0.0
    trace: TraceSummary | None = None
    for second in range(seconds):
        if dumps and second in dumps:
            dump, dump_time = dumps[second], float(second)
        if traces and second in traces:
            trace, trace_time = traces[second], float(second)
        result.append(
            Snapshot(
                time=float(second),
                target=Target(pid=1),
                sources=sources,
                process=ProcessStat(rss(second), 0, 8, 1.0, len(fds(second)), 1024),
                process_time=float(second),
                fds=tuple(fds(second)),
                fds_time=float(second),
                groups=tuple(groups(second)),
                groups_time=float(second),
                goroutines=dump,
                goroutines_time=dump_time,
                heap=HeapProfile(tuple(heap(second)), sample_rate=512 * 1024),
                heap_time=float(second),
                trace=trace,
                trace_time=trace_time,
            )
        )
    return result
