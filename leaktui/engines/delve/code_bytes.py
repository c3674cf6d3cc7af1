"""The bytes a debugger's breakpoints stand in for, and the way to put them back when it cannot any more.

Law: what a byte should be is read from the executable, never from memory; nothing is written but such a byte, and
only where a breakpoint stands in its place after the debugger has died. This is the only module that writes into
another process.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress

_BREAKPOINT = b"\xcc"


class CodeBytes:
    """The code of process *pid* at some addresses."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._memory: int | None = None
        with suppress(OSError):
            self._memory = os.open(f"/proc/{pid}/mem", os.O_RDWR | os.O_CLOEXEC)
        self.expected: dict[int, int] = {}

    def remember(self, addresses: Iterable[int]) -> bool:
        """Look up in the executable what is to be at *addresses*; whether that is known of all of them."""
        wanted = [address for address in addresses if address not in self.expected]
        if not wanted:
            return True
        known = 0
        with suppress(OSError):
            file = os.open(f"/proc/{self._pid}/exe", os.O_RDONLY | os.O_CLOEXEC)
            try:
                for start, end, offset in self._code_of(file):
                    for address in wanted:
                        if start <= address < end and (byte := os.pread(file, 1, address - start + offset)):
                            self.expected[address] = byte[0]
                            known += 1
            finally:
                os.close(file)
        return known == len(wanted)

    def changed(self) -> list[int]:
        """Where there is a breakpoint in place of the byte that should be there."""
        return [
            address
            for address, byte in self.expected.items()
            if byte != _BREAKPOINT[0] and self._byte(address) == _BREAKPOINT
        ]

    def restore(self) -> int:
        """Put back what breakpoints stand in for; how many could not be."""
        failed = 0
        for address in self.changed():
            try:
                assert self._memory is not None
                os.pwrite(self._memory, bytes([self.expected[address]]), address)
            except OSError:
                failed += 1
        return failed

    def forget(self) -> None:
        """The breakpoints are out."""
        self.expected.clear()

    def close(self) -> None:
        """Safe to call again."""
        if self._memory is not None:
            os.close(self._memory)
            self._memory = None

    def _byte(self, address: int) -> bytes:
        with suppress(OSError):
            if self._memory is not None:
                return os.pread(self._memory, 1, address)
        return b""

    def _code_of(self, file: int) -> list[tuple[int, int, int]]:
        """(start, end, file offset) of what is mapped of the executable to be run."""
        status = os.fstat(file)
        found = []
        with open(f"/proc/{self._pid}/maps", "rb") as lines:  # noqa: PTH123 - hot in an emergency
            for line in lines:
                fields = line.split(None, 5)
                if b"x" not in fields[1] or int(fields[4]) != status.st_ino:
                    continue
                start, end = (int(part, 16) for part in fields[0].split(b"-"))
                found.append((start, end, int(fields[2], 16)))
        return found
