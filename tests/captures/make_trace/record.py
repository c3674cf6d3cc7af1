"""Records tests/captures/trace with real Go toolchains.

    python tests/captures/make_trace/record.py GOROOT [GOROOT …]

Each GOROOT gives, for its release (`go1.26`), traces of the program `client` over HTTP/1, HTTP/1 with TLS
and HTTP/2 with the program's own account of what it did, and one of `descriptors`. Takes some ten seconds
a release. Existing captures of other releases are left alone.
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


def pack(trace: Path, name: str) -> None:
    """Keep *trace* as the capture *name*."""
    (CAPTURES / f"{name}.trace.gz").write_bytes(gzip.compress(trace.read_bytes(), 9, mtime=0))


def record(goroot: Path, scratch: Path) -> None:
    """All captures of one release."""
    go = release(goroot)
    client = build(goroot, "client", scratch / "client")
    for proto, load in LOAD.items():
        subprocess.run([client, "-proto", proto, "-out", scratch / "out", *load], check=True, timeout=60)
        pack(scratch / "out.trace", f"{go}-{proto}")
        truth = json.loads((scratch / "out.json").read_text())
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
