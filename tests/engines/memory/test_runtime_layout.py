"""The self-checks: what is not as expected is refused by the name of the check, never decoded."""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from leaktui.binary.executable import Executable
from leaktui.binary.runtime_types import Field, StructLayout
from leaktui.engines.memory.attachment import _check
from leaktui.engines.memory.goroutines import GoroutineReader, Seen, Tally
from leaktui.engines.memory.reader import FakeMemory
from leaktui.engines.memory.runtime_layout import GLayout, GState, find_runtime_layout
from leaktui.errors import EngineUnavailable

GOBUF = StructLayout("runtime.gobuf", "runtime", 16, {"sp": Field(0, 8), "pc": Field(8, 8)})
SIZES = {
    "trackingSeq": 1,
    "_panic": 8,
    "_defer": 8,
    "waiting": 8,
    "labels": 8,
    "startpc": 8,
    "gopc": 8,
    "parentGoid": 8,
    "lockedm": 8,
    "waitreason": 1,
    "waitsince": 8,
    "goid": 8,
    "atomicstatus": 4,
    "syscallsp": 8,
    "syscallpc": 8,
    "sched": 16,
    "stack": 16,
}


def layout_of(sizes: dict[str, int]) -> StructLayout:
    """A runtime.g with its fields in the order of *sizes*, eight bytes of others between them."""
    fields, offset = {}, 8
    for name, size in sizes.items():
        fields[name] = Field(offset, size)
        offset += -(-size // 8) * 8 + 8
    return StructLayout("runtime.g", "runtime", offset, fields)


def test_fields_are_decoded_wherever_they_are() -> None:
    expected = GState(0x1000, 0x2000, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19)
    places: dict[str, tuple[str, list[int]]] = {
        "stack": ("<QQ", [0x1000, 0x2000]),
        "sched": ("<QQ", [4, 3]),
        "syscallpc": ("<Q", [5]),
        "syscallsp": ("<Q", [6]),
        "atomicstatus": ("<I", [7]),
        "goid": ("<Q", [8]),
        "waitsince": ("<Q", [9]),
        "waitreason": ("<B", [10]),
        "lockedm": ("<Q", [11]),
        "parentGoid": ("<Q", [12]),
        "gopc": ("<Q", [13]),
        "startpc": ("<Q", [14]),
        "labels": ("<Q", [15]),
        "waiting": ("<Q", [16]),
        "_defer": ("<Q", [17]),
        "_panic": ("<Q", [18]),
        "trackingSeq": ("<B", [19]),
    }
    for sizes in (SIZES, dict(reversed(SIZES.items()))):
        g = layout_of(sizes)
        data = bytearray(b"\xee" * g.size)
        for name, (code, values) in places.items():
            struct.pack_into(code, data, g.fields[name].offset, *values)
        layout = GLayout(g, GOBUF)
        assert layout.size == g.size
        assert layout.decode(bytes(data)) == expected
        assert layout.decode(b"1234" + bytes(data), 4) == expected


@pytest.mark.parametrize("name", SIZES)
def test_a_missing_field_is_named(name: str) -> None:
    sizes = {field: size for field, size in SIZES.items() if field != name}
    with pytest.raises(EngineUnavailable, match=rf"\b{name}\b.*self-check: the layout of runtime\.g"):
        GLayout(layout_of(sizes), GOBUF)


def test_a_field_of_another_size_is_refused() -> None:
    with pytest.raises(EngineUnavailable, match="goid"):
        GLayout(layout_of({**SIZES, "goid": 4}), GOBUF)
    with pytest.raises(EngineUnavailable, match="gobuf"):
        GLayout(layout_of(SIZES), StructLayout("runtime.gobuf", "runtime", 16, {"sp": Field(0, 8)}))


def program(**attributes: Any) -> Executable:
    """As much of an Executable as the first checks look at."""
    return cast(Executable, SimpleNamespace(**attributes))


def test_another_architecture_is_named() -> None:
    with pytest.raises(EngineUnavailable, match="arm64") as refusal:
        find_runtime_layout(program(machine="arm64"), FakeMemory({}), 0)
    assert "pprof" in refusal.value.remedy


def test_no_moduledata_and_another_programs_are_told_apart() -> None:
    with pytest.raises(EngineUnavailable, match="was not found"):
        find_runtime_layout(program(machine="amd64", module_data=None), FakeMemory({}), 0)
    module = SimpleNamespace(address=0x1000, text=0x400000)
    memory = FakeMemory({0x1000: bytes(4096)})
    with pytest.raises(EngineUnavailable, match="another program"):
        find_runtime_layout(program(machine="amd64", module_data=module), memory, 0)


class Tearing:
    """A reader that finds *torn* of *parked* goroutines torn."""

    def __init__(self, parked: int, torn: int) -> None:
        self.parked, self.torn = parked, torn

    def iter_seen(self, tally: Tally, cancel: threading.Event, *, sample: int = 0) -> Iterator[Seen]:
        tally.parked, tally.torn = self.parked, self.torn
        yield from cast("list[Seen]", [None] * self.parked)


@pytest.mark.parametrize(("parked", "torn"), [(1000, 11), (50, 1), (0, 0)])
def test_too_many_torn_stacks_or_none_at_all_are_refused(parked: int, torn: int) -> None:
    with pytest.raises(EngineUnavailable, match="self-check: stacks"):
        _check(cast(GoroutineReader, Tearing(parked, torn)), threading.Event())


@pytest.mark.parametrize(("parked", "torn"), [(1000, 10), (5, 0)])
def test_whole_stacks_are_accepted(parked: int, torn: int) -> None:
    _check(cast(GoroutineReader, Tearing(parked, torn)), threading.Event())
