"""Static call sites, against `objdump` and against the source."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from leaktui.binary.callsites import find_call_sites, supports_call_sites
from leaktui.binary.executable import Executable
from leaktui.binary.packages import PackageMap
from leaktui.model.frame import Frame
from tests.binary.go_builds import PROGRAMS, Builder

pytestmark = pytest.mark.go


def line_of(text: str) -> int:
    source = (PROGRAMS / "census" / "main.go").read_text().splitlines()
    (line,) = (number for number, content in enumerate(source, 1) if text in content)
    return line


def of_the_standard_library(exe: Executable) -> Callable[[Frame], bool]:
    packages = PackageMap(exe.build, goroot=exe.goroot)
    return lambda frame: packages.is_stdlib(frame.function, frame.file)


@pytest.mark.parametrize("flavour", ["plain", "stripped", "pie", "cgo"])
def test_the_programs_own_calls(matrix_builder: Builder, flavour: str) -> None:
    with Executable.open(matrix_builder("census", flavour)) as exe:
        assert supports_call_sites(exe)
        sites = find_call_sites(
            exe,
            ["net/http.Get", "net/http.(*Client).Do", "os.Open", "os.OpenFile", "main.fetch"],
            skip=of_the_standard_library(exe),
        )
    found = {(site.target, site.via, site.frame.function, site.frame.line) for site in sites}
    opened = line_of("return os.Open(name)")
    assert ("net/http.Get", "net/http.Get", "main.status", line_of("http.Get(url)")) in found
    assert ("net/http.(*Client).Do", "net/http.(*Client).Do", "main.fetch", line_of("client.Do(")) in found
    assert ("main.fetch", "main.fetch", "main.body", line_of("fetch(client, url)\n".strip())) in found
    # os.Open is inlined into its callers, who then call os.OpenFile: both are told.
    assert ("os.Open", "os.Open", "main.small", opened) in found
    assert ("os.OpenFile", "os.Open", "main.small", opened) in found
    assert len(found) == 5
    assert [site.pc for site in sites] == sorted(site.pc for site in sites)
    assert all(site.frame in site.frames for site in sites)


def test_agrees_with_objdump(builder: Builder) -> None:
    """Every CALL of a few functions, wherever it is in the text."""
    path = builder("census", "plain")
    targets = ["errors.New", "os.OpenFile", "net/http.(*Client).do", "runtime.chansend1"]
    listing = builder.tool("objdump", path)
    called = {
        (int(match.group(1), 16), match.group(2))
        for match in re.finditer(r"\s0x([0-9a-f]+)\s+e8[0-9a-f]{8}\s+CALL (\S+)\(SB\)", listing)
        if match.group(2) in targets
    }
    assert len(called) > 30
    with Executable.open(path) as exe:
        sites = find_call_sites(exe, targets, limit=100_000)
        physical = {(site.pc, site.target) for site in sites}
        missing = called - physical
        # Sites on one line of one function are one site.
        lines = {(site.target, site.frame.function, site.frame.line) for site in sites}
        for pc, target in missing:
            frame = exe.frames_at(pc, return_address=False)[0]
            assert (target, frame.function, frame.line) in lines


def test_limit_and_unknown_targets(builder: Builder) -> None:
    with Executable.open(builder("census", "stripped")) as exe:
        assert len(find_call_sites(exe, ["errors.New"], limit=3)) == 3
        assert find_call_sites(exe, ["main.nothing", ""]) == ()
        assert find_call_sites(exe, []) == ()


def test_other_machines_say_so(builder: Builder) -> None:
    path: Path = builder("tiny", goarch="arm64")
    with Executable.open(path) as exe:
        assert not supports_call_sites(exe)
        assert find_call_sites(exe, ["main.outer"]) == ()
