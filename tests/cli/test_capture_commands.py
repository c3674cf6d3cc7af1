"""`record`, `open`, `diagnose --open` and `verify` as processes: what they refuse, and the way from one to the next."""

from __future__ import annotations

import gzip
import json
import os
import re
import signal
import stat
import subprocess
import time
from pathlib import Path

import pytest

from leaktui.demo import CAPTURE
from tests.command_line import Ended, command, environment, run
from tests.conftest import TargetFactory
from tests.go_expected import expected


def test_a_file_that_is_no_capture_is_refused_by_each(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("hello")
    for arguments in (
        ("open", str(path)),
        ("--open", str(path)),
        ("diagnose", "--open", str(path)),
        ("verify", "--baseline", str(path), "--pid", "1"),
    ):
        sentence = run(*arguments).sentence
        assert "notes.txt cannot be opened: it is not compressed with gzip" in sentence


def test_what_contradicts_itself_is_refused() -> None:
    assert "not both" in run("diagnose", "--open", str(CAPTURE), "--pid", "1").sentence
    assert "the following arguments are required: -o" in run("record", "--pid", "1").sentence
    assert "required: --baseline" in run("verify", "--pid", "1").sentence
    assert "need a terminal" in run("open", str(CAPTURE)).sentence
    assert "no process was named" in run("record", "-o", "/tmp/x").sentence


def test_a_place_that_cannot_be_written_is_refused_before_the_watching(tmp_path: Path) -> None:
    sentence = run("record", "--pid", str(os.getpid()), "-o", str(tmp_path / "no" / "x")).sentence
    # Whose fault comes first does not matter: nothing was watched.
    assert "cannot write" in sentence or "not built by the Go toolchain" in sentence


PATIENCE = ("8", "40")
"""Seconds of watching: what a starved machine spoiled gets a second chance, a wrong answer does not."""


def record_leak(pid: int, capture: Path) -> Ended:
    """A recording that shows the leak."""
    for seconds in PATIENCE:
        recorded = run("record", "--pid", str(pid), "-o", str(capture), "--seconds", seconds)
        assert recorded.status == 0, recorded
        if "it shows a leak in main.(*client).loadUser: look at it with `leaktui open" in recorded.err:
            break
    return recorded


def verify(pid: int, capture: Path, *arguments: str) -> Ended:
    """The answer of `verify`, asked again for longer where it is undecided."""
    for seconds in PATIENCE:
        said = run("verify", "--baseline", str(capture), "--pid", str(pid), "--seconds", seconds, *arguments)
        if said.status != 3:
            break
    return said


@pytest.mark.go
def test_from_the_recording_to_the_proof(target_factory: TargetFactory, tmp_path: Path) -> None:
    """Recorded, diagnosed again from the file, and verified: the unfixed process and its fixed twin."""
    capture = tmp_path / "leak.capture"
    truth = expected("earlyreturn")
    assert truth is not None
    with target_factory("earlyreturn") as target:
        recorded = record_leak(target.pid, capture)
        assert "it shows a leak in" in recorded.err and recorded.out == ""
        assert stat.S_IMODE(capture.stat().st_mode) == 0o600
        unfixed = verify(target.pid, capture, "--json")
    with target_factory("earlyreturn", fixed=True) as target:
        fixed = verify(target.pid, capture)

    text = gzip.decompress(capture.read_bytes())
    assert b"status/404?id=" in text and not re.search(rb"[?]id=\d", text)

    said = run("diagnose", "--open", str(capture), "--json")
    assert said.status == 1, said
    suspect = json.loads(said.out)["suspects"][0]
    assert truth.matches(suspect["function"], suspect["file"], suspect["line"])

    assert unfixed.status == 1, unfixed
    document = json.loads(unfixed.out)
    assert (document["schema"], document["verdict"]) == ("leaktui.verification/1", "not fixed")
    assert document["before"]["suspect"]["function"] == truth.function
    assert fixed.status == 0, fixed
    assert fixed.out.startswith("Fixed: main.(*client).loadUser\n")
    assert all(len(line) <= 80 for line in fixed.out.splitlines())


@pytest.mark.go
@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGKILL], ids=["ctrl-c", "kill"])
def test_a_recording_that_is_broken_off_can_be_opened(
    target_factory: TargetFactory, tmp_path: Path, sign: signal.Signals
) -> None:
    capture = tmp_path / "x.capture"
    with target_factory("quiet") as target:
        recording = subprocess.Popen(
            command("record", "--pid", str(target.pid), "-o", str(capture), "--without", "probes"),
            stderr=subprocess.PIPE,
            env=environment(),
        )
        deadline = time.monotonic() + 60
        while not capture.exists() or capture.stat().st_size < 3000:
            assert time.monotonic() < deadline and recording.poll() is None
            time.sleep(0.1)
        recording.send_signal(sign)
        _, words = recording.communicate(timeout=60)
    said = run("diagnose", "--open", str(capture), "--json")
    assert said.status == 3, said
    assert json.loads(said.out)["target"]["module"] == "example.com/goprograms"
    if sign is signal.SIGINT:
        assert recording.returncode == 0 and b"ended by hand" in words
        assert said.err == ""
    else:
        assert "ends early" in said.err
