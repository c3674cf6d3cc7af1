"""The `memory` engine: goroutines from `/proc/PID/mem`, whether the program is stripped, with no pprof, no pause.

Law: the process is only read. What the self-checks of `probe` do not confirm is not offered; a process that
got another program (exec) or another pid's owner is gone.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

from leaktui.engines.memory.attachment import Attachment, attach
from leaktui.engines.memory.goroutines import GoroutineReader, Seen, Tally
from leaktui.engines.proc_stat import read_live_stat
from leaktui.engines.protocol import Fact, GoroutinesSeen, GroupsSeen, Request, Want
from leaktui.errors import EngineUnavailable, LeaktuiError
from leaktui.model.capability import Capability, Impact
from leaktui.model.frame import Frame, Stack
from leaktui.model.goroutine import GoroutineGroup, Labels
from leaktui.model.target import Target


class MemoryEngine:
    """Goroutines of one process, read from its memory."""

    name = "memory"

    def __init__(self, pid: int | None) -> None:
        self._pid = pid
        self._started_ticks: int | None = None
        self._attachment: Attachment | None = None
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self.last = Tally()
        """What the last capture met: parked, torn, read twice."""

    def probe(self, target: Target) -> Capability:
        """Usable where the memory may be read and every self-check holds; reads a sample of goroutines."""
        if self._pid is None:
            return self._unusable(
                "only a URL was given, so the process is not known here",
                "run leaktui on the machine of the process with --pid",
            )
        try:
            with self._lock:
                self._attached(self._pid)
        except LeaktuiError as error:
            return self._unusable(str(error.args[0]), error.remedy)
        gives = (Want.GROUPS.value, Want.GOROUTINES.value)
        return Capability(self.name, usable=True, impact=Impact.NONE, gives=gives)

    def capture(self, request: Request, cancel: threading.Event) -> Iterator[Fact]:
        """Yield GroupsSeen and GoroutinesSeen, as wanted, both from one reading.

        Raises TargetGone, TargetForbidden, EngineUnavailable, DecodeError.
        """
        if self._pid is None or not request.wants & {Want.GROUPS, Want.GOROUTINES}:
            return
        with self._lock:
            if self._closed.is_set():
                return
            attachment = self._attached(self._pid)
            reader = attachment.goroutines
            read_live_stat(self._pid, self._started_ticks)
            tally = Tally()
            seen = []
            for goroutine in reader.iter_seen(tally, cancel):
                seen.append(goroutine)
                if self._closed.is_set():
                    return
            if cancel.is_set():
                return
            self.last = tally
            now = time.monotonic_ns() if attachment.same_clock else 0
            facts: list[Fact] = []
            if Want.GROUPS in request.wants:
                facts.append(GroupsSeen(group_seen(reader, seen, now)))
            if Want.GOROUTINES in request.wants:
                seen.sort(key=lambda item: item.state.goid)
                facts.append(GoroutinesSeen(tuple(reader.goroutine(item, now) for item in seen)))
        yield from facts

    def close(self) -> None:
        """Stop reading and close the files. Safe to call again, from any thread."""
        self._closed.set()
        with self._lock:
            if self._attachment is not None:
                self._attachment.close()
                self._attachment = None

    def _attached(self, pid: int) -> Attachment:
        """The process, opened and checked at the first call."""
        if self._attachment is None:
            if self._closed.is_set():
                raise EngineUnavailable("the memory engine was closed")
            self._attachment = attach(pid, self._closed, started_ticks=self._started_ticks)
            self._started_ticks = self._attachment.started_ticks
        return self._attachment

    def _unusable(self, reason: str, remedy: str) -> Capability:
        return Capability(self.name, usable=False, impact=Impact.NONE, reason=reason, remedy=remedy)


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
