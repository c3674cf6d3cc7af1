"""Every goroutine's stack, of a stripped program, against the `debug=2` dump that stops it meanwhile.

Both end in the same Goroutine objects: ours from memory, the peer's fetched from the program and decoded.
"""

from __future__ import annotations

import subprocess
import tempfile
import threading
import urllib.request
from pathlib import Path

from leaktui.engines.memory import MemoryEngine
from leaktui.engines.protocol import GoroutinesSeen, Request, Want
from leaktui.model.target import Target
from leaktui.wire.goroutine_text import decode_goroutine_dump
from tests.bench.row import Row, format_seconds, median_seconds
from tests.go_target import GoProcess
from tests.go_toolchain import find_toolchains, go_environment

COUNTS = (1_000, 10_000, 100_000)
_PROGRAMS = Path(__file__).parents[1] / "engines" / "memory" / "programs"


def run() -> list[Row]:
    toolchains = find_toolchains()
    if not toolchains:
        return [Row("goroutines from memory", "–", "no Go here", None)]
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "parked"
        subprocess.run(
            [toolchains[0].go, "build", "-ldflags=-s -w", "-o", path, "./parked"],
            cwd=_PROGRAMS,
            env=go_environment(),
            check=True,
        )
        return [row for count in COUNTS for row in _measure(path, count)]


def _measure(path: Path, count: int) -> list[Row]:
    process = GoProcess([str(path), "-n", str(count)])
    engine = MemoryEngine(process.pid)
    url = f"http://{process.ready['pprof']}/debug/pprof/goroutine?debug=2"
    repeats = 3 if count >= 100_000 else 5

    def read(want: Want) -> int:
        (fact,) = engine.capture(Request(frozenset({want})), threading.Event())
        return len(fact.goroutines) if isinstance(fact, GoroutinesSeen) else 0

    def fetch() -> int:
        with urllib.request.urlopen(url) as answer:
            data = answer.read()
        return len(decode_goroutine_dump(data).goroutines)

    try:
        attach = median_seconds(lambda: _attach(process.pid), repeats)
        stacks = median_seconds(lambda: read(Want.GOROUTINES), repeats)
        groups = median_seconds(lambda: read(Want.GROUPS), repeats)
        dump = median_seconds(fetch, repeats)
        seen, dumped = read(Want.GOROUTINES), fetch()
    finally:
        engine.close()
        process.stop()
    assert seen >= count, "some goroutines were not read"
    torn = f"{engine.last.torn} torn"
    cut = "" if dumped >= count else f"; the dump is cut off at {dumped}"
    return [
        Row(
            f"{count:,} goroutines, every stack",
            f"{format_seconds(stacks)}, target not stopped",
            f"{format_seconds(dump)} pprof `debug=2`, target stopped",
            stacks / dump,
            f"{torn}; counted by stack {format_seconds(groups)}; attach {format_seconds(attach)}{cut}",
        )
    ]


def _attach(pid: int) -> None:
    engine = MemoryEngine(pid)
    assert engine.probe(Target(pid=pid)).usable
    engine.close()
