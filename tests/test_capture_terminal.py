"""Recorded in one terminal, opened in another: the screens on a file, as on a process."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from leaktui.demo import CAPTURE
from tests.conftest import TargetFactory
from tests.go_expected import expected
from tests.test_terminal import Terminal
from tests.test_terminal import terminal as terminal

pytestmark = pytest.mark.tmux

SMALL = (80, 24)
StartTerminal = Callable[[str, tuple[int, int]], Terminal]


@pytest.mark.go
def test_recorded_here_and_looked_at_there(
    terminal: StartTerminal, target_factory: TargetFactory, tmp_path: Path
) -> None:
    capture = tmp_path / "leak.capture"
    truth = expected("earlyreturn")
    assert truth is not None
    with target_factory("earlyreturn") as target:
        for seconds in (8, 40):  # on a starved machine the first is too short
            recording = terminal(f"record --pid {target.pid} -o {capture} --seconds {seconds}", SMALL)
            recording.wait(lambda text: "Ctrl-C ends it" in text)
            said = recording.wait(lambda text: "leaktui" in text and "recorded" in text, 120)
            recording.close()
            if "shows a leak in main" in said.replace("\n", ""):
                break
    window = terminal(f"open {capture}", SMALL)
    screen = window.wait(lambda text: "LEAK" in text and f"main.go:{truth.line}" in text)
    assert "capture of 20" in screen and re.search(r"\d+ s recorded", screen)
    window.press("Enter")
    window.wait(lambda text: "Suspects ›" in text and "Evidence" in text)
    window.press("Enter")
    screen = window.wait(lambda text: "▶" in text and "c.http.Get" in text)
    assert all(len(line) <= SMALL[0] for line in screen.splitlines())
    window.press("t")
    window.wait(lambda text: "this is a capture" in text)
    window.press("q")


def test_the_demo_that_ships_can_be_gone_down_into(terminal: StartTerminal) -> None:
    window = terminal(f"open {CAPTURE}", SMALL)
    window.wait(lambda text: "LEAK" in text and "client.go:" in text and "inventory.(*Client).Stock" in text)
    window.press("Enter")
    window.wait(lambda text: "Evidence" in text and "Suspects ›" in text)
    window.press("Enter")
    window.wait(lambda text: "▶" in text and "c.http.Do(req)" in text)
    window.press("4")
    window.wait(lambda text: "bodies · one by one" in text)
    window.press("q")
