"""The capture that ships in the package: what it holds, and what it must not."""

from __future__ import annotations

import gzip
import os
import re
from pathlib import Path

import pytest

from leaktui.cli import main
from leaktui.demo import CAPTURE
from leaktui.engines.replay import Tape
from leaktui.model.finding import Confidence, LeakKind, Verdict
from leaktui.replaying import conclude_capture

_PATHS = re.compile(rb"(?<![\w.:*?])/[\w.@-]+/[\w.@/-]+")
_NEUTRAL = (b"/tmp/leaktui-demo/", b"/usr/", b"/dev/", b"/debug/pprof", b"/sys/", b"/proc/")


def test_it_is_small() -> None:
    assert CAPTURE.stat().st_size < 300_000


def test_it_names_the_line_and_holds_its_source() -> None:
    tape = Tape(str(CAPTURE))
    investigation = conclude_capture(tape)
    diagnosis = investigation.diagnosis()
    investigation.close()
    assert tape.shortfall == "" and tape.header.masked
    assert diagnosis.verdict is Verdict.LEAK
    suspect = diagnosis.suspects[0]
    assert (suspect.kind, suspect.confidence) == (LeakKind.HTTP_BODY, Confidence.PROVEN)
    assert suspect.function.endswith("inventory.(*Client).Stock") and suspect.location is not None
    assert "http.Do" in tape.source_of(suspect.location.file)[suspect.location.line]
    assert {item.name for item in diagnosis.sources if item.state.value == "used"} == {
        *("proc", "memory", "probes", "pprof")
    }
    assert investigation.session.snapshot.holders


def test_nothing_of_the_machine_it_was_made_on_is_in_it() -> None:
    text = gzip.decompress(CAPTURE.read_bytes())
    for found in set(_PATHS.findall(text)):
        assert found.startswith(_NEUTRAL) or b"example.com" in found or b"net/http" in found, found
    for word in (b"/root", b"/home", b"/work", os.uname().nodename.encode()):
        assert not re.search(rb"(?<![\w/-])" + re.escape(word) + rb"(?![\w-])", text), word


@pytest.mark.parametrize("flag", ["--headless", "screens"])
def test_without_go_the_demo_says_so(
    flag: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Headless there is nothing to show; on the screens it is the recording."""
    from leaktui.cli import demonstrating, opening
    from leaktui.cli.exit_status import ExitStatus
    from leaktui.errors import EngineUnavailable

    class Unbuildable:
        def __init__(self, *arguments: object, **options: object) -> None: ...

        def start(self) -> None:
            raise EngineUnavailable("there is no Go toolchain here", remedy="install Go")

    shown: list[str] = []

    def show(tape: Tape, options: object, *, notice: str = "") -> ExitStatus:
        shown.append(notice)
        return ExitStatus.CLEAN

    monkeypatch.setattr(demonstrating, "DemoService", Unbuildable)
    monkeypatch.setattr(demonstrating, "refuse_without_terminal", lambda instead: None)
    monkeypatch.setattr(opening, "show_tape", show)
    status = main(["demo", "--headless"] if flag == "--headless" else ["demo"])
    said = capsys.readouterr().err
    if flag == "--headless":
        assert status == 2 and not shown
    else:
        assert status == 0 and "there is no Go toolchain here" in shown[0]
        assert "so this is a recording of it: install Go" in said and said.count("\n") == 1
