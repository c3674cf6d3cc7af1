"""Records tests/captures/trace with real Go toolchains.

    python tests/captures/make_trace/record.py GOROOT [GOROOT …]

Each GOROOT gives, for its release (`go1.26`), traces of the program `client` over HTTP/1, HTTP/1 with TLS
or HTTP/2, with the program's own account of what it did and Go's own account of the events, and one of
`descriptors`. Takes some ten seconds a release. Existing captures of other releases are left alone.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

SOURCE = Path(__file__).parent
CAPTURES = SOURCE.parent / "trace"
LOAD = {
    "h1": ("-seconds", "1.35", "-workers", "2", "-pause", "9000"),
    "h1tls": ("-seconds", "1.35", "-workers", "2", "-pause", "12000"),
    "h2": ("-seconds", "1.35", "-workers", "2", "-pause", "20000"),
}

# Which of them are kept, so that the captures stay small; all for releases not named.
KEPT = {
    "go1.22": ("h1", "h2"),
    "go1.24": ("h1tls",),
    "go1.25": ("h1", "h2"),
    "go1.26": ("h1tls",),
    "go1.27": ("h1", "h2"),
}
TRANSITION = re.compile(
    r"^M=-?\d+ P=-?\d+ G=(-?\d+) StateTransition .*?\bGoID=(\d+) (\w+)->(\w+)\b", re.MULTILINE
)
TRANSITIONS = {
    ("Running", "Waiting"): "block",
    ("Waiting", "Runnable"): "unblock",
    ("NotExist", "Runnable"): "create",
    ("Running", "NotExist"): "end",
    ("Running", "Syscall"): "syscall",
    ("Running", "Runnable"): "stop",
}


def build(goroot: Path, program: str, output: Path) -> Path:
    """Compile *program* without a trace of this machine's paths."""
    subprocess.run(
        [goroot / "bin/go", "build", "-trimpath", "-ldflags=-s", "-o", output, f"./{program}"],
        cwd=SOURCE,
        env=os.environ | {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "-buildvcs=false"},
        check=True,
    )
    return output


def release(goroot: Path) -> str:
    """`go1.26` for a GOROOT of Go 1.26.8."""
    match = re.match(r"go1\.\d+", (goroot / "VERSION").read_text())
    if match is None:
        raise SystemExit(f"{goroot} holds no released Go")
    return match.group()


def count_events(goroot: Path, trace: Path) -> dict[str, list[int]]:
    """What Go's reader makes of *trace*: of each transition, how many, and the sums of the numbers of the
    goroutines it happened on and to."""
    mode = "-d=1" if release(goroot) in ("go1.22", "go1.23") else "-d=parsed"
    parsed = subprocess.run(
        [goroot / "bin/go", "tool", "trace", mode, trace],
        env=os.environ | {"GOTOOLCHAIN": "local"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    counts = {name: [0, 0, 0] for name in TRANSITIONS.values()}
    for on, to, before, after in TRANSITION.findall(parsed):
        name = TRANSITIONS.get((before, after))
        if name is not None:
            count = counts[name]
            count[0] += 1
            count[1] += max(0, int(on))
            count[2] += int(to)
    return counts


def pack(trace: Path, name: str) -> None:
    """Keep *trace* as the capture *name*."""
    (CAPTURES / f"{name}.trace.gz").write_bytes(gzip.compress(trace.read_bytes(), 9, mtime=0))


def record(goroot: Path, scratch: Path) -> None:
    """All captures of one release."""
    go = release(goroot)
    client = build(goroot, "client", scratch / "client")
    for proto in KEPT.get(go, tuple(LOAD)):
        command = [client, "-proto", proto, "-out", scratch / "out", *LOAD[proto]]
        subprocess.run(command, check=True, timeout=60)
        pack(scratch / "out.trace", f"{go}-{proto}")
        truth = json.loads((scratch / "out.json").read_text())
        truth["events"] = count_events(goroot, scratch / "out.trace")
        (CAPTURES / f"{go}-{proto}.json").write_text(json.dumps(truth, indent=1, sort_keys=True) + "\n")
    descriptors = build(goroot, "descriptors", scratch / "descriptors")
    subprocess.run([descriptors, scratch / "out.trace"], check=True, timeout=60)
    pack(scratch / "out.trace", f"{go}-descriptors")


def main() -> None:
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    CAPTURES.mkdir(exist_ok=True)
    for goroot in sys.argv[1:]:
        with tempfile.TemporaryDirectory() as scratch:
            record(Path(goroot), Path(scratch))


if __name__ == "__main__":
    main()
