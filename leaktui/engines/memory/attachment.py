"""A process whose memory is open for reading, with everything needed to make sense of it.

Law: an Attachment exists only where every self-check held. It is read-only and shared; the readers in it that
keep caches are one thread's: `split` gives another thread its own.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path

from leaktui.binary.executable import Executable
from leaktui.engines.memory.allgs import find_allgs
from leaktui.engines.memory.goroutines import GoroutineReader, Tally
from leaktui.engines.memory.reader import CachedMemory, ProcessMemory
from leaktui.engines.memory.runtime_layout import RuntimeLayout, find_runtime_layout
from leaktui.engines.memory.target_clock import find_clock_offset
from leaktui.engines.memory.unwind import Unwinder
from leaktui.engines.proc_stat import read_live_stat
from leaktui.errors import DecodeError, EngineUnavailable, TargetGone

_PROBED = 512
_WHOLE_SHARE = 0.99
_PROBE_TRIES = 3


@dataclass(frozen=True, slots=True)
class Attachment:
    """One process. `started_ticks` tells it from a later one with its pid; `allgs` is runtime.allgs's address.

    `clock_offset` is nanoseconds its CLOCK_MONOTONIC is ahead of ours, None where that is not known.
    """

    pid: int
    started_ticks: int
    memory: ProcessMemory
    executable: Executable
    layout: RuntimeLayout
    allgs: int
    unwinder: Unwinder
    goroutines: GoroutineReader
    clock_offset: int | None

    @property
    def bias(self) -> int:
        """What its executable was moved by."""
        return self.layout.bias

    def now(self) -> int:
        """CLOCK_MONOTONIC of the process in nanoseconds, what its waits are dated in; 0 where it is not known."""
        return 0 if self.clock_offset is None else time.monotonic_ns() + self.clock_offset

    def split(self) -> Attachment:
        """The same process, with readers of its own for another thread."""
        unwinder = Unwinder(self.executable, self.bias)
        reader = GoroutineReader(self.memory, self.layout, unwinder, self.allgs)
        return replace(self, unwinder=unwinder, goroutines=reader)

    def close(self) -> None:
        """Close the files, also those of what was split off; safe to call again."""
        self.memory.close()
        self.executable.close()


def attach(pid: int, cancel: threading.Event, *, started_ticks: int | None = None) -> Attachment:
    """Open process *pid* and check that its runtime is understood; a sample of goroutines is read.

    Raises TargetGone (also when *pid* is not the process that started at *started_ticks*), TargetForbidden,
    and EngineUnavailable naming the self-check that failed.
    """
    stat = read_live_stat(pid, started_ticks)
    memory: ProcessMemory | None = None
    executable: Executable | None = None
    try:
        memory = ProcessMemory(pid)
        executable = Executable.open(f"/proc/{pid}/exe")
        maps = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8", errors="replace")
        bias = executable.bias(maps)
        if bias is None:
            raise EngineUnavailable(
                f"the executable of process {pid} is not where /proc/{pid}/maps has it",
                remedy="use its pprof endpoint",
            )
        layout = find_runtime_layout(executable, memory, bias)
        allgs = find_allgs(executable, CachedMemory(memory), layout)
        unwinder = Unwinder(executable, bias)
        reader = GoroutineReader(memory, layout, unwinder, allgs)
        _check(reader, cancel)
        read_live_stat(pid, stat.started_ticks)
        offset = find_clock_offset(pid)
        return Attachment(
            pid, stat.started_ticks, memory, executable, layout, allgs, unwinder, reader, offset
        )
    except BaseException as error:
        if memory is not None:
            memory.close()
        if executable is not None:
            executable.close()
        if isinstance(error, DecodeError):
            raise EngineUnavailable(
                f"{error.args[0]} (self-check: reading the runtime)",
                remedy=error.remedy or "use its pprof endpoint",
            ) from None
        if isinstance(error, OSError):
            raise TargetGone(f"process {pid} exited while it was looked at") from None
        raise


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
