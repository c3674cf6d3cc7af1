"""What dumps tell of some goroutines only: their ancestors, and waits inside a synctest bubble."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from leaktui.engines.memory import MemoryEngine
from tests.engines.memory.comparison import capture, compare_repeatedly
from tests.engines.memory.go_programs import PROGRAMS, build_program, fetch_dump, pprof_base
from tests.go_target import GoProcess
from tests.go_toolchain import Toolchain, go_environment

pytestmark = pytest.mark.go


def test_ancestors_are_as_the_program_dumps_them(matrix_toolchain: Toolchain) -> None:
    path = build_program("variety", "stripped", matrix_toolchain)
    process = GoProcess([str(path)], {"GODEBUG": "tracebackancestors=3"})
    engine = MemoryEngine(process.pid)
    try:
        seen = {item.goid: item for item in capture(engine)[0]}
        dump = fetch_dump(pprof_base(process))
    finally:
        engine.close()
        process.stop()
    told = 0
    for goid in seen.keys() & dump.keys():
        ours, theirs = seen[goid].ancestors, dump[goid].ancestors
        assert [item.goid for item in ours] == [item.goid for item in theirs]
        for mine, other in zip(ours, theirs, strict=True):
            assert [(frame.function, frame.file, frame.line) for frame in mine.stack] == [
                (frame.function, frame.file, frame.line) for frame in other.stack
            ]
            assert (mine.created_by is None) == (other.created_by is None)
            if mine.created_by is not None and other.created_by is not None:
                assert (mine.created_by.function, mine.created_by.line) == (
                    other.created_by.function,
                    other.created_by.line,
                )
            told += 1
    assert told > 30


def test_waits_in_a_bubble_are_as_the_program_dumps_them(matrix_toolchain: Toolchain, tmp_path: Path) -> None:
    if matrix_toolchain.release < (1, 25):
        pytest.skip("synctest's bubbles are of Go 1.25")
    path = tmp_path / "bubble"
    subprocess.run(
        [matrix_toolchain.go, "test", "-c", "-o", path, "./bubble"],
        cwd=PROGRAMS,
        env=go_environment(),
        check=True,
        capture_output=True,
    )
    process = GoProcess([str(path)])
    try:
        found, stubborn = compare_repeatedly(process.pid, pprof_base(process))
    finally:
        process.stop()
    assert not stubborn
    durable = {item.wait_reason for item in found.compared if item.wait_reason.endswith("(durable)")}
    assert durable == {
        "sync.Cond.Wait (durable)",
        "sync.WaitGroup.Wait (durable)",
        "chan receive (durable)",
        "chan receive (nil chan) (durable)",
        "select (no cases) (durable)",
        "select (durable)",
        "sleep (durable)",
        "synctest.Run (durable)",
    }
