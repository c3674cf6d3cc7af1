"""Goroutines seen in memory beside those of the program's own dump."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from leaktui.engines.memory import MemoryEngine
from leaktui.engines.proc import read_target
from leaktui.engines.protocol import GoroutinesSeen, GroupsSeen, Request, Want
from leaktui.model.frame import Frame
from leaktui.model.goroutine import Goroutine, GoroutineGroup
from tests.engines.memory.go_programs import fetch_dump

PRINTED = 50
"""Frames Go prints of either end of a deep stack."""


@dataclass(frozen=True)
class Comparison:
    """Goroutines that were at the same place before and after the dump, and the differing ones of them."""

    compared: list[Goroutine]
    differing: list[tuple[Goroutine, Goroutine | None]]
    dump: dict[int, Goroutine]


def capture(engine: MemoryEngine) -> tuple[tuple[Goroutine, ...], tuple[GoroutineGroup, ...]]:
    """Goroutines and groups of one reading."""
    request = Request(frozenset({Want.GROUPS, Want.GOROUTINES}))
    groups, goroutines = engine.capture(request, threading.Event())
    assert isinstance(groups, GroupsSeen)
    assert isinstance(goroutines, GoroutinesSeen)
    assert goroutines.pause_ms == 0
    return goroutines.goroutines, groups.groups


def compare(pid: int, pprof_url: str) -> Comparison:
    """Read memory, take a dump, read memory again."""
    engine = MemoryEngine(pid)
    try:
        capability = engine.probe(read_target(pid))
        assert capability.usable, capability
        before, _ = capture(engine)
        dump = fetch_dump(pprof_url)
        after = {item.goid: item for item in capture(engine)[0]}
        assert engine.last.torn == 0
    finally:
        engine.close()
    # The dump itself comes through a connection, whose goroutines move.
    compared = [item for item in before if item.wait_reason != "running" and item == after.get(item.goid)]
    differing = [(item, dump.get(item.goid)) for item in compared if not _is_same(item, dump.get(item.goid))]
    return Comparison(compared, differing, dump)


def compare_repeatedly(pid: int, pprof_url: str, rounds: int = 6) -> tuple[Comparison, list[Goroutine]]:
    """The first comparison, and the goroutines that differed in every one of *rounds*.

    One that woke for the dump and was back at its place afterwards differs once, not always.
    """
    first = found = compare(pid, pprof_url)
    stubborn = {seen.goid: seen for seen, _ in first.differing}
    while stubborn and rounds > 1:
        rounds -= 1
        found = compare(pid, pprof_url)
        still = {seen.goid for seen, _ in found.differing}
        stubborn = {goid: seen for goid, seen in stubborn.items() if goid in still}
    return first, list(stubborn.values())


def _is_same(seen: Goroutine, dumped: Goroutine | None) -> bool:
    if dumped is None:
        return False
    stack = seen.stack
    if seen.elided == -1:
        # Deeper than we read: its inner end, as far as Go prints it.
        if dumped.elided <= 0 or len(stack) <= PRINTED:
            return False
        stack = (*stack[:PRINTED], *dumped.stack[PRINTED:])
    elif dumped.elided > 0:
        if len(stack) != len(dumped.stack) + dumped.elided:
            return False
        stack = (*stack[:PRINTED], *stack[-PRINTED:])
    return (
        seen.wait_reason == dumped.wait_reason
        and list(map(_place, stack)) == list(map(_place, dumped.stack))
        and _line(seen.created_by) == _line(dumped.created_by)
        and seen.parent_goid == dumped.parent_goid
        and seen.locked_to_thread == dumped.locked_to_thread
        and seen.wait_minutes == dumped.wait_minutes
    )


def _place(frame: Frame) -> tuple[str, str, int, bool]:
    return frame.function, frame.file, frame.line, frame.inlined


def _line(frame: Frame | None) -> tuple[str, str, int] | None:
    return (frame.function, frame.file, frame.line) if frame else None
