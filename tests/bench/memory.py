"""Every goroutine's stack, of a stripped program, against the `debug=2` dump that stops it meanwhile, and Delve.

Both of the first end in the same Goroutine objects: ours from memory, the peer's fetched from the program and
decoded. Delve needs the program unstripped: it gets such a twin, attached before the clock starts, and is asked for
what `goroutines -t 20` asks for; the target stands still meanwhile.
"""

from __future__ import annotations

import statistics
import subprocess
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

from leaktui.engines.memory import MemoryEngine
from leaktui.engines.protocol import GoroutinesSeen, Request, Want
from leaktui.model.target import Target
from leaktui.wire.goroutine_text import decode_goroutine_dump
from tests.bench.delve import DelveRefused, OutOfTime, attached, find_dlv
from tests.bench.row import Row, format_seconds, median_seconds
from tests.go_target import GoProcess
from tests.go_toolchain import Toolchain, find_toolchains, go_environment

COUNTS = (1_000, 10_000, 100_000)
DELVE_SECONDS = 60.0
"""What Delve is given for one listing."""

_PROGRAMS = Path(__file__).parents[1] / "engines" / "memory" / "programs"


def run() -> list[Row]:
    toolchains = find_toolchains()
    if not toolchains:
        return [Row("goroutines from memory", "–", "no Go here", None)]
    with tempfile.TemporaryDirectory() as directory:
        path, twin, large = (Path(directory) / name for name in ("parked", "parked-whole", "go"))
        _build(toolchains[0], ["./parked"], path, "-ldflags=-s -w")
        _build(toolchains[0], ["./parked"], twin)
        rows = []
        for count in COUNTS:
            row, seconds = _measure(path, count)
            rows += [row, _measure_delve(twin, count, seconds)]
        _build(toolchains[0], ["cmd/go"], large, "-ldflags=-s -w")
        return [*rows, _measure_attach(large)]


def _build(toolchain: Toolchain, package: list[str], path: Path, *options: str) -> None:
    subprocess.run(
        [toolchain.go, "build", *options, "-o", path, *package],
        cwd=_PROGRAMS,
        env=go_environment(),
        check=True,
    )


def _measure(path: Path, count: int) -> tuple[Row, float]:
    """The row of the dump, and the seconds ours took."""
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
    row = Row(
        f"{count:,} goroutines, every stack",
        f"{format_seconds(stacks)}, target not stopped",
        f"{format_seconds(dump)} pprof `debug=2`, target stopped",
        stacks / dump,
        f"{torn}; counted by stack {format_seconds(groups)}; attach {format_seconds(attach)}{cut}",
    )
    return row, stacks


def _measure_delve(path: Path, count: int, ours: float) -> Row:
    """Delve on as many goroutines, beside *ours* seconds."""
    what, shown = f"{count:,} goroutines, every stack", f"{format_seconds(ours)}, target not stopped"
    dlv = find_dlv()
    if dlv is None:
        return Row(what, shown, "no dlv here", None)
    process = GoProcess([str(path), "-n", str(count)])
    try:
        began = time.perf_counter()
        with attached(dlv, process.pid) as delve:
            attach = time.perf_counter() - began
            times = []
            for _ in range(1 if count >= 10_000 else 3):
                began = time.perf_counter()
                try:
                    listed = delve.list_stacks(began + DELVE_SECONDS)
                except OutOfTime:
                    peer = f"more than {DELVE_SECONDS:.0f} s Delve, target stopped"
                    return Row(what, shown, peer, None, f"less than {ours / DELVE_SECONDS:.3f} of it")
                times.append(time.perf_counter() - began)
                assert listed >= count, "Delve did not list all goroutines"
    finally:
        process.stop()
    seconds = statistics.median(times)
    return Row(
        what,
        shown,
        f"{format_seconds(seconds)} Delve, target stopped",
        ours / seconds,
        f"Delve is attached already ({format_seconds(attach)}, stopped, too) and needs it unstripped",
    )


def _measure_attach(path: Path) -> Row:
    """To the first goroutines of the go command, stripped, which waits for its stdin."""
    with subprocess.Popen(
        [path, "mod", "edit", "-json", "/dev/stdin"], stdin=subprocess.PIPE, env=go_environment()
    ) as process:
        try:
            time.sleep(0.5)
            seconds = median_seconds(lambda: _first_goroutines(process.pid), 5)
            peer = _describe_delve(process.pid)
        finally:
            process.kill()
    size = path.stat().st_size >> 20
    return Row(
        f"attach to the go command, stripped, {size} MB", format_seconds(seconds), peer, None, "to all stacks"
    )


def _describe_delve(pid: int) -> str:
    """What Delve makes of a stripped process, in its own words."""
    dlv = find_dlv()
    if dlv is None:
        return "no dlv here"
    began = time.perf_counter()
    try:
        with attached(dlv, pid) as delve:
            delve.list_stacks(began + DELVE_SECONDS)
    except DelveRefused as refusal:
        return f"Delve: {str(refusal).splitlines()[-1]}"
    return f"{format_seconds(time.perf_counter() - began)} Delve, target stopped"


def _first_goroutines(pid: int) -> None:
    engine = MemoryEngine(pid)
    (fact,) = engine.capture(Request(frozenset({Want.GOROUTINES})), threading.Event())
    assert isinstance(fact, GoroutinesSeen)
    assert fact.goroutines
    engine.close()


def _attach(pid: int) -> None:
    engine = MemoryEngine(pid)
    assert engine.probe(Target(pid=pid)).usable
    engine.close()
