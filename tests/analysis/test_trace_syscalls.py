"""Descriptors as the recorded program `descriptors` opened and closed them, ten times each."""

from __future__ import annotations

import pytest

from leaktui.analysis.trace_summary import summarize_trace
from leaktui.model.trace import SyscallFlow
from tests.wire.trace_bytes import TraceWriter, capture_names, read_capture

CLOSED_BY_THE_OPENER = {
    "main.openClose": "openat",
    "main.createRemove": "openat",
    "main.readDir": "openat",
    "main.rawOpenClose": "openat",
    "main.dialClose": "connect",
    "main.listenClose": "listen",
    "main.rawDup": "dup",
    "main.pipeClose": "pipe2",
}
KEPT = {"main.openKeep": "openat", "main.openKept": "openat", "main.dialKeep": "connect"}


def flows_of(name: str) -> dict[str, list[SyscallFlow]]:
    """Flows by the innermost function of the program."""
    flows: dict[str, list[SyscallFlow]] = {}
    for flow in summarize_trace([read_capture(name)]).syscalls:
        owner = next((frame.function for frame in flow.stack if frame.function.startswith("main.")), "")
        flows.setdefault(owner, []).append(flow)
    return flows


@pytest.mark.parametrize("name", capture_names("descriptors"))
def test_opened_and_closed(name: str) -> None:
    flows = flows_of(name)
    for owner, call in CLOSED_BY_THE_OPENER.items():
        ends = 2 if call == "pipe2" else 1
        assert [
            (flow.call, flow.count, flow.failed, flow.paired)
            for flow in sorted(flows[owner], key=lambda flow: flow.call)
        ] == sorted([(call, 10, 0, 10), ("close", 10, 0, 10)] * ends), owner


@pytest.mark.parametrize("name", capture_names("descriptors"))
def test_kept(name: str) -> None:
    flows = flows_of(name)
    for owner, call in KEPT.items():
        assert [(flow.call, flow.count, flow.failed, flow.paired) for flow in flows[owner]] == [
            (call, 10, 0, 0)
        ], owner
    # Opened around main.openKept, closed behind it.
    assert {(flow.call, flow.paired) for flow in flows["main.leakBesideClosed"]} == {
        ("openat", 10),
        ("close", 10),
    }
    assert [(flow.call, flow.paired) for flow in flows["main.openHanded"]] == [("openat", 0)]


@pytest.mark.parametrize("name", capture_names("descriptors"))
def test_failures_are_told_apart(name: str) -> None:
    flows = flows_of(name)
    assert [(flow.count, flow.failed) for flow in flows["main.openMissing"]] == [(10, 10)]
    accepts = [flow for flow in flows["main.main.func1"] if flow.call == "accept4"]
    assert sum(flow.count - flow.failed for flow in accepts) == 20  # dialClose and dialKeep


def test_other_calls_are_left_out() -> None:
    writer = TraceWriter()
    writer.status(1)
    for function in ("syscall.read", "syscall.write", "syscall.fcntl", "syscall.futex"):
        writer.call(1, function, "main.main")
    assert summarize_trace([writer.bytes()]).syscalls == ()


def test_help_for_the_collector_between_open_and_new_file() -> None:
    writer = TraceWriter()
    writer.status(1)
    opening = ("os.openFileNolog", "os.Open", "main.main")
    writer.call(1, "syscall.openat", "syscall.Open", "os.open", *opening)
    writer.block(1, "GC assist wait", "runtime.gcAssistAlloc", "runtime.mallocgc", *opening)
    writer.run(1)
    writer.call(1, "syscall.fcntl", "syscall.SetNonblock", "os.newFile", *opening)
    (flow,) = summarize_trace([writer.bytes()]).syscalls
    assert (flow.call, flow.count, flow.failed) == ("openat", 1, 0)


def test_opens_of_a_goroutine_are_remembered_up_to_a_limit() -> None:
    writer = TraceWriter()
    writer.status(1)
    for _ in range(1000):
        writer.call(1, "syscall.openat", "main.open")
    for _ in range(1000):
        writer.call(1, "syscall.Close", "main.close")
    opens, closes = sorted(summarize_trace([writer.bytes()]).syscalls, key=lambda flow: flow.call == "close")
    assert opens.count == closes.count == 1000
    assert opens.paired == closes.paired == 256
