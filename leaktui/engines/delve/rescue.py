"""A target that has to be freed from a Delve that is dead, silent, talks nonsense, or has lost who spoke to it.

Law: the gentlest way first. What the kernel does when a debugger dies: it lets its target run, some threads stopped
until SIGCONT. Without breakpoints the target lives on, also when it stood halted (measured on Linux 6.18), unless a
SIGTRAP of Delve's was just on its way; with them a thread soon comes by one, and SIGTRAP with nobody tracing is
death. So a Delve that still lives is asked over a new connection, then with SIGTERM (only while the target stands: it
then detaches at once), and killed last.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress

from leaktui.engines.delve import traced
from leaktui.engines.delve.code_bytes import CodeBytes
from leaktui.engines.delve.debugger import Debugger
from leaktui.engines.delve.delve_process import wake_stopped
from leaktui.engines.delve.rpc import RpcConnection, connect_unix
from leaktui.errors import LeaktuiError

_TERM_SECONDS = 3.0
_WAKE_SECONDS = 0.3


def free_target(
    target: int, started_ticks: int, delve: int, delve_ticks: int, socket_path: str, code: CodeBytes
) -> str:
    """Have *target* run untraced, by whatever way works; that way in a word: `detached`, `termed`, `killed`, `gone`.

    *delve* is dlv's pid, or what was left of it.
    """
    if not traced.is_there(target, started_ticks):
        return "gone"
    way = "gone"
    if traced.is_there(delve, delve_ticks):
        wake_stopped(delve)
        way = _ask(target, delve, socket_path) or _end(target, delve, delve_ticks)
    repair(target, started_ticks, code)
    return way


def repair(target: int, started_ticks: int, code: CodeBytes) -> None:
    """Nobody traces *target* any more: put the code back, and wake it where the tracer left it stopped."""
    code.restore()
    traced.wake(target, started_ticks, _WAKE_SECONDS)


def _ask(target: int, delve: int, socket_path: str) -> str:
    """Let go over a new connection; empty when that does not work."""
    try:
        rpc = RpcConnection(connect_unix(socket_path))
    except OSError:
        return ""
    try:
        debugger = Debugger(rpc, target, lambda: _wake(delve))
        if debugger.call("State", NonBlocking=True, seconds=2.0)["State"].get("Running"):
            debugger.call_raw("Command", name="halt", seconds=5.0)
        debugger.call_raw("State", NonBlocking=False, seconds=5.0)
        debugger.let_go()
    except (LeaktuiError, LookupError, TypeError, AttributeError):
        return ""
    finally:
        rpc.close()
    return "detached"


def _wake(delve: int) -> None:
    wake_stopped(delve)


def _end(target: int, delve: int, delve_ticks: int) -> str:
    """End dlv by signals. SIGTERM has it halt a target that runs, with the danger that is in that: not then."""
    way = "killed"
    if traced.TRACED in traced.thread_states(target):
        with suppress(OSError):
            os.kill(delve, signal.SIGTERM)
        if _wait(delve, delve_ticks, _TERM_SECONDS):
            return "termed"
    with suppress(OSError):
        os.kill(delve, signal.SIGKILL)
    _wait(delve, delve_ticks, 1.0)
    return way


def _wait(delve: int, delve_ticks: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not traced.is_there(delve, delve_ticks):
            return True
        time.sleep(0.002)
    return False
