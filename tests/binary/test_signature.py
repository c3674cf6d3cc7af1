"""Output types from DWARF 4 (Go up to 1.24) and 5, against the source and against pyelftools' own walk."""

from __future__ import annotations

import pytest
from elftools.elf.elffile import ELFFile

from leaktui.binary.executable import Executable
from leaktui.binary.signature import hands_over_body
from tests.binary.go_builds import Builder

EXPECTED: dict[str, tuple[str, ...] | None] = {
    "main.fetch": ("*net/http.Response", "error"),
    "main.body": ("io.ReadCloser", "int64", "error"),
    "main.status": ("int", "error"),
    "main.slurp": ("[]uint8",),
    "main.keep": (),
    "main.main": (),
    "main.generic[go.shape.int]": ("int",),
    "main.generic[go.shape.string]": ("string",),
    "net/http.NewRequest": ("*net/http.Request", "error"),  # inlined, and compiled by itself too
    "net/http.(*Client).Do": None,  # inlined everywhere, and DWARF leaves its unnamed results out
    "net/http.(*Client).do": ("*net/http.Response", "error"),
    "net/http.(*Transport).roundTrip": ("*net/http.Response", "error"),
    "main.nothing": None,
    "fetch": None,
    "": None,
    "a\0b": None,
}


@pytest.mark.go
@pytest.mark.parametrize("flavour", ["plain", "pie", "cgo"])
def test_outputs(matrix_builder: Builder, flavour: str) -> None:
    with Executable.open(matrix_builder("census", flavour)) as exe:
        for function, outputs in EXPECTED.items():
            assert exe.outputs_of(function) == outputs, function
            assert exe.outputs_of(function) == outputs  # from memory
        # As the runtime prints it, any instantiation is meant.
        assert exe.outputs_of("main.generic[...]") in (("int",), ("string",))


@pytest.mark.go
def test_without_dwarf(builder: Builder) -> None:
    with Executable.open(builder("census", "stripped")) as exe:
        assert exe.outputs_of("main.fetch") is None


@pytest.mark.go
def test_every_function_of_a_package_agrees_with_a_full_walk(builder: Builder) -> None:
    """pyelftools walks all of a unit's entries; we find each by its name's bytes."""
    path = builder("tiny", "plain")
    told = {}
    with path.open("rb") as stream:
        for unit in ELFFile(stream).get_dwarf_info().iter_CUs():
            if unit.get_top_DIE().attributes["DW_AT_name"].value not in (
                b"main",
                b"os",
                b"internal/abi",
                b"errors",
            ):
                continue
            for entry in unit.get_top_DIE().iter_children():
                if entry.tag != "DW_TAG_subprogram" or "DW_AT_name" not in entry.attributes:
                    continue
                if "DW_AT_inline" in entry.attributes or "DW_AT_trampoline" in entry.attributes:
                    continue
                outputs = {}
                for child in entry.iter_children():
                    flag = child.attributes.get("DW_AT_variable_parameter")
                    if child.tag == "DW_TAG_formal_parameter" and flag is not None and flag.value:
                        name = child.get_DIE_from_attribute("DW_AT_type").attributes["DW_AT_name"]
                        outputs[child.attributes["DW_AT_name"].value] = name.value.decode()
                told[entry.attributes["DW_AT_name"].value.decode()] = tuple(outputs.values())
    assert told["main.outer"] == ("int", "error")
    with Executable.open(path) as exe:
        assert {function: exe.outputs_of(function) for function in told} == told


@pytest.mark.parametrize(
    ("outputs", "handed"),
    [
        (None, False),
        ((), False),
        (("int", "error"), False),
        (("*net/http.Response", "error"), True),
        (("io.ReadCloser",), True),
        (("*example.com/net/http.Response",), False),
    ],
)
def test_hands_over_body(outputs: tuple[str, ...] | None, handed: bool) -> None:
    assert hands_over_body(outputs) is handed
