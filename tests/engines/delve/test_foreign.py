"""Somebody else's headless Delve: looked through, and its target left as it was."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from leaktui.engines.delve import traced
from leaktui.engines.delve.engine import DelveEngine
from leaktui.engines.delve.finding import find_dlv
from leaktui.engines.protocol import Refused, Request, Want
from leaktui.model.tracepoint import Tracepoint, TracepointPlan
from leaktui.wire.delve.variables import format_value
from tests.engines.delve.conftest import RunValues
from tests.engines.delve.looking import evaluate, find_goroutine, frame_of, inspect, value_of
from tests.engines.probes.sudden_death import wait_until

pytestmark = [pytest.mark.go, pytest.mark.dlv, pytest.mark.root]

ONE = Request(frozenset({Want.EVALUATION}), allow_pauses=True, expression="1")


@contextmanager
def headless(pid: int, directory: Path, *flags: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A dlv that somebody runs on *pid*, and its address."""
    path = directory / "dlv.sock"
    process = subprocess.Popen(
        [find_dlv().path, "attach", str(pid), "--headless", f"--listen=unix:{path}", *flags],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        assert wait_until(lambda: path.exists() and traced.tracer_pid(pid) != 0, 30)
        yield f"unix:{path}", process
    finally:
        process.terminate()
        process.wait()
        # Delve itself may leave a target stopped (native/proc_linux.go `detach` looks once, 50 ms later).
        traced.wake(pid, traced.started_ticks_of(pid), 0.5)


@pytest.mark.parametrize("running", [False, True])
def test_its_target_is_left_as_it_was(run_values: RunValues, tmp_path: Path, running: bool) -> None:
    flags = ["--accept-multiclient", *(["--continue"] if running else [])]
    stands = "t"
    with run_values() as process, headless(process.pid, tmp_path, *flags) as (address, server):
        if running:
            assert wait_until(lambda: stands not in traced.thread_states(process.pid), 30)
        engine = DelveEngine(address=address)
        try:
            goid = find_goroutine(engine, "main.hold")
            frame = frame_of(inspect(engine, goid), "main.hold")
            assert '"widgets"' in format_value(value_of(frame.arguments, "o"))
            assert evaluate(engine, "runtime.curg.goid", goid).error == ""
            request = Request(
                frozenset({Want.TRACEPOINTS}),
                plan=TracepointPlan((Tracepoint("main.keep"),)),
                allow_breakpoints=True,
            )
            (refused,) = engine.capture(request, threading.Event())
            assert isinstance(refused, Refused)
            assert "no breakpoints" in refused.reason
            assert wait_until(lambda: (stands in traced.thread_states(process.pid)) != running, 10)
        finally:
            engine.close()
        assert server.poll() is None
        assert traced.tracer_pid(process.pid) != 0
        assert (stands in traced.thread_states(process.pid)) != running


def test_its_target_is_read_beside_it(run_values: RunValues, tmp_path: Path) -> None:
    with run_values() as process, headless(process.pid, tmp_path, "--accept-multiclient") as (address, _):
        command = [sys.executable, "-m", "leaktui", "doctor", "--pid", str(process.pid), "--dlv", address]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        states = {line.split()[0]: line for line in said.splitlines() if " work" in line and line[:1].strip()}
        assert states["memory"].endswith(" works")
        assert states["delve"].endswith(" works")
        assert states["probes"].endswith(" does not work")
        engine = DelveEngine(pid=process.pid, address=address)
        try:
            assert frame_of(inspect(engine, find_goroutine(engine, "main.hold")), "main.hold").deferred
        finally:
            engine.close()


def test_one_that_would_end_with_us_is_refused(run_values: RunValues, tmp_path: Path) -> None:
    with run_values() as process, headless(process.pid, tmp_path) as (address, server):
        engine = DelveEngine(address=address)
        (refused,) = engine.capture(ONE, threading.Event())
        engine.close()
        assert isinstance(refused, Refused)
        assert "serves one client" in refused.reason
        assert server.poll() is None


def test_nobody_there(tmp_path: Path) -> None:
    engine = DelveEngine(address=f"unix:{tmp_path}/none")
    (refused,) = engine.capture(ONE, threading.Event())
    engine.close()
    assert isinstance(refused, Refused)
    assert "no Delve answers" in refused.reason
    assert "--accept-multiclient" in refused.remedy
