"""`leaktui open` of an execution trace as a process: what it refuses, and the pane in a real terminal."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.command_line import run
from tests.test_terminal import Terminal, terminal  # noqa: F401 - a fixture
from tests.wire.trace_bytes import read_capture

Start = Callable[[str, tuple[int, int]], Terminal]


def write(directory: Path, data: bytes) -> Path:
    path = directory / "a.trace"
    path.write_bytes(data)
    return path


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert "cannot be opened (No such file" in run("open", str(tmp_path / "none")).sentence


def test_a_file_that_is_no_trace() -> None:
    assert "or an execution trace" in run("open", __file__).sentence


def test_without_a_terminal(tmp_path: Path) -> None:
    said = run("open", str(write(tmp_path, read_capture("go1.27-h1"))))
    assert "go tool trace" in said.sentence


@pytest.mark.tmux
@pytest.mark.parametrize("size", [(80, 24), (200, 50)], ids=["80x24", "200x50"])
def test_from_the_file_to_the_request_that_left_a_body(
    terminal: Start,  # noqa: F811
    tmp_path: Path,
    size: tuple[int, int],
) -> None:
    window = terminal(f"open {write(tmp_path, read_capture('go1.27-h1'))}", size)
    window.wait(lambda screen: "timeline · all of it" in screen and "bodies open" in screen)
    window.press("g", "g", "g")
    window.wait(lambda screen: "bodies left open, by request" in screen and "main.leakLoop" in screen)
    window.press("m")
    window.wait(lambda screen: "readLoop" in screen)
    window.press("Enter")
    window.wait(lambda screen: "The request that left it" in screen)
    window.press("q")
    window.wait(lambda screen: window.status.exists())
    assert window.status.read_text().strip() == "0"


@pytest.mark.tmux
def test_a_trace_that_is_cut_says_so(terminal: Start, tmp_path: Path) -> None:  # noqa: F811
    window = terminal(f"open {write(tmp_path, read_capture('go1.26-h1tls')[:-1000])}", (80, 24))
    window.wait(lambda screen: "The end of this trace is missing" in screen)


@pytest.mark.tmux
def test_a_trace_that_is_cut_too_early_says_why_there_is_none(terminal: Start, tmp_path: Path) -> None:  # noqa: F811
    window = terminal(f"open {write(tmp_path, read_capture('go1.26-h1tls')[:5000])}", (80, 24))
    window.wait(lambda screen: "No execution trace: the execution trace ends before" in screen)
