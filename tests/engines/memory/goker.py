"""The Go distribution's blocking-bug programs, and what leaktui says of them: `python -m tests.engines.memory.goker`.

Law: the programs are the toolchain's own (src/runtime/testdata/testgoroutineleakprofile), copied to a temporary
directory; only their main is another one, which runs one of them and then keeps the process alive. Where the
release has a goroutineleak profile, that is asked in the same process, after leaktui looked.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from leaktui.engines.memory.attachment import attach
from leaktui.engines.memory.reachability import LeakedGoroutines, LeakFinder
from tests.go_target import GoProcess, TargetDied
from tests.go_toolchain import Toolchain, find_toolchains, go_environment

_TESTDATA = Path("src/runtime/testdata/testgoroutineleakprofile")
_REGISTERED = re.compile(r'register\("(\w+)"')

_MAIN = """\
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"runtime/pprof"
	"time"
)

const yieldCount = 10

var cmds = map[string]func(){}

func register(name string, f func()) { cmds[name] = f }

func registerInit(name string, f func()) {
	if len(os.Args) >= 2 && os.Args[1] == name {
		f()
	}
}

func main() {
	out := json.NewEncoder(os.Stdout)
	os.Stdout, _ = os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	has := pprof.Lookup("goroutineleak") != nil
	if !has {
		pprof.NewProfile("goroutineleak")
	}
	done := make(chan bool)
	go func() {
		defer close(done)
		cmds[os.Args[1]]()
	}()
	ended := true
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		ended = false
	}
	time.Sleep(300 * time.Millisecond)
	out.Encode(map[string]any{"ready": true, "profile": has, "ended": ended})
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var text bytes.Buffer
		pprof.Lookup(lines.Text()).WriteTo(&text, 2)
		out.Encode(map[string]any{lines.Text(): text.String()})
	}
}
"""


@dataclass(frozen=True)
class Outcome:
    """One program: goroutines leaktui proved and suspected, those the profile lists (None without one)."""

    name: str
    proven: frozenset[int]
    suspected: frozenset[int]
    profile: frozenset[int] | None
    waiting: int
    """Goroutines in a wait that could be for ever, by the plain goroutine dump."""


def find_sources(toolchains: Iterable[Toolchain]) -> Path | None:
    """The programs' directory in the newest toolchain that has them."""
    for toolchain in sorted(toolchains, key=lambda each: each.release, reverse=True):
        root = subprocess.run(
            [toolchain.go, "env", "GOROOT"], env=go_environment(), capture_output=True, text=True, check=True
        ).stdout.strip()
        if (Path(root) / _TESTDATA / "main.go").is_file():
            return Path(root) / _TESTDATA
    return None


def build_suite(sources: Path, toolchain: Toolchain, directory: Path) -> dict[str, Path]:
    """The executable of each program, by its name; built stripped, in *directory*."""
    programs: dict[str, Path] = {}
    for package in (sources, sources / "goker"):
        copy = directory / f"{package.name}-source"
        if not copy.exists():
            copy.mkdir()
            for file in package.glob("*.go"):
                shutil.copy(file, copy / file.name)
            (copy / "main.go").write_text(_MAIN)
            (copy / "go.mod").write_text("module example.com/goker\n\ngo 1.22\n")
        binary = directory / f"{package.name}-{toolchain.version}"
        environment = go_environment()
        if toolchain.release == (1, 26):
            environment["GOEXPERIMENT"] = "goroutineleakprofile"
        subprocess.run(
            [toolchain.go, "build", "-ldflags=-s -w", "-o", binary, "."],
            cwd=copy,
            env=environment,
            check=True,
        )
        for file in sorted(copy.glob("*.go")):
            for name in _REGISTERED.findall(file.read_text()):
                programs[name] = binary
    return programs


def run_program(binary: Path, name: str) -> Outcome | None:
    """What leaktui and the runtime say; None where the program panics, as some do now and then."""
    try:
        process = GoProcess([str(binary), name])
    except TargetDied:
        return None
    try:
        attachment = attach(process.pid, threading.Event())
        found: LeakedGoroutines | None = None
        for fact in LeakFinder(attachment).find(threading.Event()):
            if isinstance(fact, LeakedGoroutines):
                found = fact
        attachment.close()
        assert found is not None
        if found.refusal:
            print(f"{name}: {found.refusal}", file=sys.stderr)
        waiting = sum(1 for _ in _iter_waiting(process.ask("goroutine", "goroutine")))
        profile = None
        if process.ready["profile"]:
            listed = process.ask("goroutineleak", "goroutineleak")
            profile = frozenset(goid for goid, reason in _iter_goroutines(listed) if "(leaked)" in reason)
        return Outcome(
            name,
            frozenset(seen.state.goid for seen in found.proven),
            frozenset(seen.state.goid for seen in found.suspected),
            profile,
            waiting,
        )
    except TargetDied:
        return None
    finally:
        process.stop()


def _iter_goroutines(dump: str) -> Iterator[tuple[int, str]]:
    for goid, reason in re.findall(r"^goroutine (\d+)[^\[]*\[([^\]]*)\]:", dump, re.MULTILINE):
        yield int(goid), reason


def _iter_waiting(dump: str) -> Iterator[int]:
    for goid, reason in _iter_goroutines(dump):
        if goid != 1 and reason.startswith(("chan", "select", "sync.", "semacquire")):
            yield goid


def format_table(outcomes: Iterable[Outcome]) -> str:
    """A row a program, and the sums."""
    rows = [
        f"{'program':<34}{'waiting':>8}{'proven':>8}{'suspected':>10}{'profile':>8}{'only ours':>10}{'missed':>8}"
    ]
    sums: Counter[str] = Counter()
    for outcome in outcomes:
        known = outcome.profile
        only = len(outcome.proven - known) if known is not None else 0
        missed = len(known - outcome.proven) if known is not None else 0
        listed = "-" if known is None else str(len(known))
        rows.append(
            f"{outcome.name:<34}{outcome.waiting:>8}{len(outcome.proven):>8}{len(outcome.suspected):>10}"
            f"{listed:>8}{only:>10}{missed:>8}"
        )
        sums.update(
            waiting=outcome.waiting,
            proven=len(outcome.proven),
            suspected=len(outcome.suspected),
            profile=len(known or ()),
            only=only,
            missed=missed,
        )
    rows.append(
        f"{'sum':<34}{sums['waiting']:>8}{sums['proven']:>8}{sums['suspected']:>10}{sums['profile']:>8}"
        f"{sums['only']:>10}{sums['missed']:>8}"
    )
    return "\n".join(rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--toolchain", default="", help="a release to build with (1.24); default: the newest")
    parser.add_argument("--only", default="", help="programs whose names contain this")
    options = parser.parse_args()
    toolchains = find_toolchains()
    sources = find_sources(toolchains)
    chosen = [each for each in toolchains if each.version.startswith(options.toolchain)]
    if sources is None or not chosen:
        print("no toolchain has these programs (Go 1.26 and later do)", file=sys.stderr)
        return 2
    toolchain = max(chosen, key=lambda each: each.release)
    with tempfile.TemporaryDirectory(prefix="leaktui-goker-") as directory:
        programs = build_suite(sources, toolchain, Path(directory))
        outcomes = []
        for name, binary in sorted(programs.items()):
            if options.only not in name:
                continue
            outcome = run_program(binary, name)
            if outcome is None:
                print(f"{name}: ended by itself", file=sys.stderr)
            else:
                outcomes.append(outcome)
    print(f"{toolchain}, {len(outcomes)} programs")
    print(format_table(outcomes))
    return 0


if __name__ == "__main__":
    sys.exit(main())
