"""What leaktui counts in a trace against Go's own reader, on each release, with many processors and odd events."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import httpx
import pytest

from leaktui.analysis.trace_summary import summarize_trace
from leaktui.model.trace import TraceSummary
from tests.conftest import TargetFactory
from tests.go_toolchain import Toolchain, go_environment
from tests.go_trace_account import Account, differences, disordered, go_account, own_account

PROGRAMS = Path(__file__).parents[1] / "captures" / "make_trace"


def record(
    toolchain: Toolchain, directory: Path, program: str, *options: str, cgo: bool = False, godebug: str = ""
) -> Path:
    """A trace of one of the programs that record themselves."""
    binary, output = directory / program, directory / "out.trace"
    subprocess.run(
        [toolchain.go, "build", "-o", binary, f"./{program}"],
        cwd=PROGRAMS,
        env=go_environment(cgo=cgo),
        check=True,
    )
    command = (
        [binary, *options, output] if program == "mixed" else [binary, "-out", directory / "out", *options]
    )
    subprocess.run(command, env=os.environ | {"GODEBUG": godebug}, check=True, timeout=120)
    return output


def check(toolchain: Toolchain, path: Path) -> tuple[Account, TraceSummary]:
    """Both accounts of *path*, which must be equal; Go's, and the summary, which must agree with it."""
    data = path.read_bytes()
    theirs, ours = go_account(toolchain, path), own_account(data)
    assert not differences(theirs, ours)
    assert disordered(theirs, ours) == 0
    summary = summarize_trace([data])
    assert not summary.truncated
    counts = theirs.counts
    assert summary.created == sum(counts[f"go NotExist->{to}"] for to in ("Runnable", "Waiting", "Syscall"))
    assert summary.ended == counts["go Running->NotExist"] + counts["go Syscall->NotExist"]
    assert summary.gc_cycles == counts["RangeEnd GC concurrent mark phase"]
    assert summary.stops == counts["RangeBegin stop-the-world"]
    assert summary.procs == theirs.procs
    assert summary.cpu_samples == counts["StackSample"]
    blocked: Counter[str] = Counter()
    for stat in summary.blocks:
        blocked[stat.reason] += stat.count + stat.parked
    without_switches = {reason: count for reason, count in theirs.blocks.items() if reason}
    assert {reason: blocked[reason] for reason in without_switches} == without_switches
    timeline = summary.timeline
    assert timeline is not None
    assert sum(timeline.created) == summary.created - counts["go NotExist->Syscall"]
    assert sum(timeline.ended) == summary.ended
    assert sum(descent.created for descent in summary.genealogy) == sum(timeline.created)
    return theirs, summary


def check_mixed(toolchain: Toolchain, directory: Path, *options: str, cgo: bool) -> None:
    path = record(toolchain, directory, "mixed", "-seconds", "1.2", *options, cgo=cgo)
    theirs, summary = check(toolchain, path)
    assert summary.procs == 8
    counts, blocks = theirs.counts, theirs.blocks
    for what in ("TaskBegin", "TaskEnd", "RegionBegin", "RegionEnd", "Log", "Label"):
        assert counts[what], what
    for reason in ("chan send", "chan receive", "select", "sync", "sync.(*Cond).Wait", "network", "sleep"):
        assert blocks[reason], reason
    assert summary.gc_cycles
    assert bool(counts["StackSample"]) == ("-profile" in options)
    assert bool(counts["go NotExist->Syscall"]) == cgo
    assert bool(blocks[""]) == (toolchain.release >= (1, 23))


@pytest.mark.go
def test_equal_on_many_processors(go_toolchain: Toolchain, tmp_path: Path) -> None:
    check_mixed(go_toolchain, tmp_path, cgo=False)


@pytest.mark.go
@pytest.mark.matrix
@pytest.mark.parametrize("cgo", [False, True], ids=["go", "cgo"])
@pytest.mark.parametrize("options", [(), ("-profile",)], ids=["plain", "profile"])
def test_equal_on_each_release(
    matrix_toolchain: Toolchain, tmp_path: Path, options: tuple[str, ...], cgo: bool
) -> None:
    if cgo and shutil.which("gcc") is None:
        pytest.skip("no C compiler")
    check_mixed(matrix_toolchain, tmp_path, *options, cgo=cgo)


@pytest.mark.go
@pytest.mark.matrix
def test_equal_with_allocation_events(matrix_toolchain: Toolchain, tmp_path: Path) -> None:
    load = ("-seconds", "1.2", "-workers", "2", "-pause", "9000")
    path = record(matrix_toolchain, tmp_path, "client", *load, godebug="traceallocfree=1")
    theirs, _ = check(matrix_toolchain, path)
    assert bool(theirs.counts["Experimental"]) == (matrix_toolchain.release >= (1, 23))


@pytest.mark.go
@pytest.mark.matrix
@pytest.mark.parametrize("program", ["earlyreturn", "workerpool", "http2busy", "gcchurn", "pipeleak"])
def test_equal_on_traces_over_http(
    matrix_toolchain: Toolchain, target_factory: TargetFactory, tmp_path: Path, program: str
) -> None:
    """`/debug/pprof/trace` of a service on eight processors."""
    with target_factory(program, toolchain=matrix_toolchain, env={"GOMAXPROCS": "8"}) as target:
        answer = httpx.get(f"{target.pprof_url}/trace?seconds=2", timeout=30)
    answer.raise_for_status()
    path = tmp_path / "http.trace"
    path.write_bytes(answer.content)
    _, summary = check(matrix_toolchain, path)
    assert summary.procs == 8
