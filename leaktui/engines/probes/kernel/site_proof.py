"""Proof that a probe may be put where it is wanted, and that it is there.

Law: nobody else traces the process; the byte at each address is the expected one, in the process's memory and in
its executable alike. A breakpoint that is there already is another's, unless it is one of our own: then two
probes share it, as the kernel does.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Sequence

from leaktui.engines.memory.reader import ProcessMemory, Unreadable
from leaktui.engines.probes.recipe import Site
from leaktui.engines.proc_stat import target_error
from leaktui.engines.proc_target import tracer_of
from leaktui.errors import EngineUnavailable
from leaktui.text import printable

BREAKPOINT = 0xCC

_ours: Counter[tuple[int, int]] = Counter()
"""(pid, address) of the probes this process has in others."""

_lock = threading.Lock()


def refuse_traced(pid: int) -> None:
    """Raises EngineUnavailable when somebody traces *pid*; TargetGone, TargetForbidden."""
    tracer = tracer_of(pid)
    if tracer is not None:
        raise EngineUnavailable(
            f"process {pid} is traced by process {tracer.pid} ({printable(tracer.name)})",
            remedy="end that session first: probes and a debugger on one process can kill it",
        )


class Claim:
    """The right to probe *sites* of process *pid*: the bytes were as they should be. `release` it."""

    def __init__(self, pid: int, sites: Sequence[Site]) -> None:
        """Raises EngineUnavailable, TargetGone, TargetForbidden."""
        self.pid = pid
        self.sites = tuple(sites)
        self._released = False
        with _lock:
            self._prove()
            _ours.update((pid, site.address) for site in self.sites)

    @property
    def executable(self) -> str:
        """A path to the file the sites are in, also where it was deleted since."""
        return f"/proc/{self.pid}/exe"

    def confirm(self) -> None:
        """The kernel has put a breakpoint at each site, in this process. Raises EngineUnavailable, TargetGone."""
        memory = ProcessMemory(self.pid)
        try:
            for site in self.sites:
                if _byte_in_memory(memory, site) != BREAKPOINT:
                    raise EngineUnavailable(
                        f"the kernel took a probe at {_place(site)} but did not put it into process {self.pid}",
                        remedy="its code may have been moved to huge pages; use the memory engine",
                    )
        finally:
            memory.close()

    def release(self) -> None:
        """The probes are out. Safe to call again."""
        with _lock:
            if self._released:
                return
            self._released = True
            for site in self.sites:
                _ours[self.pid, site.address] -= 1
                if _ours[self.pid, site.address] <= 0:
                    del _ours[self.pid, site.address]

    def _prove(self) -> None:
        memory = ProcessMemory(self.pid)
        try:
            file = os.open(self.executable, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            memory.close()
            raise target_error(self.pid, error) from None
        try:
            for site in self.sites:
                _prove_file(site, os.pread(file, 1, site.file_offset))
                self._prove_memory(site, _byte_in_memory(memory, site))
        finally:
            os.close(file)
            memory.close()

    def _prove_memory(self, site: Site, byte: int) -> None:
        if byte == site.byte or (byte == BREAKPOINT and (self.pid, site.address) in _ours):
            return
        if byte == BREAKPOINT:
            raise EngineUnavailable(
                f"there is a breakpoint at {_place(site)} already, put there by a debugger or another tracer",
                remedy="end it first (see `sudo bpftool perf list` and `sudo cat /sys/kernel/tracing/uprobe_events`)",
            )
        raise EngineUnavailable(
            f"unexpected byte {byte:#04x} in memory at {_place(site)}, where its file has {site.byte:#04x}",
            remedy="the program changes its own code, which probes would break; use the memory engine",
        )


def _prove_file(site: Site, found: bytes) -> None:
    if found != bytes([site.byte]):
        byte = f"unexpected byte {found[0]:#04x}" if found else "no byte"
        raise EngineUnavailable(
            f"{byte} in the executable at {_place(site)}, not {site.byte:#04x}",
            remedy="please report it with the Go release this program was built with",
        )


def _byte_in_memory(memory: ProcessMemory, site: Site) -> int:
    try:
        return memory.read(site.address, 1)[0]
    except Unreadable:
        raise EngineUnavailable(f"there is no memory at {_place(site)}") from None


def _place(site: Site) -> str:
    return f"function {printable(site.function)} ({site.address:#x})"
