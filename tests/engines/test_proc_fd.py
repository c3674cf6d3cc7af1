from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from leaktui.engines import proc_fd
from leaktui.engines.proc_fd import check_fds_readable, read_fds
from leaktui.errors import TargetForbidden, TargetGone
from leaktui.model.process import FdEntry, FdKind
from tests.engines.conftest import as_nobody


def entry_of(fd: int) -> FdEntry:
    (entry,) = [entry for entry in read_fds(os.getpid()) if entry.fd == fd]
    return entry


def test_kinds(tmp_path: Path) -> None:
    plain = tmp_path / "plain\x1b[0m.txt"
    plain.write_text("x")
    reader, writer = os.pipe()
    opened = {
        FdKind.FILE: os.open(plain, os.O_RDONLY),
        FdKind.DIRECTORY: os.open(tmp_path, os.O_RDONLY),
        FdKind.DEVICE: os.open("/dev/null", os.O_RDONLY),
        FdKind.PIPE: reader,
    }
    import select

    with select.epoll() as epoll:
        assert entry_of(epoll.fileno()).kind is FdKind.EPOLL
    for kind, fd in opened.items():
        assert entry_of(fd).kind is kind
    seen = entry_of(opened[FdKind.FILE])
    assert seen.target == str(plain).replace("\x1b", "\\x1b")
    assert seen.inode == plain.stat().st_ino
    assert not seen.deleted
    for fd in (*opened.values(), writer):
        os.close(fd)


def test_deleted_file_and_a_file_that_is_only_called_so(tmp_path: Path) -> None:
    gone, kept = tmp_path / "gone", tmp_path / "kept (deleted)"
    fds = [os.open(path, os.O_RDWR | os.O_CREAT) for path in (gone, kept)]
    gone.unlink()
    first, second = (entry_of(fd) for fd in fds)
    for fd in fds:
        os.close(fd)
    assert (first.target, first.deleted) == (str(gone), True)
    assert (second.target, second.deleted) == (str(kept), False)


def test_named_pipe_and_memory_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    fifo = os.open(tmp_path / "fifo", os.O_RDWR)
    memory = os.memfd_create("scratch")
    assert entry_of(fifo).kind is FdKind.PIPE
    assert entry_of(memory).kind is FdKind.FILE
    assert entry_of(memory).target == "memfd:scratch"
    assert not entry_of(memory).deleted
    os.close(fifo)
    os.close(memory)


def test_without_statx(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # What an old C library gets: the same answers by stat(2).
    path = tmp_path / "file"
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    modern = entry_of(fd)
    monkeypatch.setattr(proc_fd, "read_attributes", lambda: proc_fd._stat_attributes)
    assert entry_of(fd) == modern
    os.close(fd)


def test_thousands_of_descriptors() -> None:
    count = min(20_000, resource.getrlimit(resource.RLIMIT_NOFILE)[1] - 100)
    program = (
        "import os, resource, sys\n"
        f"resource.setrlimit(resource.RLIMIT_NOFILE, ({count + 50}, {count + 50}))\n"
        f"held = [os.open('/dev/null', 0) for _ in range({count})]\n"
        "print('ready', flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        fds = read_fds(process.pid)
        process.kill()
    assert sum(entry.kind is FdKind.DEVICE for entry in fds) == count
    assert [entry.fd for entry in fds] == sorted(entry.fd for entry in fds)


def test_gone() -> None:
    for look in (read_fds, check_fds_readable):
        with pytest.raises(TargetGone):
            look(4194303)


@pytest.mark.root
def test_forbidden() -> None:
    with as_nobody():
        for look in (read_fds, check_fds_readable):
            with pytest.raises(TargetForbidden, match="sudo"):
                look(1)
