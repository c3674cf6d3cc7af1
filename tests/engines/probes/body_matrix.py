"""The books of response bodies beside what programs count themselves, as a table.

Law: a row is `right` only when, at a moment when the program opened and closed nothing, all of this held for the time
in between two such moments: what the books have left is what the program left, to the body; those left are owned by
the marked line, and no other line has left more than the program says is still in use; nothing was closed that nobody
had opened, but what was open before; no hit was lost.

By hand: `python -m tests.engines.probes.body_matrix [--stripped] [--fixed] [--seconds 6] [--toolchain 1.24] [name …]`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from leaktui.model.ledger import Ledger
from tests.engines.probes.body_watching import BodySums, BodyWatch, sums_of, watched_bodies
from tests.go_expected import Expected, expected, leaking_programs
from tests.go_target import Count, GoTarget, Peer, run_target, start_peer
from tests.go_toolchain import Toolchain, build_programs, find_toolchains

HEALTHY = (
    "http2busy",
    "keepalive",
    "longpoll",
    "readtoeof",
    "slowdownloads",
    "sse",
    "ssechurn",
)
"""Those that use HTTP."""

AT_ONCE = 3
_TRIES = 400


@dataclass(frozen=True)
class Row:
    """What was seen of one program between two quiet moments. `doubts` is empty where it was right."""

    program: str
    toolchain: str
    variant: str
    doubts: str
    sums: BodySums
    truth: int
    marked: int
    others: int
    sure: bool
    hits: int

    @property
    def right(self) -> bool:
        return not self.doubts


@dataclass(frozen=True)
class _Moment:
    """The books at a moment when nothing was opened or closed, and the program's own count."""

    ledger: Ledger
    truth: Mapping[str, Count]

    def leaked(self, site: str) -> int:
        return self.truth[site].leaked if site in self.truth else 0


def watch_bodies(
    program: str,
    binary: Path,
    toolchain: Toolchain,
    peer: Peer,
    *,
    variant: str,
    fixed: bool = False,
    seconds: float,
) -> Row:
    """Run *program* for *seconds* under the probes and compare."""
    with run_target(binary, peer, fixed=fixed) as target, watched_bodies(target.pid) as watch:
        first = _quiet_moment(watch, target)
        time.sleep(seconds)
        last = _quiet_moment(watch, target)
        hits, dropped = watch.armed.hits(), watch.armed.dropped()
        return _compare(
            watch,
            program,
            None if fixed else expected(program),
            first,
            last,
            str(toolchain),
            variant,
            hits,
            dropped,
        )


def _quiet_moment(watch: BodyWatch, target: GoTarget) -> _Moment:
    for _ in range(_TRIES):
        before = target.truth()
        ledger = watch.ledger()
        if target.truth() == before:
            return _Moment(ledger, before)
    raise AssertionError("the program was never quiet")


def _compare(
    watch: BodyWatch,
    program: str,
    answer: Expected | None,
    first: _Moment,
    last: _Moment,
    toolchain: str,
    variant: str,
    hits: int,
    dropped: int,
) -> Row:
    sums = sums_of(last.ledger) - sums_of(first.ledger)
    sites = {*first.truth, *last.truth}
    left = {site: last.leaked(site) - first.leaked(site) for site in sites}
    truth = sum(left.values())
    doubts = []
    if sums.left - sums.closed_unseen != truth:
        doubts.append(f"{sums.left} left, {sums.closed_unseen} closed unseen; the program says {truth}")
    open_before = sum(count.leaked for count in first.truth.values()) - sums_of(first.ledger).left
    if sums_of(last.ledger).closed_unseen > max(0, open_before) + sums_of(first.ledger).closed_unseen:
        doubts.append(f"{sums.closed_unseen} closed unseen, and only {open_before} were open before")
    marked, others, sure = _by_owner(watch, answer, first.ledger, last.ledger)
    guilty = left.get("guilty", 0) if answer is not None else 0
    if not guilty <= marked <= guilty + sums.closed_unseen:
        doubts.append(f"{marked} left at the marked line; the program says {guilty}")
    if not truth - guilty <= others <= truth - guilty + sums.closed_unseen:
        doubts.append(f"{others} left elsewhere; the program says {truth - guilty}")
    if dropped:
        doubts.append(f"{dropped} hits were lost")
    return Row(program, toolchain, variant, "; ".join(doubts), sums, truth, marked, others, sure, hits)


def _by_owner(
    watch: BodyWatch, answer: Expected | None, first: Ledger, last: Ledger
) -> tuple[int, int, bool]:
    """How many were left at the marked line and how many elsewhere; whether the owners are certain."""
    marked = others = 0
    sure = True
    for index, place in enumerate(last.places):
        left = place.opened - place.closed - place.ended
        if index < len(first.places):
            before = first.places[index]
            left -= before.opened - before.closed - before.ended
        owner = watch.owner_of(last, index)
        frame = owner.frame if owner is not None else None
        if (
            answer is not None
            and frame is not None
            and answer.matches(frame.function, frame.file, frame.line)
        ):
            marked += left
            sure &= not left or (owner is not None and owner.sure)
        else:
            others += left
    return marked, others, sure


def run_matrix(
    programs: Sequence[str],
    toolchain: Toolchain,
    *,
    stripped: bool,
    fixed: bool = False,
    seconds: float,
    at_once: int = AT_ONCE,
) -> Iterator[Row]:
    """The rows of *programs*, several watched at a time."""
    binaries = build_programs(programs, toolchain, stripped=stripped)
    variant = " ".join(["stripped" if stripped else "symbols", *(["fixed"] if fixed else [])])
    peer = start_peer(toolchain)
    try:
        with ThreadPoolExecutor(at_once) as pool:
            yield from pool.map(
                lambda program: watch_bodies(
                    program, binaries[program], toolchain, peer, variant=variant, fixed=fixed, seconds=seconds
                ),
                programs,
            )
    finally:
        peer.stop()


def format_row(row: Row) -> str:
    """One line of the table."""
    sums = row.sums
    return (
        f"{row.toolchain:10} {row.variant:15} {row.program:17}{'right' if row.right else 'WRONG':6}"
        f" opened {sums.opened:5} closed {sums.closed:5} ended {sums.ended:4} left {sums.left:4}"
        f" (collected {sums.collected:3}) unseen {sums.closed_unseen:2} without {sums.without:3} | truth {row.truth:4}"
        f" | marked line {row.marked:4} elsewhere {row.others:2} {'' if row.sure else 'unsure'}"
        f" | {row.hits:5} hits  {row.doubts}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("programs", nargs="*")
    parser.add_argument("--toolchain", default="")
    parser.add_argument("--stripped", action="store_true")
    parser.add_argument("--fixed", action="store_true", help="have the programs take their repaired path")
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--at-once", type=int, default=AT_ONCE, help="programs watched at the same time")
    arguments = parser.parse_args()
    leaking = leaking_programs("http-body")
    programs = arguments.programs or [*leaking, *(() if arguments.fixed else HEALTHY)]
    wrong = total = 0
    for toolchain in find_toolchains():
        if not str(toolchain).removeprefix("go").startswith(arguments.toolchain):
            continue
        for row in run_matrix(
            programs,
            toolchain,
            stripped=arguments.stripped,
            fixed=arguments.fixed,
            seconds=arguments.seconds,
            at_once=arguments.at_once,
        ):
            print(format_row(row), flush=True)
            total += 1
            wrong += not row.right
    print(f"{total} rows, {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
