"""The delve engine on real programs: values that are right, refusals that help, nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from leaktui.engines.delve import traced
from leaktui.engines.delve.engine import DelveEngine
from leaktui.engines.proc import read_target
from leaktui.engines.protocol import DEBUGGING, Refused, Request, TracepointsSeen, Want
from leaktui.engines.turn import Turn
from leaktui.errors import EngineUnavailable, TargetGone
from leaktui.model.tracepoint import Tracepoint, TracepointPlan
from leaktui.wire.delve.variables import format_value
from tests.engines.delve.conftest import RunValues, build_values, running
from tests.engines.delve.looking import (
    assert_free,
    evaluate,
    find_goroutine,
    frame_of,
    inspect,
    list_goroutines,
    trace,
    value_of,
)
from tests.engines.probes.sudden_death import wait_until
from tests.go_target import GoProcess
from tests.go_toolchain import Toolchain

pytestmark = [pytest.mark.go, pytest.mark.dlv, pytest.mark.root]


@contextmanager
def engine_on(pid: int, **options: float) -> Iterator[DelveEngine]:
    engine = DelveEngine(pid=pid, **options)  # type: ignore[arg-type]
    try:
        yield engine
    finally:
        pids = engine.pids
        engine.close()
        assert not [pid for pid in pids if traced.state_of(pid)], "a process of ours is left"


@pytest.fixture(scope="module")
def process(values_binary: Path) -> Iterator[GoProcess]:
    with running(values_binary, "-n", "300") as process:
        yield process


@pytest.fixture(scope="module")
def engine(process: GoProcess) -> Iterator[DelveEngine]:
    with engine_on(process.pid) as engine:
        yield engine
    assert_free(process.pid)


def test_a_probe_attaches_to_nothing(process: GoProcess, engine: DelveEngine) -> None:
    other = DelveEngine(pid=process.pid)
    before = traced.tracer_pid(process.pid)
    assert before == 0, "this test comes first"
    capability = other.probe(read_target(process.pid))
    assert capability.usable
    assert set(capability.gives) == {want.value for want in DEBUGGING}
    assert traced.tracer_pid(process.pid) == before


@pytest.mark.parametrize("want", sorted(DEBUGGING, key=lambda want: want.value))
def test_without_a_yes_nothing_is_done_and_the_cost_is_told(process: GoProcess, want: Want) -> None:
    other = DelveEngine(pid=process.pid)
    request = Request(
        frozenset({want}),
        expression="1",
        plan=TracepointPlan((Tracepoint("main.keep"),)),
        allow_pauses=want is Want.TRACEPOINTS,
        allow_breakpoints=want is not Want.TRACEPOINTS,
    )
    (refused,) = other.capture(request, threading.Event())
    assert isinstance(refused, Refused)
    assert "stops the program" in refused.reason
    assert "--allow" in refused.remedy
    assert traced.tracer_pid(process.pid) == 0


def test_values_in_the_frames_of_an_optimised_program(engine: DelveEngine) -> None:
    inspection = inspect(engine, find_goroutine(engine, "main.hold"))
    assert inspection.wait_reason == "chan receive"
    assert inspection.stop_ms > 0
    frame = frame_of(inspection, "main.hold")
    order = value_of(frame.arguments, "o").children[0]
    assert format_value(value_of(order.children, "ID")) == "7"
    assert format_value(value_of(order.children, "Name")) == '"widgets"'
    assert format_value(value_of(order.children, "Lines")) == '{"bolt", "nut"}'
    assert format_value(value_of(frame.arguments, "weights")) == '{["bolt"]: 3}'
    (deferred,) = frame.deferred
    assert deferred.function.function == "main.release"
    assert deferred.deferred_by is not None
    assert deferred.deferred_by.line == line_of("defer release(o)")


def test_a_value_the_compiler_dropped_is_not_made_up(engine: DelveEngine) -> None:
    frame = frame_of(inspect(engine, find_goroutine(engine, "main.hold")), "main.hold")
    total = value_of(frame.variables, "total")
    assert total.unreadable or total.value == "14"


def test_a_panic_in_flight(engine: DelveEngine) -> None:
    (panic,) = inspect(engine, find_goroutine(engine, "main.failing")).panics
    assert (panic.value, panic.type_name, panic.recovered) == ("no stock", "*errors.errorString", False)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("o.Next.Name", '"last"'),
        ('weights["bolt"] + 1', "4"),
        ("o.Lines[1]", '"nut"'),
        ("len(queue)", "2"),
    ],
)
def test_any_expression_in_a_frame(engine: DelveEngine, expression: str, value: str) -> None:
    goid = find_goroutine(engine, "main.hold")
    functions = [frame.frame.function for frame in inspect(engine, goid).frames]
    evaluation = evaluate(engine, expression, goid, functions.index("main.hold"))
    assert evaluation.error == ""
    assert evaluation.value is not None
    assert format_value(evaluation.value) == value
    assert evaluation.stop_ms > 0


def test_the_contents_of_a_channel(engine: DelveEngine) -> None:
    goid = find_goroutine(engine, "main.hold")
    functions = [frame.frame.function for frame in inspect(engine, goid).frames]
    evaluation = evaluate(engine, "queue", goid, functions.index("main.hold"))
    assert evaluation.value is not None
    buffer = value_of(evaluation.value.children, "buf")
    assert "11, 22" in format_value(buffer)


def test_delves_reason_where_there_is_no_value(engine: DelveEngine) -> None:
    assert "no.such" in evaluate(engine, "no.such").error
    assert evaluate(engine, "1 +").error


def test_a_goroutine_that_has_ended_is_gone(engine: DelveEngine) -> None:
    assert inspect(engine, 10**9).gone
    assert "has ended" in evaluate(engine, "1", 10**9).error


def test_all_goroutines_page_by_page(engine: DelveEngine) -> None:
    goroutines = list_goroutines(engine)
    waiting = [item for item in goroutines if any(frame.function == "main.wait" for frame in item.stack)]
    assert len(waiting) == 300
    assert {item.wait_reason for item in waiting} == {"chan receive"}
    assert all(item.created_by is not None for item in waiting)


def test_what_is_under_way_keeps_probes_out_and_what_waits_gives_way(
    process: GoProcess, engine: DelveEngine
) -> None:
    evaluate(engine, "1")
    assert engine.attached
    with Turn(process.pid, "probes"):
        assert not engine.attached
        assert traced.tracer_pid(process.pid) == 0
        request = Request(frozenset({Want.EVALUATION}), allow_pauses=True, expression="1")
        (refused,) = engine.capture(request, threading.Event())
        assert isinstance(refused, Refused)
        assert "probes is at work" in refused.reason
    assert evaluate(engine, "1").error == ""


def test_it_lets_go_by_itself_when_nothing_is_asked(run_values: RunValues) -> None:
    with run_values() as process, engine_on(process.pid, idle_seconds=0.3) as engine:
        first = evaluate(engine, "1")
        assert first.attach_stop_ms > 0
        pids = engine.pids
        assert wait_until(lambda: not any(traced.state_of(pid) for pid in pids[1:]), 20)
        assert wait_until(lambda: not engine.attached, 20)
        assert_free(process.pid)
        assert evaluate(engine, "1").attach_stop_ms > 0


def test_a_killed_guardian_is_replaced(run_values: RunValues) -> None:
    with run_values() as process, engine_on(process.pid) as engine:
        evaluate(engine, "1")
        guardian, standby, dlv = engine.pids
        os.kill(guardian, signal.SIGKILL)
        assert wait_until(lambda: not engine.attached, 20)
        assert evaluate(engine, "1").attach_stop_ms > 0
        assert not any(traced.state_of(pid) for pid in (standby, dlv))


# --- bursts ---


def test_a_counted_burst_with_sizes_and_stacks(run_values: RunValues) -> None:
    with run_values("-rate", "100", "-size", "40960") as process, engine_on(process.pid) as engine:
        large = Tracepoint("runtime.mallocgc", "size >= 32768")
        run = trace(engine, large, Tracepoint("runtime.gcStart"), most_hits=12, seconds=30)
        assert run.ended == "the 12 hits asked for were recorded"
        assert len(run.hits) == 12
        kept = [hit for hit in run.hits if hit.tracepoint == 0]
        assert {hit.size for hit in kept} == {40960}
        assert all("main.keep" in [frame.function for frame in hit.stack] for hit in kept)
        assert [hit.time for hit in run.hits] == sorted(hit.time for hit in run.hits)
        assert run.stops_ms >= run.longest_stop_ms > 0
        assert not code_is_changed(process)
        before = process.ask("allocated", "allocated")
        assert wait_until(lambda: process.ask("allocated", "allocated") > before, 10)
    assert sum(run.counts) >= 12


def test_registers_at_returns(run_values: RunValues) -> None:
    with run_values("-rate", "100") as process, engine_on(process.pid) as engine:
        run = trace(engine, Tracepoint("runtime.mallocgc", returns=True), most_hits=3, seconds=30)
        names = {name for hit in run.hits for name, _ in hit.values}
        assert "RAX" in names
        assert "size" not in names, "an argument's place may hold anything by then"


def test_limits_end_a_burst(run_values: RunValues) -> None:
    with run_values("-rate", "200") as process, engine_on(process.pid) as engine:
        run = trace(engine, Tracepoint("main.keep"), seconds=0.5)
        assert run.ended == "its 0.5 s are over"
        run = trace(engine, Tracepoint("main.keep", "size < 0"), seconds=60, most_stops_ms=50)
        assert run.ended == "its stops had taken 0.1 s from the program"
        assert run.counts == (0,)
        cancel = threading.Event()
        threading.Timer(0.4, cancel.set).start()
        assert (
            trace(engine, Tracepoint("main.release"), cancel=cancel, seconds=60).ended
            == "it was ended by hand"
        )
        assert_no_breakpoint(process)


def test_nothing_stays_when_nobody_listens_any_more(run_values: RunValues) -> None:
    with run_values("-rate", "100") as process, engine_on(process.pid) as engine:
        plan = TracepointPlan((Tracepoint("main.keep"),), seconds=600, most_hits=10**6, most_stops_ms=600_000)
        request = Request(frozenset({Want.TRACEPOINTS}), plan=plan, allow_breakpoints=True)
        facts = engine.capture(request, threading.Event())
        next(facts)
        facts.close()  # type: ignore[attr-defined]
        assert_free(process.pid)
        assert evaluate(engine, "1").error == ""


def test_what_cannot_be_set_is_told(engine: DelveEngine) -> None:
    run = trace(engine, Tracepoint("main.nowhere"), Tracepoint("main.keep", "size >"), seconds=5)
    assert [index for index, _ in run.not_set] == [0, 1]
    assert run.ended == "none of the tracepoints could be set"


def test_a_function_inlined_everywhere_is_refused(engine: DelveEngine, process: GoProcess) -> None:
    run = trace(engine, Tracepoint("runtime.unlock"), seconds=5)
    ((_, reason),) = run.not_set
    assert "is inlined at" in reason
    assert not code_is_changed(process)


def test_a_condition_that_cannot_be_evaluated_ends_it(run_values: RunValues) -> None:
    with run_values("-rate", "100") as process, engine_on(process.pid) as engine:
        run = trace(engine, Tracepoint("main.keep", "sise > 1"), seconds=30)
        assert "sise" in run.ended


def test_a_target_that_exits_meanwhile_is_gone(values_binary: Path) -> None:
    process = GoProcess([str(values_binary), "-rate", "100"])
    engine = DelveEngine(pid=process.pid)
    request = Request(
        frozenset({Want.TRACEPOINTS}),
        plan=TracepointPlan((Tracepoint("main.keep"),), seconds=60, most_hits=10**6, most_stops_ms=60_000),
        allow_breakpoints=True,
    )
    pids: tuple[int, ...] = ()
    try:
        with pytest.raises(TargetGone):
            for fact in engine.capture(request, threading.Event()):
                assert isinstance(fact, TracepointsSeen)
                pids = engine.pids
                process._process.kill()
    finally:
        engine.close()
        process.stop()
    assert pids
    assert wait_until(lambda: not any(traced.state_of(pid) for pid in pids), 20)


# --- refusals ---


@pytest.mark.parametrize("flags", ["-s -w", "-w"])
def test_a_stripped_program_is_refused_before_attaching(
    go_toolchain: Toolchain, tmp_path: Path, flags: str
) -> None:
    with running(build_values(go_toolchain, tmp_path, f"-ldflags={flags}")) as process:
        capability = DelveEngine(pid=process.pid).probe(read_target(process.pid))
        assert not capability.usable
        assert "stripped" in capability.reason
        assert "-ldflags" in capability.remedy
        assert traced.tracer_pid(process.pid) == 0


def test_no_dlv_and_how_to_get_one(
    process: GoProcess, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("GOBIN", "GOPATH", "LEAKTUI_DLV"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    capability = DelveEngine(pid=process.pid).probe(read_target(process.pid))
    assert "no dlv" in capability.reason
    assert "go install github.com/go-delve/delve/cmd/dlv@latest" in capability.remedy


def test_read_only_forbids_it(run_values: RunValues) -> None:
    with run_values() as process:
        _refuse_read_only(process)


def _refuse_read_only(process: GoProcess) -> None:
    engine = DelveEngine(pid=process.pid, read_only=True)
    assert "--read-only" in engine.probe(read_target(process.pid)).reason
    request = Request(frozenset({Want.EVALUATION}), allow_pauses=True, expression="1")
    (refused,) = engine.capture(request, threading.Event())
    assert isinstance(refused, Refused)
    assert traced.tracer_pid(process.pid) == 0


def test_a_stopped_target_stays_stopped(run_values: RunValues) -> None:
    with run_values() as process, engine_on(process.pid) as engine:
        os.kill(process.pid, signal.SIGSTOP)
        assert wait_until(lambda: traced.state_of(process.pid) == "T", 10)
        try:
            request = Request(frozenset({Want.EVALUATION}), allow_pauses=True, expression="1")
            (refused,) = engine.capture(request, threading.Event())
            assert isinstance(refused, Refused)
            assert "is stopped" in refused.reason
            assert traced.state_of(process.pid) == "T"
        finally:
            os.kill(process.pid, signal.SIGCONT)


def test_another_tracer_keeps_it_out(run_values: RunValues) -> None:
    script = (
        "import ctypes, sys; libc = ctypes.CDLL(None); "
        "libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p); "
        "assert libc.ptrace(0x4206, int(sys.argv[1]), None, None) == 0; print('ready', flush=True); sys.stdin.read()"
    )
    with (
        run_values() as process,
        engine_on(process.pid) as engine,
        subprocess.Popen(
            [sys.executable, "-c", script, str(process.pid)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as tracer,
    ):
        assert tracer.stdout is not None
        assert tracer.stdout.readline() == b"ready\n"
        assert not engine.probe(read_target(process.pid)).usable
        request = Request(frozenset({Want.EVALUATION}), allow_pauses=True, expression="1")
        (refused,) = engine.capture(request, threading.Event())
        assert isinstance(refused, Refused)
        assert "is traced by process" in refused.reason


def test_two_turns_of_different_engines_exclude_each_other() -> None:
    with Turn(1, "probes"), Turn(1, "probes"), pytest.raises(EngineUnavailable, match="probes is at work"):
        Turn(1, "delve")
    with Turn(1, "delve"), Turn(2, "probes"):
        pass


# --- every release ---


def test_every_release_is_read(matrix_toolchain: Toolchain, tmp_path: Path) -> None:
    with running(build_values(matrix_toolchain, tmp_path), "-n", "500", "-rate", "50") as process:
        with engine_on(process.pid) as engine:
            goid = find_goroutine(engine, "main.hold")
            inspection = inspect(engine, goid)
            frame = frame_of(inspection, "main.hold")
            assert inspection.wait_reason == "chan receive"
            assert '"widgets"' in format_value(value_of(frame.arguments, "o"))
            assert [call.function.function for call in frame.deferred] == ["main.release"]
            assert inspect(engine, find_goroutine(engine, "main.failing")).panics[0].value == "no stock"
            assert evaluate(engine, "runtime.curg.goid", goid).error == ""
            run = trace(engine, Tracepoint("runtime.mallocgc", "size >= 32768"), most_hits=3, seconds=30)
            assert {hit.size for hit in run.hits} == {40960}
        assert_free(process.pid)


def line_of(text: str) -> int:
    source = Path(__file__).parent / "programs" / "values" / "main.go"
    return next(
        number for number, line in enumerate(source.read_text().splitlines(), 1) if line.strip() == text
    )


def code_is_changed(process: GoProcess) -> bool:
    from tests.engines.delve.fault_suite import code_changed

    return code_changed(process.pid)


def assert_no_breakpoint(process: GoProcess) -> None:
    deadline = time.monotonic() + 5
    while code_is_changed(process) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not code_is_changed(process)
