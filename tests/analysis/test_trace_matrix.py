"""A trace recorded now, by each Go release there is, against the program's account and Go's own reader."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from leaktui.analysis.trace_summary import summarize_trace
from leaktui.wire.trace import TraceDecoder
from leaktui.wire.trace import events as ev
from tests.analysis.test_trace_summary import compare
from tests.go_toolchain import Toolchain, go_environment

PROGRAMS = Path(__file__).parents[1] / "captures" / "make_trace"


def record(
    toolchain: Toolchain, directory: Path, *options: str, godebug: str = ""
) -> tuple[bytes, dict[str, dict[str, int]]]:
    client = directory / "client"
    subprocess.run(
        [toolchain.go, "build", "-o", client, "./client"], cwd=PROGRAMS, env=go_environment(), check=True
    )
    command = [client, "-out", directory / "out", *options]
    subprocess.run(command, env=os.environ | {"GODEBUG": godebug}, check=True, timeout=120)
    return (directory / "out.trace").read_bytes(), json.loads((directory / "out.json").read_text())["sites"]


@pytest.mark.go
@pytest.mark.matrix
@pytest.mark.parametrize("proto", ["h1", "h1tls", "h2"])
def test_bodies_as_the_program_says(matrix_toolchain: Toolchain, proto: str, tmp_path: Path) -> None:
    data, truth = record(matrix_toolchain, tmp_path, "-proto", proto, "-seconds", "2.2")
    assert not compare(summarize_trace([data]), truth, http2=proto == "h2")


@pytest.mark.go
@pytest.mark.matrix
def test_allocation_events(matrix_toolchain: Toolchain, tmp_path: Path) -> None:
    """GODEBUG=traceallocfree=1 (Go 1.23) adds events of another shape to every batch."""
    data, truth = record(matrix_toolchain, tmp_path, "-seconds", "1.3", godebug="traceallocfree=1")
    assert not compare(summarize_trace([data]), truth, http2=False)
    if matrix_toolchain.release < (1, 23):
        return
    mode = "-d=parsed" if matrix_toolchain.release >= (1, 24) else "-d=1"
    parsed = subprocess.run(
        [matrix_toolchain.go, "tool", "trace", mode, tmp_path / "out.trace"],
        env=go_environment(),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    decoder = TraceDecoder()
    blocks = 0
    for generation in decoder.feed(data) + decoder.finish():
        for window in generation.windows():
            blocks += sum(event[1] == ev.GO_BLOCK for event in window)
    assert blocks == len(re.findall(r"StateTransition .*GoID=\d+ Running->Waiting", parsed))
    assert "Experimental" in parsed
