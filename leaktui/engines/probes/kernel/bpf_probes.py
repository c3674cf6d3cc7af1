"""Probes whose hits a BPF program records: the way of Linux 5.8 and later.

Law: one program for all sites; they begin to record at one moment, when all are in, and end at one (the gate, a
word of shared memory). Everything hangs on descriptors.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Sequence
from contextlib import suppress

from leaktui.engines.probes.kernel import bpf, perf_event, uprobe_multi
from leaktui.engines.probes.kernel.hit_reader import HitReader
from leaktui.engines.probes.kernel.keeper import Kept, new_kept
from leaktui.engines.probes.kernel.program import DROPS, GATE, compile_sites, counter_bytes, hits_at
from leaktui.engines.probes.kernel.record import Decode, decoder_of
from leaktui.engines.probes.kernel.ring_buffer import RingBuffer, ring_size
from leaktui.engines.probes.kernel.site_proof import Claim
from leaktui.engines.probes.recipe import Hit, Site

_HITS_A_READ = 1 << 15


class BpfProbes(HitReader):
    """An `Armed`. From its construction on the probes are in."""

    exact = True
    slice_seconds = 0.02

    def __init__(self, claim: Claim, *, ring_bytes: int, linked: bool) -> None:
        """Raises KernelRefused, EngineUnavailable, TargetGone; then nothing is left behind."""
        super().__init__()
        self._claim = claim
        self._wiring = Wiring(claim.sites, ring_bytes)
        try:
            self._wiring.attach(claim.executable, claim.pid, linked=linked, kept=new_kept())
            claim.confirm()
        except BaseException:
            self._wiring.close()
            raise
        self._last_hits: tuple[int, ...] = ()
        self._last_dropped = 0
        self._wiring.open_gate()

    @property
    def probes(self) -> int:
        return self._wiring.probes

    def _take(self) -> list[Hit]:
        return self._wiring.drain(_HITS_A_READ)

    def hits(self) -> int:
        return sum(self.hits_by_site())

    def hits_by_site(self) -> tuple[int, ...]:
        with self._lock:
            return self._last_hits if self._closed.is_set() else self._wiring.hits()

    def dropped(self) -> int:
        with self._lock:
            return self._last_dropped if self._closed.is_set() else self._wiring.dropped()

    def disable(self) -> None:
        with self._lock:
            if not self._closed.is_set():
                self._wiring.detach()
        self._claim.release()

    def close(self) -> None:
        with self._lock:
            if not self._closed.is_set():
                self._wiring.detach()
                self._last_hits = self._wiring.hits()
                self._last_dropped = self._wiring.dropped()
                self._closed.set()
                self._wiring.close()
        self._claim.release()


class Wiring:
    """Maps, programs and events for *sites*, whoever's they are. Not for several threads at once."""

    def __init__(self, sites: Sequence[Site], ring_bytes: int) -> None:
        """Raises KernelRefused."""
        self._sites = tuple(sites)
        self._files: list[int] = []
        self._kept: Kept | None = None
        self._maps: list[int] = []
        self._counters: mmap.mmap | None = None
        self._ring: RingBuffer | None = None
        chains: dict[bytes, tuple[int, ...]] = {}
        self._decoders: list[Decode] = [decoder_of(site, chains) for site in self._sites]
        try:
            size = ring_size(ring_bytes)
            self._maps.append(bpf.create_ring_buffer(size))
            self._ring = RingBuffer(self._maps[0], size)
            value_bytes = counter_bytes(len(self._sites))
            self._maps.append(bpf.create_array(value_bytes))
            pages = -(-value_bytes // mmap.PAGESIZE)
            self._counters = mmap.mmap(self._maps[1], pages * mmap.PAGESIZE)
            self._words = memoryview(self._counters).cast("Q")
        except BaseException:
            self.close()
            raise

    @property
    def probes(self) -> int:
        """How many probes are in."""
        return len(self._sites) if self._files or (self._kept is not None and self._kept.files) else 0

    def attach(self, path: str, pid: int, *, linked: bool, kept: Kept | None = None) -> None:
        """Put the probes in: *linked* as one link, else as perf events; with *kept*, by the keeper and shared with it.

        Raises KernelRefused; then some may be in, until `close`.
        """
        code = compile_sites(self._sites, ring=self._maps[0], counters=self._maps[1])
        program = bpf.load_program(code, attach_type=uprobe_multi.ATTACH_TYPE if linked else 0)
        offsets = [site.file_offset for site in self._sites]
        self._kept = kept
        try:
            if kept is not None:
                if linked:
                    kept.link(program, path, offsets, pid)
                for offset in () if linked else offsets:
                    kept.open_event(program, path, offset, pid)
                return
            if linked:
                self._files.append(uprobe_multi.link_uprobes(program, path, offsets, pid))
                return
            for offset in offsets:
                event = perf_event.open_uprobe(path, offset, pid=pid)
                self._files.append(event)
                perf_event.set_program(event, program)
                perf_event.enable(event)
        finally:
            os.close(program)

    def open_gate(self) -> None:
        """From now on hits are counted and recorded."""
        self._words[GATE // 8] = 1

    def detach(self) -> None:
        """Take the probes out; the records and the counts stay."""
        self._words[GATE // 8] = 0
        for file in self._files:
            with suppress(OSError):
                os.close(file)
        self._files.clear()
        if self._kept is not None:
            self._kept.drop()
            self._kept = None

    def drain(self, limit: int) -> list[Hit]:
        assert self._ring is not None
        return self._ring.drain(self._decoders, limit)

    def hits(self) -> tuple[int, ...]:
        return tuple(self._words[hits_at(index) // 8] for index in range(len(self._sites)))

    def dropped(self) -> int:
        return self._words[DROPS // 8]

    def close(self) -> None:
        """Let go of everything; safe to call again."""
        if self._counters is not None:
            self.detach()
            self._words.release()
            self._counters.close()
            self._counters = None
        if self._ring is not None:
            self._ring.close()
            self._ring = None
        for fd in self._maps:
            os.close(fd)
        self._maps.clear()
