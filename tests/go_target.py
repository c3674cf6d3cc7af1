"""Real Go processes to look at: a target program and its peer, started, asked and stopped.

Law: whoever is started here is stopped here, by its own process handle. Each process also exits by
itself when its stdin ends, so nothing outlives a test run that is killed.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.go_toolchain import Toolchain, build

READY_SECONDS = 60.0
"""How long a process may take to say it is ready, on a busy machine."""


class TargetDied(AssertionError):
    """A process ended that should be alive, or never became ready; holds what it wrote to stderr."""


@dataclass(frozen=True)
class Count:
    """What one call site of a target opened and closed so far, by the target's own count."""

    opened: int
    closed: int
    leaked: int


class GoProcess:
    """A running program that speaks JSON lines on stdout and takes commands on stdin."""

    def __init__(self, arguments: Sequence[str], env: dict[str, str] | None = None) -> None:
        self.arguments = list(arguments)
        self._process = subprocess.Popen(
            self.arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **(env or {})},
        )
        self._lines: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._errors: list[bytes] = []
        self._readers = [
            threading.Thread(target=self._read_lines, daemon=True),
            threading.Thread(target=self._read_errors, daemon=True),
        ]
        for reader in self._readers:
            reader.start()
        try:
            self.ready = self._next(lambda line: line.get("ready") is True)
        except BaseException:
            self.stop()
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    def alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, command: str, answer: str) -> Any:
        """The value under *answer* in the line that answers *command*."""
        stdin = self._process.stdin
        assert stdin is not None
        try:
            stdin.write(command.encode() + b"\n")
            stdin.flush()
        except BrokenPipeError:
            raise TargetDied(self._obituary()) from None
        return self.wait_for(answer)

    def wait_for(self, answer: str) -> Any:
        """The value under *answer* in the next line that has it."""
        return self._next(lambda line: answer in line)[answer]

    def stop(self) -> None:
        """Close its stdin, then SIGTERM, then SIGKILL; returns when it is gone."""
        process = self._process
        assert process.stdin is not None
        with suppress(BrokenPipeError):
            process.stdin.close()
        for sign in (None, signal.SIGTERM, signal.SIGKILL):
            if sign is not None:
                process.send_signal(sign)
            with suppress(subprocess.TimeoutExpired):
                process.wait(3)
                break
        for reader in self._readers:
            reader.join(3)
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()

    def _read_lines(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            try:
                self._lines.put(json.loads(line))
            except ValueError:
                continue
        self._lines.put(None)

    def _read_errors(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._errors.append(line)
            del self._errors[:-200]

    def _next(self, wanted: Any) -> dict[str, Any]:
        deadline = time.monotonic() + READY_SECONDS
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise TargetDied(f"{self.arguments[0]} said nothing for {READY_SECONDS:.0f} s") from None
            if line is None:
                raise TargetDied(self._obituary())
            if wanted(line):
                return line

    def _obituary(self) -> str:
        try:
            code: int | str = self._process.wait(3)
        except subprocess.TimeoutExpired:
            code = "still running"
        self._readers[1].join(1)
        stderr = b"".join(self._errors).decode(errors="replace")
        return f"{' '.join(map(str, self.arguments))}: exit {code}\n{stderr}"


class Peer(GoProcess):
    """The server all programs talk to."""

    @property
    def url(self) -> str:
        return str(self.ready["http"])

    def requests(self) -> dict[str, int]:
        """Requests it has seen so far, by path."""
        return dict(self.ask("truth", "requests"))


class GoTarget(GoProcess):
    """A program of tests/goprograms at work."""

    @property
    def pprof_url(self) -> str | None:
        """Base of its pprof pages, `http://127.0.0.1:41234/debug/pprof`; None where it serves none."""
        address = self.ready.get("pprof")
        return f"http://{address}/debug/pprof" if address else None

    def truth(self) -> dict[str, Count]:
        """Counts by call site. The site `guilty` is the one marked in its source."""
        return {site: Count(**count) for site, count in self.ask("truth", "truth").items()}

    def leaked(self) -> int:
        """How much the guilty line holds now that it should not."""
        guilty = self.truth().get("guilty")
        return guilty.leaked if guilty else 0


def start_peer(toolchain: Toolchain) -> Peer:
    """A peer of the caller's own; the caller stops it."""
    return Peer([str(build("peer", toolchain))])


@contextmanager
def run_target(
    binary: Path | str,
    peer: Peer | str,
    *,
    fixed: bool = False,
    rate: float | None = None,
    pprof: bool = True,
    arguments: Sequence[str] = (),
    env: dict[str, str] | None = None,
) -> Iterator[GoTarget]:
    """Run *binary* against *peer* (or its URL) for the length of a `with`.

    At the end it must still be alive: looking at it must not have killed it. Raises TargetDied.
    """
    flags = ["-control", "-peer", peer if isinstance(peer, str) else peer.url]
    if pprof:
        flags += ["-pprof", "127.0.0.1:0"]
    if fixed:
        flags.append("-fixed")
    if rate is not None:
        flags += ["-rate", str(rate)]
    target = GoTarget([str(binary), *flags, *arguments], env)
    try:
        yield target
        if not target.alive():
            raise TargetDied(target._obituary())
    finally:
        target.stop()
