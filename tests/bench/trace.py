"""An execution trace of a busy client, decoded and folded, against `go tool trace -d=parsed`.

Both are measured as whole processes, from exec to the end; ours in a running leaktui stands beside it in the
note. Without a Go toolchain the largest recorded capture is used and there is no peer.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from leaktui.analysis.trace_summary import summarize_trace
from leaktui.wire.trace import TraceDecoder
from tests.bench.row import Row, format_seconds, median_seconds
from tests.go_toolchain import Toolchain, find_toolchains, go_environment
from tests.wire.trace_bytes import capture_names, read_capture

PROGRAMS = Path(__file__).parents[1] / "captures" / "make_trace"
LOAD = ("-seconds", "3", "-workers", "8", "-pause", "600", "-leaks", "2")

_SUMMARIZE = """
import sys
from leaktui.analysis.trace_summary import summarize_trace
from pathlib import Path
print(summarize_trace([Path(sys.argv[1]).read_bytes()]).events)
"""


def record(toolchain: Toolchain, directory: Path) -> Path:
    """A trace of the program `client` under load."""
    client = directory / "client"
    build = [toolchain.go, "build", "-trimpath", "-o", client, "./client"]
    subprocess.run(build, cwd=PROGRAMS, env=go_environment(), check=True)
    subprocess.run([client, "-out", directory / "out", *LOAD], check=True, timeout=120)
    return directory / "out.trace"


def decode(data: bytes) -> int:
    """Events decoded, without making anything of them."""
    decoder = TraceDecoder()
    generations = decoder.feed(data) + decoder.finish()
    for generation in generations:
        for _ in generation.windows():
            pass
    return sum(sum(generation.counts.values()) for generation in generations)


def run() -> list[Row]:
    toolchains = find_toolchains()
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "capture.trace"
        if toolchains:
            path = record(toolchains[0], Path(scratch))
        else:
            path.write_bytes(max((read_capture(name) for name in capture_names()), key=len))
        data = path.read_bytes()
        events = decode(data)
        inside = median_seconds(lambda: decode(data))
        folded = median_seconds(lambda: summarize_trace([data]))
        ours = median_seconds(lambda: _execute([sys.executable, "-c", _SUMMARIZE, str(path)]))
        what = f"execution trace, {events:,} events: decode and sum up"
        note = (
            f"as a process; within a running leaktui {format_seconds(inside)} to decode, "
            f"{format_seconds(folded)} with the summary"
        )
        if not toolchains:
            return [Row(what, format_seconds(ours), "no Go here", None, note)]
        arguments = [*trace_tool(toolchains[0]), "-d=parsed", str(path)]
        peer = median_seconds(lambda: _execute(arguments), repeats=3)
        return [
            Row(
                what,
                format_seconds(ours),
                f"{format_seconds(peer)} `go tool trace -d=parsed`",
                ours / peer,
                note,
            )
        ]


def trace_tool(toolchain: Toolchain) -> list[str]:
    """The trace binary itself where `go tool -n` names it (the go command in front of it costs time)."""
    command = [str(toolchain.go), "tool", "-n", "trace"]
    said = subprocess.run(command, capture_output=True, text=True, env=go_environment())
    binary = said.stdout.strip()
    if said.returncode == 0 and Path(binary).is_file():
        return [binary]
    return [str(toolchain.go), "tool", "trace"]


def _execute(arguments: list[str]) -> str:
    environment = {**go_environment(), "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(arguments, capture_output=True, text=True, check=True, env=environment).stdout
