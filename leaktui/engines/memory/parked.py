"""Every goroutine of a process, the runtime's own included, and what those wait on that could wait for ever.

Law: a goroutine is a Candidate only if all it waits on was read between two readings of its g that agree; any other
counts as alive. It is in the same wait as before only if nothing says it ran since: runtime.g counts how often it
stopped running (trackingSeq, runtime/proc.go `casgstatus`).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from leaktui.engines.memory.allgs import SCAN_BIT, is_plausible, read_allgs
from leaktui.engines.memory.attachment import Attachment
from leaktui.engines.memory.near_structs import iter_structs
from leaktui.engines.memory.runtime_layout import GState
from leaktui.engines.memory.semaphores import SUDOGS_LIMIT, SemaphoreReader, SudogLayout
from leaktui.engines.memory.waits import (
    CHANNEL_REASONS,
    COND_REASONS,
    NEVER_REASONS,
    PARKED,
    SEMAPHORE_REASONS,
)
from leaktui.errors import DecodeError, EngineUnavailable

_BATCH = 4096
_IDLE, _DEAD, _DEADEXTRA = 0, 6, 11
GONE = frozenset((_IDLE, _DEAD, _DEADEXTRA))
"""Statuses of goroutines without a stack that matters (runtime/runtime2.go)."""


class Stop(NamedTuple):
    """A goroutine at one moment: `runs` counts (modulo 256) how often it stopped running."""

    state: GState
    runs: int


class Candidate(NamedTuple):
    """A parked goroutine: `objects` are the channels or the word it waits on, none where it waits for nothing."""

    address: int
    stop: Stop
    objects: tuple[int, ...]
    sudogs: tuple[int, ...]

    @property
    def goid(self) -> int:
        return self.stop.state.goid

    @property
    def is_main_asleep(self) -> bool:
        """Whether it is main, left in `select {}` on purpose."""
        return self.goid == 1 and not self.objects and not self.sudogs


class ParkedReader:
    """Reads the goroutines of *attachment*. Not thread-safe."""

    def __init__(self, attachment: Attachment) -> None:
        """Raises EngineUnavailable when runtime.g or runtime.sudog is not as known ones."""
        self._memory = attachment.memory
        self._allgs = attachment.allgs
        layout = attachment.layout
        self._g = layout.g
        self._reasons = layout.wait_reasons
        self._sudogs = SudogLayout(layout.types)
        self._semaphores = SemaphoreReader(attachment.memory, layout.types)
        g = layout.types.find_struct("runtime.g", "runtime")
        runs = g.fields.get("trackingSeq") if g is not None else None
        if runs is None or runs.size != 1:
            raise EngineUnavailable(
                "runtime.g does not count how often it ran (self-check: what goroutines wait on)",
                remedy="report the Go release this program was built with",
            )
        self._runs = runs.offset
        self.addresses: Sequence[int] = ()
        """The g's of all goroutines at the last `read_all`, those that ended included."""

    def read_all(self) -> dict[int, Stop]:
        """Every goroutine there is by the address of its g; those that ended are left out.

        Raises DecodeError, TargetGone.
        """
        addresses = sorted(address for address in read_allgs(self._memory, self._allgs) if address)
        self.addresses = addresses
        found: dict[int, Stop] = {}
        for start in range(0, len(addresses), _BATCH):
            for address, stop in self._read_some(addresses[start : start + _BATCH]):
                if stop.state.status not in GONE:
                    if not is_plausible(stop.state):
                        raise DecodeError("a goroutine makes no sense")
                    found[address] = stop
        return found

    def read_one(self, address: int) -> Stop:
        """The goroutine at *address*; raises DecodeError."""
        return self.decode(self._memory.read(address, self._g.size))

    def begin(self) -> None:
        """Forget what was read of queues."""
        self._semaphores.forget()

    def read_candidate(self, address: int, stop: Stop) -> Candidate | None:
        """What the goroutine waits on; None where it is none that could wait for ever, or did not hold still."""
        state = stop.state
        if state.status not in PARKED or not 0 < state.reason < len(self._reasons):
            return None
        reason = self._reasons[state.reason]
        try:
            if reason in NEVER_REASONS:
                candidate = Candidate(address, stop, (), ())
            elif reason in CHANNEL_REASONS:
                objects, sudogs = self._read_channels(address, state)
                if not objects:
                    return None
                candidate = Candidate(address, stop, objects, sudogs)
            elif reason in SEMAPHORE_REASONS or reason in COND_REASONS:
                parked = self._semaphores.read(address, state, is_cond=reason in COND_REASONS)
                if parked is None:
                    return None
                candidate = Candidate(address, stop, (parked.word,), (parked.sudog.address,))
            else:
                return None
            return candidate if self.is_still(candidate) else None
        except (DecodeError, struct.error):
            return None

    def is_still(self, candidate: Candidate) -> bool:
        """Whether the goroutine did not run since; a stack that the collector moved meanwhile is no matter."""
        try:
            now = self.read_one(candidate.address)
        except DecodeError:
            return False
        return is_same_wait(candidate.stop, now)

    # --- inside ---

    def _read_channels(self, address: int, state: GState) -> tuple[tuple[int, ...], tuple[int, ...]]:
        channels: list[int] = []
        sudogs: dict[int, None] = {}
        at = state.waiting
        while at:
            if at in sudogs or len(sudogs) >= SUDOGS_LIMIT:
                return (), ()
            sudog = self._sudogs.read(self._memory, at)
            if sudog.g != address or not sudog.channel:
                return (), ()
            sudogs[at] = None
            channels.append(sudog.channel)
            at = sudog.waitlink
        return tuple(channels), tuple(sudogs)

    def decode(self, data: bytes) -> Stop:
        """The goroutine whose g's bytes are *data*, without the collector's bit."""
        state = self._g.decode(data)
        if state.status & SCAN_BIT:
            state = state._replace(status=state.status & ~SCAN_BIT)
        return Stop(state, data[self._runs])

    def _read_some(self, addresses: Sequence[int]) -> Iterator[tuple[int, Stop]]:
        found = list(iter_structs(self._memory, addresses, self._g.size))
        if len(found) < len(addresses):
            raise DecodeError("some goroutines cannot be read")
        for address, data in found:
            yield address, self.decode(data)


def is_same_wait(before: Stop, now: Stop) -> bool:
    """Whether a parked goroutine is in the wait it was in."""
    was, state = before.state, now.state
    return (
        now.runs == before.runs
        and state.goid == was.goid
        and state.status in PARKED
        and state.reason == was.reason
        and state.pc == was.pc
        and state.waiting == was.waiting
        and state.high - state.sp == was.high - was.sp
        and (state.since == was.since or not was.since)
    )
