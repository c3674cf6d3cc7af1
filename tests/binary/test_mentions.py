"""What machine code mentions: addresses in operands, and of these the words that are loaded or pointed to."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from leaktui.binary.executable import Executable
from leaktui.binary.mentions import Mention, iter_instructions, iter_mentions
from tests.binary.go_builds import Builder
from tests.binary.machine_code import HandWritten


def mentions(*lines: str) -> list[tuple[int, bool]]:
    """(bytes after the entry, whether it is taken) of what a function of *lines* mentions."""
    program = HandWritten({"f": lines})
    functions = {"f": program.function("f")}
    executable = cast(Executable, SimpleNamespace(find_function=functions.get, image=program))
    entry = functions["f"].entry
    return [(mention.address - entry, mention.taken) for mention in iter_mentions(executable, ("f", "none"))]


@pytest.mark.parametrize(
    ("line", "taken"),
    [
        ("48 8b 05 f9 0f 00 00", True),  # MOVQ x(RIP), AX
        ("48 8d 05 f9 0f 00 00", True),  # LEAQ x(RIP), AX
        ("48 89 05 f9 0f 00 00", False),  # MOVQ AX, x(RIP)
        ("48 8b 0d f9 0f 00 00", True),  # MOVQ x(RIP), CX
    ],
)
def test_an_address_relative_to_the_instruction_is_mentioned(line: str, taken: bool) -> None:
    assert mentions(line) == [(0x1000, taken)]


def test_half_a_word_is_mentioned_and_not_taken() -> None:
    assert mentions("8b 05 fa 0f 00 00") == [(0x1000, False)]  # MOVL x(RIP), AX


@pytest.mark.parametrize(
    "line",
    [
        "48 8b 00",  # MOVQ (AX), AX: register 0 is one, too
        "48 8b 41 10",  # MOVQ 16(CX), AX
        "48 8b 04 c5 00 10 40 00",  # MOVQ 0x401000(AX*8), AX
        "64 48 8b 04 25 f8 ff ff ff",  # MOVQ FS:-8, AX: where the runtime's g is
        "48 c7 c0 00 10 40 00",  # MOVQ $0x401000, AX
    ],
)
def test_what_depends_on_a_register_is_not_mentioned(line: str) -> None:
    assert mentions(line) == []


def test_it_is_mentioned_as_often_as_it_is_used() -> None:
    assert mentions("48 8b 05 f9 0f 00 00", "90", "48 8d 05 f1 0f 00 00") == [(0x1000, True)] * 2


def test_bytes_that_are_no_instruction_are_passed_over() -> None:
    code = bytes.fromhex(
        "06 48 8b 05 f9 0f 00 00 c3 48"
    )  # 06 is none in 64 bits; 48 begins one that is cut off
    assert [(found.address, found.size) for found in iter_instructions(code, 0x1000)] == [
        (0x1001, 7),
        (0x1008, 1),
    ]


@pytest.mark.go
@pytest.mark.parametrize("flavour", ["plain", "pie"])
def test_variables_of_the_runtime_are_found_by_the_functions_that_use_them(
    builder: Builder, flavour: str
) -> None:
    with Executable.open(builder("services", flavour)) as executable:
        for function, variable in (
            ("runtime.allgadd", "runtime.allgs"),
            ("runtime.queuefinalizer", "runtime.allfin"),
            ("runtime.profilealloc", "runtime.MemProfileRate"),
        ):
            symbol = executable.find_symbol(variable)
            if symbol is None:
                continue  # the linker leaves out what is not used
            found = set(iter_mentions(executable, (function,)))
            assert found & {Mention(symbol.address, taken) for taken in (True, False)}, variable
        assert list(iter_mentions(executable, ("runtime.none",))) == []
