"""Waits of a process that lives in another time."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from leaktui.engines.memory.attachment import attach
from leaktui.engines.memory.goroutines import Tally
from leaktui.engines.memory.target_clock import decode_offsets, find_clock_offset
from tests.engines.memory.go_programs import build_program
from tests.go_target import GoProcess
from tests.go_toolchain import Toolchain

_SHIFT = 123_456


@contextmanager
def in_another_time(*arguments: str) -> Iterator[GoProcess]:
    """The program in a time namespace _SHIFT seconds ahead of ours."""
    if shutil.which("unshare") is None or os.geteuid() != 0:
        pytest.skip("only root makes time namespaces")
    under = ["unshare", "--time", "--monotonic", str(_SHIFT), "--"]
    if subprocess.run([*under, "true"], capture_output=True).returncode:
        pytest.skip("no time namespaces here")
    process = GoProcess([*under, *arguments])
    try:
        yield process
    finally:
        process.stop()


@pytest.mark.go
def test_minutes_are_those_of_the_processs_own_clock(go_toolchain: Toolchain) -> None:
    with in_another_time(str(build_program("variety", "stripped", go_toolchain))) as process:
        assert find_clock_offset(process.pid) == _SHIFT * 1_000_000_000
        attachment = attach(process.pid, threading.Event())
        assert attachment.clock_offset == _SHIFT * 1_000_000_000
        reader = attachment.goroutines
        dated = [seen for seen in reader.iter_seen(Tally(), threading.Event()) if seen.state.since]
        attachment.close()
    assert len(dated) > 10  # the program had a collection: it dates the waits
    later = time.monotonic_ns() + _SHIFT * 1_000_000_000 + 3 * 60_000_000_000
    for seen in dated:
        assert reader.wait_minutes(seen, later) == 3


def test_a_process_of_our_time_is_not_off() -> None:
    assert find_clock_offset(os.getpid()) == 0


def test_no_process_has_no_clock() -> None:
    assert find_clock_offset(1 << 22) is None


def test_offsets_are_decoded() -> None:
    assert (
        decode_offsets("monotonic          -5         7\nboottime            1         2\n") == -4_999_999_993
    )
    assert decode_offsets("boottime            1         2\n") is None
    assert decode_offsets("") is None
