"""Where functions can be probed, beside what Go's own disassembler says of them."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from leaktui.binary.executable import Executable
from leaktui.engines.probes.entry_point import (
    PUSH_BP,
    RETURN,
    ProbedFunction,
    find_probed_function,
    probed_function_at,
)
from leaktui.engines.probes.recipe import Recipe
from leaktui.errors import EngineUnavailable
from tests.engines.probes.fd_programs import build_program
from tests.go_toolchain import Toolchain, go_environment

pytestmark = pytest.mark.go

ROUND_TRIP = "net/http.(*Transport).roundTrip"
PACKAGES = r"^(net/http|os|internal/poll|runtime)\."
_FUNCTION = re.compile(r"TEXT (\S+?)(?:\(SB\))? ")
_LINE = re.compile(r"\s+(?P<file>\S+):-?\d+\s+0x([0-9a-f]+)\s+([0-9a-f]+)\s+(.+?)\s*$")


@dataclass
class Disassembled:
    """What `go tool objdump` shows of a function: addresses of its PUSHQ BPs, RETs and CALLs."""

    entry: int = 0
    pushes: list[int] = field(default_factory=list)
    returns: list[int] = field(default_factory=list)
    calls: list[int] = field(default_factory=list)


def disassemble(binary: Path, toolchain: Toolchain) -> dict[int, Disassembled]:
    """The functions of `PACKAGES` by their entry."""
    said = subprocess.run(
        [toolchain.go, "tool", "objdump", "-s", PACKAGES, binary],
        env=go_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[int, Disassembled] = {}
    function: Disassembled | None = None
    for line in said.stdout.splitlines():
        if _FUNCTION.match(line):
            function = Disassembled()
        match = _LINE.match(line)
        # Go's disassembler does not know the vector instructions that assembly is written for.
        if match is None or function is None or match["file"].endswith(".s"):
            continue
        address, mnemonic = int(match[2], 16), match[4]
        if not function.entry:
            function.entry = address
            found[address] = function
        if mnemonic == "PUSHQ BP":
            function.pushes.append(address)
        elif mnemonic == "RET":
            function.returns.append(address)
        elif mnemonic.startswith("CALL"):
            function.calls.append(address)
    return found


@pytest.fixture(scope="module")
def binary(matrix_toolchain: Toolchain) -> Path:
    return build_program("bodyends", "plain", matrix_toolchain)


def test_it_is_where_the_disassembler_has_it(binary: Path, matrix_toolchain: Toolchain) -> None:
    shown = disassemble(binary, matrix_toolchain)
    with Executable.open(binary) as executable:
        compared = refused = frameless = 0
        for entry, expected in shown.items():
            try:
                function = probed_function_at(executable, entry)
            except EngineUnavailable:
                refused += 1
                continue
            assert function is not None
            compared += 1
            assert [address for address, _ in function.returns] == expected.returns, function.name
            if function.push is None:
                frameless += 1
                continue
            assert function.push[0] == expected.pushes[0], function.name
            assert not expected.calls or function.push[0] < expected.calls[0], function.name
        assert compared > 2000
        assert refused == 0
        assert frameless < compared / 4


@pytest.mark.parametrize("flavour", ["stripped", pytest.param("pie-stripped", marks=pytest.mark.matrix)])
def test_it_is_found_where_names_are_all_there_is(flavour: str, matrix_toolchain: Toolchain) -> None:
    path = build_program("bodyends", flavour, matrix_toolchain)
    data = path.read_bytes()
    with Executable.open(path) as executable:
        for name in (
            ROUND_TRIP,
            "net/http.(*bodyEOFSignal).Close",
            "os.newFile",
            "internal/poll.(*FD).destroy",
        ):
            function = find_probed_function(executable, name)
            assert function is not None, name
            site = function.entry_site("entered", Recipe(), 0x1000)
            assert (site.byte, data[site.file_offset]) == (PUSH_BP, PUSH_BP)
            assert function.entry < site.address - 0x1000 < function.end
            returns = function.return_sites("left", Recipe(), 0x1000)
            assert returns
            assert {data[item.file_offset] for item in returns} == {RETURN}
            assert [item.address - 0x1000 for item in returns] == [address for address, _ in function.returns]


def test_what_is_not_linked_is_none(binary: Path) -> None:
    with Executable.open(binary) as executable:
        assert find_probed_function(executable, "net/http.(*Transport).noSuchThing") is None
        assert probed_function_at(executable, 1) is None
        entry = executable.pc_lines.entry(0)
        assert probed_function_at(executable, entry + 1) is None


def test_a_function_that_jumps_away_has_no_results(binary: Path) -> None:
    with Executable.open(binary) as executable:
        function = find_probed_function(executable, "runtime.morestack_noctxt")
        assert function is not None
        assert function.leaves
        with pytest.raises(EngineUnavailable, match="does not end with a return"):
            function.return_sites("left", Recipe(), 0)
        with pytest.raises(EngineUnavailable, match="no frame of its own"):
            function.entry_site("entered", Recipe(), 0)


def damaged(binary: Path, function: ProbedFunction, tmp_path: Path) -> Iterator[Path]:
    """Copies of *binary* that have another byte at the push, and at one of the returns."""
    assert function.push is not None
    for number, (_, offset) in enumerate((function.push, function.returns[-1])):
        data = bytearray(binary.read_bytes())
        data[offset] = 0xCC
        path = tmp_path / f"damaged-{number}"
        path.write_bytes(data)
        yield path


def test_another_byte_is_never_probed(binary: Path, tmp_path: Path) -> None:
    with Executable.open(binary) as executable:
        function = find_probed_function(executable, "os.newFile")
        assert function is not None
    for path in damaged(binary, function, tmp_path):
        with (
            Executable.open(path) as executable,
            pytest.raises(EngineUnavailable, match="a breakpoint in it"),
        ):
            find_probed_function(executable, "os.newFile")


def test_unknown_code_is_refused(binary: Path, tmp_path: Path) -> None:
    with Executable.open(binary) as executable:
        function = find_probed_function(executable, "os.newFile")
        assert function is not None
        assert function.push is not None
    data = bytearray(binary.read_bytes())
    data[function.push[1]] = 0x06  # no instruction in 64-bit mode
    path = tmp_path / "unknown"
    path.write_bytes(data)
    with (
        Executable.open(path) as executable,
        pytest.raises(EngineUnavailable, match="an instruction that leaktui does not know"),
    ):
        find_probed_function(executable, "os.newFile")


def test_other_machines_are_refused() -> None:
    executable = cast(Executable, SimpleNamespace(machine="arm64"))
    with pytest.raises(EngineUnavailable, match="arm64"):
        find_probed_function(executable, ROUND_TRIP)
