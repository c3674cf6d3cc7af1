"""All benchmarks in one run: `python -m tests.bench [NAME…] [--write]`.

Each bench module offers `run() -> list[Row]`: ours and a peer's figure, taken one after the other on this
machine. `--write` puts the table into the README.
"""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import sys
from pathlib import Path

from tests.bench.row import Row, format_table

BENCHES = ("startup", "profile", "trace", "memory", "holders", "churn", "probes", "debugger", "tui")
_README = Path(__file__).parents[2] / "README.md"
_BEGIN, _END = "<!-- benchmarks -->\n", "<!-- /benchmarks -->"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHES)}; all by default")
    parser.add_argument("--write", action="store_true", help="put the table into the README")
    options = parser.parse_args()
    for name in options.names:
        if name not in BENCHES:
            parser.error(f"there is no bench {name}")
    rows: list[Row] = []
    for name in options.names or BENCHES:
        print(f"{name} …", file=sys.stderr, flush=True)
        rows += importlib.import_module(f"tests.bench.{name}").run()
    table = format_table(rows)
    print(table)
    print(describe_machine())
    if options.write:
        text = _README.read_text(encoding="utf-8")
        head, rest = text.split(_BEGIN)
        _, tail = rest.split(_END)
        body = f"{table}\n{describe_machine()}\n"
        _README.write_text(f"{head}{_BEGIN}{body}{_END}{tail}", encoding="utf-8")
    return 0


def describe_machine() -> str:
    """Where the figures are from, without naming the machine."""
    from tests.go_toolchain import find_toolchains

    go = f", Go {find_toolchains()[0].version}" if find_toolchains() else ""
    cores = len(os.sched_getaffinity(0))
    return f"Measured on {platform.machine()}, {cores} cores, Python {platform.python_version()}{go}."


if __name__ == "__main__":
    sys.exit(main())
