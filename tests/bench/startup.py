"""From Enter to the first picture, and to the first facts, on a terminal of 80×24.

The peer is an empty Textual app, which no picture of this kind can beat; what one would otherwise type first,
`go tool pprof -top` on the same service, stands beside it. Of the sources that are used by default memory speaks
first; pprof is measured by itself.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import statistics
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Sequence

from tests.bench.profile import pprof_tool
from tests.bench.row import Row, format_seconds, median_seconds
from tests.command_line import command, environment
from tests.go_target import run_target, start_peer
from tests.go_toolchain import build, find_toolchains

_ESCAPE = re.compile(
    rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[PX^_][^\x1b]*\x1b\\|[ -/]*[0-~])"
)
_PICTURE = re.compile(rb"Suspects")
_FACTS = re.compile(rb"goroutines\s+\d")
_EMPTY_APP = """
from textual.app import App, ComposeResult
from textual.widgets import Static
class Empty(App[None]):
    def compose(self) -> ComposeResult:
        yield Static("Suspects")
Empty().run()
"""
_REPEATS = 5
_PATIENCE = 30.0


def run() -> list[Row]:
    empty = _median(_times([sys.executable, "-c", _EMPTY_APP], (_PICTURE,)) for _ in range(_REPEATS))[0]
    toolchains = find_toolchains()
    if not toolchains:
        return [Row("`--pid` to the first picture", "not measured", "no Go here", None)]
    service = start_peer(toolchains[0])
    try:
        with run_target(build("keepalive", toolchains[0]), service) as target:
            arguments = command("--pid", str(target.pid))
            picture, memory = _median(_times(arguments, (_PICTURE, _FACTS)) for _ in range(_REPEATS))
            alone = [*arguments, "--without", "memory,probes"]
            (pprof,) = _median(_times(alone, (_FACTS,)) for _ in range(_REPEATS))
            peer = f"{format_seconds(empty)} an empty Textual app"
            return [
                Row("`--pid` to the first picture", format_seconds(picture), peer, picture / empty),
                Row("`--pid` to the first facts of memory", format_seconds(memory), peer, memory / empty),
                Row(
                    "`--pid` to the first facts of pprof",
                    format_seconds(pprof),
                    peer,
                    pprof / empty,
                    f"`go tool pprof -top URL/heap`, text only: {_time_pprof(target.pprof_url)}",
                ),
            ]
    finally:
        service.stop()


def _time_pprof(url: str | None) -> str:
    arguments = [*(pprof_tool() or []), "-top", f"{url}/heap"]
    return format_seconds(
        median_seconds(lambda: subprocess.run(arguments, capture_output=True, check=True), repeats=_REPEATS)
    )


def _median(runs: object) -> list[float]:
    return [statistics.median(column) for column in zip(*runs, strict=True)]  # type: ignore[call-overload]


def _times(arguments: Sequence[str], patterns: Sequence[re.Pattern[bytes]]) -> list[float]:
    """Seconds from exec until each of *patterns* has been written to the terminal, in order."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    began = time.perf_counter()
    process = subprocess.Popen(
        arguments,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env=environment(TERM="xterm-256color"),
        start_new_session=True,
    )
    os.close(slave)
    written = b""
    seen: list[float] = []
    try:
        while len(seen) < len(patterns):
            left = began + _PATIENCE - time.perf_counter()
            if left <= 0 or not select.select([master], [], [], left)[0]:
                raise TimeoutError(f"{patterns[len(seen)].pattern!r} was not drawn: {written[-2000:]!r}")
            written += os.read(master, 65536)
            while len(seen) < len(patterns) and patterns[len(seen)].search(_ESCAPE.sub(b"", written)):
                seen.append(time.perf_counter() - began)
        return seen
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        os.close(master)
