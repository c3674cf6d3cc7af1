"""Runs `leaktui record` and `leaktui verify` on programs of tests/goprograms: the fixed twin must be found fixed, the
unfixed program not, run after run.

Law: answers are taken from real command lines on real processes, each verified process a fresh one. `wrong` is the
opposite of the truth; `undecided` is no answer, and said as such.

By hand: `python -m tests.verification_matrix [--runs 3] [--seconds 20] [--no-pprof] [--without probes] [program …]`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.go_expected import expected
from tests.go_target import Peer, run_target, start_peer
from tests.go_toolchain import Toolchain, build_programs, find_toolchains

PROGRAMS = (
    "earlyreturn",
    "deferloop",
    "retryoverwrite",
    "sendaftertimeout",
    "subscriber",
    "workerpool",
    "filenotclosed",
    "connleak",
    "cachegrowth",
    "sliceappend",
)
"""Of every kind some, of every shape one."""

VERDICTS = {0: "fixed", 1: "not fixed", 3: "undecided"}


@dataclass(frozen=True)
class Answer:
    """What was said of one process, and whether it was the repaired one."""

    program: str
    kind: str
    fixed: bool
    run: int
    verdict: str
    reasons: tuple[str, ...]

    @property
    def right(self) -> bool:
        return self.verdict == ("fixed" if self.fixed else "not fixed")


def leaktui(*arguments: str, timeout: float) -> subprocess.CompletedProcess[str]:
    """The command line, its output captured."""
    return subprocess.run(
        [sys.executable, "-m", "leaktui", *arguments], capture_output=True, text=True, timeout=timeout
    )


def record(binary: Path, peer: Peer, capture: Path, seconds: float, *, pprof: bool, without: str) -> None:
    """A baseline of the leaking program; a longer one where that does not show what leaks yet."""
    for length in (seconds, 2 * seconds, 4 * seconds):
        with run_target(binary, peer, pprof=pprof) as target:
            arguments = ["--pid", str(target.pid), "-o", str(capture), "--seconds", str(length)]
            done = leaktui("record", *arguments, *_leaving_out(without), timeout=length + 60)
        assert done.returncode == 0, done.stderr
        if "it shows a leak in" in done.stderr:
            return


def verify(
    program: str,
    binary: Path,
    peer: Peer,
    capture: Path,
    run: int,
    *,
    fixed: bool,
    pprof: bool = True,
    without: str = "",
) -> Answer:
    """One fresh process against the baseline."""
    with run_target(binary, peer, fixed=fixed, pprof=pprof) as target:
        arguments = ["--baseline", str(capture), "--pid", str(target.pid), "--json"]
        done = leaktui("verify", *arguments, *_leaving_out(without), timeout=300)
    truth = expected(program)
    kind = truth.kind if truth is not None else "healthy"
    if done.returncode not in VERDICTS:
        return Answer(program, kind, fixed, run, "failed", (done.stderr.strip()[-300:],))
    document = json.loads(done.stdout)
    assert document["verdict"] == VERDICTS[done.returncode]
    return Answer(program, kind, fixed, run, document["verdict"], tuple(document["reasons"]))


def _leaving_out(without: str) -> list[str]:
    return ["--without", without] if without else []


def run_matrix(
    programs: Sequence[str],
    toolchain: Toolchain,
    *,
    runs: int = 3,
    seconds: float = 20.0,
    pprof: bool = True,
    without: str = "",
    at_once: int = 4,
) -> list[Answer]:
    """Baselines of *programs*, then *runs* fresh processes of each, fixed and not, against them."""
    binaries = build_programs(programs, toolchain, tags="" if pprof else "nopprof")
    peer = start_peer(toolchain)
    with tempfile.TemporaryDirectory() as directory, ThreadPoolExecutor(at_once) as pool:
        captures = {program: Path(directory) / f"{program}.capture" for program in programs}

        def baseline(program: str) -> None:
            record(binaries[program], peer, captures[program], seconds, pprof=pprof, without=without)

        def ask(job: tuple[str, int, bool]) -> Answer:
            program, run, fixed = job
            capture = captures[program]
            return verify(
                program, binaries[program], peer, capture, run, fixed=fixed, pprof=pprof, without=without
            )

        try:
            list(pool.map(baseline, programs))
            jobs = [
                (program, run, fixed)
                for program in programs
                for run in range(runs)
                for fixed in (True, False)
            ]
            return list(pool.map(ask, jobs))
        finally:
            peer.stop()


def format_table(answers: Iterable[Answer]) -> str:
    """The answers a program, with the reasons of those that are not right, and a line of totals."""
    lines = []
    rows: dict[tuple[str, str, bool], list[Answer]] = {}
    for answer in answers:
        rows.setdefault((answer.kind, answer.program, answer.fixed), []).append(answer)
    for (kind, program, fixed), group in sorted(rows.items()):
        said = ", ".join(answer.verdict for answer in group)
        lines.append(f"{kind:10} {program:18}{'fixed' if fixed else 'unfixed':9}{said}")
        lines += [f"    {' · '.join(answer.reasons)}" for answer in group if not answer.right]
    every = [answer for group in rows.values() for answer in group]
    right = sum(answer.right for answer in every)
    undecided = sum(answer.verdict == "undecided" for answer in every)
    lines.append(f"{right} of {len(every)} right, {undecided} undecided")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("programs", nargs="*")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--no-pprof", action="store_true")
    parser.add_argument("--without", default="", help="sources leaktui is to leave alone")
    parser.add_argument("--at-once", type=int, default=4)
    arguments = parser.parse_args()
    answers = run_matrix(
        arguments.programs or PROGRAMS,
        find_toolchains()[0],
        runs=arguments.runs,
        seconds=arguments.seconds,
        pprof=not arguments.no_pprof,
        without=arguments.without,
        at_once=arguments.at_once,
    )
    print(format_table(answers), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
