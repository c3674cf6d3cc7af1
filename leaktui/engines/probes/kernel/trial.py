"""One probe on ourselves, hit once: everything that probing needs, before any target is touched.

Law: the code that is probed is three bytes in memory of our own. It is called from a thread that is not our first
one, for a probe that follows only one thread of a process is of no use.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from leaktui.engines.probes.kernel.bpf_probes import Wiring
from leaktui.engines.probes.kernel.cpu_events import CpuEvents
from leaktui.engines.probes.kernel.system_call import map_code, unmap_code
from leaktui.engines.probes.recipe import Recipe, Register, Site, Word
from leaktui.errors import EngineUnavailable

_CODE = b"\x55\x5d\xc3"  # PUSHQ BP; POPQ BP; RET

# PUSHQ BP; XORL BP, BP; CALL +2; POPQ BP; RET; then the same three bytes, entered where there is no frame above.
FRAMELESS = b"\x55\x31\xed\xe8\x02\x00\x00\x00\x5d\xc3" + _CODE
FRAMELESS_INNER = len(FRAMELESS) - len(_CODE)

_closers: set[threading.Thread] = set()


@contextmanager
def own_site(code: bytes = _CODE, probed: int = 0) -> Iterator[tuple[Site, str]]:
    """A site in our own memory, at the byte *probed* of *code*, and the path of its file."""
    file = _open_file()
    try:
        os.write(file, code)
        address = map_code(file, mmap.PAGESIZE)
        try:
            recipe = Recipe((Word("here", Register.RIP),), frames=1)
            site = Site("trial", "trial", address + probed, probed, code[probed], recipe)
            yield site, f"/proc/self/fd/{file}"
        finally:
            unmap_code(address, mmap.PAGESIZE)
    finally:
        os.close(file)


def call(address: int) -> None:
    """Call the function at *address*, which takes and gives nothing, in a thread of its own."""
    function = ctypes.CFUNCTYPE(None)(address)
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()


def wait() -> None:
    """Until the probes of earlier trials are out."""
    while _closers:
        _closers.pop().join()


def try_bpf(*, linked: bool) -> None:
    """Raises KernelRefused, and EngineUnavailable where a probe was put in and did not work."""
    with own_site() as (site, path):
        wiring = Wiring((site,), mmap.PAGESIZE)
        try:
            wiring.attach(path, os.getpid(), linked=linked)
            wiring.open_gate()
            call(site.address)
            hits = wiring.drain(2)
        finally:
            _close_behind(wiring)
    if [hit.words for hit in hits] != [(site.address,)]:
        raise _did_not_work(len(hits))


def try_cpu_events() -> bool:
    """The same without BPF: whether a chain has the caller of a function that was just entered.

    Raises KernelRefused, and EngineUnavailable where it did not work.
    """
    with own_site(FRAMELESS, FRAMELESS_INNER) as (site, path):
        events = CpuEvents(path, [site.file_offset], frames=4, ring_bytes=0)
        try:
            call(site.address - FRAMELESS_INNER)
            samples = [sample for sample in events.drain() if sample.pid == os.getpid()]
        finally:
            _close_behind(events)
    if [sample.chain[0] for sample in samples] != [site.address]:
        raise _did_not_work(len(samples))
    return samples[0].chain[1:2] == (site.address - len(_CODE) + 1,)


def _close_behind(probes: Wiring | CpuEvents) -> None:
    """To take a probe out can take a while, and nobody waits for this one."""
    closer = threading.Thread(target=probes.close, daemon=True)
    closer.start()
    _closers.add(closer)


def _did_not_work(recorded: int) -> EngineUnavailable:
    return EngineUnavailable(
        f"a probe on leaktui itself was hit once and {recorded} hits were recorded",
        remedy="use the memory engine, and please report it with the output of `uname -a`",
    )


def _open_file() -> int:
    """A nameless file of ours, its descriptor."""
    with suppress(OSError):
        return os.memfd_create("leaktui-trial")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
