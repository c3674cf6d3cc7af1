"""The guardian: a small process that owns Delve, so that the target lives on however leaktui ends.

Law: it alone speaks to dlv. The target is halted only while an order of leaktui's is carried out, never while leaktui
is waited for: each order has an end of its own, and after it the target runs. When leaktui is gone, by whatever
signal, it lets the target go and ends. It is a session of its own, ignores every signal that can be ignored, and is
the last that the kernel would kill for want of memory. A second one, the standby, holds a pipe to it and does the
same should the guardian itself be killed.
"""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from leaktui.engines.delve import traced
from leaktui.engines.delve.address import connect, parse_address, refuse_single_client
from leaktui.engines.delve.burst import run_burst
from leaktui.engines.delve.channel import Channel, ChannelClosed
from leaktui.engines.delve.code_bytes import CodeBytes
from leaktui.engines.delve.debugger import Debugger
from leaktui.engines.delve.delve_process import DelveProcess, wake_stopped
from leaktui.engines.delve.rescue import free_target, repair
from leaktui.engines.delve.rpc import DelveGone, DelveRefused, DelveSilent, RpcConnection
from leaktui.engines.probes.kernel.system_call import name_process
from leaktui.errors import DecodeError, EngineError, EngineUnavailable, LeaktuiError, TargetGone

_ATTACH_SECONDS = 30.0
"""The target stands meanwhile. On a quiet machine it is 0.3 s for a program of 10 MB."""

_STEP_SECONDS = 0.05
_NICENESS = -10
"""Where it is permitted. The target stands while dlv and the guardian work: they are not to wait for a processor."""

_NOTICE_SECONDS = 1.0
"""For dlv to notice that the target has exited. It may wait for ever, where nobody collects the target's status."""

_STANDBY_BYTES = 1 << 16
_MOST_IN_A_CALL = 5.0
"""Seconds Delve may take for one call of a look. The target stands meanwhile: then it counts as hung."""


class Guardian:
    """What the process does between its first message and its last."""

    def __init__(self, channel: Channel, standby: socket.socket) -> None:
        self.channel = channel
        self._standby = standby
        self._delve: DelveProcess | None = None
        self._debugger: Debugger | None = None
        self._target = self._ticks = 0
        self.code: CodeBytes | None = None
        self._gone_since: float | None = None
        self.wakings = 0
        """How often somebody had stopped dlv."""

    # --- life ---

    def serve(self) -> None:
        """Do what is asked until nobody asks any more; the target is free then."""
        idle_since, idle_seconds = time.monotonic(), float("inf")
        with suppress(ChannelClosed):
            while True:
                readable = [self.channel.fileno(), *([self._debugger.rpc.fileno()] if self._debugger else [])]
                ready = select.select(readable, [], [], _STEP_SECONDS)[0]
                message = self.channel.receive(0.0) if self.channel.fileno() in ready else None
                if message is not None:
                    idle_seconds = float(message.head.get("idle_seconds", idle_seconds))
                    if message.head["do"] == "end":
                        break
                    self._carry_out(message.head, message.lines)
                    idle_since = time.monotonic()
                    if self._debugger is None:  # it came to nothing, or is over
                        break
                elif not self._watch():
                    break
                if time.monotonic() - idle_since > idle_seconds:
                    break
        self.let_go()
        with suppress(ChannelClosed):
            self.channel.post({"event": "ended"})
            self.channel.flush_all(1.0)

    def _carry_out(self, head: dict[str, Any], lines: list[bytes]) -> None:
        try:
            if head["do"] == "attach":
                self._attach(head)
            elif head["do"] == "connect":
                self._connect(head)
            elif head["do"] == "look":
                self._look(head)
            elif head["do"] == "burst":
                run_burst(self, head)
        except LeaktuiError as error:
            self._give_up(error)
        except (ArithmeticError, AttributeError, LookupError, OSError, TypeError, ValueError) as defect:
            self._give_up(EngineError(f"a defect of the guardian ({type(defect).__name__}: {defect})"))
        self.channel.flush_all(_MOST_IN_A_CALL)

    def _watch(self) -> bool:
        """Look after Delve while nothing is asked; whether all is well."""
        try:
            self.look_after()
            if self._debugger is not None:
                line = self._debugger.stopped(0.0)
                if line is not None:
                    # Not by us: the target's own int3, or a signal. It goes on, unless it has exited.
                    # A foreign one stays as its owner has it.
                    self._debugger.refuse_exited(line)
                    self._debugger.resume()
        except LeaktuiError as error:
            self._give_up(error)
            return False
        return True

    def look_after(self) -> None:
        """Wake a dlv that somebody stopped. Raises DelveGone; TargetGone where dlv has not noticed that it is."""
        if self._delve is None:
            return
        if traced.is_there(self._target, self._ticks):
            self._gone_since = None
        elif self._gone_since is None:
            self._gone_since = time.monotonic()
        elif time.monotonic() - self._gone_since > _NOTICE_SECONDS:
            raise TargetGone(f"process {self._target} has exited")
        if not self._delve.alive:
            raise DelveGone(self._delve.explain_end())
        if wake_stopped(self._delve.pid):
            self.wakings += 1

    # --- orders ---

    @property
    def delve_pid(self) -> int:
        """dlv's own; 0 when there is none."""
        return self._delve.pid if self._delve is not None else 0

    @property
    def debugger(self) -> Debugger:
        """Raises EngineUnavailable when Delve is not attached."""
        if self._debugger is None:
            raise EngineUnavailable("Delve is not attached")
        return self._debugger

    def _attach(self, order: dict[str, Any]) -> None:
        self._target, self._ticks = int(order["pid"]), int(order["started_ticks"])
        if not traced.is_there(self._target, self._ticks):
            raise TargetGone(f"process {self._target} has exited")
        self.code = CodeBytes(self._target)
        self._delve = DelveProcess(str(order["dlv"]), self._target)
        self.tell_standby()
        began: float | None = None

        def note_attach() -> None:
            nonlocal began
            self.look_after()
            if began is None and traced.tracer_pid(self._target):
                began = time.monotonic()

        rpc = self._delve.connect(_ATTACH_SECONDS, note_attach)
        debugger = Debugger(rpc, self._target, note_attach)
        self._debugger = debugger
        number = rpc.send("State", NonBlocking=False)
        deadline = time.monotonic() + _ATTACH_SECONDS
        while rpc.take(number, 0.002) is None:
            note_attach()
            if time.monotonic() > deadline:
                raise DelveSilent(f"Delve did not attach within {_ATTACH_SECONDS:.0f} s")
        debugger.clear()
        lines = []
        for method, arguments in order.get("calls", ()):
            with suppress(DelveSilent):
                lines.append(debugger.call_raw(method, seconds=_MOST_IN_A_CALL, **arguments))
        debugger.resume()
        debugger.await_running()
        stop_ms = 0.0 if began is None else (time.monotonic() - began) * 1000
        self._debugger = Debugger(rpc, self._target, self.look_after)
        self._debugger.adopt(debugger)
        self.channel.post({"reply": "attach", "stop_ms": stop_ms, "dlv_pid": self._delve.pid}, lines)

    def _connect(self, order: dict[str, Any]) -> None:
        """Speak to somebody else's Delve: its target is never let go, and halted only where it runs."""
        address = parse_address(str(order["address"]))
        refuse_single_client(address)
        rpc = RpcConnection(connect(address))
        self._debugger = Debugger(rpc, 0, foreign=True)
        began = time.monotonic()
        lines = []
        self._debugger.halt()
        try:
            for method, arguments in order.get("calls", ()):
                with suppress(DelveSilent):
                    lines.append(self._debugger.call_raw(method, seconds=_MOST_IN_A_CALL, **arguments))
        finally:
            self._debugger.resume()
        stop_ms = (time.monotonic() - began) * 1000
        self.channel.post({"reply": "attach", "stop_ms": stop_ms, "dlv_pid": 0}, lines)

    def _look(self, order: dict[str, Any]) -> None:
        """Halt, make calls until they are made or `most_ms` is over, continue; only then answer."""
        debugger = self.debugger
        began = time.monotonic()
        end = began + float(order["most_ms"]) / 1000
        # A listing alone shows nothing of the goroutine it is of.
        least = 2 if order["goid"] else 1
        lines: list[bytes] = []
        took: list[float] = []
        stopped_itself = debugger.halt()
        halted = time.monotonic()
        try:
            for method, arguments in order["calls"]:
                if len(lines) >= least and time.monotonic() + 1.2 * max(took) > end:
                    break
                asked = time.monotonic()
                lines.append(debugger.call_raw(method, seconds=_MOST_IN_A_CALL, **arguments))
                took.append(time.monotonic() - asked)
                if len(lines) == 1 and not _lists(lines[0], int(order["goid"])):
                    break
        finally:
            debugger.resume()
            debugger.await_running()
        over = time.monotonic()
        reply = {
            "reply": "look",
            "stop_ms": (over - began) * 1000,
            "halt_ms": (halted - began) * 1000,
            "took_ms": [1000 * seconds for seconds in took],
            "wakings": self.wakings,
            "stopped_itself": stopped_itself is not None,
        }
        self.channel.post(reply, lines)

    # --- the end ---

    def _give_up(self, error: LeaktuiError) -> None:
        """Something is wrong with Delve or the target: free the target, and say what it was."""
        way = self.let_go(broken=not isinstance(error, DelveRefused | EngineUnavailable))
        self.channel.post(
            {
                "error": str(error.args[0]),
                "remedy": error.remedy,
                "gone": isinstance(error, TargetGone),
                "unavailable": isinstance(error, EngineUnavailable),
                "garbage": isinstance(error, DecodeError),
                "freed": way,
            }
        )

    def let_go(self, *, broken: bool = False) -> str:
        """Free the target and end Delve; how it went, as `free_target` says it. Safe to call again."""
        delve, debugger, code = self._delve, self._debugger, self.code
        self._delve = self._debugger = None
        if delve is None or code is None:
            if debugger is not None:
                debugger.rpc.close()
            return "detached"
        way = ""
        if not broken and debugger is not None:
            with suppress(LeaktuiError):
                debugger.let_go()
                way = "detached"
        if debugger is not None:
            debugger.rpc.close()
        if way:
            repair(self._target, self._ticks, code)
        else:
            ticks = traced.started_ticks_of(delve.pid)
            way = free_target(self._target, self._ticks, delve.pid, ticks, delve.socket, code)
        delve.end()
        code.close()
        self.code = None
        self.tell_standby()
        return way

    def tell_standby(self) -> None:
        """Let the standby know what there is to free; nothing, where there is no Delve."""
        known: dict[str, Any] = {}
        if self._delve is not None and self.code is not None:
            known = {
                "target": self._target,
                "ticks": self._ticks,
                "delve": self._delve.pid,
                "delve_ticks": traced.started_ticks_of(self._delve.pid),
                "socket": self._delve.socket,
                "code": list(self.code.expected.items()),
            }
        with suppress(OSError):
            self._standby.send(json.dumps(known).encode())


def _lists(line: bytes, goid: int) -> bool:
    """Whether *line*, a listing, has that goroutine. 0 is any. Delve would go through all of them to find it."""
    return goid == 0 or f'{{"id":{goid},'.encode() in line


# --- the processes themselves ---


def guard(descriptor: int) -> None:
    """The guardian's life: do what is asked at the socket *descriptor*; with a standby beside it."""
    _harden(b"leaktui-guard")
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    standby = os.fork()
    if standby == 0:
        ours.close()
        os.close(descriptor)
        os.setsid()
        name_process(b"leaktui-standby")
        _stand_by(theirs)
        os._exit(0)
    theirs.close()
    asked = socket.socket(fileno=descriptor)
    channel = Channel(asked)
    guardian = Guardian(channel, ours)
    try:
        channel.post({"event": "ready", "standby": standby})
        guardian.serve()
    except ChannelClosed:
        guardian.let_go()
    finally:
        guardian.let_go()
        channel.close()
        ours.close()
        with suppress(OSError):
            os.waitpid(standby, 0)


def _stand_by(told: socket.socket) -> None:
    """Wait until the guardian is gone, and free what it left."""
    known: dict[str, Any] = {}
    while data := told.recv(_STANDBY_BYTES):
        known = json.loads(data)
    if not known:
        return
    code = CodeBytes(int(known["target"]))
    code.expected.update((int(address), int(byte)) for address, byte in known["code"])
    delve, ticks = int(known["delve"]), int(known["delve_ticks"])
    free_target(int(known["target"]), int(known["ticks"]), delve, ticks, str(known["socket"]), code)
    deadline = time.monotonic() + 3.0
    while traced.is_there(delve, ticks) and time.monotonic() < deadline:
        time.sleep(0.005)
    if traced.is_there(delve, ticks):
        with suppress(OSError):
            os.kill(delve, signal.SIGKILL)
    import shutil

    shutil.rmtree(Path(str(known["socket"])).parent, ignore_errors=True)


def _harden(name: bytes) -> None:
    for sign in signal.valid_signals():
        if sign != signal.SIGCHLD:
            with suppress(OSError, ValueError):  # SIGKILL and SIGSTOP
                signal.signal(sign, signal.SIG_IGN)
    name_process(name)
    with suppress(OSError):
        os.nice(_NICENESS)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("-1000")
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


if __name__ == "__main__":
    guard(int(sys.argv[1]))
