"""The `memory` engine: goroutines from `/proc/PID/mem`, whether the program is stripped, with no pprof, no pause.

Law: the process is only read. What the self-checks of `probe` do not confirm is not offered; a process that
got another program (exec) or another pid's owner is gone.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from leaktui.binary.executable import Executable
from leaktui.engines.memory.allgs import find_allgs
from leaktui.engines.memory.goroutines import GoroutineReader, Seen, Tally
from leaktui.engines.memory.reader import CachedMemory, ProcessMemory
from leaktui.engines.memory.runtime_layout import find_runtime_layout
from leaktui.engines.memory.unwind import Unwinder
from leaktui.engines.proc_stat import read_live_stat
from leaktui.engines.protocol import Fact, GoroutinesSeen, GroupsSeen, Request, Want
from leaktui.errors import DecodeError, EngineUnavailable, LeaktuiError, TargetGone
from leaktui.model.capability import Capability, Impact
from leaktui.model.frame import Frame, Stack
from leaktui.model.goroutine import GoroutineGroup, Labels
from leaktui.model.target import Target

_PROBED = 512
_WHOLE_SHARE = 0.99
_PROBE_TRIES = 3


class MemoryEngine:
    """Goroutines of one process, read from its memory."""

    name = "memory"

    def __init__(self, pid: int | None) -> None:
        self._pid = pid
        self._started_ticks: int | None = None
        self._memory: ProcessMemory | None = None
        self._executable: Executable | None = None
        self._reader: GoroutineReader | None = None
        self._same_clock = True
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
                self._attach(self._pid)
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
            reader = self._attach(self._pid)
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
            now = time.monotonic_ns() if self._same_clock else 0
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
            self._detach()

    def _attach(self, pid: int) -> GoroutineReader:
        """The reader, made and checked at the first call."""
        if self._reader is not None:
            return self._reader
        if self._closed.is_set():
            raise EngineUnavailable("the memory engine was closed")
        stat = read_live_stat(pid, self._started_ticks)
        try:
            memory = self._memory = ProcessMemory(pid)
            executable = self._executable = Executable.open(f"/proc/{pid}/exe")
            maps = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8", errors="replace")
            bias = executable.bias(maps)
            if bias is None:
                raise EngineUnavailable(
                    f"the executable of process {pid} is not where /proc/{pid}/maps has it",
                    remedy="use its pprof endpoint",
                )
            layout = find_runtime_layout(executable, memory, bias)
            allgs = find_allgs(executable, CachedMemory(memory), layout)
            reader = GoroutineReader(memory, layout, Unwinder(executable, bias), allgs)
            _check(reader, self._closed)
            read_live_stat(pid, stat.started_ticks)
        except DecodeError as error:
            self._detach()
            raise EngineUnavailable(
                f"{error.args[0]} (self-check: reading the runtime)",
                remedy=error.remedy or "use its pprof endpoint",
            ) from None
        except OSError:
            self._detach()
            raise TargetGone(f"process {pid} exited while it was looked at") from None
        except BaseException:
            self._detach()
            raise
        self._started_ticks = stat.started_ticks
        self._same_clock = _has_our_clock(pid)
        self._reader = reader
        return reader

    def _detach(self) -> None:
        self._reader = None
        with suppress(OSError):
            if self._memory is not None:
                self._memory.close()
            if self._executable is not None:
                self._executable.close()
        self._memory = self._executable = None

    def _unusable(self, reason: str, remedy: str) -> Capability:
        return Capability(self.name, usable=False, impact=Impact.NONE, reason=reason, remedy=remedy)


def _has_our_clock(pid: int) -> bool:
    """Whether CLOCK_MONOTONIC is the same for *pid* as for us: not so in a time namespace of its own."""
    try:
        return Path(f"/proc/{pid}/ns/time").readlink() == Path("/proc/self/ns/time").readlink()
    except OSError:
        return True  # a kernel without time namespaces


def _check(reader: GoroutineReader, cancel: threading.Event) -> None:
    """Read a sample; raises EngineUnavailable when too few parked goroutines have a whole stack."""
    tally = Tally()
    for _ in range(_PROBE_TRIES):
        tally = Tally()
        count = sum(1 for _ in reader.iter_seen(tally, cancel, sample=_PROBED))
        if count and tally.parked - tally.torn >= tally.parked * _WHOLE_SHARE:
            return
    raise EngineUnavailable(
        f"{tally.torn} of {tally.parked} parked goroutines have stacks that do not end (self-check: stacks)",
        remedy="use its pprof endpoint, and report the Go release this program was built with",
    )


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
