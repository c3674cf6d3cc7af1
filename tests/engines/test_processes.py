from __future__ import annotations

import os
import struct
import subprocess
from pathlib import Path

import pytest

from leaktui.engines import processes as processes_module
from leaktui.engines.processes import find_go_processes, has_build_info, read_go_process
from leaktui.errors import TargetGone
from leaktui.model.process import GoProcess
from tests.engines.conftest import Start, as_nobody
from tests.go_toolchain import Toolchain, go_environment

PROGRAMS = Path(__file__).parent / "programs"


def row_of(pid: int, processes: tuple[GoProcess, ...]) -> GoProcess:
    (row,) = [process for process in processes if process.pid == pid]
    return row


@pytest.mark.go
def test_services_are_found_and_others_are_not(start: Start, go_toolchain: Toolchain) -> None:
    service = start("-goroutines", "20")
    scan = find_go_processes()
    row = row_of(service.pid, scan.processes)
    assert row.module == "example.com/enginetargets"
    assert row.go_version == f"go{go_toolchain.version}"
    assert row.command.endswith("service -goroutines 20")
    assert 0 <= row.age_seconds < 60
    assert row.fd_count
    assert row.pprof_url is None
    assert os.getpid() not in {process.pid for process in scan.processes}
    pids = [process.pid for process in scan.processes]
    assert pids == sorted(pids)


@pytest.mark.go
def test_pprof_columns(start: Start) -> None:
    service, plain = start("-goroutines", "20", "-silent", "2"), start(program="plain")
    scan = find_go_processes(ask_pprof=True)
    row = row_of(service.pid, scan.processes)
    assert row.pprof_url == service.url
    assert row.goroutines is not None
    assert row.goroutines >= 20
    assert row_of(plain.pid, scan.processes).pprof_url is None


@pytest.mark.go
@pytest.mark.parametrize(
    "flags", [(), ("-ldflags=-s -w",), ("-buildmode=pie",)], ids=["plain", "stripped", "pie"]
)
def test_build_info_is_recognised(go_toolchain: Toolchain, tmp_path: Path, flags: tuple[str, ...]) -> None:
    binary = tmp_path / "plain"
    subprocess.run(
        [go_toolchain.go, "build", *flags, "-o", binary, "./plain"],
        cwd=PROGRAMS,
        env=go_environment(),
        check=True,
    )
    assert has_build_info(str(binary))
    without_sections = bytearray(binary.read_bytes())
    struct.pack_into("<Q", without_sections, 0x28, 0)  # e_shoff
    struct.pack_into("<HHH", without_sections, 0x3A, 0, 0, 0)  # e_shentsize, e_shnum, e_shstrndx
    headless = tmp_path / "headless"
    headless.write_bytes(without_sections)
    assert has_build_info(str(headless))


@pytest.mark.parametrize(
    "content",
    [b"", b"\x7fELF", b"\x7fELF" + bytes(60), b"\x7fELF" + b"\xff" * 60, b"#!/bin/sh\n", bytes(4096)],
)
def test_other_files_are_not_go(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    assert not has_build_info(str(path))


def test_what_is_not_go() -> None:
    assert not has_build_info("/proc/self/exe")
    assert not has_build_info("/nonexistent")
    assert read_go_process(os.getpid()) is None
    with pytest.raises(TargetGone):
        read_go_process(4194303)


@pytest.mark.root
def test_unreadable_processes_are_counted() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        everything = find_go_processes()
        with as_nobody():
            little = find_go_processes()
        process.kill()
    assert little.unreadable > everything.unreadable
    assert len(little.processes) <= len(everything.processes)


def test_cancelled_scan_ends() -> None:
    assert find_go_processes(cancelled=lambda: True).processes == ()


@pytest.mark.go
def test_one_that_exits_while_it_is_looked_at_is_left_out(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = start("-goroutines", "20")
    count = processes_module.count_fds

    def exit_first(pid: int) -> int:
        found = count(pid)
        if pid == service.pid:
            service.stop()
        return found

    monkeypatch.setattr(processes_module, "count_fds", exit_first)
    assert service.pid not in {process.pid for process in find_go_processes().processes}
