"""`diagnose --html` and `--pprof` on a program that really leaks, held to what `go tool pprof` makes of them."""

from __future__ import annotations

import os
import pty
import re
import stat
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from leaktui.wire.profile import decode_profile
from tests.command_line import command, environment, run
from tests.conftest import TargetFactory
from tests.go_expected import expected
from tests.go_toolchain import find_toolchains


def pprof(path: Path, *arguments: str) -> str:
    """What `go tool pprof` prints, nothing left out for being small."""
    go = find_toolchains()[0].go
    arguments_of_go = [go, "tool", "pprof", "-nodefraction=0", "-edgefraction=0", *arguments, path]
    return subprocess.run(arguments_of_go, capture_output=True, text=True, check=True).stdout


def total_of(text: str) -> int:
    """The N of `Showing nodes accounting for M, P% of N total`."""
    found = re.search(r"of (\d+)B? total", text)
    assert found is not None, text
    return int(found[1])


@pytest.mark.go
def test_page_and_profile_of_a_leaking_program(target_factory: TargetFactory, tmp_path: Path) -> None:
    truth = expected("earlyreturn")
    assert truth is not None
    page, profile = tmp_path / "r.html", tmp_path / "r.pb.gz"
    with target_factory("earlyreturn") as target:
        ended = run(
            "diagnose", "--pid", str(target.pid), "--html", "-o", str(page), "--pprof", str(profile),
            "--seconds", "40",
        )  # fmt: skip
        opened = target.truth()["guilty"].opened
        endpoint = target.pprof_url
    assert (ended.status, ended.out, ended.err) == (1, "", "")
    assert {stat.S_IMODE(path.stat().st_mode) for path in (page, profile)} == {0o600}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r.html", "r.pb.gz"]
    html = page.read_text()
    assert truth.place.function.rpartition("/")[2] in html and f"main.go:{truth.place.line}" in html
    assert f"go tool pprof -top {endpoint}/goroutine" in html
    assert html.count("<svg") >= 4 and html.count('class="row here"') == 1
    check_against_go(profile, truth.place.function, opened)


def check_against_go(path: Path, guilty: str, opened: int) -> None:
    decoded = decode_profile(path.read_bytes())
    columns = [item.name for item in decoded.value_types]
    sums = {
        name: sum(sample.values[index] for sample in decoded.samples) for index, name in enumerate(columns)
    }
    assert {"goroutines", "open_bodies", "buffered_bytes"} <= sums.keys()
    # What the program itself counts bounds it: bodies, and two goroutines for each.
    assert 20 <= sums["open_bodies"] <= opened + 2 and sums["goroutines"] > sums["open_bodies"]
    for name, total in sums.items():
        if not total:
            continue
        for form in ("-top", "-tree", "-peek=.") if name == "open_bodies" else ("-top",):
            unit = ["-unit=bytes"] if name in ("buffered_bytes", "inuse_space") else []
            assert total_of(pprof(path, form, f"-sample_index={name}", *unit)) == total, (form, name)
    flat: Counter[str] = Counter()
    for sample in decoded.samples:
        flat[sample.stack[0].function] += sample.values[columns.index("open_bodies")]
    top = pprof(path, "-top", "-sample_index=open_bodies")
    lines = re.findall(r"^ *(\d+) +\S+% +\S+% +\d+ +\S+% +(.+?)(?: \(inline\))?$", top, re.MULTILINE)
    assert {name: int(count) for count, name in lines if int(count)} == {n: c for n, c in flat.items() if c}
    assert flat[guilty] >= sums["open_bodies"] * 0.8, flat
    # The culprit's column is the one that is opened first.
    assert "open_bodies/count[dflt]" in pprof(path, "-raw")
    assert "status:" in pprof(path, "-tags", "-sample_index=open_bodies")
    assert guilty in pprof(path, "-traces", "-sample_index=open_bodies")
    assert re.search(r"^Build ID: \w+", top, re.MULTILINE) and re.search("^Time: 2", top, re.MULTILINE)
    # Written again by Go, it is the same profile.
    again = path.with_name("again.pb.gz")
    pprof(path, "-proto", f"-output={again}")
    rewritten = decode_profile(again.read_bytes())
    assert [item.name for item in rewritten.value_types] == columns
    for index, name in enumerate(columns):
        assert sum(sample.values[index] for sample in rewritten.samples) == sums[name]


def test_a_page_is_not_for_a_terminal() -> None:
    master, slave = pty.openpty()
    with os.fdopen(master, "rb"), os.fdopen(slave, "wb") as terminal:
        said = subprocess.run(
            command("diagnose", "--pid", "1", "--html"),
            stdout=terminal,
            stderr=subprocess.PIPE,
            env=environment(),
            timeout=60,
        )
    assert said.returncode == 2
    assert b"nothing for a terminal: name a file for it with -o" in said.stderr


def test_a_profile_wants_a_file_that_can_be_written(tmp_path: Path) -> None:
    assert "name a file" in run("diagnose", "--pid", "1", "--pprof", "-").sentence
    missing = tmp_path / "no" / "p.pb.gz"
    assert "cannot write" in run("diagnose", "--pid", "1", "--pprof", str(missing)).sentence


def test_nothing_is_left_where_nothing_was_seen(tmp_path: Path) -> None:
    arguments = ["--html", "-o", str(tmp_path / "r.html"), "--pprof", str(tmp_path / "p.pb.gz")]
    assert run("diagnose", "--pid", "4194303", *arguments).sentence
    assert list(tmp_path.iterdir()) == []
