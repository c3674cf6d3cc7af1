"""Probes without BPF: perf samples registers and stack at a hit, memory is read a little later.

Law: nothing here is exact, and `exact` says so: words may have changed since, other processes of the same file
are slowed down too, and hits are counted as they are read.
"""

from __future__ import annotations

import time

from leaktui.engines.memory.reader import ProcessMemory
from leaktui.engines.probes.kernel.cpu_events import MOST_FRAMES, CpuEvents, Sample
from leaktui.engines.probes.kernel.hit_reader import HitReader
from leaktui.engines.probes.kernel.keeper import new_kept
from leaktui.engines.probes.kernel.late_reading import read_texts, read_words
from leaktui.engines.probes.kernel.site_proof import Claim
from leaktui.engines.probes.recipe import Hit, Register, Site
from leaktui.errors import TargetError

_PUSH_BP = 0x55


class PerCpuProbes(HitReader):
    """An `Armed`. From its construction on the probes are in.

    *chain_has_caller*: whether this kernel's chains have the caller of a function that was just entered
    (Linux 6.11; before, they begin with the caller's caller).
    """

    exact = False
    slice_seconds = 0.005  # soon, for what is to be read changes

    def __init__(self, claim: Claim, *, ring_bytes: int, chain_has_caller: bool) -> None:
        """Raises KernelRefused, EngineUnavailable, TargetGone; then nothing is left behind."""
        super().__init__()
        self._claim = claim
        self._chain_has_caller = chain_has_caller
        self._site_at = {site.address: index for index, site in enumerate(claim.sites)}
        self._hits = [0] * len(claim.sites)
        self._pending: list[Sample] = []
        self._memory = ProcessMemory(claim.pid)
        self._events: CpuEvents | None = None
        try:
            frames = max(site.recipe.frames for site in claim.sites)
            offsets = [site.file_offset for site in claim.sites]
            self._events = CpuEvents(
                claim.executable, offsets, frames=frames, ring_bytes=ring_bytes, kept=new_kept()
            )
            claim.confirm()
        except BaseException:
            if self._events is not None:
                self._events.close()
            self._memory.close()
            raise
        self._lost = 0

    @property
    def probes(self) -> int:
        return len(self._claim.sites) if self._events is not None else 0

    def hits(self) -> int:
        return sum(self._hits)

    def hits_by_site(self) -> tuple[int, ...]:
        return tuple(self._hits)

    def dropped(self) -> int:
        with self._lock:
            self._count_lost()
            return self._lost

    def disable(self) -> None:
        with self._lock:
            self._take_out()
        self._claim.release()

    def close(self) -> None:
        with self._lock:
            self._take_out()
            if not self._closed.is_set():
                self._closed.set()
                self._pending.clear()
                self._memory.close()
        self._claim.release()

    def _take(self) -> list[Hit]:
        """The hits up to now, in order: what a CPU wrote while another was looked at waits for the next time."""
        horizon = time.monotonic_ns()
        if self._events is not None:
            self._keep(self._events.drain())
        ready = [sample for sample in self._pending if sample.time_ns <= horizon]
        self._pending = [sample for sample in self._pending if sample.time_ns > horizon]
        ready.sort(key=lambda sample: sample.time_ns)
        return [hit for sample in ready if (hit := self._hit(sample)) is not None]

    def _keep(self, samples: list[Sample]) -> None:
        for sample in samples:
            index = self._site_at.get(sample.chain[0])
            if sample.pid == self._claim.pid and index is not None:
                self._hits[index] += 1
                self._pending.append(sample)

    def _count_lost(self) -> None:
        if self._events is not None:
            samples, self._lost = self._events.drain_and_count_lost()
            self._keep(samples)

    def _take_out(self) -> None:
        if self._events is not None:
            self._count_lost()
            self._events.close()
            self._events = None

    def _hit(self, sample: Sample) -> Hit | None:
        site = self._claim.sites[self._site_at[sample.chain[0]]]
        recipe = site.recipe
        try:
            words = read_words(recipe, sample.registers, self._memory)
            if words is None:
                return None
            texts = read_texts(recipe, sample.registers, words, self._memory)
        except TargetError:
            return None  # it is gone, and what was hit with it
        frames = self._frames(site, sample)
        # Why the kernel's chain ended it does not say; that of a Go stack ends at its end.
        whole = 0 < len(frames) < min(recipe.frames, MOST_FRAMES)
        return Hit(site, sample.time_ns, sample.tid, words, texts, frames, whole)

    def _frames(self, site: Site, sample: Sample) -> tuple[int, ...]:
        limit = site.recipe.frames
        if not limit or sample.top is None:
            return ()
        outward = sample.chain[1:]
        if self._chain_has_caller and site.byte == _PUSH_BP:
            outward = outward[1:]
        if sample.registers.get(Register.RBP) == 0:
            outward = ()
        return (sample.top, *outward)[:limit]
