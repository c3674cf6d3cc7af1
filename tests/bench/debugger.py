"""Delve as leaktui uses it beside Delve as it is: how long the target stands at once."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from leaktui.engines.delve.engine import DelveEngine
from tests.bench.delve import attached, find_dlv
from tests.bench.row import Row, format_seconds
from tests.engines.delve.conftest import build_values, running
from tests.engines.delve.looking import evaluate, inspect, list_goroutines
from tests.go_toolchain import find_toolchains

_GOROUTINES = 10_000


def run() -> list[Row]:
    dlv = find_dlv()
    if dlv is None or not find_toolchains():
        return []
    with tempfile.TemporaryDirectory() as directory:
        binary = build_values(find_toolchains()[0], Path(directory))
        with running(binary, "-n", str(_GOROUTINES)) as process:
            engine = DelveEngine(pid=process.pid, dlv=dlv)
            try:
                attach = evaluate(engine, "1").attach_stop_ms / 1000
                began = time.perf_counter()
                listed = list_goroutines(engine)
                listing, longest = time.perf_counter() - began, engine.longest_stop_ms / 1000
                last = max(item.goid for item in listed if item.stack[-1].function == "main.wait")
                look = min(inspect(engine, last).stop_ms for _ in range(5)) / 1000
            finally:
                engine.close()
            with attached(dlv, process.pid) as delve:
                began = time.perf_counter()
                delve.call("ListGoroutines", Start=0, Count=0)
                at_once = time.perf_counter() - began
            with attached(dlv, process.pid) as delve:
                began = time.perf_counter()
                delve.call("Stacktrace", Id=last, Depth=20, Full=True)
                naive = time.perf_counter() - began
    return [
        Row(
            f"{_GOROUTINES:,} goroutines listed by Delve: the longest stop",
            format_seconds(longest),
            f"{format_seconds(at_once)} Delve, all at once",
            longest / at_once,
            f"{len(listed):,} listed in {format_seconds(listing)}; attaching: {format_seconds(attach)}",
        ),
        Row(
            "the frames of one of the last of them, with their values: the stop",
            format_seconds(look),
            f"{format_seconds(naive)} Delve, which goes through all of them",
            look / naive,
        ),
    ]
