"""Bytes at addresses of another process: one method, and what stands behind it.

Law: this is the only module that opens `/proc/PID/mem` to read it (`delve.code_bytes` takes a dead debugger's
breakpoints out with it). It is opened for reading and read with `pread`: the process is neither stopped nor traced, it
only takes the right to trace it. A read gives every byte asked for or raises; what it gives was there at some moment,
not necessarily all of it at the same one.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from leaktui.engines.proc_stat import target_error
from leaktui.errors import DecodeError, LimitExceeded, TargetError, TargetForbidden, TargetGone

READ_LIMIT = 64 << 20
"""Bytes one read may ask for."""

PAGE = 4096
_ADDRESS_LIMIT = 1 << 63
_CACHED_PAGES = 4096


class Unreadable(DecodeError):
    """Nothing is mapped at an address, or only a part of what was asked for."""


class MemoryReader(Protocol):
    """Memory that can be read."""

    def read(self, address: int, size: int) -> bytes:
        """The *size* bytes at *address*.

        Raises Unreadable, LimitExceeded for more than READ_LIMIT bytes, and TargetGone.
        """
        ...


def check_range(address: int, size: int) -> None:
    """Raises Unreadable for what no process has, LimitExceeded for too much at once."""
    if size < 0 or address < 0 or address + size >= _ADDRESS_LIMIT:
        raise Unreadable(f"no memory at {address:#x}")
    if size > READ_LIMIT:
        raise LimitExceeded(f"a read of {size} bytes, more than {READ_LIMIT}")


class ProcessMemory:
    """The memory of a running process. `close` it, when no thread reads any more."""

    def __init__(self, pid: int) -> None:
        """Raises TargetGone, and TargetForbidden with the remedy."""
        self.pid = pid
        try:
            self._fd = os.open(f"/proc/{pid}/mem", os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise explain_refusal(pid, error) from None

    def read(self, address: int, size: int) -> bytes:
        check_range(address, size)
        try:
            data = os.pread(self._fd, size, address)
        except OSError as error:
            if error.errno in (errno.EIO, errno.EFAULT):
                raise Unreadable(f"no memory at {address:#x}") from None
            if error.errno == errno.EBADF:
                raise TargetGone("the memory engine was closed") from None
            raise explain_refusal(self.pid, error) from None
        if len(data) == size:
            return data
        if not data and size:
            # The memory went with the process, or with its exec of another program.
            raise TargetGone(f"process {self.pid} exited while its memory was read")
        raise Unreadable(f"no memory at {address + len(data):#x}")

    def close(self) -> None:
        """Close the file; safe to call again."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class CachedMemory:
    """Memory in pages that are kept: for what does not change while it is looked at, in small pieces."""

    def __init__(self, memory: MemoryReader, *, pages: int = _CACHED_PAGES) -> None:
        self._memory = memory
        self._limit = pages
        self._pages: dict[int, bytes] = {}

    def read(self, address: int, size: int) -> bytes:
        first, last = address // PAGE, (address + size - 1) // PAGE
        if size > PAGE or size <= 0:
            return self._memory.read(address, size)
        data = self._page(first) if first == last else self._page(first) + self._page(last)
        start = address - first * PAGE
        return data[start : start + size]

    def clear(self) -> None:
        """Forget what was read."""
        self._pages.clear()

    def _page(self, number: int) -> bytes:
        page = self._pages.get(number)
        if page is None:
            if len(self._pages) >= self._limit:
                self._pages.clear()
            page = self._pages[number] = self._memory.read(number * PAGE, PAGE)
        return page


class FakeMemory:
    """Memory made of *regions*, address → bytes, for tests; assign to `regions` to change it."""

    def __init__(self, regions: Mapping[int, bytes]) -> None:
        self.regions = dict(regions)
        self.reads = 0

    def read(self, address: int, size: int) -> bytes:
        check_range(address, size)
        self.reads += 1
        for start, data in self.regions.items():
            if start <= address and address + size <= start + len(data):
                return data[address - start : address - start + size]
        raise Unreadable(f"no memory at {address:#x}")


def explain_refusal(pid: int, error: OSError) -> TargetError:
    """Why the memory of *pid* may not be read: another user's, yama, a container without the right."""
    reason = target_error(pid, error)
    if not isinstance(reason, TargetForbidden) or error.errno not in (errno.EACCES, errno.EPERM):
        return reason
    user = os.geteuid()
    if user not in (0, _owner_of(pid)):
        return reason
    if user == 0:
        return TargetForbidden(
            f"the kernel refuses to let root read the memory of process {pid}",
            remedy="give leaktui the capability SYS_PTRACE (docker run --cap-add=SYS_PTRACE)",
        )
    scope = _yama_scope()
    if scope == 3:
        return TargetForbidden(
            f"the kernel lets nobody read the memory of process {pid} (kernel.yama.ptrace_scope is 3)",
            remedy="use its pprof endpoint; only a reboot changes this setting",
        )
    if scope:
        return TargetForbidden(
            f"the kernel lets only root read the memory of process {pid} (kernel.yama.ptrace_scope is {scope})",
            remedy="run leaktui with sudo, or set it to 0 with `sudo sysctl kernel.yama.ptrace_scope=0`",
        )
    return TargetForbidden(
        f"process {pid} does not let its memory be read (it has capabilities, or is not dumpable)",
        remedy="run leaktui as root with sudo",
    )


def _owner_of(pid: int) -> int | None:
    """The user whose process it is."""
    try:
        return Path(f"/proc/{pid}").stat().st_uid
    except OSError:
        return None


def _yama_scope() -> int:
    """kernel.yama.ptrace_scope; 0 where there is no yama."""
    try:
        return int(Path("/proc/sys/kernel/yama/ptrace_scope").read_text())
    except (OSError, ValueError):
        return 0
