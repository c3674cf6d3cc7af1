"""The program `calls`, which calls one function as often as it is told, and where that function is probed."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from leaktui.binary.executable import Executable
from leaktui.engines.probes.entry_point import find_probed_function
from leaktui.engines.probes.recipe import Recipe, Site
from tests.go_target import GoProcess
from tests.go_toolchain import Toolchain, go_environment

_PROGRAMS = Path(__file__).parents[1] / "programs"


@dataclass(frozen=True)
class Calls:
    """A running `calls`. `chain` is the address of the node it hands its function."""

    process: GoProcess
    bias: int

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def chain(self) -> int:
        return int(self.process.ready["chain"])

    def entry(self, recipe: Recipe | None = None, event: str = "entered") -> Site:
        """Where its function `probed` is entered: AX number, BX and CX a string, DI the chain."""
        return self._probed().entry_site(event, recipe or Recipe(), self.bias)

    def entries(self, recipes: Sequence[Recipe], count: int) -> Iterator[Site]:
        """Where so many functions are entered, its own and some that it prints with, with *recipes* in turn."""
        with Executable.open(f"/proc/{self.pid}/exe") as executable:
            names = [
                function.name
                for prefix in ("main.probed", "main.deep", "main.timed", "encoding/json.", "fmt.", "strconv.")
                for function in executable.iter_functions(prefix)
            ]
            found = 0
            for name in dict.fromkeys(names):
                function = find_probed_function(executable, name)
                if function is not None and function.push is not None and found < count:
                    yield function.entry_site("entered", recipes[found % len(recipes)], self.bias)
                    found += 1

    def returns(self, recipe: Recipe | None = None, event: str = "returned") -> tuple[Site, ...]:
        """Where it returns: AX is the result."""
        return self._probed().return_sites(event, recipe or Recipe(), self.bias)

    def call(self, goroutines: int, times: int) -> int:
        return int(self.process.ask(f"call {goroutines} {times}", "called"))

    def _probed(self):  # type: ignore[no-untyped-def]
        with Executable.open(f"/proc/{self.pid}/exe") as executable:
            function = find_probed_function(executable, "main.probed")
            assert function is not None
            return function


@cache
def _build(directory: Path, toolchain: Toolchain, *flags: str) -> Path:
    path = directory / f"calls-{toolchain.version}{''.join(flags).replace(' ', '')}"
    subprocess.run(
        [toolchain.go, "build", *flags, "-o", path, "./calls"],
        cwd=_PROGRAMS,
        env=go_environment(),
        check=True,
    )
    return path


@pytest.fixture(scope="session")
def calls_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("calls")


@pytest.fixture(params=["plain", "pie-stripped"])
def calls(
    request: pytest.FixtureRequest, probes_permitted: None, matrix_toolchain: Toolchain, calls_directory: Path
) -> Iterator[Calls]:
    """The program at work; it must outlive the test."""
    flags = () if request.param == "plain" else ("-buildmode=pie", "-ldflags=-s -w")
    process = GoProcess([str(_build(calls_directory, matrix_toolchain, *flags))])
    try:
        with Executable.open(f"/proc/{process.pid}/exe") as executable:
            bias = executable.bias(Path(f"/proc/{process.pid}/maps").read_text())
        assert bias is not None
        yield Calls(process, bias)
        assert process.alive()
    finally:
        process.stop()
