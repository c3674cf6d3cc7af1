"""What Delve costs a target: `python -m tests.engines.delve.pauses [--goroutines 10000] [--requests 200]`.

On every Go release found: attach, list all goroutines, drill down to the variables of one of the last, evaluate, let
go, with each stop told; the target's own log of requests must show no failure. Then what a debugger that stays
attached and does nothing costs, and hits of tracepoints.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from leaktui.engines.delve.engine import DelveEngine
from leaktui.model.tracepoint import Tracepoint
from tests.engines.delve.conftest import build_values, running
from tests.engines.delve.fault_suite import busy_debuggable
from tests.engines.delve.looking import (
    assert_free,
    evaluate,
    find_goroutine,
    frame_of,
    inspect,
    list_goroutines,
    trace,
)
from tests.go_target import GoProcess
from tests.go_toolchain import Toolchain, find_toolchains


def measure_release(toolchain: Toolchain, directory: Path, goroutines: int, requests: int) -> bool:
    """One release; whether no request of the target failed."""
    binary = build_values(toolchain, directory)
    with running(binary, "-n", str(goroutines), "-requests", str(requests), "-rate", "20") as process:
        time.sleep(1.0)
        engine = DelveEngine(pid=process.pid)
        try:
            first = evaluate(engine, "1")
            began = time.monotonic()
            listed = list_goroutines(engine)
            listing = time.monotonic() - began
            longest_listing = engine.longest_stop_ms
            goid = max(item.goid for item in listed if any(f.function == "main.wait" for f in item.stack))
            looks = [inspect(engine, goid).stop_ms for _ in range(5)]
            holding = inspect(engine, find_goroutine(engine, "main.hold"))
            frame = frame_of(holding, "main.hold")
            values = sum(not value.unreadable for value in frame.arguments)
            index = [item.frame.function for item in holding.frames].index("main.hold")
            evaluations = [
                evaluate(engine, expression, holding.goid, index).stop_ms
                for expression in ("o.Next.Name", 'weights["bolt"]', "queue")
            ]
            run = trace(engine, Tracepoint("runtime.mallocgc", "size >= 32768"), most_hits=10, seconds=10)
        finally:
            engine.close()
        time.sleep(0.5)
        assert_free(process.pid)
        log = process.ask("requests", "requests")
        print(
            f"{toolchain}: attach {first.attach_stop_ms:.0f} ms; {len(listed)} goroutines in {listing:.1f} s, longest "
            f"stop {longest_listing:.0f} ms; a goroutine's frames {min(looks):.0f}–{max(looks):.0f} ms; an expression "
            f"{min(evaluations):.0f}–{max(evaluations):.0f} ms; {values} of {len(frame.arguments)} arguments; "
            f"{sum(run.counts)} hits, {run.stops_ms:.0f} ms; requests {log['made']}, failed {log['failed']}",
            flush=True,
        )
        return bool(log["failed"] == 0)


def measure_staying(toolchain: Toolchain, directory: Path, rate: int, seconds: float) -> None:
    """A busy client with Delve attached and idle, and without, by turns; then with tracepoints."""
    with busy_debuggable(toolchain, directory, rate) as client:
        target = client()
        time.sleep(2.0)
        for _ in range(3):
            print(f"without: {window(target, seconds)}", flush=True)
            engine = DelveEngine(pid=target.pid, idle_seconds=3600)
            evaluate(engine, "1")
            time.sleep(1.0)
            print(f"attached, idle: {window(target, seconds)}", flush=True)
            engine.close()
            time.sleep(1.0)
        engine = DelveEngine(pid=target.pid)
        for point in (
            Tracepoint("net/http.(*bodyEOFSignal).Close"),
            Tracepoint("net/http.(*Transport).RoundTrip", 'req.URL.Host == "nowhere"'),
            Tracepoint("runtime.gcStart"),
        ):
            run = trace(engine, point, seconds=2, most_hits=10**6, most_stops_ms=10**6)
            print(
                f"{point.function} {point.condition}: {sum(run.counts)} hits in {run.seconds:.1f} s, stopped "
                f"{run.stops_ms:.0f} ms, at most {run.longest_stop_ms:.0f} ms at once",
                flush=True,
            )
        engine.close()


def window(target: GoProcess, seconds: float) -> str:
    """What the client's log says of some seconds."""
    target.ask("latency", "latency")
    time.sleep(seconds)
    log = target.ask("latency", "latency")
    share = log["cpu_us"] / max(1, log["count"])
    return f"p50 {log['p50']} µs, p99 {log['p99']} µs, {share:.0f} µs of processor a request, {log['failed']} failed"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.engines.delve.pauses", description=__doc__)
    parser.add_argument("--goroutines", type=int, default=10_000)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--rate", type=int, default=1000)
    parser.add_argument("--staying", action="store_true", help="only what an attached debugger costs")
    options = parser.parse_args(arguments)
    well = True
    with tempfile.TemporaryDirectory() as directory:
        if not options.staying:
            for toolchain in sorted(find_toolchains(), key=lambda item: item.release):
                well &= measure_release(toolchain, Path(directory), options.goroutines, options.requests)
        measure_staying(find_toolchains()[0], Path(directory), options.rate, 4.0)
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
