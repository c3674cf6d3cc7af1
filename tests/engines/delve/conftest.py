"""The program `values`, built once, running and looked at by Delve."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.go_target import GoProcess
from tests.go_toolchain import Toolchain, go_environment

PROGRAMS = Path(__file__).parent / "programs"

RunValues = Callable[..., AbstractContextManager[GoProcess]]


def build_values(toolchain: Toolchain, directory: Path, *flags: str) -> Path:
    """The executable of programs/values."""
    binary = (
        directory / f"values-{toolchain.version}{'-'.join(('', *flags)).replace('/', '_').replace(' ', '')}"
    )
    if not binary.exists():
        subprocess.run(
            [toolchain.go, "build", *flags, "-o", binary, "./values"],
            cwd=PROGRAMS,
            env=go_environment(),
            check=True,
        )
    return binary


@contextmanager
def running(binary: Path, *arguments: str) -> Iterator[GoProcess]:
    """The program at work; it must be alive at the end, however it was looked at."""
    process = GoProcess([str(binary), *arguments])
    try:
        yield process
        assert process.alive(), "looking at it killed it"
        assert isinstance(process.ask("allocated", "allocated"), int), "it does not answer any more"
    finally:
        process.stop()


@pytest.fixture(scope="session")
def values_binary(go_toolchain: Toolchain, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_values(go_toolchain, tmp_path_factory.mktemp("delve-programs"))


@pytest.fixture
def run_values(values_binary: Path) -> RunValues:
    """`with run_values("-rate", "20") as process: …`."""
    return lambda *arguments: running(values_binary, *arguments)
