"""A process that sleeps is still; one that runs, or ran and sleeps again, is not."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from leaktui.engines.memory.stillness import Moment, read_moment
from leaktui.errors import TargetGone


def still(pid: int) -> Moment:
    """A moment in which no thread of *pid* runs."""
    for _ in range(500):
        moment = read_moment(pid)
        if moment is not None:
            return moment
        time.sleep(0.01)
    pytest.skip("the kernel does not count the time slices of threads")


def test_a_process_that_sleeps_is_still_until_it_is_woken() -> None:
    code = "import sys\nfor line in sys.stdin: print(line, flush=True)"
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        process.stdin.write(b"1\n")
        process.stdin.flush()
        process.stdout.readline()
        process.stdout.readline()
        time.sleep(0.1)
        before = still(process.pid)
        assert read_moment(process.pid) == before
        process.stdin.write(b"2\n")
        process.stdin.flush()
        process.stdout.readline()
        process.stdout.readline()
        assert still(process.pid) != before
        process.stdin.close()


def test_one_that_runs_has_no_such_moment() -> None:
    assert read_moment(os.getpid()) is None


def test_one_that_is_gone_is_said_to_be() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    with pytest.raises(TargetGone):
        read_moment(process.pid)
