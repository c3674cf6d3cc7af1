"""Stack maps: made as data, damaged, and all those of a real program."""

from __future__ import annotations

import random
import struct
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from leaktui.binary.executable import Executable
from leaktui.binary.func_record import FuncTables
from leaktui.binary.pclntab import PcLineTable
from leaktui.binary.stack_maps import FrameMap, StackMaps, StackObject
from leaktui.errors import DecodeError
from tests.binary.go_builds import Builder

ENTRY = 0x1000


def stack_map(length: int, *rows: list[int]) -> bytes:
    """A runtime.stackmap with a bitmap for each row of set bits."""
    size = (length + 7) // 8
    bitmaps = (sum(1 << bit for bit in row).to_bytes(size, "little") for row in rows)
    return struct.pack("<ii", len(rows), length) + b"".join(bitmaps)


@dataclass
class OneFunction:
    """What StackMaps asks of a PcLineTable, for one function of 256 bytes with map *numbers* by offset."""

    numbers: dict[int, int]
    args: int = 0
    locals_map: bytes = b""
    args_map: bytes = b""
    objects: bytes = b""
    funcdata: bytes = field(init=False)

    def __post_init__(self) -> None:
        self.funcdata = b"pad " + self.args_map + self.locals_map + self.objects

    def index_at(self, pc: int) -> int | None:
        return 0 if ENTRY <= pc < ENTRY + 256 else None

    def info(self, _index: int) -> Any:
        return SimpleNamespace(entry=ENTRY)

    def tables(self, _index: int) -> FuncTables:
        at = 4
        offsets: list[int | None] = []
        for part in (self.args_map, self.locals_map, self.objects):
            offsets.append(at if part else None)
            at += len(part)
        return FuncTables(self.args, 0, (0, 77), tuple(offsets))

    def value_at(self, _info: Any, table: int, pc: int) -> int:
        assert table == 77
        return self.numbers.get(pc - ENTRY, -1)

    def maps(self, *masks: bytes) -> StackMaps:
        data = b"".join(masks)
        read = (lambda offset, size: data[offset : offset + size]) if masks else None
        return StackMaps(cast(PcLineTable, self), read)


def test_the_map_in_force_is_that_of_the_call_before() -> None:
    function = OneFunction(
        {9: 1, 19: 2},
        args=24,
        locals_map=stack_map(10, [], [0, 9], [8]),
        args_map=stack_map(3, [0], [], [1, 2]),
    )
    maps = function.maps()
    assert maps.at(ENTRY + 10) == FrameMap((-80, -8), (), ())
    assert maps.at(ENTRY + 20) == FrameMap((-16,), (8, 16), ())


def test_in_the_prologue_the_first_map_holds() -> None:
    function = OneFunction({}, args=8, locals_map=stack_map(2, [], [1]), args_map=stack_map(1, [0], []))
    maps = function.maps()
    assert maps.at(ENTRY) == maps.at(ENTRY + 5) == FrameMap((), (0,), ())


def test_arguments_end_where_the_function_says() -> None:
    function = OneFunction({9: 0}, args=8, args_map=stack_map(3, [0, 1, 2]))
    assert function.maps().at(ENTRY + 10) == FrameMap((), (0,), ())


def test_stubs_whose_arguments_only_the_caller_knows_are_not_whole() -> None:
    frame = OneFunction({9: 0}, args=-0x8000_0000, locals_map=stack_map(1, [0])).maps().at(ENTRY + 10)
    assert frame is not None
    assert frame.locals == (-8,)
    assert not frame.whole


def test_stack_objects_have_the_pointers_of_their_masks() -> None:
    records = struct.pack("<Q", 2) + struct.pack("<iiiI", -64, 40, 32, 1) + struct.pack("<iiiI", 16, 16, 8, 0)
    function = OneFunction({9: 0}, objects=records)
    frame = function.maps(b"\1\x0a").at(ENTRY + 10)
    assert frame is not None
    assert frame.objects == (StackObject(-64, 40, (8, 24)), StackObject(16, 16, (0,)))


def test_without_a_mask_every_word_up_to_the_last_pointer_counts() -> None:
    records = (
        struct.pack("<Q", 2) + struct.pack("<iiiI", -64, 40, 24, 1) + struct.pack("<iiiI", -8, 32, -16, 0)
    )
    for maps in (OneFunction({}, objects=records).maps(), OneFunction({}, objects=records).maps(b"\0\7")):
        frame = maps.at(ENTRY)
        assert frame is not None
        assert [item.pointers for item in frame.objects] == [(0, 8, 16), (0, 8)]


def test_outside_the_functions_there_is_none() -> None:
    assert OneFunction({}).maps().at(ENTRY - 1) is None


def test_without_function_data_nothing_is_known() -> None:
    function = OneFunction({9: 0}, locals_map=stack_map(1, [0]))
    function.funcdata = b""
    maps = function.maps()
    assert not maps.known
    assert maps.at(ENTRY + 10) is None


@pytest.mark.parametrize(
    "function",
    [
        OneFunction({9: 3}, locals_map=stack_map(4, [0])),
        OneFunction({9: 0}, locals_map=struct.pack("<ii", 1, -5)),
        OneFunction({9: 0}, locals_map=struct.pack("<ii", 1, 1 << 30)),
        OneFunction({9: 0}, locals_map=struct.pack("<ii", 1, 800)),
        OneFunction({9: 0}, objects=struct.pack("<Q", 1 << 40)),
        OneFunction({9: 0}, objects=struct.pack("<QiiiI", 1, -8, 8, 16, 0)),
        OneFunction({9: 0}, objects=struct.pack("<QiiiI", 1, -8, -1, 0, 0)),
    ],
)
def test_maps_that_make_no_sense_are_none(function: OneFunction) -> None:
    assert function.maps().at(ENTRY + 10) is None


def test_a_mask_that_cannot_be_read_makes_the_frame_unknown() -> None:
    def refuse(_offset: int, _size: int) -> bytes:
        raise DecodeError("not there")

    function = OneFunction({9: 0}, objects=struct.pack("<QiiiI", 1, -8, 8, 8, 0))
    assert StackMaps(cast(PcLineTable, function), refuse).at(ENTRY + 10) is None


@pytest.mark.go
@pytest.mark.parametrize("flavour", ["stripped", "pie-stripped"])
def test_every_map_of_a_program_can_be_read(matrix_builder: Builder, flavour: str) -> None:
    with Executable.open(matrix_builder("services", flavour)) as executable:
        table = executable.pc_lines
        maps = StackMaps(table)
        assert maps.known
        random_places = random.Random(1)
        locals_, objects = 0, 0
        for index in range(len(table)):
            info = table.info(index)
            for pc in (info.entry, info.entry + random_places.randrange(max(info.size, 1)) + 1):
                if table.index_at(pc) != index:
                    continue
                frame = maps.at(pc)
                assert frame is not None, table.name(index)
                delta = table.stack_delta(info, pc) if info.stack_values else 0
                # What is live lies in the frame, unless the frame has not been made yet.
                if pc != info.entry and delta > 0 and frame.locals:
                    assert all(place < 0 and place % 8 == 0 for place in frame.locals)
                    locals_ += 1
                objects += len(frame.objects)
        assert locals_ > 500
        assert objects > 50
