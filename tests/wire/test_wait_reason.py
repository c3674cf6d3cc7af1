"""Wait reasons from stacks; test_goroutine_groups checks them against real dumps."""

from __future__ import annotations

import pytest

from leaktui.model.frame import Frame
from leaktui.wire.wait_reason import wait_reason_of


def reason(*functions: str) -> str:
    return wait_reason_of(tuple(Frame(function, "x.go", 1) for function in functions))


@pytest.mark.parametrize(
    ("functions", "phrase"),
    [
        (("runtime.gopark", "runtime.selectgo", "main.f"), "select"),
        (("runtime.gopark", "runtime.block", "main.f"), "select (no cases)"),
        (("runtime.gopark", "runtime.goparkunlock", "runtime.gcParkAssist"), "GC assist wait"),
        (("runtime.gopark", "runtime.goparkunlock", "runtime.bgsweep"), "GC sweep wait"),
        (("runtime.gopark", "runtime.semacquire1", "runtime.metricsLock"), "semacquire"),
        (("runtime.gopark", "runtime.gcBgMarkWorker"), "GC worker (idle)"),
        (("runtime.gopark", "internal/synctest.Wait", "testing/synctest.Wait"), "synctest.Wait"),
        (("runtime.coroswitch", "iter.Pull[...].func2"), "coroutine"),
        (("runtime.notetsleepg", "os/signal.signal_recv"), "syscall"),
        (("runtime.cgocall", "main._Cfunc_sleep"), "syscall"),
        (("syscall.Syscall6", "syscall.futimesat"), "syscall"),
    ],
)
def test_recorded_stacks(functions: tuple[str, ...], phrase: str) -> None:
    assert reason(*functions) == phrase


@pytest.mark.parametrize(
    ("first", "phrase"),
    [
        ("time.Sleep", "sleep"),
        ("internal/poll.runtime_pollWait", "IO wait"),
        ("sync.runtime_SemacquireMutex", "sync.Mutex.Lock"),
        ("internal/sync.runtime_SemacquireMutex", "sync.Mutex.Lock"),
        ("sync.runtime_SemacquireWaitGroup", "sync.WaitGroup.Wait"),
        ("sync.runtime_notifyListWait", "sync.Cond.Wait"),
        ("reflect.rselect", "select"),
        ("main._Cfunc_sleep", "syscall"),
        ("main.f", ""),
        ("net/http.(*persistConn).readLoop", ""),
    ],
)
def test_with_the_runtime_hidden_the_first_frame_may_still_tell(first: str, phrase: str) -> None:
    assert reason(first, "main.main") == phrase


@pytest.mark.parametrize(
    "functions",
    [
        (),
        ("main.f",),
        ("runtime.Gosched", "main.f"),
        ("runtime.asyncPreempt", "time.Sleep"),
        ("runtime.selectgo", "main.f"),  # inside select, not parked
        ("runtime.mallocgc", "runtime.chanrecv"),
        ("main.f", "time.Sleep"),  # a function time.Sleep would have to have called
        ("runtime.gopark", "main.f", "runtime.selectgo"),
    ],
)
def test_what_does_not_park_has_no_reason(functions: tuple[str, ...]) -> None:
    assert reason(*functions) == ""


def test_a_nil_channel_is_told_by_where_in_the_function_it_parks() -> None:
    starts = {"runtime.chanrecv": 524, "runtime.chansend": 176}

    def at(function: str, line: int, start_lines: dict[str, int] | None = starts) -> str:
        park = Frame("runtime.gopark", "runtime/proc.go", 462)
        return wait_reason_of((park, Frame(function, "runtime/chan.go", line)), start_lines=start_lines)

    assert at("runtime.chanrecv", 536) == "chan receive (nil chan)"
    assert at("runtime.chanrecv", 667) == "chan receive"
    assert at("runtime.chansend", 181) == "chan send (nil chan)"
    assert at("runtime.chansend", 283) == "chan send"
    assert at("runtime.chanrecv", 536, None) == "chan receive"
    assert at("runtime.chanrecv", 536, {"runtime.chanrecv": 0}) == "chan receive"
