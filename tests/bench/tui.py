"""A hundred thousand goroutine groups in the pane, and what an idle screen sends over a slow link.

The peers are Textual's DataTable with the same columns, and the same second of news drawn by it.
Rows are timed from the action to the painted lines. Traffic is counted at a pseudo-terminal while a made-up
investigation moves on once a second: `idle` stands still but for a trembling RSS and one goroutine more or
less, `leaking` grows.
"""

from __future__ import annotations

import asyncio
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from dataclasses import replace
from fcntl import ioctl
from pathlib import Path

from textual.app import App, ComposeResult
from textual.widgets import DataTable

from tests.bench.row import Row, format_seconds, format_table
from tests.tui.driving import make_app, wait_for_facts, watch_screen
from tests.tui.fakes import FakeInvestigation
from tests.tui.scene import GROUPS, LEAKING

ROOT = Path(__file__).resolve().parents[2]
ROWS = 100_000
_SETTLING_SECONDS = 16.0
_TRAFFIC = (
    ("idle", False, (80, 24)),
    ("idle", False, (200, 50)),
    ("leaking", False, (80, 24)),
    ("leaking", True, (80, 24)),
)

_WATCH = """
import sys, threading, time
from dataclasses import replace
from leaktui.session.history import Metric, Point
from leaktui.tui.app import run
from tests.tui.fakes import FakeHistory, FakeInvestigation, FakeSession, clean
from tests.tui.scene import LEVEL_SERIES
mode = sys.argv[1]
investigation = FakeInvestigation() if mode == "leaking" else clean()
investigation.started = time.monotonic()
session = investigation.session
def live():
    count = 0
    while True:
        time.sleep(1.0)
        count += 1
        now = time.monotonic()
        if mode == "leaking":
            for metric, points in session.history.points.items():
                last = points[-1].value
                session.history.points[metric] = (*points, Point(points[-1].time + 1, last * 1.01))
            process = replace(session.snapshot.process, fd_count=1240 + 8 * count)
        else:
            # A standing target still trembles: RSS by a page or two, one goroutine more or less.
            for metric, points in session.history.points.items():
                wobble = {Metric.RSS: 8192 * (count % 3), Metric.GOROUTINES: count % 2}.get(metric, 0)
                session.history.points[metric] = (*points, Point(points[-1].time + 1, points[0].value + wobble))
            process = session.snapshot.process
        investigation.move(time=now, process=process)
threading.Thread(target=live, daemon=True).start()
run(investigation.open, title="pid 4242", lean=len(sys.argv) > 2)
"""


def spawn(
    code: str, *arguments: str, size: tuple[int, int] = (80, 24)
) -> tuple[subprocess.Popen[bytes], int]:
    """Python running *code* on a pseudo-terminal of its own."""
    leader, follower = pty.openpty()
    ioctl(leader, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
    environ = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", "PYTHONPATH": str(ROOT)}
    environ.pop("NO_COLOR", None)
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdin=follower, stdout=follower, stderr=follower, cwd=ROOT, env=environ, start_new_session=True,
    )  # fmt: skip
    os.close(follower)
    return process, leader


def read_for(leader: int, seconds: float) -> bytes:
    """What is written within *seconds*."""
    received = b""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if select.select([leader], [], [], left)[0]:
            try:
                received += os.read(leader, 65_536)
            except OSError:
                break
    return received


def measure_traffic(mode: str, *, lean: bool = False, size: tuple[int, int] = (80, 24)) -> float:
    """Bytes a second over ten seconds, after some of settling."""
    process, leader = spawn(_WATCH, mode, *(["lean"] if lean else []), size=size)
    try:
        if b"watching" not in (first := read_for(leader, _SETTLING_SECONDS)):
            raise RuntimeError(f"it did not start: {first[-300:]!r}")
        return len(read_for(leader, 10.0)) / 10.0
    finally:
        process.kill()
        process.wait()
        os.close(leader)


async def measure_rows() -> dict[str, float]:
    """Seconds from the action to the painted lines, in the Goroutines pane with 100k groups."""
    groups = tuple(
        replace(
            GROUPS[number % 5],
            group=replace(
                GROUPS[number % 5].group, count=number * 7919 % ROWS, labels=(("request", str(number)),)
            ),
        )
        for number in range(ROWS)
    )
    investigation = FakeInvestigation(assessment=replace(LEAKING, groups=groups))
    app = make_app(investigation)
    seconds: dict[str, float] = {}
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_for_facts(pilot)
        await pilot.press("3")
        table = watch_screen(app).table
        assert table is not None
        while len(table.rows) != ROWS:
            await asyncio.sleep(0.01)
        table.prepare_filter()
        await app.workers.wait_for_complete()
        found = ROWS // 5
        steps: tuple[tuple[str, Callable[[], object], Callable[[], bool]], ...] = (
            ("sort", lambda: table.sort_by(0, descending=False), lambda: table.rows[0].group.count == 0),
            ("filter", lambda: table.set_filter("thumb"), lambda: len(table.rows) == found),
            ("end of the filter", lambda: table.set_filter(""), lambda: len(table.rows) == ROWS),
        )
        for name, action, done in steps:
            began = time.perf_counter()
            action()
            while not done():
                await asyncio.sleep(0)
            for y in range(table.size.height):
                table.render_line(y)
            seconds[name] = time.perf_counter() - began
    return seconds


async def measure_data_table() -> float:
    """Seconds Textual's DataTable takes to sort and paint the same number of rows."""

    class Peer(App[None]):
        def compose(self) -> ComposeResult:
            yield DataTable[str]()

    app = Peer()
    async with app.run_test(size=(80, 24)) as pilot:
        table: DataTable[str] = app.query_one(DataTable)
        key, *_ = table.add_columns("count", "growth", "waits for", "owner", "where")
        table.add_rows(
            [(str(n * 7919 % ROWS), "+1/min", "select", "main.f", "main.go:1") for n in range(ROWS)]
        )
        await pilot.pause()
        began = time.perf_counter()
        table.sort(key)
        for y in range(table.size.height):
            table.render_line(y)
        return time.perf_counter() - began


def run() -> list[Row]:
    table = asyncio.run(measure_data_table())
    rows = [
        Row(
            f"100k rows: {name} to paint",
            format_seconds(seconds),
            f"{format_seconds(table)} DataTable, sort",
            seconds / table,
        )
        for name, seconds in asyncio.run(measure_rows()).items()
    ]
    for mode, lean, size in _TRAFFIC:
        what = f"terminal traffic, {mode}{', --lean' if lean else ''}, {size[0]}×{size[1]}"
        rows.append(Row(what, f"{measure_traffic(mode, lean=lean, size=size):.0f} B/s", "–", None))
    return rows


if __name__ == "__main__":
    print(format_table(run()))
