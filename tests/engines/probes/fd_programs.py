"""The Go programs of this directory: built in the ways people ship, started, given commands."""

from __future__ import annotations

import atexit
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from tests.go_target import GoProcess
from tests.go_toolchain import Toolchain, go_environment

PROGRAMS = Path(__file__).parent / "programs"

FLAVOURS: dict[str, tuple[str, ...]] = {
    "plain": (),
    "stripped": ("-ldflags=-s -w",),
    "unoptimised": ("-gcflags=all=-N -l",),
    "pie-stripped": ("-buildmode=pie", "-ldflags=-s -w"),
}


class CommandedProgram(GoProcess):
    """A program that does what it is told, line by line."""

    def do(self, *command: str | int) -> Any:
        """What the program answers to *command* once it has carried it out."""
        return self.ask(" ".join(map(str, command)), "done")


@cache
def _directory() -> Path:
    directory = Path(tempfile.mkdtemp(prefix="leaktui-probes-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return directory


@cache
def build_program(program: str, flavour: str, toolchain: Toolchain) -> Path:
    """The executable."""
    path = _directory() / f"{program}-{flavour}-{toolchain.version}"
    subprocess.run(
        [toolchain.go, "build", *FLAVOURS[flavour], "-o", path, f"./{program}"],
        cwd=PROGRAMS,
        env=go_environment(),
        check=True,
        capture_output=True,
    )
    return path


@contextmanager
def run_program(path: Path) -> Iterator[CommandedProgram]:
    """Run *path* for the length of a `with`; at the end it must still be alive."""
    process = CommandedProgram([str(path)])
    try:
        yield process
        assert process.alive()
    finally:
        process.stop()
