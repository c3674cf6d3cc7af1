from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from leaktui.engines.lock import TargetLock
from leaktui.errors import TargetBusy, TargetForbidden, TargetGone
from tests.engines.conftest import as_nobody


@pytest.fixture
def target() -> Iterator[int]:
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process.pid
        process.kill()


def holder(pid: int) -> subprocess.Popen[bytes]:
    """Another process that holds the lock on *pid* until its stdin ends."""
    program = (
        "import signal, sys\n"
        # Under nohup it would be ignored, here as in all children.
        "signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"
        "from leaktui.engines.lock import TargetLock\n"
        f"with TargetLock({pid}):\n"
        "    print('held', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    return process


def test_second_one_is_told_who_holds_it(target: int) -> None:
    with holder(target) as other:
        with pytest.raises(
            TargetBusy, match=rf"another leaktui looks at process {target}: process {other.pid} "
        ):
            TargetLock(target).acquire()
        assert other.stdin is not None
        other.stdin.close()
        other.wait()
    with TargetLock(target):
        pass


@pytest.mark.parametrize("kind", [signal.SIGKILL, signal.SIGHUP, signal.SIGTERM])
def test_any_death_releases_it(target: int, kind: signal.Signals) -> None:
    with holder(target) as other:
        other.send_signal(kind)
        other.wait()
    with TargetLock(target):
        pass


def test_release_and_again(target: int) -> None:
    lock = TargetLock(target)
    lock.acquire()
    lock.acquire()
    with pytest.raises(TargetBusy):
        TargetLock(target).acquire()
    lock.release()
    lock.release()
    with TargetLock(target):
        pass


def test_refused_lock_holds_no_descriptor(target: int) -> None:
    with TargetLock(target):
        before = len(list(Path("/proc/self/fd").iterdir()))
        for _ in range(3):
            with pytest.raises(TargetBusy):
                TargetLock(target).acquire()
        assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_two_targets_do_not_meet(target: int) -> None:
    with TargetLock(target), TargetLock(os.getpid()):
        pass


def test_one_wins_a_race(target: int) -> None:
    barrier = threading.Barrier(8)
    won: list[TargetLock] = []

    def run() -> None:
        lock = TargetLock(target)
        barrier.wait()
        try:
            lock.acquire()
        except TargetBusy:
            return
        won.append(lock)

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    won[0].release()


def test_target_gone() -> None:
    with pytest.raises(TargetGone):
        TargetLock(4194303).acquire()


@pytest.mark.root
def test_who_may_not_look_cannot_hold_it(target: int) -> None:
    with as_nobody(), pytest.raises(TargetForbidden):
        TargetLock(target).acquire()
