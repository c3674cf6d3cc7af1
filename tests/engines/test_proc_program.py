"""The executable of a process, opened for the analysis and let go of again."""

from __future__ import annotations

import gc
import os
import warnings
from pathlib import Path

import pytest

from leaktui.analysis.executable_program import ExecutableProgram
from leaktui.binary.executable import Executable
from leaktui.engines.proc_program import open_program
from leaktui.errors import DecodeError
from leaktui.investigation import Investigation
from leaktui.model.target import Target
from tests.engines.conftest import Start


def open_files(pid: int) -> int:
    """How many of our descriptors are the executable of *pid*."""
    path = Path(f"/proc/{pid}/exe").resolve()
    return sum(link.resolve() == path for link in Path("/proc/self/fd").iterdir())


def unclosed() -> list[str]:
    """What the collector finds that nobody closed."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ResourceWarning)
        gc.collect()
    return [str(item.message) for item in caught]


@pytest.mark.go
def test_a_program_closes_its_executable(start: Start) -> None:
    service = start()
    program = open_program(service.pid)
    assert isinstance(program, ExecutableProgram)
    assert open_files(service.pid) == 1
    program.close()
    program.close()
    assert open_files(service.pid) == 0
    del program
    assert unclosed() == []


@pytest.mark.go
def test_where_it_falls_back_nothing_stays_open(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(executable: Executable, maps: str) -> int:
        raise DecodeError("the maps fit no segment")

    service = start()
    monkeypatch.setattr(Executable, "bias", fail)
    program = open_program(service.pid)
    assert not isinstance(program, ExecutableProgram)
    assert open_files(service.pid) == 0
    program.close()
    assert unclosed() == []


@pytest.mark.go
def test_an_investigation_leaves_no_executable_open(start: Start) -> None:
    service = start()
    watched = Investigation(
        Target(pid=service.pid), (), load_program=lambda: open_program(service.pid), automatic=False
    )
    watched.start()
    watched.conclude()
    assert open_files(service.pid) == 1
    watched.close()
    assert open_files(service.pid) == 0
    del watched
    assert unclosed() == []


def test_a_process_that_is_none_of_go_is_judged_by_names() -> None:
    program = open_program(os.getpid())
    assert program.is_stdlib("net/http.(*Client).Do")
    program.close()
    assert unclosed() == []
