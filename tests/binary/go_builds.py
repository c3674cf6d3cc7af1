"""The Go programs of this directory, built in the ways people build and ship.

Law: a program is built once a session for each toolchain, flavour and architecture; `altered` copies are
made by editing bytes, so they need no toolchain of their own.
"""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.go_toolchain import Toolchain, go_environment

PROGRAMS = Path(__file__).parent / "programs"

FLAVOURS: dict[str, tuple[str, ...]] = {
    "plain": (),
    "stripped": ("-ldflags=-s -w",),
    "pie": ("-buildmode=pie",),
    "pie-stripped": ("-buildmode=pie", "-ldflags=-s -w"),
    "trimmed": ("-trimpath",),
    "cgo": (),
    "cgo-pie": ("-buildmode=pie", "-trimpath"),
}


class Builder:
    """Builds with one toolchain into one directory."""

    def __init__(self, toolchain: Toolchain, directory: Path) -> None:
        self.toolchain = toolchain
        self._directory = directory
        self._said: dict[Path, Any] = {}

    def __call__(self, program: str, flavour: str = "plain", *, goarch: str = "") -> Path:
        cgo = flavour.startswith("cgo")
        if cgo and shutil.which("gcc") is None:
            pytest.skip("no gcc to link C code with")
        path = self._directory / f"{program}-{flavour}{goarch and '-'}{goarch}"
        if not path.exists():
            environment = go_environment(cgo=cgo)
            if goarch:
                environment["GOARCH"] = goarch
            subprocess.run(
                [self.toolchain.go, "build", *FLAVOURS[flavour], "-o", path, "."],
                cwd=PROGRAMS / program,
                env=environment,
                check=True,
                capture_output=True,
            )
        return path

    def run(self, path: Path) -> Any:
        """The JSON the program prints, kept for the session."""
        if path not in self._said:
            done = subprocess.run([path], capture_output=True, check=True, timeout=120)
            self._said[path] = json.loads(done.stdout)
        return self._said[path]

    def tool(self, *arguments: str | Path, text: str = "") -> str:
        """What `go tool …` prints."""
        done = subprocess.run(
            [self.toolchain.go, "tool", *arguments],
            env=go_environment(),
            input=text,
            capture_output=True,
            check=True,
            text=True,
        )
        return done.stdout


def without_section_headers(path: Path, target: Path) -> Path:
    """A copy of a 64-bit little-endian ELF file whose header names no section headers."""
    data = bytearray(path.read_bytes())
    struct.pack_into("<Q", data, 40, 0)  # e_shoff
    struct.pack_into("<HHH", data, 58, 64, 0, 0)  # e_shentsize, e_shnum, e_shstrndx
    return _write(target, data)


def all_stripped(path: Path, target: Path) -> Path:
    """A copy without symbols and debug information, by binutils' strip."""
    if shutil.which("strip") is None:
        pytest.skip("no strip (binutils)")
    subprocess.run(["strip", "-s", "-o", target, path], check=True, capture_output=True)
    return target


def _write(target: Path, data: bytes) -> Path:
    target.write_bytes(data)
    target.chmod(0o700)
    return target
