"""What a pair of probes costs a busy HTTP client: its latency and processor time with the books kept, and without.

The client times its own requests, from the moment each was due, and its server is another process. Runs with and
without take turns. Delve's tracepoints on the same two functions are measured on a target that may be lost.
"""

from __future__ import annotations

import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from leaktui.engines.probes.engine import ProbesEngine
from leaktui.engines.protocol import LedgerSeen, Request, Want
from leaktui.model.ledger import Ledger
from leaktui.model.target import Target
from tests.bench.delve import DelveRefused, attached, find_dlv
from tests.bench.row import Row
from tests.go_target import GoProcess
from tests.go_toolchain import find_toolchains, go_environment

RATES = (1000, 3000, 0)
ROUNDS = 4
SECONDS = 5.0
_SETTLE_SECONDS = 1.0
_PROGRAMS = Path(__file__).parents[1] / "engines" / "probes" / "programs"
_TRACED = ("net/http.(*Transport).roundTrip", "net/http.(*bodyEOFSignal).Close")


def run() -> list[Row]:
    toolchains = find_toolchains()
    if not toolchains:
        return [Row("cost of probes", "–", "no Go here", None)]
    with tempfile.TemporaryDirectory() as directory:
        binary = Path(directory) / "load"
        subprocess.run(
            [toolchains[0].go, "build", "-o", binary, "./load"],
            cwd=_PROGRAMS,
            env=go_environment(),
            check=True,
        )
        rows: list[Row] = []
        with _process(binary) as server:
            url = server.ready["url"]
            for rate in RATES:
                with _process(binary, "-url", url, "-rate", str(rate)) as client:
                    usable = ProbesEngine(client.pid)
                    capability = usable.probe(Target(pid=client.pid))
                    usable.close()
                    if not capability.usable:
                        return [Row("cost of probes", "–", capability.reason, None)]
                    rows += _measure(client, rate)
            rows += _delve(binary, url)
    return rows


@contextmanager
def _process(binary: Path, *arguments: str) -> Iterator[GoProcess]:
    process = GoProcess([str(binary), *arguments])
    try:
        yield process
    finally:
        process.stop()


def _measure(client: GoProcess, rate: int) -> list[Row]:
    alone: list[dict[str, float]] = []
    probed: list[dict[str, float]] = []
    books: list[Ledger] = []
    for _ in range(ROUNDS):
        alone.append(_run(client))
        with _armed(client.pid) as ledgers:
            probed.append(_run(client))
        books.append(ledgers[-1])
    name = f"{rate:,} requests/s" if rate else "as many requests as it can"
    hits = sum(ledger.hits for ledger in books)
    seconds = sum(ledger.seconds for ledger in books)
    dropped = sum(ledger.dropped for ledger in books)
    unmatched = sum(ledger.closed_unseen for ledger in books)
    drained = (
        f"{hits / seconds:,.0f} hits/s drained, {dropped} dropped, {unmatched} closes of bodies from before"
    )
    ended = {ledger.ended for ledger in books if ledger.ended}
    rows = []
    for percentile in ("p50", "p99"):
        ours = statistics.median(item[percentile] for item in probed) / 1000
        control = statistics.median(item[percentile] for item in alone) / 1000
        spread = max(item[percentile] for item in alone) / max(1, min(item[percentile] for item in alone))
        note = f"without, the runs differ by {spread:.2f}×"
        if percentile == "p50":
            note = "; ".join((drained, *ended))
        rows.append(
            Row(
                f"{percentile} of {name}, probed",
                f"{ours:.2f} ms",
                f"{control:.2f} ms without",
                ours / control,
                note,
            )
        )
    ours, control = (
        sum(item["cpu_us"] for item in runs) / sum(item["count"] for item in runs) for runs in (probed, alone)
    )
    rows.append(
        Row(
            f"processor time a request, {name}, probed",
            f"{ours:.0f} µs",
            f"{control:.0f} µs without",
            ours / control,
            f"{ours - control:+.1f} µs",
        )
    )
    if not rate:
        done, usual = (
            sum(item["count"] for item in runs) / sum(item["seconds"] for item in runs)
            for runs in (probed, alone)
        )
        rows.append(
            Row("requests/s as it can, probed", f"{done:,.0f}", f"{usual:,.0f} without", usual / done, "")
        )
    return rows


def _run(client: GoProcess) -> dict[str, float]:
    time.sleep(_SETTLE_SECONDS)
    client.ask("latency", "latency")
    time.sleep(SECONDS)
    answer: dict[str, float] = client.ask("latency", "latency")
    return answer


@contextmanager
def _armed(pid: int) -> Iterator[list[Ledger]]:
    """The books are kept for the length of the `with`; at its end the list has them all."""
    engine = ProbesEngine(pid)
    cancel = threading.Event()
    ledgers: list[Ledger] = []
    request = Request(frozenset({Want.BODY_LEDGER}), trace_seconds=600)

    def keep() -> None:
        ledgers.extend(
            fact.ledger for fact in engine.capture(request, cancel) if isinstance(fact, LedgerSeen)
        )

    thread = threading.Thread(target=keep)
    thread.start()
    try:
        yield ledgers
    finally:
        cancel.set()
        thread.join()
        engine.close()


def _delve(binary: Path, url: str) -> list[Row]:
    """Two tracepoints at 1,000 requests a second."""
    what = f"p50 of {RATES[0]:,} requests/s, tracepoints on the same two functions"
    dlv = find_dlv()
    if dlv is None:
        return [Row(what, "–", "no dlv here", None)]
    with _process(binary, "-url", url, "-rate", str(RATES[0])) as client:
        time.sleep(_SETTLE_SECONDS)
        client.ask("latency", "latency")
        time.sleep(SECONDS)
        before = client.ask("latency", "latency")
        hits = 0
        try:
            with attached(dlv, client.pid) as delve:
                for function in _TRACED:
                    delve.call(
                        "CreateBreakpoint",
                        Breakpoint={
                            "FunctionName": function,
                            "Line": -1,
                            "Tracepoint": True,
                            "Stacktrace": 20,
                        },
                    )
                end = time.monotonic() + SECONDS
                while time.monotonic() < end:
                    delve.call("Command", name="continue")
                    hits += 1
                delve.call("ClearBreakpoint", Id=1)
                delve.call("ClearBreakpoint", Id=2)
            after = client.ask("latency", "latency")
        except DelveRefused as error:
            return [Row(what, "–", f"Delve: {error}", None)]
    return [
        Row(
            f"{percentile} of {RATES[0]:,} requests/s, Delve tracepoints on the same two functions",
            "–",
            f"{after[percentile] / 1000:.1f} ms with, {before[percentile] / 1000:.2f} ms without",
            None,
            f"{hits / SECONDS:,.0f} hits/s",
        )
        for percentile in ("p50", "p99")
    ]
