"""Takes the pictures of the README: `python screenshots/make.py [--png] [--seconds N]`.

Starts the demo (`leaktui demo`'s service) and the real application on it, waits for the verdict, and writes
one SVG a pane at 80×24, and two wide ones; `--png` adds copies made by rsvg-convert. Needs Go, or the
`demo` extra; root for the ledger of probes.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from leaktui.demo import DemoService  # noqa: E402
from leaktui.engines.delve.engine import DelveEngine  # noqa: E402
from leaktui.engines.memory import MemoryEngine  # noqa: E402
from leaktui.engines.pprof import PprofEngine  # noqa: E402
from leaktui.engines.probes.engine import ProbesEngine  # noqa: E402
from leaktui.engines.proc import ProcEngine, read_target  # noqa: E402
from leaktui.engines.proc_program import open_program  # noqa: E402
from leaktui.engines.processes import find_go_processes  # noqa: E402
from leaktui.investigation import Investigation  # noqa: E402
from leaktui.model.finding import Verdict  # noqa: E402
from leaktui.tui.app import LeaktuiApp  # noqa: E402
from leaktui.tui.screens.watch import WatchScreen  # noqa: E402

SMALL, WIDE = (80, 24), (160, 45)
_DIRECTORY = re.compile(r"…?[^\s<>&…]*/[^\s<&]*/(leaktui/demo[^/\s<&]*/src/)")

WAIT = "wait"
"""In place of a key: some seconds of the program's life."""
_WAIT_SECONDS = 12.0

# (file, size, keys pressed one after the other once the verdict is there)
PICTURES: tuple[tuple[str, tuple[int, int], tuple[str, ...]], ...] = (
    ("suspects", SMALL, ("1",)),
    ("evidence", SMALL, ("1", "enter")),
    ("source", SMALL, ("1", "enter", "enter")),
    ("heap", SMALL, ("2",)),
    ("call-tree", SMALL, ("2", "c")),
    ("flame", SMALL, ("2", "F")),
    ("goroutines", SMALL, ("3",)),
    ("trace", SMALL, ("t", "5", WAIT)),
    ("bodies", SMALL, ("4", "g")),
    ("body", SMALL, ("4", "escape", "g", "g", "enter", "h")),
    ("probes", SMALL, ("escape", "escape", "a")),
    ("ledger", SMALL, ("y", WAIT)),
    ("suspects-wide", WIDE, ("1",)),
    ("bodies-wide", WIDE, ("4",)),
    ("goroutines-wide", WIDE, ("3",)),
    ("ledger-wide", WIDE, ("4", "a", "y", WAIT)),
)


def open_demo(service: DemoService) -> Callable[[Any], Investigation]:
    """What the application calls to look at *service*."""

    def open_target(listener: Any) -> Investigation:
        engines = [
            ProcEngine(service.pid),
            MemoryEngine(service.pid),
            ProbesEngine(service.pid),
            PprofEngine(service.pid, service.pprof_url),
            DelveEngine(pid=service.pid),
        ]
        return Investigation(
            read_target(service.pid), engines, listener, load_program=lambda: open_program(service.pid)
        )

    return open_target


async def take_pictures(service: DemoService, size: tuple[int, int], seconds: float) -> None:
    """All pictures of *size*, in one run of the application."""
    wanted = [(name, keys) for name, taken_at, keys in PICTURES if taken_at == size]
    app = LeaktuiApp(open_demo(service), title=f"pid {service.pid}")
    async with app.run_test(size=size) as pilot:
        await wait_for_verdict(app, seconds)
        for name, keys in wanted:
            for key in keys:
                if key != WAIT:
                    await pilot.press(key)
                await pilot.pause(_WAIT_SECONDS if key == WAIT else 0.3)
            # Between two traces, so that the corner shows the ordinary state.
            await pilot.pause(1.5)
            write(name, app.export_screenshot(title="leaktui"))
    app.close_target()


async def wait_for_verdict(app: LeaktuiApp, seconds: float) -> None:
    """Until a leak is named and, with luck, the traces are over; at most *seconds*."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        await asyncio.sleep(0.5)
        screen = app.screen
        if isinstance(screen, WatchScreen) and screen.facts is not None:
            assessment = screen.facts.assessment
            if (
                assessment.verdict is Verdict.LEAK
                and assessment.settled
                and screen.facts.watched_seconds > 20
            ):
                return
    say("no settled verdict in time; the pictures show what there is")


async def take_picker() -> None:
    """The list of Go processes, our demo's among them."""

    def scan() -> Any:
        return find_go_processes(ask_pprof=True)

    app = LeaktuiApp(picker=scan, open_pid=lambda pid: lambda listener: None)  # type: ignore[arg-type,return-value]
    async with app.run_test(size=SMALL) as pilot:
        await pilot.pause(3.0)
        write("picker", app.export_screenshot(title="leaktui"))


def say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def write(name: str, svg: str) -> None:
    """`NAME.svg`, without this machine's directories."""
    path = HERE / f"{name}.svg"
    path.write_text(_DIRECTORY.sub(r"~/.cache/\1", svg), encoding="utf-8")
    say(path.name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--seconds", type=float, default=60.0, help="how long to wait for the verdict at most"
    )
    parser.add_argument("--png", action="store_true", help="also write PNG, with rsvg-convert")
    options = parser.parse_args()
    with DemoService("body", rate=4.0, progress=say) as service:
        asyncio.run(take_pictures(service, SMALL, options.seconds))
        asyncio.run(take_pictures(service, WIDE, options.seconds))
        asyncio.run(take_picker())
    if options.png:
        for path in sorted(HERE.glob("*.svg")):
            command = ["rsvg-convert", "-w", "1200", str(path), "-o", str(path.with_suffix(".png"))]
            subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
