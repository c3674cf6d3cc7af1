"""Leaktui killed at random moments while its probes are in a busy client: what is left behind?

`python -m tests.engines.probes.sudden_death [100] [--rate 1000]`. After each kill -9 the target must be alive, no
request of it may have failed, its code must be as it was, and the kernel must hold no program or map of ours.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from leaktui.engines.memory.attachment import attach
from leaktui.engines.memory.reader import ProcessMemory
from leaktui.engines.probes.body_watcher import BodyWatcher
from leaktui.engines.probes.recipe import Site
from tests.engines.probes.kernel_objects import loaded_maps, loaded_programs
from tests.go_target import GoProcess
from tests.go_toolchain import Toolchain, find_toolchains, go_environment

_PROGRAMS = Path(__file__).parent / "programs"
_BREAKPOINT = 0xCC
_GONE_SECONDS = 60.0
"""The kernel takes probes out one after the other, those of all processes: others' stand in line before ours."""


@dataclass
class Outcome:
    """What was found after some kills. `armed` is how often the probes were in when it came."""

    kills: int = 0
    armed: int = 0
    dead: int = 0
    failed: int = 0
    left_in_code: int = 0
    left_in_kernel: int = 0
    keepers_left: int = 0
    slowest: float = 0.0
    """Seconds from the end of the killed process to code that is as it was."""

    @property
    def is_clean(self) -> bool:
        """Whether the target noticed nothing and nothing was left behind."""
        left = self.left_in_code + self.left_in_kernel + self.keepers_left
        return not (self.dead or self.failed or left)


@contextmanager
def busy_client(toolchain: Toolchain, directory: Path, *arguments: str) -> Iterator[GoProcess]:
    """An HTTP client under load, with its server beside it."""
    binary = directory / "load"
    subprocess.run(
        [toolchain.go, "build", "-ldflags=-s -w", "-o", binary, "./load"],
        cwd=_PROGRAMS,
        env=go_environment(),
        check=True,
    )
    server = GoProcess([str(binary)])
    try:
        client = GoProcess([str(binary), "-url", str(server.ready["url"]), *arguments])
        try:
            yield client
        finally:
            client.stop()
    finally:
        server.stop()


def kill_at_random(client: GoProcess, kills: int, *, seed: int = 1) -> Outcome:
    """Start leaktui on *client* and kill it, so many times."""
    import threading

    chance = random.Random(seed)
    attachment = attach(client.pid, threading.Event())
    try:
        sites = BodyWatcher(attachment).sites()
    finally:
        attachment.close()
    outcome = Outcome()
    client.ask("latency", "latency")
    for _ in range(kills):
        before, ours, keepers = kernel_objects(), frozenset[tuple[str, int]](), set[int]()
        leaktui = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "leaktui",
                "diagnose",
                "--pid",
                str(client.pid),
                "--seconds",
                "60",
                "--json",
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            armed = wait_until(lambda: has_probes(client.pid, sites), 30.0)
            # From the very moment the first is in (others may not be yet) to well into the watching.
            time.sleep(chance.choice((0.0, chance.uniform(0, 0.05), chance.uniform(0, 2))))
            outcome.armed += armed and leaktui.poll() is None
            # Others may be at it, too; what came meanwhile has ours in it.
            ours, keepers = kernel_objects() - before, keepers_of(leaktui.pid)
        finally:
            os.kill(leaktui.pid, signal.SIGKILL)
            leaktui.wait()
        outcome.kills += 1
        killed = time.monotonic()
        clean = wait_until(lambda: not has_probes(client.pid, sites), _GONE_SECONDS)
        outcome.slowest = max(outcome.slowest, time.monotonic() - killed)
        outcome.left_in_code += not clean
        outcome.left_in_kernel += not wait_until(lambda ours=ours: not ours & kernel_objects(), _GONE_SECONDS)  # type: ignore[misc]
        outcome.keepers_left += not wait_until(lambda keepers=keepers: not are_there(keepers), _GONE_SECONDS)  # type: ignore[misc]
        if not client.alive():
            outcome.dead += 1
            break
    if client.alive():
        outcome.failed = client.ask("latency", "latency")["failed"]
    return outcome


def kernel_objects() -> frozenset[tuple[str, int]]:
    """All BPF programs and maps there are."""
    programs = {("program", number) for number in loaded_programs()}
    return frozenset(programs | {("map", number) for number in loaded_maps()})


def are_there(pids: set[int]) -> bool:
    """Whether any of *pids* is still running."""
    return any(Path(f"/proc/{pid}").exists() for pid in pids)


def keepers_of(pid: int) -> set[int]:
    """The processes that keep the probes of *pid* (`kernel.keeper`)."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            name, _, rest = stat.read_text().partition(")")
            if name.endswith("(leaktui-keeper") and int(rest.split()[1]) == pid:
                found.add(int(stat.parent.name))
    return found


def has_probes(pid: int, sites: Sequence[Site]) -> bool:
    """Whether there is a breakpoint at any of *sites*."""
    memory = ProcessMemory(pid)
    try:
        return any(memory.read(site.address, 1)[0] == _BREAKPOINT for site in sites)
    finally:
        memory.close()


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether *condition* came true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.002)
    return True


def main() -> int:
    import tempfile

    parser = argparse.ArgumentParser(prog="python -m tests.engines.probes.sudden_death", description=__doc__)
    parser.add_argument("kills", nargs="?", type=int, default=100)
    parser.add_argument("--rate", type=int, default=1000)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as directory,
        busy_client(
            find_toolchains()[0], Path(directory), "-rate", str(options.rate), "-leak", "50"
        ) as client,
    ):
        outcome = kill_at_random(client, options.kills)
    print(outcome)
    return 0 if outcome.is_clean else 1


if __name__ == "__main__":
    sys.exit(main())
