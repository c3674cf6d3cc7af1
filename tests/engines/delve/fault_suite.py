"""Leaktui, its guardian, dlv and the target ended in every way while tracepoints fire in a busy client.

`python -m tests.engines.delve.fault_suite [--rounds 50] [--rate 1000] [FAULT…]`. After each the target must be alive
and running, traced by nobody, its code as it was and no stop signal waiting; no request may have failed, and nothing
of ours may be left. What is measured only (`dlv-killed…`) is told, and may kill the target.
"""

from __future__ import annotations

import argparse
import json
import os
import pty
import random
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from leaktui.engines.delve import traced
from leaktui.engines.delve.finding import find_dlv
from tests.engines.probes.sudden_death import wait_until
from tests.go_target import GoProcess, TargetDied
from tests.go_toolchain import Toolchain, find_toolchains, go_environment

_PROGRAMS = Path(__file__).parent.parent / "probes" / "programs"
_GARBLING = Path(__file__).parent / "garbling_dlv"
_ARMED_SECONDS = 60.0
_FREE_SECONDS = 20.0


class NotArmed(AssertionError):
    """A session ended before anything was done to it."""


@dataclass
class Session:
    """A tests.engines.delve.session at work. `pids` are those of guardian, standby and dlv."""

    process: subprocess.Popen[bytes]
    output: int
    terminal: int | None = None
    pids: tuple[int, ...] = ()
    directory: str = ""
    ticks: dict[int, int] = field(default_factory=dict)
    said: list[dict[str, Any]] = field(default_factory=list)
    _rest: bytes = b""

    def wait_for(self, key: str, seconds: float) -> dict[str, Any] | None:
        """The next thing it says that has *key*; None when it has not said it in time or has ended."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            *lines, self._rest = self._rest.split(b"\n")
            found = None
            for line in lines:
                with suppress(ValueError):
                    message = json.loads(line)
                    self.said.append(message)
                    if key in message and found is None:
                        found = message
            if found is not None:
                return found
            if select.select([self.output], [], [], 0.1)[0]:
                try:
                    data = os.read(self.output, 1 << 16)
                except OSError:
                    data = b""
                if not data:
                    return None
                self._rest += data
        return None

    @property
    def guardian(self) -> int:
        return self.pids[0]

    @property
    def standby(self) -> int:
        return self.pids[1]

    @property
    def dlv(self) -> int:
        return self.pids[2]

    def quit(self) -> None:
        """Ask it to end."""
        if self.process.stdin is None:
            return
        with suppress(OSError):
            self.process.stdin.write(b"quit\n")
            self.process.stdin.flush()

    def close(self) -> None:
        with suppress(OSError, subprocess.TimeoutExpired):
            self.quit()
            self.process.wait(20)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                with suppress(OSError):
                    stream.close()
        if self.terminal is not None:
            with suppress(OSError):
                os.close(self.terminal)


@contextmanager
def session_on(pid: int, *arguments: str, terminal: bool = False) -> Iterator[Session]:
    """Leaktui with Delve on *pid*; with *terminal* in a session of its own that a terminal belongs to."""
    command = [sys.executable, "-m", "tests.engines.delve.session", str(pid), *arguments]
    master: int | None = None
    if terminal:
        master, slave = pty.openpty()
        process = subprocess.Popen(
            ["setsid", "--ctty", *command] if _has_ctty() else command,
            stdin=slave,
            stdout=subprocess.PIPE,
            stderr=None if os.environ.get("LEAKTUI_DEBUG") else subprocess.DEVNULL,
        )
        os.close(slave)
    else:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if os.environ.get("LEAKTUI_DEBUG") else subprocess.DEVNULL,
            start_new_session=True,
        )
    assert process.stdout is not None
    session = Session(process, process.stdout.fileno(), master)
    try:
        armed = session.wait_for("armed", _ARMED_SECONDS)
        if armed is None:
            raise NotArmed(f"{time.strftime('%H:%M:%S')} it never armed: {session.said}")
        session.pids = tuple(armed["pids"])
        session.ticks = {pid: traced.started_ticks_of(pid) for pid in session.pids}
        session.directory = directory_of(session.dlv)
        yield session
    finally:
        session.close()


def _has_ctty() -> bool:
    return b"--ctty" in subprocess.run(["setsid", "--help"], capture_output=True, check=False).stdout


def directory_of(dlv: int) -> str:
    """The directory that the socket of *dlv* is in."""
    words = Path(f"/proc/{dlv}/cmdline").read_bytes().split(b"\0")
    listen = next(word for word in words if word.startswith(b"--listen=unix:"))
    return str(Path(listen.decode().split(":", 1)[1]).parent)


# --- faults ---


def quit_in_order(session: Session, target: GoProcess) -> None:
    session.quit()


def kill_leaktui(session: Session, target: GoProcess) -> None:
    os.kill(session.process.pid, signal.SIGKILL)


def hang_up(session: Session, target: GoProcess) -> None:
    assert session.terminal is not None
    os.close(session.terminal)
    session.terminal = None


def kill_group(session: Session, target: GoProcess) -> None:
    os.killpg(session.process.pid, signal.SIGKILL)


def end_target(session: Session, target: GoProcess) -> None:
    os.kill(target.pid, signal.SIGKILL) if random.random() < 0.5 else os.kill(target.pid, signal.SIGTERM)


def stop_dlv(session: Session, target: GoProcess) -> None:
    os.kill(session.dlv, signal.SIGSTOP)
    # It is to be woken without our doing.
    if not wait_until(lambda: traced.state_of(session.dlv) != "T", 5.0):
        raise AssertionError("dlv stayed stopped")
    time.sleep(0.1)
    session.quit()


def wait_for_garbage(session: Session, target: GoProcess) -> None:
    said = session.wait_for("error", 20.0)
    if said is None or "Delve answered" not in said["error"]:
        raise AssertionError(f"garbage was not noticed: {session.said}")


def kill_dlv(session: Session, target: GoProcess) -> None:
    os.kill(session.dlv, signal.SIGKILL)


def kill_guardian(session: Session, target: GoProcess) -> None:
    os.kill(session.guardian, signal.SIGKILL)


def kill_guardian_and_leaktui(session: Session, target: GoProcess) -> None:
    os.kill(session.guardian, signal.SIGKILL)
    os.kill(session.process.pid, signal.SIGKILL)


def kill_standby(session: Session, target: GoProcess) -> None:
    os.kill(session.standby, signal.SIGKILL)
    time.sleep(0.05)
    session.quit()


@dataclass(frozen=True)
class Fault:
    """What is done, and to which session. `survives` says that the target must live on."""

    name: str
    do: Callable[[Session, GoProcess], None]
    arguments: tuple[str, ...] = ()
    terminal: bool = False
    garbling: str = ""
    survives: bool = True
    ends_target: bool = False


FAULTS = (
    Fault("quit", quit_in_order),
    Fault("leaktui-killed", kill_leaktui),
    Fault("hang-up", hang_up, terminal=True),
    Fault("group-killed", kill_group),
    Fault("target-exits", end_target, ends_target=True),
    Fault("dlv-stopped", stop_dlv),
    Fault("garbage", wait_for_garbage, garbling="first"),
    Fault("garbage-for-good", wait_for_garbage, garbling="always"),
    Fault("standby-killed", kill_standby),
    Fault("guardian-killed", kill_guardian),
    Fault("guardian-killed-quiet", kill_guardian, ("--quiet",)),
    Fault("guardian-and-leaktui-killed", kill_guardian_and_leaktui),
    Fault("dlv-killed", kill_dlv, survives=False),
    Fault("dlv-killed-quiet", kill_dlv, ("--quiet",)),
    Fault("dlv-killed-looking", kill_dlv, ("--looking",), survives=False),
    Fault("dlv-killed-rare", kill_dlv, ("--place", "runtime.gcStart"), survives=False),
)


@dataclass
class Outcome:
    """What was found after some rounds of a fault."""

    fault: str
    rounds: int = 0
    not_armed: int = 0
    """Sessions that came to nothing: there was no fault then."""
    died: int = 0
    stopped: int = 0
    traced: int = 0
    code_changed: int = 0
    signals_waiting: int = 0
    failed_requests: int = 0
    processes_left: int = 0
    directories_left: int = 0
    slowest: float = 0.0
    """Seconds until the target was free."""

    def is_clean(self, *, dies: bool) -> bool:
        """Whether all was well; with *dies*, but for the target's death."""
        left = (
            self.not_armed
            + self.stopped
            + self.traced
            + self.code_changed
            + self.signals_waiting
            + self.failed_requests
        )
        return not (left + self.processes_left + self.directories_left) and (dies or not self.died)


def run_round(fault: Fault, target: GoProcess, outcome: Outcome, chance: random.Random) -> None:
    """One session, ended by *fault*, and a look at what is left."""
    pid, ticks = target.pid, traced.started_ticks_of(target.pid)
    environment = dict(os.environ)
    arguments = list(fault.arguments)
    if fault.garbling:
        os.environ["LEAKTUI_REAL_DLV"] = find_dlv().path
        os.environ["LEAKTUI_GARBLE"] = fault.garbling
        arguments += ["--dlv", str(_GARBLING)]
    try:
        with session_on(pid, *arguments, terminal=fault.terminal) as session:
            time.sleep(chance.choice((0.0, chance.uniform(0, 0.05), chance.uniform(0, 0.5))))
            fault.do(session, target)
            done = time.monotonic()
            outcome.rounds += 1
            wait_until(lambda: is_free(pid, ticks), _FREE_SECONDS)
            outcome.slowest = max(outcome.slowest, time.monotonic() - done)
            wait_until(lambda: not left_of(session), _FREE_SECONDS)
            outcome.processes_left += len(left_of(session))
            wait_until(lambda: not Path(session.directory).exists(), 5.0)
            outcome.directories_left += Path(session.directory).exists()
    finally:
        os.environ.clear()
        os.environ.update(environment)
    if fault.ends_target:
        return
    # Whoever dies writes down its stacks first.
    wait_until(lambda: not traced.is_there(pid, ticks), 0.05 if fault.survives else 2.0)
    if not traced.is_there(pid, ticks):
        outcome.died += 1
        return
    outcome.stopped += any(state in "Tt" for state in traced.thread_states(pid))
    outcome.traced += traced.tracer_pid(pid) != 0
    outcome.code_changed += code_changed(pid)
    waiting = traced.pending_signals(pid) & (traced.SIGTRAP_BIT | traced.SIGSTOP_BIT)
    outcome.signals_waiting += waiting != 0
    try:
        target.ask("latency", "latency")
        outcome.stopped += not wait_until(lambda: target.ask("latency", "latency")["count"] > 0, 5.0)
    except TargetDied:
        outcome.died += 1


def is_free(pid: int, ticks: int) -> bool:
    """Whether it runs and nobody traces it, or it is gone."""
    if not traced.is_there(pid, ticks):
        return True
    return traced.tracer_pid(pid) == 0 and not any(state in "Tt" for state in traced.thread_states(pid))


def left_of(session: Session) -> list[int]:
    """Those of guardian, standby and dlv that still run."""
    return [pid for pid in session.pids if traced.is_there(pid, session.ticks[pid])]


def code_changed(pid: int) -> bool:
    """Whether the code in memory is not that of the executable."""
    process = Path(f"/proc/{pid}")
    with (process / "exe").open("rb") as file, (process / "mem").open("rb") as memory:
        inode = os.fstat(file.fileno()).st_ino
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            fields = line.split(None, 5)
            if "x" not in fields[1] or int(fields[4]) != inode:
                continue
            start, end = (int(part, 16) for part in fields[0].split("-"))
            memory.seek(start)
            file.seek(int(fields[2], 16))
            if memory.read(end - start) != file.read(end - start).ljust(end - start, b"\0"):
                return True
    return False


@contextmanager
def busy_debuggable(toolchain: Toolchain, directory: Path, rate: int) -> Iterator[Callable[[], GoProcess]]:
    """A server, and what gives the busy client beside it: a new one when the last has died."""
    binary = directory / "load"
    if not binary.exists():
        subprocess.run(
            [toolchain.go, "build", "-o", binary, "./load"], cwd=_PROGRAMS, env=go_environment(), check=True
        )
    server = GoProcess([str(binary)])
    clients: list[GoProcess] = []

    def client() -> GoProcess:
        if not clients or not clients[-1].alive():
            arguments = ["-url", str(server.ready["url"]), "-rate", str(rate)]
            clients.append(GoProcess([str(binary), *arguments]))
        return clients[-1]

    try:
        yield client
    finally:
        for each in (*clients, server):
            each.stop()


def run_fault(fault: Fault, client: Callable[[], GoProcess], rounds: int, *, seed: int = 1) -> Outcome:
    """*rounds* of *fault*, with a new target where one has died."""
    outcome = Outcome(fault.name)
    failed = 0
    chance = random.Random(seed)
    for _ in range(rounds):
        target = client()
        if not fault.survives:
            time.sleep(0.5)  # one that is dying
            target = client()
        if outcome.rounds + outcome.not_armed == 0:
            failed = target.ask("latency", "latency")["failed"]
        before = outcome.died
        try:
            run_round(fault, target, outcome, chance)
        except NotArmed as error:
            print(f"{fault.name}: {error}", file=sys.stderr, flush=True)
            if target.alive() or fault.survives:
                outcome.not_armed += 1
            else:
                outcome.died += 1  # of the last round, slowly
        if fault.ends_target:
            target.stop()
        elif outcome.died == before:
            # The log counts from the start of the target.
            outcome.failed_requests = max(
                outcome.failed_requests, target.ask("latency", "latency")["failed"] - failed
            )
    return outcome


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.engines.delve.fault_suite", description=__doc__)
    parser.add_argument("faults", nargs="*", help=", ".join(fault.name for fault in FAULTS))
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--rate", type=int, default=1000)
    options = parser.parse_args(arguments)
    clean = True
    with (
        tempfile.TemporaryDirectory() as directory,
        busy_debuggable(find_toolchains()[0], Path(directory), options.rate) as client,
    ):
        for fault in FAULTS:
            if options.faults and fault.name not in options.faults:
                continue
            outcome = run_fault(fault, client, options.rounds)
            clean &= outcome.is_clean(dies=not fault.survives)
            print(outcome, flush=True)
    return 0 if clean else 1


if __name__ == "__main__":
    sys.exit(main())
