"""Go maps as they lie in a real program's memory, in both forms, and memory that is no map."""

from __future__ import annotations

import struct
import threading
from collections.abc import Callable
from typing import Any

import pytest

from leaktui.engines.memory.attachment import Attachment, attach
from leaktui.engines.memory.go_map import Entry, GoMapReader
from leaktui.engines.memory.reader import FakeMemory, MemoryReader, Unreadable
from leaktui.errors import DecodeError, LimitExceeded
from tests.engines.memory.go_programs import build_program, run_program
from tests.go_toolchain import Toolchain

pytestmark = pytest.mark.go

Shown = tuple[str, str]
Show = Callable[[MemoryReader, Entry], Shown]


def text(memory: MemoryReader, data: bytes) -> str:
    pointer, size = struct.unpack("<QQ", data)
    return memory.read(pointer, size).decode() if size else ""


def boxed(memory: MemoryReader, data: bytes) -> str:
    """The string in an interface."""
    return text(memory, memory.read(struct.unpack("<8xQ", data)[0], 16))


def point(data: bytes) -> str:
    return "{} {} {}".format(*struct.unpack("<i4xqB7x", data))


SHOW: dict[str, Show] = {
    "string": lambda memory, entry: (text(memory, entry.key), text(memory, entry.value)),
    "pointer": lambda _, entry: (
        str(struct.unpack("<Q", entry.key)[0]),
        str(*struct.unpack("<I", entry.value)),
    ),
    "struct": lambda memory, entry: (point(entry.key), text(memory, entry.value)),
    "byte": lambda _, entry: (str(entry.key[0]), entry.value.decode()),
    "wide": lambda _, entry: (
        str(*struct.unpack_from("<Q", entry.key)),
        str(*struct.unpack_from("<Q", entry.value, 31 * 8)),
    ),
    "any": lambda memory, entry: (boxed(memory, entry.key), str(bool(entry.value[0])).lower()),
    "stream": lambda memory, entry: (
        str(*struct.unpack("<I", entry.key)),
        str(*struct.unpack("<i", memory.read(struct.unpack("<Q", entry.value)[0], 4))),
    ),
}


def numbers(_: MemoryReader, entry: Entry) -> Shown:
    return str(*struct.unpack("<q", entry.key)), str(*struct.unpack("<q", entry.value))


def is_growing(memory: MemoryReader, address: int) -> bool:
    """Whether a map of Go 1.23 or before has buckets that were not moved yet (runtime/map.go, hmap.oldbuckets)."""
    return address != 0 and memory.read(address + 24, 8) != bytes(8)


@pytest.mark.parametrize("flavour", ["stripped", "pie-stripped"])
def test_every_map_of_a_program_is_as_the_program_says(matrix_toolchain: Toolchain, flavour: str) -> None:
    with run_program(build_program("maps", flavour, matrix_toolchain)) as process:
        attachment = attach(process.pid, threading.Event())
        try:
            reader = GoMapReader(attachment.memory, attachment.layout.types)
            described: list[dict[str, Any]] = process.ready["maps"]
            assert len(described) == 50
            for one in described:
                show = SHOW.get(one["name"].split("-")[0], numbers)
                found = [
                    show(attachment.memory, entry)
                    for entry in reader.iter_entries(one["address"], one["type"])
                ]
                assert reader.count(one["address"]) == one["count"] == len(found), one["name"]
                assert sorted(found) == sorted(map(tuple, one["entries"] or ())), one["name"]
            if attachment.layout.types.find_struct("maps.Map", "internal/runtime/maps") is None:
                assert any(is_growing(attachment.memory, one["address"]) for one in described)
            largest = next(one for one in described if one["name"] == "int-100000")
            check_cancel(reader, largest)
            check_other_types(attachment, reader, largest)
        finally:
            attachment.close()


def check_cancel(reader: GoMapReader, largest: dict[str, Any]) -> None:
    cancel = threading.Event()
    cancel.set()
    found = sum(1 for _ in reader.iter_entries(largest["address"], largest["type"], cancel))
    assert found == 0

    class Later(threading.Event):
        """Set when it is looked at for the third time."""

        looks = 0

        def is_set(self) -> bool:
            self.looks += 1
            return self.looks > 2

    found = sum(1 for _ in reader.iter_entries(largest["address"], largest["type"], Later()))
    assert 0 < found < largest["count"]


def check_other_types(attachment: Attachment, reader: GoMapReader, largest: dict[str, Any]) -> None:
    """What is no map's type, or no map, is refused."""
    key = attachment.layout.types.key_of(largest["type"])
    assert key is not None
    for wrong in (key.address, largest["type"] + 8, 0, 1 << 60):
        with pytest.raises(DecodeError):
            list(reader.iter_entries(largest["address"], wrong))
    for address in (attachment.layout.data[0], largest["type"], largest["address"] + 1):
        with pytest.raises((DecodeError, LimitExceeded)):
            list(reader.iter_entries(address, largest["type"]))
    with pytest.raises(Unreadable):
        list(reader.iter_entries(8, largest["type"]))
    check_torn(attachment, largest)


def check_torn(attachment: Attachment, largest: dict[str, Any]) -> None:
    """A map that says it has one entry more, or fewer, than are found."""
    address = largest["address"]

    class Altered:
        def __init__(self, by: int) -> None:
            self.by = by

        def read(self, start: int, size: int) -> bytes:
            data = attachment.memory.read(start, size)
            if start == address:
                data = struct.pack("<Q", struct.unpack_from("<Q", data)[0] + self.by) + data[8:]
            return data

    for by in (1, -1):
        altered = GoMapReader(Altered(by), attachment.layout.types)
        with pytest.raises(DecodeError, match="changed while it was read"):
            list(altered.iter_entries(address, largest["type"]))
    huge = GoMapReader(Altered(1 << 40), attachment.layout.types)
    with pytest.raises(LimitExceeded):
        list(huge.iter_entries(address, largest["type"]))
    with pytest.raises(DecodeError):
        GoMapReader(FakeMemory({}), attachment.layout.types).count(address)
