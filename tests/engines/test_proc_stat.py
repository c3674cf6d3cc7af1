from __future__ import annotations

import errno
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from leaktui.engines.proc_stat import (
    count_fds,
    format_cmdline,
    read_cmdline,
    read_fd_limit,
    read_live_stat,
    read_proc,
    read_rss,
    read_stat,
    started_at,
    target_error,
)
from leaktui.errors import TargetForbidden, TargetGone
from tests.engines.conftest import as_nobody


@pytest.fixture
def zombie() -> Iterator[int]:
    """A process that has exited and that we have not waited for."""
    process = subprocess.Popen(["true"], stdin=subprocess.DEVNULL)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    yield process.pid
    process.wait()


def test_own_counters() -> None:
    stat = read_stat(os.getpid())
    assert stat.state == "R"
    assert stat.threads >= 1
    assert read_rss(os.getpid()) > 1 << 20
    assert stat.vms_bytes > read_rss(os.getpid())
    assert not stat.kernel_thread
    assert not stat.dead


def test_name_with_parentheses_and_blanks(tmp_path: Path) -> None:
    odd = tmp_path / "a) R (b\x1b"
    shutil.copy(shutil.which("sleep") or "/bin/sleep", odd)
    with subprocess.Popen([odd, "60"]) as process:
        stat = read_stat(process.pid)
        process.kill()
    assert stat.name == "a) R (b\\x1b"
    assert stat.threads == 1


def test_started_at_is_when_it_began() -> None:
    before = time.time()
    with subprocess.Popen(["sleep", "60"]) as process:
        began = started_at(read_stat(process.pid))
        again = started_at(read_stat(process.pid))
        process.kill()
    # btime of /proc/stat is whole seconds, and a tick is a hundredth.
    assert before - 1.1 <= began <= time.time() + 0.1
    assert began == again


def test_zombie_is_gone(zombie: int) -> None:
    assert read_stat(zombie).dead
    with pytest.raises(TargetGone, match="zombie") as caught:
        read_live_stat(zombie)
    assert caught.value.remedy


def test_no_such_process() -> None:
    with pytest.raises(TargetGone, match=r"there is no process 4194303: .*leaktui ps"):
        read_live_stat(4194303)


def test_process_that_was_there_has_exited() -> None:
    with pytest.raises(TargetGone, match="process 4194303 has exited"):
        read_live_stat(4194303, started_ticks=1)


def test_pid_of_another_process_now() -> None:
    with pytest.raises(TargetGone, match="another one has its pid"):
        read_live_stat(os.getpid(), started_ticks=1)


def test_cmdline_is_printable() -> None:
    assert format_cmdline(b"app\0-x\0\x1b[31mred\0") == "app -x \\x1b[31mred"
    assert len(format_cmdline(b"a" * 10_000)) == 400
    assert read_cmdline(os.getpid()).endswith(b"\0")


def test_limits_and_descriptors() -> None:
    import resource

    assert read_fd_limit(os.getpid()) == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    held = [os.open("/dev/null", os.O_RDONLY) for _ in range(5)]
    before = count_fds(os.getpid())
    for fd in held:
        os.close(fd)
    after = count_fds(os.getpid())
    assert before is not None
    assert after is not None
    assert before - after == 5


def test_read_is_bounded() -> None:
    assert len(read_proc(os.getpid(), "maps", limit=100)) == 100


@pytest.mark.root
def test_somebody_elses_process_names_the_owner() -> None:
    with as_nobody(), pytest.raises(TargetForbidden, match=r"process 1 is not yours .*runs as root.*sudo"):
        read_proc(1, "maps")


@pytest.mark.root
def test_root_is_not_told_to_become_root() -> None:
    said = str(target_error(os.getpid(), PermissionError(errno.EACCES, "no")))
    assert "is closed even to root here (it runs as root)" in said
    assert "--cap-add=SYS_PTRACE" in said
    assert "sudo" not in said


@pytest.mark.root
def test_hidden_process_is_not_called_gone() -> None:
    # Under hidepid /proc says "no such file", but the kernel still knows the process.
    hidden = FileNotFoundError(errno.ENOENT, "No such file or directory")
    with as_nobody():
        assert isinstance(target_error(1, hidden), TargetForbidden)
        assert "hidepid" in str(target_error(1, hidden))
        assert isinstance(target_error(4194303, hidden), TargetGone)
