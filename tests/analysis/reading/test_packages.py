"""Packages of several files: helpers, fields and globals that another file has a hand in.

`// WHY: [perhaps] reason: words` stands on the line a suspect would name, *words* in the sentence; `nothing` says that
there is nothing to say.
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
from leaktui.sources import Sources
from tests.go_toolchain import Toolchain, go_environment

PACKAGE = Path(__file__).parent / "packages"
KINDS = {"client.go": LeakKind.HTTP_BODY, "store.go": LeakKind.HEAP, "waits.go": LeakKind.GOROUTINE}


@dataclass(frozen=True)
class Marked:
    """A marked line and what is to be said of it."""

    file: str
    line: int
    function: str
    reason: str
    words: str
    perhaps: bool

    def finding(self, directory: Path = PACKAGE) -> Finding:
        at = Frame(f"packages.{self.function}", str(directory / self.file), self.line)
        return Finding(KINDS[self.file], Confidence.PROVEN, at.function, at, (at,), 9)


def marked() -> Iterator[Marked]:
    for name in KINDS:
        function = ""
        for number, line in enumerate((PACKAGE / name).read_text(encoding="utf-8").splitlines(), 1):
            if found := re.match(r"func (?:\(.*?\) )?(\w+)", line):
                function = found[1]
            if found := re.search(r"// WHY: (perhaps )?([\w ]+)(?:: (.+))?$", line):
                yield Marked(name, number, function, found[2], found[3] or "", bool(found[1]))


ALL = list(marked())
IDS = [item.function for item in ALL]


def explain(item: Marked, directory: Path = PACKAGE) -> Explanation | None:
    return Sources().explain(item.finding(directory))


@pytest.mark.parametrize("item", ALL, ids=IDS)
def test_the_whole_package_is_read(item: Marked) -> None:
    found = explain(item)
    if item.reason == "nothing":
        assert found is None, found
        return
    assert found is not None
    assert (found.reason.value, found.certain) == (item.reason, not item.perhaps), found.text
    assert item.words in found.text
    # Marks are lines of the file that is shown.
    length = len((PACKAGE / item.file).read_text(encoding="utf-8").splitlines())
    assert found.file.endswith(f"/{item.file}")
    assert found.first_line <= found.acquire_line <= found.last_line
    assert found.marks and all(1 <= mark.line <= length for mark in found.marks)


@pytest.mark.parametrize("item", ALL, ids=IDS)
def test_of_one_file_alone_nothing_is_certain_that_another_could_contradict(item: Marked) -> None:
    finding = item.finding()
    assert finding.location is not None
    text = Path(finding.location.file).read_text(encoding="utf-8")
    found = explain_finding(finding, lambda path: text if path == finding.location.file else None)  # type: ignore[union-attr]
    if found is None:
        return
    assert "this package" not in found.text
    if item.file in ("store.go", "waits.go"):
        assert not found.certain, found.text


def test_a_file_that_cannot_be_read_makes_the_package_incomplete(tmp_path: Path) -> None:
    item = next(item for item in ALL if item.function == "keep")
    for name in ("store.go", "waits.go"):
        (tmp_path / name).write_text((PACKAGE / name).read_text(encoding="utf-8"), encoding="utf-8")
    found = explain(item, tmp_path)
    assert found is not None and found.certain
    (tmp_path / "gone.go").symlink_to(tmp_path / "nowhere.go")
    found = explain(item, tmp_path)
    assert found is not None and not found.certain and "in this file" in found.text


def test_files_of_another_package_in_the_directory_do_not_count(tmp_path: Path) -> None:
    item = next(item for item in ALL if item.function == "cache")
    for name in ("store.go", "evict.go"):
        (tmp_path / name).write_text((PACKAGE / name).read_text(encoding="utf-8"), encoding="utf-8")
    evict = tmp_path / "evict.go"
    evict.write_text(
        evict.read_text(encoding="utf-8").replace("package packages", "package main"), encoding="utf-8"
    )
    found = explain(item, tmp_path)
    assert found is not None and found.certain and "nothing in this package takes anything out" in found.text


@pytest.mark.go
def test_the_changes_apply_wherever_they_are(go_toolchain: Toolchain, tmp_path: Path) -> None:
    applied = set()
    for item in ALL:
        found = explain(item)
        if found is None or not found.diff:
            continue
        directory = tmp_path / item.function
        directory.mkdir()
        for path in (*PACKAGE.glob("*.go"), PACKAGE / "go.mod"):
            (directory / path.name).write_bytes(path.read_bytes())
        diff = found.diff.replace(str(PACKAGE).lstrip("/") + "/", "")
        for command in (["git", "apply", "--check", "-"], ["patch", "-p1", "-s"]):
            subprocess.run(command, input=diff, text=True, cwd=directory, check=True, timeout=30)
        vet = subprocess.run(
            [str(go_toolchain.go), "vet", "./..."],
            cwd=directory,
            env=go_environment(),
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert vet.returncode == 0, vet.stderr
        applied.add((item.function, re.findall(r"^\+\+\+ .*?(\w+\.go)", diff, re.MULTILINE)[0]))
    assert ("finishedSometimes", "finish.go") in applied
    assert ("settle", "stop.go") in applied
    assert ("assemble", "stop.go") in applied
