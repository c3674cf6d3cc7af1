"""Being stopped: what has to be done before is done before, whatever the main thread is at."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from leaktui.tui.stopping import StopGuard


@pytest.fixture
def stops() -> Iterator[list[str]]:
    """What happened, in order; the signal itself only makes a note, as the terminal's driver would stop us."""
    happened: list[str] = []
    before = signal.signal(signal.SIGTSTP, lambda number, frame: happened.append("stopped"))
    yield happened
    signal.signal(signal.SIGTSTP, before)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_work_is_done_before_the_stop_and_the_signal_is_given_back(stops: list[str]) -> None:
    threads: list[threading.Thread] = []

    def disarm() -> None:
        threads.append(threading.current_thread())
        stops.append("disarmed")

    guard = StopGuard(disarm)
    guard.install()
    guard.install()
    os.kill(os.getpid(), signal.SIGTSTP)
    wait_until(lambda: len(stops) == 2)
    assert stops == ["disarmed", "stopped"]
    assert threads[0] is not threading.main_thread()
    guard.remove()
    guard.remove()
    os.kill(os.getpid(), signal.SIGTSTP)
    wait_until(lambda: len(stops) == 3)
    assert stops == ["disarmed", "stopped", "stopped"]
    threads[0].join(5)
    assert not threads[0].is_alive()


def test_a_lock_the_main_thread_holds_delays_the_stop_and_does_not_hang_it(stops: list[str]) -> None:
    lock = threading.Lock()

    def disarm() -> None:
        with lock:
            stops.append("disarmed")

    guard = StopGuard(disarm)
    guard.install()
    try:
        with lock:
            os.kill(os.getpid(), signal.SIGTSTP)
            for _ in range(10):
                time.sleep(0.01)
            assert stops == []
        wait_until(lambda: "stopped" in stops)
        # Once for the stop that came too early, once for the one that was sent again.
        assert stops == ["disarmed", "disarmed", "stopped"]
    finally:
        guard.remove()


def test_work_that_fails_keeps_nobody_from_stopping(stops: list[str]) -> None:
    def disarm() -> None:
        stops.append("tried")
        raise RuntimeError("no")

    guard = StopGuard(disarm)
    guard.install()
    try:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGTSTP)
            wait_until(lambda: stops.count("stopped") == stops.count("tried") > 0)
        assert stops == ["tried", "stopped"] * 2
    finally:
        guard.remove()


def test_where_the_signal_has_its_own_way_it_keeps_it() -> None:
    before = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
    try:
        StopGuard(lambda: None).install()
        assert signal.getsignal(signal.SIGTSTP) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTSTP, before)
