"""Runs `leaktui guide` on the programs of tests/goprograms and judges where it ends, without a key pressed.

Law: the walkthrough is taken from a real command line on a real process. It is right when its diagnosis is (see
tests.diagnosis_matrix), its steps end within the clock, and a healthy program ends with "nothing leaks". Where the
source gives a reason, it is shown for somebody to judge.

By hand: `python -m tests.walkthrough_matrix [--stripped] [--no-pprof] [--unprivileged] [--without …] [program …]`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.command_line import ROOT
from tests.diagnosis_matrix import judge
from tests.go_expected import Expected, expected, healthy_programs, leaking_programs
from tests.go_target import Peer, run_target, start_peer
from tests.go_toolchain import Toolchain, build_programs, find_toolchains

AT_ONCE = 3
NOBODY = 65534
CLOCK_SECONDS = 180.0

STATUS = {"nothing leaks": 0, "leak": 1, "undecided": 3}


@dataclass(frozen=True)
class Walked:
    """One walkthrough and what it is worth."""

    program: str
    answer: str
    seconds: float
    said: str
    reason: str
    steps: dict[str, str]

    @property
    def right(self) -> bool:
        return self.answer == "right"


def judge_walk(form: dict[str, Any], truth: Expected | None) -> str:
    """Right, wrong, undecided or kind only, as the diagnosis is; and what is amiss with the steps."""
    answer = judge(form["diagnosis"], truth)
    outcome = form["outcome"]
    if form["seconds"] > CLOCK_SECONDS:
        return "late"
    if any(step["state"] not in ("done", "skipped") for step in form["steps"]):
        return "unfinished"
    if answer == "right" and outcome != ("nothing leaks" if truth is None else "leak"):
        return f"ends with {outcome}"
    steps = {step["name"]: step for step in form["steps"]}
    if answer == "right" and truth is not None:
        place = f"{truth.file.rpartition('/')[2]}:{truth.line}"
        places = [place, *(f"{also.file.rpartition('/')[2]}:{also.line}" for also in truth.also)]
        said = " ".join(seen["text"] for seen in steps["line"]["saw"])
        if not any(item in said for item in places):
            return "the line is not said"
    return answer


def walk(
    program: str,
    binary: Path,
    peer: Peer,
    *,
    pprof: bool = True,
    unprivileged: bool = False,
    without: str = "",
) -> Walked:
    """Start *program*, walk through it, judge. *unprivileged* is as nobody, who sees its pprof pages and no more."""
    with run_target(binary, peer, pprof=pprof) as target:
        name = ["--url", str(target.pprof_url)] if unprivileged else ["--pid", str(target.pid)]
        command = [sys.executable, "-m", "leaktui", "guide", *name, "--json"]
        command += ["--without", without] if without else []
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        if unprivileged:
            nobody = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
            command = [*nobody, *command]
            env["HOME"] = "/nonexistent"
        done = subprocess.run(command, capture_output=True, text=True, timeout=CLOCK_SECONDS + 60, env=env)
    try:
        form = json.loads(done.stdout)
    except ValueError:
        return Walked(program, "failed", 0.0, done.stderr.strip()[-300:], "", {})
    assert done.returncode == STATUS[form["outcome"]], done.stderr
    explanation = form["explanation"]
    return Walked(
        program=program,
        answer=judge_walk(form, expected(program)),
        seconds=form["seconds"],
        said=_said(form),
        reason=f"{explanation['reason']}: {explanation['text']}" if explanation else "",
        steps={step["name"]: step["state"] for step in form["steps"]},
    )


def _said(form: dict[str, Any]) -> str:
    suspects = form["diagnosis"]["suspects"]
    if not suspects:
        return str(form["outcome"])
    first = suspects[0]
    file = (first["file"] or "?").rpartition("/")[2]
    return (
        f"{form['outcome']}: {first['kind']} {first['confidence']} {first['function']} {file}:{first['line']}"
    )


def run_matrix(
    programs: Sequence[str],
    toolchain: Toolchain,
    *,
    stripped: bool = False,
    pprof: bool = True,
    unprivileged: bool = False,
    without: str = "",
    at_once: int = AT_ONCE,
) -> list[Walked]:
    """Walk through *programs*, several at a time, with one peer."""
    binaries = build_programs(programs, toolchain, stripped=stripped, tags="" if pprof else "nopprof")
    peer = start_peer(toolchain)
    try:
        with ThreadPoolExecutor(at_once) as pool:
            return list(
                pool.map(
                    lambda program: walk(
                        program,
                        binaries[program],
                        peer,
                        pprof=pprof,
                        unprivileged=unprivileged,
                        without=without,
                    ),
                    programs,
                )
            )
    finally:
        peer.stop()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("programs", nargs="*")
    parser.add_argument("--stripped", action="store_true")
    parser.add_argument("--no-pprof", action="store_true")
    parser.add_argument("--unprivileged", action="store_true", help="as nobody, through pprof alone")
    parser.add_argument("--without", default="", help="sources leaktui is to leave alone")
    parser.add_argument("--at-once", type=int, default=AT_ONCE)
    options = parser.parse_args()
    programs = options.programs or [*leaking_programs(), *healthy_programs()]
    walked = run_matrix(
        programs,
        find_toolchains()[0],
        stripped=options.stripped,
        pprof=not options.no_pprof,
        unprivileged=options.unprivileged,
        without=options.without,
        at_once=options.at_once,
    )
    for item in sorted(walked, key=lambda item: (item.answer, item.program)):
        print(f"{item.program:20}{item.answer:12}{item.seconds:6.1f} s  {item.said}")
        if item.reason:
            print(f"{'':40}{item.reason}")
    totals: dict[str, int] = {}
    for item in walked:
        totals[item.answer] = totals.get(item.answer, 0) + 1
    print(", ".join(f"{count} {answer}" for answer, count in sorted(totals.items())))
    return 0 if all(item.right for item in walked) else 1


if __name__ == "__main__":
    sys.exit(main())
