"""Are stacks from memory those Go itself prints? Every program of tests/goprograms, by Go release.

`python -m tests.engines.memory.stack_matrix [--go VERSION]… [PROGRAM…]` prints a table. Three builds of a program
run beside each other for a while:

- stripped and serving pprof: each goroutine that sits still is read from memory and compared with the same one in
  a `debug=2` dump, everything the dump tells. One that differs may have run in between and is looked at again.
- stripped and without pprof, and its unstripped twin that serves pprof: two processes have no goroutine in common,
  so each parked goroutine's stack must be one of those the twin dumped.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from leaktui.engines.memory import MemoryEngine
from leaktui.model.goroutine import Goroutine
from tests.engines.memory.comparison import capture, compare_repeatedly
from tests.engines.memory.go_programs import fetch_dump
from tests.go_target import GoTarget, Peer, run_target, start_peer
from tests.go_toolchain import Toolchain, build_programs, find_toolchains, iter_program_directories

SECONDS = 2.0
RATE = 40.0
_DUMPS = 40
_AT_WORK = ("running", "runnable", "syscall")

Signature = tuple[tuple[str, str, int, bool], ...]


@dataclass(frozen=True)
class Result:
    """Goroutines compared in one process and with the twin, and those that differed."""

    compared: int
    differing: tuple[Goroutine, ...]
    beside_twin: int
    not_in_twin: tuple[Goroutine, ...]

    @property
    def share(self) -> float:
        """Goroutines whose stacks are equal, of all."""
        total = self.compared + self.beside_twin
        return 1 - (len(self.differing) + len(self.not_in_twin)) / total if total else 0.0


def examine(program: str, builds: Sequence[dict[str, Path]], peer: Peer) -> Result:
    """Run the three builds of *program* and compare."""
    with_pprof, without, twin = (build[program] for build in builds)
    with ExitStack() as running:
        served = running.enter_context(run_target(with_pprof, peer, rate=RATE))
        bare = running.enter_context(run_target(without, peer, rate=RATE, pprof=False))
        other = running.enter_context(run_target(twin, peer, rate=RATE))
        time.sleep(SECONDS)
        assert served.pprof_url is not None
        found, stubborn = compare_repeatedly(served.pid, served.pprof_url, rounds=10)
        parked = read_parked(bare)
        strangers = find_strangers(parked, other)
    return Result(len(found.compared), tuple(stubborn), len(parked), tuple(strangers))


def read_parked(target: GoTarget) -> list[Goroutine]:
    """The goroutines that wait, at the same place in two readings."""
    engine = MemoryEngine(target.pid)
    try:
        before = capture(engine)[0]
        time.sleep(0.02)
        after = {item.goid: item for item in capture(engine)[0]}
    finally:
        engine.close()
    return [
        item
        for item in before
        if item == after.get(item.goid) and item.elided == 0 and item.wait_reason not in _AT_WORK
    ]


def find_strangers(parked: Iterable[Goroutine], twin: GoTarget) -> list[Goroutine]:
    """Those of *parked* whose stack the twin never dumped."""
    assert twin.pprof_url is not None
    left = list(parked)
    for _ in range(_DUMPS):
        dumped = {signature(item) for item in fetch_dump(twin.pprof_url).values()}
        left = [item for item in left if signature(item) not in dumped]
        if not left:
            break
        time.sleep(0.03)
    return left


def signature(item: Goroutine) -> Signature:
    """Its calls, and where it was created."""
    created = [item.created_by] if item.created_by else []
    return tuple((frame.function, frame.file, frame.line, frame.inlined) for frame in (*item.stack, *created))


def run_release(toolchain: Toolchain, programs: Sequence[str]) -> dict[str, Result]:
    """Every program as built by *toolchain*; what differs is told on stderr."""
    builds = (
        build_programs(programs, toolchain, stripped=True),
        build_programs(programs, toolchain, stripped=True, tags="nopprof"),
        build_programs(programs, toolchain),
    )
    peer = start_peer(toolchain)
    results = {}
    try:
        for program in programs:
            result = results[program] = examine(program, builds, peer)
            for kind, items in (("differs", result.differing), ("not in the twin", result.not_in_twin)):
                for item in items[:3]:
                    print(f"{toolchain} {program}: {kind}: {item}", file=sys.stderr)
    finally:
        peer.stop()
    return results


def format_results(by_release: dict[str, dict[str, Result]]) -> str:
    """A Markdown table: per program and release the share of equal stacks, of how many."""
    programs = sorted({program for results in by_release.values() for program in results})
    lines = [
        f"| program | {' | '.join(by_release)} |",
        f"|---|{'---|' * len(by_release)}",
        *(
            f"| {program} | {' | '.join(map(_cell, (results.get(program) for results in by_release.values())))} |"
            for program in programs
        ),
    ]
    totals = []
    for results in by_release.values():
        total = Result(
            sum(result.compared for result in results.values()),
            tuple(item for result in results.values() for item in result.differing),
            sum(result.beside_twin for result in results.values()),
            tuple(item for result in results.values() for item in result.not_in_twin),
        )
        totals.append(_cell(total))
    return "\n".join([*lines, f"| **all** | {' | '.join(totals)} |"])


def _cell(result: Result | None) -> str:
    if result is None:
        return "–"
    total = result.compared + result.beside_twin
    return f"{result.share * 100:.2f} % of {total}"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("programs", nargs="*", metavar="PROGRAM", help="of tests/goprograms; all by default")
    parser.add_argument("--go", action="append", default=[], metavar="VERSION", help="releases that begin so")
    options = parser.parse_args()
    every = [path.name for path in iter_program_directories() if path.name != "peer"]
    programs = options.programs or every
    by_release = {}
    for toolchain in find_toolchains():
        if not options.go or toolchain.version.startswith(tuple(options.go)):
            by_release[toolchain.version] = run_release(toolchain, programs)
    print(format_results(by_release))
    return 0


if __name__ == "__main__":
    sys.exit(main())
