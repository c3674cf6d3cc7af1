"""The Go programs of tests/engines/programs, built once, and a way to start them."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.go_toolchain import Toolchain, go_environment

PROGRAMS = Path(__file__).parent / "programs"


@dataclass(frozen=True)
class Running:
    """A started program. `tcp` is the address it listens on, empty for none."""

    process: subprocess.Popen[bytes]
    tcp: str = ""
    unix: str = ""

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def url(self) -> str:
        return f"http://{self.tcp}/debug/pprof/"

    def say(self, command: str) -> Running:
        """Give the program a command on its stdin; what it then says it listens on."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(command.encode() + b"\n")
        self.process.stdin.flush()
        return replace(self, tcp=json.loads(self.process.stdout.readline())["tcp"])

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


Start = Callable[..., Running]


@pytest.fixture(scope="session")
def binaries(go_toolchain: Toolchain, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory with the executables `service` and `plain`."""
    directory = tmp_path_factory.mktemp("engine-programs")
    subprocess.run(
        [go_toolchain.go, "build", "-o", f"{directory}/", "./service", "./plain"],
        cwd=PROGRAMS,
        env=go_environment(),
        check=True,
    )
    return directory


@pytest.fixture
def start(binaries: Path) -> Iterator[Start]:
    """`start("-tls")` runs `service` with those options; `start(program="plain")` the other one."""
    started: list[subprocess.Popen[bytes]] = []

    def run(*options: str, program: str = "service", under: tuple[str, ...] = ()) -> Running:
        process = subprocess.Popen(
            [*under, str(binaries / program), *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        started.append(process)
        assert process.stdout is not None
        line = process.stdout.readline()
        addresses = json.loads(line) if line else {}
        return Running(process, addresses.get("tcp", ""), addresses.get("unix", ""))

    yield run
    for process in started:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()


@contextmanager
def as_nobody() -> Iterator[None]:
    """Without root's rights within the block: the kernel then refuses what it would refuse a user."""
    os.setresgid(65534, 65534, 0)
    os.setresuid(65534, 65534, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)
        os.setresgid(0, 0, 0)
