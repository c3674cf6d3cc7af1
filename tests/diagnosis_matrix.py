"""Runs `leaktui diagnose` on the programs of tests/goprograms and judges the answers.

Law: the answer is taken from a real command line on a real process; it is `right` only when the first
suspect names the marked kind, function and line (and, for goroutines, who created them). `wrong` is a
likely or proven suspect elsewhere, or a healthy program accused; everything careful is `undecided`.

By hand: `python -m tests.diagnosis_matrix [--stripped] [--by-url | --no-pprof] [--without probes]
[--toolchain 1.24] [program …]`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.go_expected import Expected, expected, healthy_programs, leaking_programs
from tests.go_target import Peer, run_target, start_peer
from tests.go_toolchain import Toolchain, build_programs, find_toolchains

AT_ONCE = 6
"""Targets watched at the same time: they mostly wait, and the machine may have two cores."""

EXIT_STATUS = {"clean": 0, "leak": 1, "undecided": 3}


@dataclass(frozen=True)
class Outcome:
    """One answer and what it is worth."""

    program: str
    toolchain: str
    stripped: bool
    answer: str
    said: str
    seconds: float
    pause_ms: float
    diagnosis: dict[str, Any]

    @property
    def right(self) -> bool:
        return self.answer == "right"


def judge(diagnosis: dict[str, Any], truth: Expected | None) -> str:
    """What the answer is worth: right, wrong, undecided, or kind only (the kind without the line)."""
    suspects = diagnosis["suspects"]
    if truth is None:
        if diagnosis["verdict"] == "clean":
            return "right"
        return "undecided" if diagnosis["verdict"] == "undecided" else "wrong"
    if diagnosis["verdict"] == "clean":
        return "wrong"
    if not suspects:
        return "undecided"
    first = suspects[0]
    if first["kind"] == truth.kind and _names(first, truth):
        return "right" if diagnosis["verdict"] == "leak" else "undecided"
    if first["confidence"] == "possible":
        return "undecided" if first["kind"] != truth.kind else "kind only"
    return "wrong"


def _names(suspect: dict[str, Any], truth: Expected) -> bool:
    if not truth.matches(suspect["function"], suspect["file"] or "", suspect["line"] or 0):
        return False
    if truth.created_by is None:
        return True
    creator = suspect["created_by"]
    return creator is not None and truth.created_by.matches(
        creator["function"], creator["file"], creator["line"]
    )


def diagnose(
    program: str,
    binary: Path,
    toolchain: Toolchain,
    stripped: bool,
    peer: Peer,
    seconds: float,
    by_url: bool = False,
    pprof: bool = True,
    without: str = "",
) -> Outcome:
    """Start *program*, ask the command line (with its URL only, where *by_url*), judge."""
    with run_target(binary, peer, pprof=pprof) as target:
        name = ["--url", str(target.pprof_url)] if by_url else ["--pid", str(target.pid)]
        if without:
            name += ["--without", without]
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "leaktui",
                "diagnose",
                *name,
                "--json",
                "--seconds",
                str(seconds),
            ],
            capture_output=True,
            text=True,
            timeout=seconds + 60,
        )
    try:
        diagnosis = json.loads(done.stdout)
    except ValueError:
        return Outcome(program, str(toolchain), stripped, "failed", done.stderr.strip()[-300:], 0.0, 0.0, {})
    assert done.returncode == EXIT_STATUS[diagnosis["verdict"]], done.stderr
    return Outcome(
        program=program,
        toolchain=str(toolchain),
        stripped=stripped,
        answer=judge(diagnosis, expected(program)),
        said=_said(diagnosis),
        seconds=diagnosis["elapsed_seconds"],
        pause_ms=diagnosis["target_pause_ms"],
        diagnosis=diagnosis,
    )


def _said(diagnosis: dict[str, Any]) -> str:
    suspects = diagnosis["suspects"]
    if not suspects:
        return str(diagnosis["verdict"])
    first = suspects[0]
    file = (first["file"] or "?").rpartition("/")[2]
    return f"{diagnosis['verdict']}: {first['kind']} {first['confidence']} {first['function']} {file}:{first['line']}"


def run_matrix(
    programs: Sequence[str],
    toolchain: Toolchain,
    *,
    stripped: bool,
    seconds: float = 40.0,
    by_url: bool = False,
    pprof: bool = True,
    without: str = "",
    at_once: int = AT_ONCE,
) -> list[Outcome]:
    """Diagnose *programs*, several at a time, with one peer; without *pprof* they do not even link it.

    *without* are the sources leaktui is told to leave alone, separated by commas.
    """
    binaries = build_programs(programs, toolchain, stripped=stripped, tags="" if pprof else "nopprof")
    peer = start_peer(toolchain)
    try:
        with ThreadPoolExecutor(at_once) as pool:
            return list(
                pool.map(
                    lambda program: diagnose(
                        program, binaries[program], toolchain, stripped, peer, seconds, by_url, pprof, without
                    ),
                    programs,
                )
            )
    finally:
        peer.stop()


def format_table(outcomes: Iterable[Outcome]) -> str:
    """The outcomes as a table, with a line of totals."""
    rows = sorted(outcomes, key=lambda item: (item.toolchain, item.stripped, item.answer, item.program))
    lines = [
        f"{row.toolchain:10} {'stripped' if row.stripped else 'symbols':9}{row.program:20}"
        f"{row.answer:11}{row.seconds:5.1f} s {row.pause_ms:5.0f} ms  {row.said}"
        for row in rows
    ]
    totals: dict[str, int] = {}
    for row in rows:
        totals[row.answer] = totals.get(row.answer, 0) + 1
    lines.append(", ".join(f"{count} {answer}" for answer, count in sorted(totals.items())))
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("programs", nargs="*")
    parser.add_argument("--toolchain", default="")
    parser.add_argument("--stripped", action="store_true")
    parser.add_argument("--seconds", type=float, default=40.0)
    parser.add_argument(
        "--by-url", action="store_true", help="give leaktui the pprof address and nothing else"
    )
    parser.add_argument(
        "--no-pprof", action="store_true", help="build and run the programs without net/http/pprof"
    )
    parser.add_argument("--without", default="", help="sources leaktui is to leave alone")
    parser.add_argument("--at-once", type=int, default=AT_ONCE, help="programs watched at the same time")
    parser.add_argument("--json", action="store_true", help="print the diagnoses too")
    arguments = parser.parse_args()
    programs = arguments.programs or [*leaking_programs(), *healthy_programs()]
    for toolchain in find_toolchains():
        if arguments.toolchain and not str(toolchain).removeprefix("go").startswith(arguments.toolchain):
            continue
        outcomes = run_matrix(
            programs,
            toolchain,
            stripped=arguments.stripped,
            seconds=arguments.seconds,
            by_url=arguments.by_url,
            without=arguments.without,
            pprof=not arguments.no_pprof,
            at_once=arguments.at_once,
        )
        if arguments.json:
            print(json.dumps([outcome.diagnosis for outcome in outcomes], indent=1))
        print(format_table(outcomes), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
