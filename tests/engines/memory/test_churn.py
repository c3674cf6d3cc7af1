"""No stack that never was, however busy the program: each goroutine says by its label which stacks it can have.

LEAKTUI_CHURN_READS sets how many tight readings of goroutines on a path are made.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from leaktui.engines.memory.allgs import read_allgs
from leaktui.engines.memory.attachment import Attachment, attach
from leaktui.engines.memory.goroutines import Seen, Tally
from leaktui.engines.memory.unwind import End
from tests.engines.memory.go_programs import build_program, run_program
from tests.engines.memory.stack_paths import is_possible, path_of
from tests.go_toolchain import Toolchain

pytestmark = pytest.mark.go

READS = int(os.environ.get("LEAKTUI_CHURN_READS", "3000"))
RATE = 2000
_SECONDS = 600
"""A machine that gets no goroutine read in this time is not measured here."""


@contextmanager
def churning(toolchain: Toolchain) -> Iterator[Attachment]:
    """The program at RATE requests a second, on two processors."""
    with run_program(build_program("churn", "stripped", toolchain), "-rate", str(RATE)) as process:
        time.sleep(0.5)
        attachment = attach(process.pid, threading.Event())
        try:
            yield attachment
        finally:
            attachment.close()


def iter_addresses(attachment: Attachment) -> Iterator[int]:
    """Addresses of goroutines, every one as often as any other, until the time is over."""
    order = random.Random(1)
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline:
        addresses = list(read_allgs(attachment.memory, attachment.allgs))
        order.shuffle(addresses)
        yield from addresses
    raise AssertionError("too few goroutines were on a path")


def wrong(attachment: Attachment, seen: Seen) -> bool:
    return not is_possible(seen.trace.stack, attachment.goroutines.labels(seen))


def test_no_stack_read_tightly_is_wrong(matrix_toolchain: Toolchain) -> None:
    with churning(matrix_toolchain) as attachment:
        on_path = torn = 0
        for address in iter_addresses(attachment):
            seen = attachment.goroutines.look(address)
            if seen is None:
                continue
            if seen.trace.end is End.TORN:
                torn += 1
                continue
            assert not wrong(attachment, seen), (seen, attachment.goroutines.labels(seen))
            on_path += bool(path_of(seen.trace.stack))
            if on_path == READS:
                break
    print(f"{on_path} on a path, none wrong; {torn} running or moving")


def test_no_stack_of_a_whole_reading_is_wrong(matrix_toolchain: Toolchain) -> None:
    with churning(matrix_toolchain) as attachment:
        on_path = 0
        tally = Tally()
        while on_path < READS:
            for seen in attachment.goroutines.iter_seen(tally, threading.Event()):
                if seen.trace.end is not End.TORN:
                    assert not wrong(attachment, seen), (seen, attachment.goroutines.labels(seen))
                    on_path += bool(path_of(seen.trace.stack))
    assert tally.retried
    print(
        f"{on_path} on a path, none wrong; {tally.retried} read again, {tally.torn} torn, {tally.running} running"
    )


def test_stacks_that_are_not_read_tightly_are_wrong(go_toolchain: Toolchain) -> None:
    """The proof that the tests above would see a torn reading."""
    with churning(go_toolchain) as attachment:
        reader = attachment.goroutines
        for address in iter_addresses(attachment):
            state = reader.state_at(address)
            stack = None if state is None else reader.read_stack(state)
            if state is None or stack is None:
                continue
            time.sleep(0.0005)
            late = reader.read_stack(state)
            assert late is not None
            trace = attachment.unwinder.unwind(
                late.pc, late.data, in_syscall=late.in_syscall, whole=late.whole
            )
            if trace.end is End.TOP and wrong(attachment, Seen(state, trace, address)):
                return
