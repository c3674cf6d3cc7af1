"""Calls made of return addresses, beside what the memory source makes of the same stacks."""

from __future__ import annotations

import threading

import pytest

from leaktui.engines.memory.attachment import Attachment, attach
from leaktui.engines.memory.goroutines import Seen, Tally
from leaktui.engines.memory.unwind import End
from leaktui.engines.probes.call_chain import CallChains
from leaktui.model.frame import Frame
from tests.conftest import TargetFactory
from tests.go_toolchain import Toolchain

pytestmark = pytest.mark.go

GENERICS, CLOSURES, WRAPPERS = "genericfetch", "closurecallback", "interfacedoer"


def places(stack: tuple[Frame, ...]) -> list[tuple[str, str, int, bool]]:
    return [(frame.function, frame.file, frame.line, frame.inlined) for frame in stack]


def return_addresses(attachment: Attachment, seen: Seen) -> list[int] | None:
    """Where the calls of a goroutine at rest return to, innermost first; None where it moved on."""
    stack = attachment.goroutines.read_stack(seen.state)
    if stack is None:
        return None
    calls = attachment.unwinder.calls(stack.pc, stack.data, in_syscall=stack.in_syscall, whole=stack.whole)
    return None if calls is None else [call.pc for call in calls]


@pytest.mark.parametrize("program", [GENERICS, CLOSURES, WRAPPERS, "http2large", "workers"])
def test_it_shows_what_a_traceback_shows(
    program: str, target_factory: TargetFactory, matrix_toolchain: Toolchain
) -> None:
    with target_factory(program, toolchain=matrix_toolchain, stripped=True) as target:
        target.truth()
        attachment = attach(target.pid, threading.Event())
        try:
            chains = CallChains(attachment.executable, attachment.bias)
            compared = 0
            for seen in list(attachment.goroutines.iter_seen(Tally(), threading.Event())):
                pcs = return_addresses(attachment, seen)
                again = attachment.goroutines.look(seen.address)
                if pcs is None or again is None or seen.trace.end is not End.TOP or again.trace != seen.trace:
                    continue
                found = chains.stack(pcs[0] - 1, pcs[1:])
                assert places(found) == places(seen.trace.stack)
                assert chains.stack(pcs[0] - 1, pcs[1:]) is found
                # All but the probed instruction's own lie inside the call, not behind it.
                assert {frame.pc + 1 for frame in found[1:]} <= {*pcs}
                compared += 1
            assert compared >= 4
        finally:
            attachment.close()


def test_a_foreign_address_is_shown_as_one(target_factory: TargetFactory, go_toolchain: Toolchain) -> None:
    with target_factory("quiet", toolchain=go_toolchain) as target:
        attachment = attach(target.pid, threading.Event())
        try:
            chains = CallChains(attachment.executable, attachment.bias)
            entry = attachment.executable.find_function("main.main")
            assert entry is not None
            main = entry.entry + attachment.bias
            stack = chains.stack(main, (0x10, main + 1))
            assert [frame.function for frame in stack] == ["main.main", "0xf", "main.main"]
            assert chains.stack(main, ())[0].pc == main
        finally:
            attachment.close()
