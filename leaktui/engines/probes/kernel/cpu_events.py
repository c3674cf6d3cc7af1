"""Uprobes as perf events of each CPU, with what the kernel samples at a hit: for kernels that take no BPF.

Law: an event of a CPU fires for every process that runs the file, so samples carry whose they are; the events of
one CPU write to one buffer. Layouts: perf_event_open(2), include/uapi/linux/perf_event.h.
"""

from __future__ import annotations

import errno
import mmap
import os
import resource
import struct
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from leaktui.engines.probes.kernel import perf_event
from leaktui.engines.probes.kernel.keeper import Kept
from leaktui.engines.probes.kernel.perf_event import Sampling
from leaktui.engines.probes.kernel.system_call import KernelRefused
from leaktui.engines.probes.recipe import Register
from leaktui.errors import EngineUnavailable

MOST_EVENTS = 1024
"""Events at most. Each costs a descriptor, and time to take out."""

MOST_FRAMES = 125
"""Of a chain; kernel.perf_event_max_stack is 127, of which one or two are where the hit itself is."""

_IP, _TID, _TIME, _CALLCHAIN, _REGS_USER, _STACK_USER = 1 << 0, 1 << 1, 1 << 2, 1 << 5, 1 << 12, 1 << 13
_STACK_BYTES = 8

# Bits of sample_regs_user in ascending order, arch/x86/include/uapi/asm/perf_regs.h.
_REGISTERS = {
    Register.RAX: 0,
    Register.RBX: 1,
    Register.RCX: 2,
    Register.RDX: 3,
    Register.RSI: 4,
    Register.RDI: 5,
    Register.RBP: 6,
    Register.RSP: 7,
    Register.RIP: 8,
    Register.R8: 16,
    Register.R9: 17,
    Register.R10: 18,
    Register.R11: 19,
    Register.R12: 20,
    Register.R13: 21,
    Register.R14: 22,
    Register.R15: 23,
}
_MASK = sum(1 << bit for bit in _REGISTERS.values())

_RECORD_SAMPLE = 9
_HEADER = struct.Struct("=IHH")
_FIXED = struct.Struct("=QIIQ")

_HEAD, _TAIL = 1024 // 8, 1032 // 8  # data_head and data_tail in struct perf_event_mmap_page

_CONTEXTS = (1 << 64) - 4096
"""Marks between the parts of a chain lie above (enum perf_callchain_context)."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One hit. `chain` begins with the address that was hit; `top` is the word at [RSP], None if unreadable."""

    pid: int
    tid: int
    time_ns: int
    chain: tuple[int, ...]
    registers: dict[Register, int]
    top: int | None


class CpuEvents:
    """Uprobes at *file_offsets* of *path*, on every CPU. Not for several threads at once; `close` it."""

    def __init__(
        self,
        path: str,
        file_offsets: Sequence[int],
        *,
        frames: int,
        ring_bytes: int,
        kept: Kept | None = None,
    ) -> None:
        """With *kept* they are shared with the keeper.

        Raises KernelRefused, EngineUnavailable; then nothing is left behind.
        """
        self._sampled = 0
        self._lost = 0
        self._events: list[int] = []
        self._buffers: list[_Buffer] = []
        self._kept = kept
        cpus = _online()
        needed = len(cpus) * len(file_offsets)
        if needed > MOST_EVENTS:
            raise EngineUnavailable(
                f"without BPF {len(file_offsets)} places on {len(cpus)} CPUs take {needed} probes,"
                f" more than {MOST_EVENTS}",
                remedy="watch fewer things at a time, or use the memory engine",
            )
        _allow_descriptors(needed)
        chained = _CALLCHAIN if frames else 0
        sampling = Sampling(
            _IP | _TID | _TIME | chained | _REGS_USER | _STACK_USER,
            _MASK,
            _STACK_BYTES,
            min(frames, MOST_FRAMES) + 2,
        )
        self._chained = bool(frames)
        pages = max(16, ring_bytes // len(cpus) // mmap.PAGESIZE)
        pages = 1 << pages.bit_length() - 1
        try:
            for cpu in cpus:
                self._open(path, file_offsets, cpu, sampling, pages)
            if kept is not None:
                kept.share(self._events)
            for event in self._events:
                perf_event.enable(event)
        except BaseException:
            self.close()
            raise

    def drain(self) -> list[Sample]:
        """What waits in the buffers, of one CPU after the other."""
        samples = [
            self._decode(data)
            for buffer in self._buffers
            for kind, data in buffer.iter_records()
            if kind == _RECORD_SAMPLE
        ]
        self._sampled += len(samples)
        return samples

    def drain_and_count_lost(self) -> tuple[list[Sample], int]:
        """The same, and how many hits of whatever process found no room so far.

        The events count what their buffers have no room for. (PERF_RECORD_LOST comes only when there is room again
        and something to go with it.)
        """
        counted = sum(int.from_bytes(os.read(event, 8), sys.byteorder) for event in self._events)
        samples = self.drain()
        # What came in between was sampled and not counted: less is lost than that, never more.
        self._lost = max(self._lost, counted - self._sampled)
        return samples, self._lost

    def close(self) -> None:
        """Take the probes out; safe to call again. A mapped buffer would keep its event."""
        for buffer in self._buffers:
            buffer.close()
        for event in self._events:
            with suppress(OSError):
                os.close(event)
        self._buffers.clear()
        self._events.clear()
        if self._kept is not None:
            self._kept.drop()

    def _open(self, path: str, file_offsets: Sequence[int], cpu: int, sampling: Sampling, pages: int) -> None:
        first: int | None = None
        for offset in file_offsets:
            try:
                event = perf_event.open_uprobe(path, offset, cpu=cpu, sampling=sampling)
            except KernelRefused as refusal:
                if refusal.errno == errno.ENODEV and first is None:
                    return  # the CPU went away
                raise
            self._events.append(event)
            if first is None:
                first = event
                self._buffers.append(_Buffer(event, pages))
            else:
                perf_event.set_output(event, first)

    def _decode(self, data: bytes) -> Sample:
        ip, pid, tid, time = _FIXED.unpack_from(data)
        at = _FIXED.size
        chain: tuple[int, ...] = (ip,)
        if self._chained:
            (count,) = struct.unpack_from("=Q", data, at)
            chain = tuple(pc for pc in struct.unpack_from(f"={count}Q", data, at + 8) if pc < _CONTEXTS)
            at += 8 + 8 * count
        (abi,) = struct.unpack_from("=Q", data, at)
        at += 8
        values: tuple[int, ...] = ()
        if abi:
            values = struct.unpack_from(f"={len(_REGISTERS)}Q", data, at)
            at += 8 * len(_REGISTERS)
        (size,) = struct.unpack_from("=Q", data, at)
        top: int | None = None
        if size:
            word, taken = struct.unpack_from("=QQ", data, at + 8) if size == _STACK_BYTES else (0, 0)
            top = word if taken == _STACK_BYTES else None
        return Sample(pid, tid, time, chain or (ip,), dict(zip(_REGISTERS, values, strict=False)), top)


class _Buffer:
    """The buffer of the events of one CPU: a page of positions, then *pages* of records, which may wrap."""

    def __init__(self, event: int, pages: int) -> None:
        self._size = pages * mmap.PAGESIZE
        try:
            self._memory = mmap.mmap(event, mmap.PAGESIZE + self._size)
        except OSError as error:
            raise KernelRefused("a buffer for uprobes", error.errno or 0) from None
        self._positions = memoryview(self._memory).cast("Q")

    def iter_records(self) -> Iterator[tuple[int, bytes]]:
        """(type, what follows the header) of each record that waits; each is gone once it was given."""
        position, end = self._positions[_TAIL], self._positions[_HEAD]
        while position < end:
            kind, _, size = _HEADER.unpack(self._read(position, _HEADER.size))
            data = self._read(position + _HEADER.size, size - _HEADER.size)
            position += size
            self._positions[_TAIL] = position
            yield kind, data

    def close(self) -> None:
        self._positions.release()
        self._memory.close()

    def _read(self, position: int, size: int) -> bytes:
        start = position % self._size
        first = min(size, self._size - start)
        base = mmap.PAGESIZE
        data = self._memory[base + start : base + start + first]
        return data + self._memory[base : base + size - first]


def _online() -> list[int]:
    """The CPUs that run: `0-3,8` in sysfs."""
    cpus: list[int] = []
    try:
        text = Path("/sys/devices/system/cpu/online").read_text().strip()
    except OSError:
        return list(range(os.cpu_count() or 1))
    for part in text.split(","):
        first, _, last = part.partition("-")
        cpus += range(int(first), int(last or first) + 1)
    return cpus


def _allow_descriptors(needed: int) -> None:
    """Raise the soft limit of descriptors where it is too low for *needed* more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = needed + 512
    if soft != resource.RLIM_INFINITY and soft < wanted:
        limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
