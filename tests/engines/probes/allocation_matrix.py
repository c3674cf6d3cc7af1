"""The books of large allocations of the programs about heap, as a table.

Law: a row is `right` only when the marked line has survivors, and more bytes of them than all other lines together;
of a healthy program there are no more of them at the end than halfway, but for a few.

By hand: `python -m tests.engines.probes.allocation_matrix [--stripped] [--seconds 8] [--toolchain 1.24] [program …]`.
"""

from __future__ import annotations

import argparse
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from leaktui.analysis.attribution import innermost_user_frame
from leaktui.analysis.executable_program import ExecutableProgram
from leaktui.engines.memory.attachment import attach
from leaktui.engines.probes.allocation_watcher import AllocationWatcher
from leaktui.engines.probes.kernel.armed import Armed, arm
from leaktui.model.frame import Frame
from tests.go_expected import expected
from tests.go_target import Peer, run_target, start_peer
from tests.go_toolchain import build_programs, find_toolchains

PROGRAMS = ("cachegrowth", "sliceappend", "subslice", "timers", "gcchurn", "boundedcache")
_RATE = 100.0


def watch(program: str, binary: Path, peer: Peer, seconds: float) -> tuple[bool, str]:
    """Whether the books are right, and what they say."""
    with run_target(binary, peer, rate=_RATE) as target:
        attachment = attach(target.pid, threading.Event())
        try:
            watcher = AllocationWatcher(attachment)
            known = ExecutableProgram(attachment.executable, attachment.bias)
            with arm(target.pid, watcher.sites()) as armed:
                half = _survivors(watcher, armed, known, seconds / 2)
                whole = _survivors(watcher, armed, known, seconds / 2)
                ledger = watcher.ledger(0.0, seconds)
                said = (
                    f"opened {ledger.opened:5} open {ledger.still_open:5} cycles {watcher.cycles}"
                    f" dropped {armed.dropped()} survivors (kB) "
                    + ", ".join(
                        f"{line.function}:{line.line} {half[line] >> 10} -> {size >> 10}"
                        for line, size in whole.most_common(3)
                    )
                )
                return _is_right(program, half, whole) and not armed.dropped(), said
        finally:
            attachment.close()


def _is_right(program: str, half: Counter[Frame], whole: Counter[Frame]) -> bool:
    marked = expected(program)
    if marked is None:
        return whole.total() <= half.total() * 1.3 + (8 << 20)
    mine = sum(size for line, size in whole.items() if marked.matches(line.function, line.file, line.line))
    return mine > whole.total() / 2


def _survivors(
    watcher: AllocationWatcher, armed: Armed, program: ExecutableProgram, seconds: float
) -> Counter[Frame]:
    """Bytes by owner line after *seconds* more."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for hit in armed.read(0.1):
            watcher.handle(hit)
    for _ in range(4):
        ledger = watcher.ledger(0.0, end)
    sizes: Counter[Frame] = Counter()
    for place in ledger.places:
        owner = innermost_user_frame(place.stack, program)
        frame = owner[1] if owner is not None else Frame("")
        sizes[Frame(frame.function, frame.file, frame.line)] += place.surviving_bytes
    return sizes


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("programs", nargs="*")
    parser.add_argument("--toolchain", default="")
    parser.add_argument("--stripped", action="store_true")
    parser.add_argument("--seconds", type=float, default=8.0)
    options = parser.parse_args(arguments)
    programs = options.programs or PROGRAMS
    wrong = 0
    for toolchain in find_toolchains():
        if not str(toolchain).removeprefix("go").startswith(options.toolchain):
            continue
        binaries = build_programs(programs, toolchain, stripped=options.stripped)
        peer = start_peer(toolchain)
        try:
            for program in programs:
                right, said = watch(program, binaries[program], peer, options.seconds)
                wrong += not right
                kind = "stripped" if options.stripped else "symbols"
                verdict = "right" if right else "WRONG"
                print(f"{toolchain!s:10} {kind:9}{program:14}{verdict:6} {said}", flush=True)
        finally:
            peer.stop()
    print(f"{wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
