"""Where memory cannot be read or is not understood, `probe` says so in a sentence: the check, and the remedy."""

from __future__ import annotations

import os
import re
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from leaktui.binary.executable import Executable
from leaktui.engines.memory import MemoryEngine
from leaktui.engines.memory.goroutines import GoroutineReader, StackBytes
from leaktui.engines.memory.reader import ProcessMemory, explain_refusal
from leaktui.model.capability import Capability
from leaktui.model.target import Target
from tests.engines.conftest import as_nobody
from tests.engines.memory.go_programs import build_program, run_program
from tests.go_toolchain import Toolchain

pytestmark = pytest.mark.go

_NOBODY = 65534


def probe(pid: int) -> Capability:
    """What the engine says, which must be one sentence without line breaks, and a remedy."""
    engine = MemoryEngine(pid)
    capability = engine.probe(Target(pid=pid))
    engine.close()
    assert not capability.usable
    assert capability.gives == ()
    assert capability.reason
    assert "\n" not in capability.reason
    assert capability.remedy
    return capability


def test_another_architecture(go_toolchain: Toolchain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Executable, "machine", property(lambda self: "arm64"))
    with run_program(build_program("parked", "stripped", go_toolchain)) as process:
        capability = probe(process.pid)
    assert "amd64" in capability.reason
    assert "arm64" in capability.reason
    assert "pprof" in capability.remedy


def test_our_own_users_process_that_may_not_be_looked_at(go_toolchain: Toolchain) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    # A program its user may run but not read is not dumpable: the kernel shuts its memory (execve(2), prctl(2)).
    directory = Path("/var/tmp") / f"leaktui-{os.getpid()}"
    directory.mkdir(mode=0o755)
    try:
        path = directory / "parked"
        shutil.copy(build_program("parked", "stripped", go_toolchain), path)
        path.chmod(0o711)
        with subprocess.Popen(
            [path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            user=_NOBODY,
            group=_NOBODY,
            extra_groups=[],
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            with as_nobody():
                capability = probe(process.pid)
            process.kill()
    finally:
        shutil.rmtree(directory)
    assert "not dumpable" in capability.reason
    assert "sudo" in capability.remedy


@pytest.mark.parametrize("scope", [1, 2, 3])
def test_yama(go_toolchain: Toolchain, monkeypatch: pytest.MonkeyPatch, scope: int) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")

    def refuse(self: ProcessMemory, pid: int) -> None:
        raise explain_refusal(pid, PermissionError(13, "no"))

    monkeypatch.setattr(ProcessMemory, "__init__", refuse)
    monkeypatch.setattr("leaktui.engines.memory.reader._yama_scope", lambda: scope)
    monkeypatch.setattr("leaktui.engines.memory.reader.os.geteuid", lambda: 4711)
    monkeypatch.setattr("leaktui.engines.memory.reader._owner_of", lambda pid: 4711)
    with run_program(build_program("parked", "stripped", go_toolchain)) as process:
        capability = probe(process.pid)
    assert f"ptrace_scope is {scope}" in capability.reason
    assert "pprof" in capability.remedy if scope == 3 else "sysctl" in capability.remedy


def without_field(data: bytes) -> bytes:
    return data.replace(b"\x0catomicstatus", b"\x0catomicstatuz")


def without_type(data: bytes) -> bytes:
    return data.replace(b"*runtime.g", b"*runtime.q")


def without_reasons(data: bytes) -> bytes:
    # The second wait reason is "GC assist marking": no string in the variables has its length.
    return data.replace(struct.pack("<Q", 17), struct.pack("<Q", 18)) if len(data) > 4096 else data


def without_module(data: bytes) -> bytes:
    return bytes(len(data)) if len(data) == 8 * 42 else data


EXOTIC: dict[str, Callable[[bytes], bytes]] = {
    "the layout of runtime.g": without_field,
    "type descriptors": without_type,
    "wait reasons": without_reasons,
    "moduledata": without_module,
}


@pytest.mark.parametrize("check", EXOTIC)
def test_a_runtime_that_is_laid_out_otherwise(
    go_toolchain: Toolchain, monkeypatch: pytest.MonkeyPatch, check: str
) -> None:
    read = ProcessMemory.read
    monkeypatch.setattr(
        ProcessMemory, "read", lambda self, address, size: EXOTIC[check](read(self, address, size))
    )
    # Position-independent: its types are read from memory, not from the file.
    with run_program(build_program("parked", "pie-stripped", go_toolchain)) as process:
        capability = probe(process.pid)
    assert f"self-check: {check}" in capability.reason
    assert "pprof" in capability.remedy


def test_goroutines_that_are_not_what_they_should_be(
    go_toolchain: Toolchain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fields of the right names at other places: what is read as a goroutine is none."""
    read = ProcessMemory.read

    def shifted(self: ProcessMemory, address: int, size: int) -> bytes:
        data = read(self, address, size)
        return bytes(8) + data[:-8] if 256 < size < 4096 and address % 4096 else data

    monkeypatch.setattr(ProcessMemory, "read", shifted)
    with run_program(build_program("parked", "stripped", go_toolchain)) as process:
        capability = probe(process.pid)
    assert re.search(r"self-check: (allgs|stacks|moduledata)", capability.reason)


def test_stacks_that_do_not_end(go_toolchain: Toolchain, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = GoroutineReader.read_stack

    def cut(self: GoroutineReader, *arguments: object) -> StackBytes | None:
        stack = whole(self, *arguments)  # type: ignore[arg-type]
        return None if stack is None else stack._replace(data=bytes(len(stack.data)))

    monkeypatch.setattr(GoroutineReader, "read_stack", cut)
    with run_program(build_program("parked", "stripped", go_toolchain)) as process:
        capability = probe(process.pid)
    assert re.search(r"\d+ of \d+ parked goroutines have stacks that do not end", capability.reason)
    assert "self-check: stacks" in capability.reason
