"""The reader's end of a BPF ring buffer: shared memory, without a system call.

Law: one reader. Records come in the order they were reserved; the first that is still being written ends the
look, for the ones behind it must wait. Layout: kernel/bpf/ringbuf.c, struct bpf_ringbuf. The kernel maps the data
twice in a row, so that no record is ever in two pieces.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")

_BUSY = 1 << 31
_DISCARD = 1 << 30
_HEADER = 8


class RingBuffer:
    """The ring with descriptor *fd*, of *size* bytes. `close` it; *fd* stays its owner's."""

    def __init__(self, fd: int, size: int) -> None:
        page = mmap.PAGESIZE
        self._size = size
        # The consumer's position, then the producer's and the data, which only the kernel may write.
        self._ours = mmap.mmap(fd, page, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE, offset=0)
        try:
            self._theirs = mmap.mmap(fd, page + 2 * size, mmap.MAP_SHARED, mmap.PROT_READ, offset=page)
        except BaseException:
            self._ours.close()
            raise
        # Aligned words through a view are read and written in one piece, so that neither side sees half a number.
        self._consumed = memoryview(self._ours).cast("Q")
        self._produced = memoryview(self._theirs).cast("Q")
        self._words = memoryview(self._theirs).cast("I")

    def drain(self, decoders: Sequence[Callable[[mmap.mmap, int], T]], limit: int) -> list[T]:
        """What the decoders make of the records that wait, at most *limit*.

        The first u32 of a record is the number of its decoder, which is given the memory and the record's offset.
        """
        taken: list[T] = []
        append = taken.append
        words, data, mask, page = self._words, self._theirs, self._size - 1, mmap.PAGESIZE
        consumed = self._consumed
        position = consumed[0]
        end = self._produced[0]
        while position < end and limit > 0:
            start = page + (position & mask)
            header = words[start >> 2]
            if header & _BUSY:
                break
            position += ((header & ~_DISCARD) + _HEADER + 7) & ~7
            try:
                if not header & _DISCARD:
                    append(decoders[words[(start + _HEADER) >> 2]](data, start + _HEADER))
                    limit -= 1
            finally:
                # At once, for the room is wanted.
                consumed[0] = position
        return taken

    def close(self) -> None:
        """Unmap; safe to call again."""
        for view in (self._consumed, self._produced, self._words):
            view.release()
        self._ours.close()
        self._theirs.close()


def ring_size(wanted: int) -> int:
    """The size a ring can have that is nearest above *wanted* bytes: a power of two of whole pages."""
    size = os.sysconf("SC_PAGE_SIZE")
    while size < wanted:
        size *= 2
    return size
