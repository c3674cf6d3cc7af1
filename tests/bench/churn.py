"""What being looked at costs a busy program: its request latency with leaktui reading its memory, and without.

The program times its own requests, from the moment each was due. Runs with and without take turns.
"""

from __future__ import annotations

import statistics
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from leaktui.engines.memory import MemoryEngine
from leaktui.engines.protocol import Request, Want
from tests.bench.row import Row
from tests.go_target import GoProcess
from tests.go_toolchain import find_toolchains, go_environment

RATE = 2000
ROUNDS = 5
SECONDS = 6.0
PARKED = 2000
"""Goroutines that just wait, beside the busy ones."""

_PROGRAMS = Path(__file__).parents[1] / "engines" / "memory" / "programs"


def run() -> list[Row]:
    toolchains = find_toolchains()
    if not toolchains:
        return [Row("latency under reading", "–", "no Go here", None)]
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "churn"
        subprocess.run(
            [toolchains[0].go, "build", "-ldflags=-s -w", "-o", path, "./churn"],
            cwd=_PROGRAMS,
            env=go_environment(),
            check=True,
        )
        process = GoProcess([str(path), "-rate", str(RATE), "-parked", str(PARKED)])
        try:
            return _measure(process)
        finally:
            process.stop()


def _measure(process: GoProcess) -> list[Row]:
    alone: list[dict[str, int]] = []
    read: list[dict[str, int]] = []
    readings = 0
    time.sleep(2)
    for _ in range(ROUNDS):
        process.ask("latency", "latency")
        time.sleep(SECONDS)
        alone.append(process.ask("latency", "latency"))
        readings += _read_for(process.pid, SECONDS)
        read.append(process.ask("latency", "latency"))
    rows = []
    for percentile in ("p50", "p99"):
        ours = statistics.median(run[percentile] for run in read) / 1000
        control = statistics.median(run[percentile] for run in alone) / 1000
        spread = max(run[percentile] for run in alone) / min(run[percentile] for run in alone)
        rows.append(
            Row(
                f"{percentile} of {RATE:,} requests/s while all goroutines are read each second",
                f"{ours:.2f} ms",
                f"{control:.2f} ms without leaktui",
                ours / control,
                f"{readings} readings in {ROUNDS} runs; without, the runs differ by {spread:.2f}×",
            )
        )
    return rows


def _read_for(pid: int, seconds: float) -> int:
    """Groups and a full dump from memory each second, as leaktui does; how often."""
    engine = MemoryEngine(pid)
    request = Request(frozenset({Want.GROUPS, Want.GOROUTINES}))
    end = time.monotonic() + seconds
    count = 0
    try:
        while time.monotonic() < end:
            began = time.monotonic()
            assert len(list(engine.capture(request, threading.Event()))) == 2
            count += 1
            time.sleep(max(0.0, min(began + 1, end) - time.monotonic()))
    finally:
        engine.close()
    return count
