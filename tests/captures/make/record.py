"""Records tests/captures/pprof with real Go toolchains.

    python tests/captures/make/record.py GOROOT [GOROOT …]

Each GOROOT gets a directory named after its release (`go1.26`) with the profiles the program `waits`
writes of itself, dumps under other GODEBUG settings, crashes, and, with a C compiler, a cgo build.
Takes about 70 seconds: goroutines must wait for more than a minute before Go says so. The
directories are rewritten; nothing else is touched.
"""

from __future__ import annotations

import gzip
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

SOURCE = Path(__file__).parent / "waits"
CAPTURES = Path(__file__).parent.parent / "pprof"
GODEBUG = "tracebackancestors=5,tracebacklabels=1"


def build(goroot: Path, program: Path, *, cgo: bool) -> None:
    """Compile waits without a trace of this machine's paths."""
    environment = os.environ | {
        "CGO_ENABLED": "1" if cgo else "0",
        "GOTOOLCHAIN": "local",
        "GOFLAGS": "-buildvcs=false",
    }
    if release(goroot) == "go1.26":  # from 1.27 on it is there without asking
        environment["GOEXPERIMENT"] = "goroutineleakprofile"
    subprocess.run(
        [goroot / "bin/go", "build", "-trimpath", "-o", program, "."],
        cwd=SOURCE,
        env=environment,
        check=True,
    )


def release(goroot: Path) -> str:
    """`go1.26` for a GOROOT of Go 1.26.8."""
    match = re.match(r"go1\.\d+", (goroot / "VERSION").read_text())
    if match is None:
        raise SystemExit(f"{goroot} holds no released Go")
    return match.group()


def run(program: Path, *arguments: str, godebug: str = "", gotraceback: str = "single") -> bytes:
    """Run waits and return what it says on stderr."""
    environment = {"GODEBUG": godebug, "GOTRACEBACK": gotraceback, "GOMAXPROCS": "2"}
    finished = subprocess.run([program, *arguments], env=environment, capture_output=True, timeout=150)
    return finished.stderr


def record(goroot: Path) -> str:
    """Everything for one toolchain."""
    target = CAPTURES / release(goroot)
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="waits-") as scratch:
        program = Path(scratch) / "waits"

        def keep(name: str, data: bytes) -> None:
            if not data.startswith(b"\x1f\x8b"):  # profiles in protobuf form come compressed
                data = gzip.compress(data, 9, mtime=0)
            (target / f"{name}.gz").write_bytes(data)

        def keep_all(prefix: str, names: tuple[str, ...], *arguments: str, godebug: str = "") -> None:
            out = Path(scratch) / (prefix or "plain")
            out.mkdir()
            run(program, "-out", str(out), *arguments, godebug=godebug)
            for path in sorted(out.iterdir()):
                if not names or path.name in names:
                    keep(prefix + path.name, path.read_bytes())

        build(goroot, program, cgo=False)
        keep_all("", (), "-wait", "62s")
        keep_all("debug-", ("goroutine.0.pb", "goroutine.2.txt"), godebug=GODEBUG)
        keep("crash-all.txt", run(program, "-crash", gotraceback="all"))
        keep("crash-system.txt", run(program, "-crash", gotraceback="system"))
        if shutil.which("gcc") or shutil.which("cc"):
            build(goroot, program, cgo=True)
            keep_all("cgo-", ("goroutine.0.pb", "goroutine.1.txt", "goroutine.2.txt"))
    return f"{release(goroot)}: {len(list(target.iterdir()))} files"


if __name__ == "__main__":
    with ThreadPoolExecutor(2) as pool:
        for line in pool.map(record, map(Path, sys.argv[1:])):
            print(line)
