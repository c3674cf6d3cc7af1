"""The Go programs of this directory: built in the ways people ship, started, asked for a dump."""

from __future__ import annotations

import atexit
import shutil
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

from leaktui.model.goroutine import Goroutine
from leaktui.wire.goroutine_text import decode_goroutine_dump
from tests.go_target import GoProcess
from tests.go_toolchain import Toolchain, go_environment

PROGRAMS = Path(__file__).parent / "programs"

FLAVOURS: dict[str, tuple[str, ...]] = {
    "plain": (),
    "stripped": ("-ldflags=-s -w",),
    "pie-stripped": ("-buildmode=pie", "-ldflags=-s -w"),
    "cgo-stripped": ("-ldflags=-s -w",),
    "cgo-pie": ("-buildmode=pie",),
}


@cache
def _directory() -> Path:
    directory = Path(tempfile.mkdtemp(prefix="leaktui-memory-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return directory


@cache
def build_program(program: str, flavour: str, toolchain: Toolchain) -> Path:
    """The executable; skips where C code is to be linked and there is no compiler for it."""
    cgo = flavour.startswith("cgo")
    if cgo and shutil.which("gcc") is None:
        pytest.skip("no gcc to link C code with")
    path = _directory() / f"{program}-{flavour}-{toolchain.version}"
    subprocess.run(
        [toolchain.go, "build", *FLAVOURS[flavour], "-o", path, f"./{program}"],
        cwd=PROGRAMS,
        env=go_environment(cgo=cgo),
        check=True,
        capture_output=True,
    )
    return path


@contextmanager
def run_program(path: Path, *arguments: str) -> Iterator[GoProcess]:
    """Run *path* for the length of a `with`; at the end it must still be alive."""
    process = GoProcess([str(path), *arguments])
    try:
        yield process
        assert process.alive()
    finally:
        process.stop()


def fetch_dump(url: str) -> dict[int, Goroutine]:
    """The goroutines of a `debug=2` dump by their number; *url* is the base of the pprof pages."""
    with urllib.request.urlopen(f"{url}/goroutine?debug=2") as answer:
        return {item.goid: item for item in decode_goroutine_dump(answer.read()).goroutines}


def pprof_base(process: GoProcess) -> str:
    """The base of the pprof pages of a program of this directory."""
    return f"http://{process.ready['pprof']}/debug/pprof"
