"""Who holds one object in a heap of 1 GB: what each level of the search takes, the process running on.

There is no peer: the tools that walk a Go heap (a core dump's viewer, Delve's references) stop the process.
"""

from __future__ import annotations

import itertools
import statistics
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from leaktui.engines.memory.attachment import attach
from leaktui.engines.memory.heap_map import HeapMap
from leaktui.engines.memory.holders import HolderFinder
from leaktui.model.holder import HolderSearch
from tests.bench.row import Row, format_seconds
from tests.go_target import GoProcess
from tests.go_toolchain import find_toolchains, go_environment

MEGABYTES = 1024
SUBJECT = "linked list, node 0"
REPEATS = 3
_PROGRAMS = Path(__file__).parents[1] / "engines" / "memory" / "programs"


def run() -> list[Row]:
    toolchains = find_toolchains()
    if not toolchains:
        return [Row("holders of an object", "–", "no Go here", None)]
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "holders"
        subprocess.run(
            [toolchains[0].go, "build", "-ldflags=-s -w", "-o", path, "./holders"],
            cwd=_PROGRAMS,
            env=go_environment(),
            check=True,
        )
        process = GoProcess([str(path), str(MEGABYTES)])
        try:
            return [_measure(process)]
        finally:
            process.stop()


def _measure(process: GoProcess) -> Row:
    subject = int(process.ready["addresses"][SUBJECT], 16)
    cancel = threading.Event()
    attachment = attach(process.pid, cancel)
    try:
        size = sum(span.size for span in HeapMap.read(attachment, cancel).iter_spans())
        finder = HolderFinder(attachment)
        firsts: list[float] = []
        levels: list[float] = []
        began = time.process_time()
        for _ in range(REPEATS):
            found = [item for item in finder.search(subject, cancel) if isinstance(item, HolderSearch)]
            assert found[-1].path, "the root was not found"
            firsts.append(found[0].seconds)
            levels += [after.seconds - before.seconds for before, after in itertools.pairwise(found)]
        work = (time.process_time() - began) / REPEATS / len(found)
        scanned = found[-1].scanned_bytes / len(found)
    finally:
        attachment.close()
    return Row(
        f"who holds an object, heap of {size / 1e9:.2f} GB, one level",
        f"{format_seconds(statistics.median(levels))}, target not stopped",
        "none that leaves the target running",
        None,
        f"{scanned / 1e9:.2f} GB gone through, {format_seconds(work)} of CPU; the first level, with the heap's "
        f"spans and types, {format_seconds(statistics.median(firsts))}; {len(found)} levels to the root",
    )
