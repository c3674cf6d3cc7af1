"""The books of descriptors beside what programs count themselves and what the kernel lists, as a table.

Law: a row is `right` only when, at a moment when the program did nothing, all of this held: what the books have open
is what the kernel lists more than at the start; the marked line has left open what the program says it has; no other
line has left any open; no hit was lost; nothing was closed that nobody had opened.

By hand: `python -m tests.engines.probes.fd_matrix [--stripped] [--seconds 5] [--toolchain 1.24] [program …]`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.engines.probes.fd_watching import FdWatch, Sum, count_fds, watched_fds
from tests.go_expected import Expected, expected, leaking_programs
from tests.go_target import GoTarget, Peer, run_target, start_peer
from tests.go_toolchain import Toolchain, build_programs, find_toolchains

HEALTHY = ("fdchurn", "keepalive", "readtoeof", "http2busy")
"""Programs that leave none open, or only a few connections that they go on using."""

_TRIES = 60
_RATE = 8.0
_BODY_RATE = 4.0  # one of them has five visits for each
_KEPT = 4
"""More than so many left open at one line is an accusation."""


@dataclass(frozen=True)
class Row:
    """What was seen of one program."""

    program: str
    toolchain: str
    stripped: bool
    right: bool
    said: str
    total: Sum
    guilty: int
    truth: int
    others: int
    hits: int


def watch(
    program: str, binary: Path, toolchain: Toolchain, stripped: bool, peer: Peer, seconds: float
) -> Row:
    """Run *program* for *seconds* under the probes and compare."""
    answer = expected(program)
    marked = answer if answer is not None and answer.kind == "fd" else None
    with (
        run_target(binary, peer, rate=_RATE if marked else _BODY_RATE) as target,
        watched_fds(target.pid, target.truth) as watch,
    ):
        before = watch.said
        assert isinstance(before, dict)
        base = before["guilty"].leaked if "guilty" in before else 0
        time.sleep(seconds)
        return _compare(watch, target, marked, base, program, toolchain, stripped)


def _compare(
    watch: FdWatch,
    target: GoTarget,
    marked: Expected | None,
    base: int,
    program: str,
    toolchain: Toolchain,
    stripped: bool,
) -> Row:
    said, total, guilty, others, truth = "it was never quiet", Sum(), 0, 0, 0
    for _ in range(_TRIES):
        before, listed = target.truth(), count_fds(watch.pid)
        ledger = watch.ledger(settled=True)
        if (target.truth(), count_fds(watch.pid)) != (before, listed):
            continue
        truth = before["guilty"].leaked - base if marked is not None else 0
        sums = watch.by_owner(ledger)
        total = Sum(*(sum(getattr(item, name) for item in sums.values()) for name in Sum.__annotations__))
        guilty = sum(item.open for key, item in sums.items() if marked is not None and marked.matches(*key))
        rest = {key: item.open for key, item in sums.items() if marked is None or not marked.matches(*key)}
        others = sum(rest.values())
        doubts = []
        # The marks in the programs about bodies say what is open, too, but not of descriptors.
        if ledger.still_open - ledger.closed_unseen != listed - watch.open_before:
            doubts.append(
                f"{ledger.still_open} open, {ledger.closed_unseen} closed unseen;"
                f" the kernel lists {watch.open_before} -> {listed}"
            )
        if marked is not None and guilty + sum_of_collected(sums, marked) != truth:
            doubts.append(f"{guilty} at the marked line, and it leaked {truth}")
        if (marked is not None or program in HEALTHY) and any(left > _KEPT for left in rest.values()):
            doubts.append(f"left open elsewhere: {rest}")
        if ledger.dropped or watch.armed.dropped():
            doubts.append("hits were lost")
        said = "; ".join(doubts)
        if not said:
            break
    return Row(
        program,
        str(toolchain),
        stripped,
        not said,
        said,
        total,
        guilty,
        truth,
        others,
        watch.armed.hits(),
    )


def sum_of_collected(sums: dict[tuple[str, str, int], Sum], marked: Expected) -> int:
    """How many of the marked line's the garbage collector closed: the program does not know of that."""
    return sum(item.collected for key, item in sums.items() if marked.matches(*key))


def run_matrix(
    programs: Sequence[str], toolchain: Toolchain, *, stripped: bool, seconds: float
) -> Iterable[Row]:
    """The rows of *programs*, one after the other."""
    binaries = build_programs(programs, toolchain, stripped=stripped)
    peer = start_peer(toolchain)
    try:
        for program in programs:
            yield watch(program, binaries[program], toolchain, stripped, peer, seconds)
    finally:
        peer.stop()


def format_row(row: Row) -> str:
    """One line of the table."""
    total = row.total
    return (
        f"{row.toolchain:10} {'stripped' if row.stripped else 'symbols':9}{row.program:18}"
        f"{'right' if row.right else 'WRONG':6} opened {total.opened:4} closed {total.closed:4}"
        f" ended {total.ended:2} collected {total.collected:3} open {total.open:4}"
        f" | marked line {row.guilty:4} truth {row.truth:4} | elsewhere {row.others:3} | {row.hits:5} hits  {row.said}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("programs", nargs="*")
    parser.add_argument("--toolchain", default="")
    parser.add_argument("--stripped", action="store_true")
    parser.add_argument("--seconds", type=float, default=5.0)
    arguments = parser.parse_args()
    programs = arguments.programs or [*leaking_programs("fd"), *HEALTHY, *leaking_programs("http-body")]
    wrong = 0
    for toolchain in find_toolchains():
        if not str(toolchain).removeprefix("go").startswith(arguments.toolchain):
            continue
        for row in run_matrix(programs, toolchain, stripped=arguments.stripped, seconds=arguments.seconds):
            print(format_row(row), flush=True)
            wrong += not row.right
    print(f"{wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
