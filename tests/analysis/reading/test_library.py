"""The reading on code that is mostly right: the standard library's own openings, a sample of its files.

Nothing may fail on it, and little may be called certain: what is, are files that are indeed kept or left open.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from leaktui.model.explanation import SkipReason
from leaktui.model.finding import Confidence, Finding, LeakKind
from leaktui.model.frame import Frame
from leaktui.sources import Sources
from tests.go_toolchain import Toolchain, go_environment

_OPENS = re.compile(r"\b(os\.(Open|OpenFile|Create|CreateTemp|Pipe)|net\.(Dial\w*|Listen\w*)|\w+\.Accept)\(")
_ASKS = re.compile(r"\b(http\.(Get|Post|Head)|\w+\.RoundTrip|http\.DefaultClient\.\w+)\(")
_ADDS = re.compile(r"= append\(|\] = ")
_WAITS = re.compile(r"^\s*select \{|<-|\.Wait\(\)|\.Lock\(\)")
KINDS = {
    LeakKind.FD: _OPENS,
    LeakKind.HTTP_BODY: _ASKS,
    LeakKind.HEAP: _ADDS,
    LeakKind.GOROUTINE: _WAITS,
}


def places(toolchain: Toolchain, step: int) -> Iterator[tuple[LeakKind, str, int]]:
    said = subprocess.run(
        [str(toolchain.go), "env", "GOROOT"], capture_output=True, text=True, check=True, env=go_environment()
    )
    files = [
        path
        for path in sorted((Path(said.stdout.strip()) / "src").rglob("*.go"))
        if "testdata" not in path.parts and not path.name.endswith("_test.go")
    ]
    for path in files[::step]:
        text = path.read_text(encoding="utf-8", errors="replace")
        if len(text) > 60_000:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            for kind, pattern in KINDS.items():
                if pattern.search(line) and not line.lstrip().startswith("//") and "func " not in line:
                    yield kind, str(path), number
                    break


def check(toolchain: Toolchain, step: int) -> tuple[int, int]:
    count = certain = 0
    sources = Sources()
    for kind, path, line in places(toolchain, step):
        at = Frame("f", path, line)
        found = sources.explain(Finding(kind, Confidence.PROVEN, "f", at, (at,), 1))
        if kind in (LeakKind.FD, LeakKind.HTTP_BODY):
            count += 1
            certain += found is not None and found.certain and found.reason is not SkipReason.STORED
    return count, certain


@pytest.mark.go
def test_little_is_certain_on_a_sample(go_toolchain: Toolchain) -> None:
    count, certain = check(go_toolchain, 150)
    assert certain <= max(2, count // 8), f"{certain} of {count}"


@pytest.mark.go
@pytest.mark.matrix
def test_little_is_certain_on_all_of_it(matrix_toolchain: Toolchain) -> None:
    count, certain = check(matrix_toolchain, 1)
    assert count > 200
    assert certain <= count // 10, f"{certain} of {count}"
