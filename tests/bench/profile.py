"""A heap profile of 10,000 samples, decoded and added up, against `go tool pprof -top`.

Both are measured as whole processes, from exec to the sorted list; ours in a running leaktui, where nothing
has to be started, stands beside it in the note.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from leaktui.wire.profile import decode_heap
from tests.bench.make_profile import make_profile
from tests.bench.row import Row, format_seconds, median_seconds
from tests.go_toolchain import find_toolchains, go_environment

SAMPLES = 10_000

_TOP = """
import sys
from tests.bench.profile import top_functions
from pathlib import Path
for name, live in top_functions(Path(sys.argv[1]).read_bytes())[:20]:
    print(live, name)
"""


def top_functions(data: bytes) -> list[tuple[str, int]]:
    """Live bytes by the function that allocated them, the most first: what `-top` prints."""
    live: dict[str, int] = {}
    for site in decode_heap(data).sites:
        if site.stack:
            name = site.stack[0].function
            live[name] = live.get(name, 0) + site.inuse_bytes
    return sorted(live.items(), key=lambda item: -item[1])


def run() -> list[Row]:
    data = make_profile(SAMPLES)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "heap.pb.gz"
        path.write_bytes(data)
        ours = median_seconds(lambda: _execute([sys.executable, "-c", _TOP, str(path)]))
        inside = median_seconds(lambda: top_functions(data))
        note = f"as a process; {format_seconds(inside)} within a running leaktui"
        what = f"heap profile, {SAMPLES} samples: decode and add up"
        tool = pprof_tool()
        if tool is None:
            return [Row(what, format_seconds(ours), "no Go here", None, note)]
        arguments = [*tool, "-top", "-nodecount=20", "-sample_index=inuse_space", str(path)]
        peer = median_seconds(lambda: _execute(arguments))
        agree = _same_answer(data, _execute(arguments))
        assert agree, "the two do not name the same function first"
        return [
            Row(what, format_seconds(ours), f"{format_seconds(peer)} `go tool pprof -top`", ours / peer, note)
        ]


def pprof_tool() -> list[str] | None:
    """The pprof binary itself where `go tool -n` names it (the go command in front of it costs time)."""
    toolchains = find_toolchains()
    if not toolchains:
        return None
    go = str(toolchains[0].go)
    said = subprocess.run([go, "tool", "-n", "pprof"], capture_output=True, text=True, env=go_environment())
    binary = said.stdout.strip()
    return [binary] if said.returncode == 0 and Path(binary).is_file() else [go, "tool", "pprof"]


def _execute(arguments: list[str]) -> str:
    environment = {**go_environment(), "PYTHONPATH": os.pathsep.join(sys.path)}
    said = subprocess.run(arguments, capture_output=True, text=True, check=True, env=environment)
    return said.stdout


def _same_answer(data: bytes, printed: str) -> bool:
    """Whether pprof's first function is ours; ties aside, the figures are equal."""
    first = next(
        line for line in printed.splitlines() if "%" in line and "flat" not in line and "of" not in line
    )
    return first.split()[-1] == top_functions(data)[0][0] or "(inline)" in first
