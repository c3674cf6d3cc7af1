"""Where words go."""

from __future__ import annotations

import io
import os
import stat
import sys
from pathlib import Path

import pytest

from leaktui.cli.output import ProgressLine, ReportFile, say, wants_colour, write_answer
from leaktui.errors import UsageError


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        raise OSError("no descriptor")


def test_what_is_said_is_one_printable_line(capsys: pytest.CaptureFixture[str]) -> None:
    say("first\nsecond \x1b[31m")
    assert capsys.readouterr().err == "leaktui: first second \\x1b[31m\n"


def test_nobody_to_say_it_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    say("lost")


def test_no_stdout_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(UsageError, match="no standard output"):
        write_answer("x")


def test_a_report_is_private_and_whole(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text("old")
    path.chmod(0o644)
    with ReportFile(str(path)) as file:
        assert path.read_text() == "old"
        file.write("né…w\n")
    assert path.read_text(encoding="utf-8") == "né…w\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [item.name for item in tmp_path.iterdir()] == ["report.json"]


def test_a_report_never_written_leaves_nothing(tmp_path: Path) -> None:
    with ReportFile(str(tmp_path / "report")):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_link_is_replaced_not_followed(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("keep")
    link = tmp_path / "report"
    link.symlink_to(precious)
    with ReportFile(str(link)) as file:
        file.write("new")
    assert precious.read_text() == "keep"
    assert not link.is_symlink() and link.read_text() == "new"


def test_a_device_is_written_to_and_keeps_its_mode() -> None:
    before = Path(os.devnull).stat().st_mode
    with ReportFile(os.devnull) as file:
        file.write("gone")
    assert Path(os.devnull).stat().st_mode == before


@pytest.mark.parametrize("path", ["missing/report", "", "x" * 300, "a\0b"])
def test_where_nothing_can_be_written(path: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="-o"):
        ReportFile(str(tmp_path / path) if path else str(tmp_path / "no" / "such"))


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a directory: name a file in it"):
        ReportFile(str(tmp_path))


def test_progress_overwrites_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    line = ProgressLine()
    line.show("a longer line")
    line.show("short")
    line.clear()
    line.clear()
    assert terminal.getvalue() == "\ra longer line\rshort        \r     \r"


def test_progress_is_cut_to_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    ProgressLine().show("世" * 100)
    shown = terminal.getvalue().lstrip("\r").rstrip()
    assert shown == "世" * 39 + "…"


def test_no_progress_without_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    line = ProgressLine()
    line.show("x")
    line.clear()
    assert stream.getvalue() == ""


@pytest.mark.parametrize(
    ("environment", "no_color", "expected"),
    [
        ({}, False, True),
        ({}, True, False),
        ({"NO_COLOR": "1"}, False, False),
        ({"NO_COLOR": ""}, False, True),
        ({"TERM": "dumb"}, False, False),
    ],
)
def test_colour(
    environment: dict[str, str], no_color: bool, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert wants_colour(no_color) is expected


def test_no_colour_into_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert wants_colour(False) is False
