"""The proc engine and `read_target`, on real processes."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import threading
from pathlib import Path

import pytest

from leaktui.engines.lock import TargetLock
from leaktui.engines.proc import ProcEngine, find_listeners, read_target, tracer_of
from leaktui.engines.proc_stat import read_stat
from leaktui.engines.protocol import FdsSeen, ProcessSeen, Refused, Request, Want
from leaktui.errors import NotGo, TargetBusy, TargetForbidden, TargetGone, UsageError
from leaktui.model.process import FdKind
from leaktui.model.target import Target
from tests.engines.conftest import Start, as_nobody
from tests.go_toolchain import Toolchain

BOTH = Request(frozenset({Want.PROCESS, Want.FDS}))


@pytest.mark.go
def test_counters_and_descriptors_of_a_service(start: Start) -> None:
    service = start("-files", "40", "-megabytes", "20")
    engine = ProcEngine(service.pid)
    capability = engine.probe(read_target(service.pid))
    assert capability.usable
    assert capability.gives == ("process", "fds")
    process, fds = engine.capture(BOTH, threading.Event())
    assert isinstance(process, ProcessSeen)
    assert isinstance(fds, FdsSeen)
    assert process.stat.fd_count == len(fds.fds)
    assert sum(entry.target == "/dev/null" and entry.kind is FdKind.DEVICE for entry in fds.fds) == 40
    listening = [entry for entry in fds.fds if entry.socket and entry.socket.state == "LISTEN"]
    assert [entry.socket.local for entry in listening if entry.socket] == [service.tcp]
    (listener,) = find_listeners(service.pid)
    assert f"{listener.host}:{listener.port}" == service.tcp
    assert process.stat.rss_bytes > 1 << 20
    assert process.stat.fd_limit is None or process.stat.fd_limit > 40
    service.stop()
    with pytest.raises(TargetGone, match="has exited"):
        list(engine.capture(BOTH, threading.Event()))
    engine.close()


@pytest.mark.go
def test_target_of_a_service(start: Start, go_toolchain: Toolchain) -> None:
    service = start()
    target = read_target(service.pid)
    assert target.exe.endswith("/service")
    assert target.go_version == f"go{go_toolchain.version}"
    assert target.module == "example.com/enginetargets"
    assert target.main_package == "example.com/enginetargets/service"
    assert target.stripped is False
    assert target == read_target(service.pid)


@pytest.mark.go
def test_executable_deleted_under_a_running_process(binaries: Path, tmp_path: Path) -> None:
    copy = tmp_path / "service"
    shutil.copy(binaries / "service", copy)
    with subprocess.Popen([copy], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        copy.unlink()
        target = read_target(process.pid)
        process.kill()
    assert target.exe == str(copy)
    assert target.module == "example.com/enginetargets"


def test_not_go() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        with pytest.raises(
            NotGo, match=rf"process {process.pid} runs .*sleep, which was not built by the Go"
        ):
            read_target(process.pid)
        process.kill()


def test_kernel_thread() -> None:
    try:
        kernel = read_stat(2).kernel_thread
    except TargetGone:
        kernel = False
    if not kernel:
        pytest.skip("no kernel threads are visible here (a container)")
    with pytest.raises(NotGo, match="a thread of the kernel"):
        read_target(2)


@pytest.mark.parametrize("pid", [0, -1, 1 << 22, 10**12])
def test_number_that_is_no_pid(pid: int) -> None:
    with pytest.raises(UsageError, match="is not a process id"):
        read_target(pid)


@pytest.mark.root
def test_somebody_elses_process() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        with as_nobody():
            with pytest.raises(TargetForbidden, match=r"runs as root.*sudo"):
                read_target(process.pid)
            engine = ProcEngine(process.pid)
            capability = engine.probe(Target(pid=process.pid))
            seen, refused = engine.capture(BOTH, threading.Event())
        process.kill()
    # The counters are for everyone to read.
    assert capability.usable
    assert capability.gives == ("process",)
    assert isinstance(seen, ProcessSeen)
    assert seen.stat.rss_bytes > 0
    assert isinstance(refused, Refused)
    assert refused.want is Want.FDS


def test_probe_never_raises() -> None:
    url_only = ProcEngine(None).probe(Target(pid=None, url="http://x"))
    assert not url_only.usable
    assert "--pid" in url_only.remedy
    gone = ProcEngine(4194303).probe(Target(pid=4194303))
    assert not gone.usable
    assert "no process" in gone.reason


def test_cancelled_before_the_descriptors() -> None:
    cancel = threading.Event()
    cancel.set()
    facts = list(ProcEngine(os.getpid()).capture(BOTH, cancel))
    assert [type(fact) for fact in facts] == [ProcessSeen]


@pytest.mark.root
def test_traced_process_is_busy() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        assert tracer_of(process.pid) is None
        libc = ctypes.CDLL(None, use_errno=True)
        libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
        seized = libc.ptrace(0x4206, process.pid, None, None) == 0  # PTRACE_SEIZE: traces without stopping
        tracer = tracer_of(process.pid)
        try:
            if not seized:
                pytest.skip("ptrace is not permitted here")
            assert tracer is not None
            assert tracer.pid == os.getpid()
            with pytest.raises(TargetBusy, match=rf"traced by process {os.getpid()}"):
                TargetLock(process.pid).acquire()
        finally:
            process.kill()
