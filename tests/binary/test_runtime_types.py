"""Struct layouts: those of real executables, and of descriptors made up or damaged."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaktui.binary.executable import Executable
from leaktui.binary.runtime_types import KIND_MAP, KIND_STRUCT, Field, RuntimeTypes
from tests.binary.go_builds import Builder

BASE = 0x500000


@dataclass
class Section:
    """Type descriptors at BASE, made like the linker makes them."""

    data: bytearray

    @classmethod
    def empty(cls) -> Section:
        return cls(bytearray(64))

    def name(self, text: str) -> int:
        at = len(self.data)
        encoded = text.encode()
        self.data += bytes((1, len(encoded))) + encoded
        return BASE + at

    def align(self) -> int:
        self.data += bytes(-len(self.data) % 8)
        return BASE + len(self.data)

    def type(self, name: int, size: int, kind: int, flags: int = 0) -> int:
        at = self.align()
        self.data += struct.pack("<QQIBBBBQQii", size, 0, 0, flags, 8, 8, kind, 0, 0, name - BASE, 0)
        return at

    def struct(self, name: str, package: str, size: int, fields: dict[str, tuple[int, int]]) -> int:
        spelled, home = self.name("*" + name), self.name(package)
        types = {width: self.type(self.name(f"uint{width}"), width, 8) for _, width in fields.values()}
        labels = [(self.name(label), types[width], offset) for label, (offset, width) in fields.items()]
        at = self.type(spelled, size, 25, flags=2)
        self.data += struct.pack("<QQQQ", home, at + 80, len(labels), len(labels))
        for entry in labels:
            self.data += struct.pack("<QQQ", *entry)
        return at

    def types(self) -> RuntimeTypes:
        return RuntimeTypes(bytes(self.data), BASE)


def test_a_struct_is_found_by_name() -> None:
    section = Section.empty()
    section.struct("runtime.g", "runtime", 32, {"low": (0, 8), "status": (8, 4), "goid": (16, 8)})
    layout = section.types().find_struct("runtime.g", "runtime")
    assert layout is not None
    assert layout.size == 32
    assert layout.package == "runtime"
    assert layout.fields == {"low": Field(0, 8), "status": Field(8, 4), "goid": Field(16, 8)}
    assert section.types().find_struct("runtime.gg") is None
    assert section.types().has_kind("runtime.g", KIND_STRUCT)
    assert not section.types().has_kind("runtime.g", KIND_MAP)


def test_twins_are_told_apart_by_their_package() -> None:
    section = Section.empty()
    section.struct("runtime.g", "example.com/my/runtime", 8, {"mine": (0, 8)})
    section.struct("runtime.g", "runtime", 16, {"theirs": (8, 8)})
    for package, field in (("runtime", "theirs"), ("example.com/my/runtime", "mine")):
        layout = section.types().find_struct("runtime.g", package)
        assert layout is not None
        assert list(layout.fields) == [field]
    assert section.types().find_struct("runtime.g", "elsewhere") is None


@pytest.mark.parametrize(
    "fields",
    [{"a": (0, 8), "b": (4, 8)}, {"a": (12, 8)}, {"a": (0, 32)}],
    ids=["overlapping", "beyond the end", "larger than all"],
)
def test_fields_that_contradict_each_other_are_not_believed(fields: dict[str, tuple[int, int]]) -> None:
    section = Section.empty()
    section.struct("runtime.g", "runtime", 16, fields)
    assert section.types().find_struct("runtime.g") is None


@given(data=st.data())
def test_damage_never_raises(data: st.DataObject) -> None:
    section = Section.empty()
    section.struct("runtime.g", "runtime", 32, {"low": (0, 8), "goid": (16, 8)})
    for _ in range(data.draw(st.integers(1, 6))):
        section.data[data.draw(st.integers(0, len(section.data) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(section.data)))
    RuntimeTypes(bytes(section.data), BASE).find_struct("runtime.g")
    RuntimeTypes(bytes(section.data[:cut]), BASE).find_struct("runtime.g")


@pytest.mark.go
def test_a_stripped_executable_tells_the_runtimes_layouts(matrix_builder: Builder) -> None:
    with Executable.open(matrix_builder("census", "stripped")) as executable:
        module = executable.module_data
        assert module is not None
        start = module.types
        segment = executable.image.find_segment(start)
        assert segment is not None
        data = executable.image.read(start, segment.address + segment.file_size - start)
        types = RuntimeTypes(data, start)
        g = types.find_struct("runtime.g", "runtime")
        gobuf = types.find_struct("runtime.gobuf", "runtime")
    assert g is not None
    assert gobuf is not None
    # What has been so since Go 1.4; the rest moves with every release.
    assert g.fields["stack"] == Field(0, 16)
    assert g.fields["sched"].size == gobuf.size
    assert gobuf.fields["sp"] == Field(0, 8)
    assert gobuf.fields["pc"] == Field(8, 8)
    assert g.fields["goid"].size == g.fields["gopc"].size == 8
    assert g.fields["atomicstatus"].size == 4
