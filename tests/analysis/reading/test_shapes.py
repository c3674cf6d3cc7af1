"""Functions as they are met in the wild: the right reason on each, and changes that apply and compile.

`// WHY: reason` stands on the line a suspect would name. `perhaps` says that the reading may not call itself certain,
`nothing` that there is nothing to say.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from leaktui.analysis.explain import explain_finding
from leaktui.model.explanation import Explanation
from leaktui.model.finding import Confidence, Finding, LeakKind
from leaktui.model.frame import Frame
from tests.go_toolchain import Toolchain, go_environment

SHAPES = Path(__file__).parent / "shapes"
KINDS = {
    "bodies.go": LeakKind.HTTP_BODY,
    "files.go": LeakKind.FD,
    "goroutines.go": LeakKind.GOROUTINE,
    "memory.go": LeakKind.HEAP,
}
# There is no edit for these that would be right without knowing the rest of the program.
WITHOUT_CHANGE = frozenset(
    {
        "returnsReader",
        "keeps",
        "keepsAtOnce",
        "sends",
        "unknownHelper",
        "acceptsAndServes",
        "dials",
        "ticksForEver",
        "remembers",
        "logs",
        "lists",
        "shares",
        "marks",
        "evicts",
    }
)


@dataclass(frozen=True)
class Shape:
    """A marked line: `reason` is the value of a SkipReason, or `nothing`."""

    file: str
    function: str
    line: int
    reason: str
    perhaps: bool
    go_line: int

    def explain(self) -> Explanation | None:
        text = (SHAPES / self.file).read_text(encoding="utf-8")
        at = Frame(f"shapes.{self.function}", f"/src/{self.file}", self.line)
        started = Frame(at.function, at.file, self.go_line) if self.go_line else None
        kind = KINDS[self.file]
        finding = Finding(kind, Confidence.PROVEN, at.function, at, (at,), 9, created_by=started)
        return explain_finding(finding, lambda path: text if path == at.file else None, lambda path: ())


def shapes() -> Iterator[Shape]:
    for name in KINDS:
        function, go_line = "", 0
        for number, line in enumerate((SHAPES / name).read_text(encoding="utf-8").splitlines(), 1):
            if found := re.match(r"func (?:\(.*?\) )?(\w+)", line):
                function, go_line = found[1], 0
            if "go func" in line:
                go_line = number
            if found := re.search(r"// WHY: (perhaps )?(.+)$", line):
                yield Shape(name, function, number, found[2], bool(found[1]), go_line)


ALL = list(shapes())


def test_there_are_enough_of_them() -> None:
    assert len(ALL) >= 70
    assert sum(shape.reason == "nothing" for shape in ALL) >= 10


@pytest.mark.parametrize("shape", ALL, ids=lambda shape: f"{shape.function}-{shape.line}")
def test_the_reason_is_right(shape: Shape) -> None:
    found = shape.explain()
    if shape.reason == "nothing":
        assert found is None, found
        return
    assert found is not None
    assert found.reason.value == shape.reason, found.text
    assert found.certain is not shape.perhaps, found.text
    assert found.first_line <= found.acquire_line <= found.last_line
    assert found.marks
    assert all(mark.note for mark in found.marks)
    assert bool(found.diff) is (shape.function not in WITHOUT_CHANGE), found.diff


@pytest.mark.parametrize("shape", ALL, ids=lambda shape: f"{shape.function}-{shape.line}")
def test_nothing_certain_is_said_of_what_the_change_made(shape: Shape, tmp_path: Path) -> None:
    found = shape.explain()
    if found is None or not found.diff or KINDS[shape.file] not in (LeakKind.HTTP_BODY, LeakKind.FD):
        pytest.skip("no change to read again")
    text = patched(shape, found, tmp_path)
    original = (SHAPES / shape.file).read_text(encoding="utf-8").splitlines()
    marks = [number for number, line in enumerate(original, 1) if "// WHY" in line]
    places = [number for number, line in enumerate(text.splitlines(), 1) if "// WHY" in line]
    if len(places) < len(marks):
        pytest.skip("the marked line itself was replaced")
    frame = Frame("f", "/src/x.go", places[marks.index(shape.line)])
    finding = Finding(KINDS[shape.file], Confidence.PROVEN, "f", frame, (frame,), 9)
    again = explain_finding(finding, lambda path: text)
    # Where a full queue is seen to, what is sent is still the receiver's to close.
    assert again is None or not again.certain or shape.function == "sendsOrDrops", again


def patched(shape: Shape, found: Explanation, directory: Path) -> str:
    """The file after `patch` applied the change, which `git apply` accepts as well."""
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / shape.file
    file.write_text((SHAPES / shape.file).read_text(encoding="utf-8"), encoding="utf-8")
    subprocess.run(
        ["git", "apply", "--check", "-"], input=found.diff, text=True, cwd=directory, check=True, timeout=30
    )
    done = subprocess.run(
        ["patch", "-p1", "--fuzz=0"],
        input=found.diff,
        text=True,
        cwd=directory,
        capture_output=True,
        timeout=30,
    )
    assert done.returncode == 0, done.stdout
    assert "offset" not in done.stdout
    return file.read_text(encoding="utf-8")


@pytest.mark.go
def test_every_change_applies_and_compiles(go_toolchain: Toolchain, tmp_path: Path) -> None:
    """One package a change, vetted together: `go vet` also knows a lost cancel and a body used before its check."""
    (tmp_path / "go.mod").write_text((SHAPES / "go.mod").read_text(encoding="utf-8"), encoding="utf-8")
    count = 0
    for number, shape in enumerate(ALL):
        found = shape.explain()
        if found is None or not found.diff:
            continue
        text = patched(shape, found, tmp_path / f"v{number}")
        assert text != (SHAPES / shape.file).read_text(encoding="utf-8")
        count += 1
    assert count >= 40
    done = subprocess.run(
        [str(go_toolchain.go), "vet", "-lostcancel=false", "./..."],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600,
        env=go_environment(),
    )
    assert done.returncode == 0, done.stderr[-4000:]
    formatted = subprocess.run(
        [str(go_toolchain.go.parent / "gofmt"), "-l", "."],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert formatted.stdout == "", formatted.stdout
