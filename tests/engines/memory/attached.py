"""A process attached to for the length of a `with`; its goroutines; its memory, some reads answered otherwise."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from leaktui.engines.memory.attachment import Attachment, attach
from leaktui.engines.memory.goroutines import Seen, Tally
from leaktui.engines.memory.reader import MemoryReader


@contextmanager
def attached(pid: int) -> Iterator[Attachment]:
    attachment = attach(pid, threading.Event())
    try:
        yield attachment
    finally:
        attachment.close()


def goroutines_of(attachment: Attachment) -> list[Seen]:
    return list(attachment.goroutines.iter_seen(Tally(), threading.Event()))


class Altered:
    """The memory of a process as *alter* has it: given an address and the bytes that are there."""

    def __init__(self, memory: MemoryReader, alter: Callable[[int, bytes], bytes]) -> None:
        self._memory = memory
        self._alter = alter

    def read(self, address: int, size: int) -> bytes:
        return self._alter(address, self._memory.read(address, size))
