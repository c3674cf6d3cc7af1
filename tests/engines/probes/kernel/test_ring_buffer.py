"""The reader of a ring, on memory laid out as the kernel lays it out, and written by hand."""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Iterator

import pytest

from leaktui.engines.probes.kernel.ring_buffer import RingBuffer, ring_size

PAGE = mmap.PAGESIZE
SIZE = PAGE
BUSY, DISCARD = 1 << 31, 1 << 30


class Ring:
    """The kernel's side. The data are there twice, one behind the other."""

    def __init__(self) -> None:
        self.file = os.memfd_create("ring")
        os.ftruncate(self.file, 2 * PAGE + 2 * SIZE)
        self.produced = 0

    def put(self, payload: bytes, flags: int = 0, decoder: int = 0) -> int:
        """Append a record; its position."""
        position = self.produced
        payload = struct.pack("=I", decoder) + payload
        record = struct.pack("=II", len(payload) | flags, 0) + payload
        self._write(position, record)
        self.produced += -(-len(record) // 8) * 8
        os.pwrite(self.file, struct.pack("=Q", self.produced), PAGE)
        return position

    def finish(self, position: int, length: int, flags: int = 0) -> None:
        """The record at *position* is written now."""
        self._write(position, struct.pack("=I", length | flags))

    def consumed(self) -> int:
        return int(struct.unpack("=Q", os.pread(self.file, 8, 0))[0])

    def _write(self, position: int, data: bytes) -> None:
        for index, byte in enumerate(data):
            at = (position + index) % SIZE
            for copy in (at, at + SIZE):
                os.pwrite(self.file, bytes([byte]), 2 * PAGE + copy)


@pytest.fixture
def ring() -> Iterator[Ring]:
    ring = Ring()
    yield ring
    os.close(ring.file)


@pytest.fixture
def reader(ring: Ring) -> Iterator[RingBuffer]:
    reader = RingBuffer(ring.file, SIZE)
    yield reader
    reader.close()


def take(data: mmap.mmap, offset: int) -> bytes:
    return data[offset + 4 : offset + 9]


def take_other(data: mmap.mmap, offset: int) -> bytes:
    return b"other " + data[offset + 4 : offset + 9]


def test_records_come_in_order_and_once(ring: Ring, reader: RingBuffer) -> None:
    assert reader.drain([take], 10) == []
    for text in (b"first", b"again", b"third"):
        ring.put(text)
    assert reader.drain([take], 2) == [b"first", b"again"]
    ring.put(b"after", decoder=1)
    assert reader.drain([take, take_other], 10) == [b"third", b"other after"]
    assert reader.drain([take], 10) == []
    assert ring.consumed() == ring.produced


def test_what_is_behind_a_record_in_work_waits(ring: Ring, reader: RingBuffer) -> None:
    ring.put(b"early")
    position = ring.put(b"works", BUSY)
    ring.put(b"later")
    assert reader.drain([take], 10) == [b"early"]
    assert ring.consumed() == position
    ring.finish(position, 9)
    assert reader.drain([take], 10) == [b"works", b"later"]


def test_what_was_given_up_is_passed_over(ring: Ring, reader: RingBuffer) -> None:
    ring.put(b"waste", DISCARD)
    ring.put(b"taken")
    ring.put(b"waste", DISCARD)
    assert reader.drain([take], 1) == [b"taken"]
    assert reader.drain([take], 1) == []
    assert ring.consumed() == ring.produced


def test_records_that_lie_across_the_end_are_whole(ring: Ring, reader: RingBuffer) -> None:
    taken: list[bytes] = []
    wanted: list[bytes] = []
    # 24 bytes a record do not divide a page: every place of the seam is met.
    for number in range(3 * SIZE // 24 * 3):
        text = b"%05d" % number
        wanted.append(text)
        ring.put(text)
        if number % 7 == 0:
            taken += reader.drain([take], 1 << 20)
    taken += reader.drain([take], 1 << 20)
    assert taken == wanted
    assert ring.produced > 8 * SIZE


def test_a_decoder_that_fails_is_not_asked_about_the_same_again(ring: Ring, reader: RingBuffer) -> None:
    ring.put(b"first")
    with pytest.raises(ZeroDivisionError):
        reader.drain([lambda data, offset: b"%d" % (1 // 0)], 10)
    ring.put(b"other")
    assert reader.drain([take], 10) == [b"other"]


def test_a_closed_reader_can_be_closed_again(ring: Ring) -> None:
    reader = RingBuffer(ring.file, SIZE)
    reader.close()
    reader.close()


@pytest.mark.parametrize(
    ("wanted", "size"), [(1, PAGE), (PAGE, PAGE), (PAGE + 1, 2 * PAGE), (5 * PAGE, 8 * PAGE)]
)
def test_sizes(wanted: int, size: int) -> None:
    assert ring_size(wanted) == size
