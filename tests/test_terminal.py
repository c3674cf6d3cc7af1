"""The screens in a real terminal (tmux): from the command line to the guilty source line, and out again."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import TargetFactory
from tests.go_expected import expected
from tests.go_target import TargetDied

pytestmark = [pytest.mark.go, pytest.mark.tmux]

SIZES = [(80, 24), (200, 50)]


class Terminal:
    """A tmux server of our own with one window that runs *command*."""

    def __init__(self, command: str, size: tuple[int, int], directory: Path) -> None:
        self._socket = str(directory / "tmux")
        self.status = directory / "status"
        columns, rows = size
        shell = f"{command}; echo $? > {self.status}; sleep 30"
        self._tmux("-f", "/dev/null", "new-session", "-d", "-x", str(columns), "-y", str(rows), shell)

    def _tmux(self, *arguments: str) -> str:
        done = subprocess.run(
            ["tmux", "-S", self._socket, *arguments], capture_output=True, text=True, check=True, timeout=20
        )
        return done.stdout

    def press(self, *keys: str) -> None:
        self._tmux("send-keys", *keys)

    def screen(self) -> str:
        return self._tmux("capture-pane", "-p")

    def wait(self, shown: Callable[[str], object], seconds: float = 60.0) -> str:
        """The screen, once *shown* is true of it."""
        deadline = time.monotonic() + seconds
        while True:
            screen = self.screen()
            if shown(screen):
                return screen
            assert time.monotonic() < deadline, f"not shown in {seconds:.0f} s:\n{screen}"
            time.sleep(0.2)

    def close(self) -> None:
        with contextlib.suppress(subprocess.CalledProcessError):
            self._tmux("kill-server")


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Callable[[str, tuple[int, int]], Terminal]]:
    opened: list[Terminal] = []

    def start(arguments: str, size: tuple[int, int]) -> Terminal:
        opened.append(Terminal(f"{sys.executable} -m leaktui {arguments}", size, tmp_path))
        return opened[-1]

    yield start
    for item in opened:
        item.close()


@pytest.mark.parametrize("size", SIZES, ids=["80x24", "200x50"])
def test_the_demo_from_start_to_the_source_line(
    terminal: Callable[[str, tuple[int, int]], Terminal], size: tuple[int, int]
) -> None:
    window = terminal("demo", size)
    window.wait(lambda text: "Walkthrough" in text and "storefront" in text)
    window.press("Escape")
    sure = re.compile("likely|proven")
    screen = window.wait(lambda text: "LEAK" in text and "client.go:" in text and sure.search(text), 120)
    assert "inventory.(*Client).Stock" in screen
    pid = int(re.search(r"pid (\d+)", screen).group(1))  # type: ignore[union-attr]
    window.press("Enter")
    window.wait(lambda text: "Suspects ›" in text and "Evidence" in text)
    window.press("Enter")
    screen = window.wait(lambda text: "▶" in text and "c.http.Do(req)" in text)
    assert all(len(line) <= size[0] for line in screen.splitlines())
    for pane in "234":
        # Esc and a key right behind it are Alt and that key to a terminal.
        window.press(pane)
        time.sleep(0.5)
    window.wait(lambda text: "bodies · one by one" in text)
    window.press("q")
    deadline = time.monotonic() + 15
    while not window.status.exists():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert window.status.read_text(encoding="utf-8").strip() == "0"
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < deadline, "the demo outlived leaktui"
        time.sleep(0.1)


def test_the_demo_leads_to_the_fix_without_a_key(
    terminal: Callable[[str, tuple[int, int]], Terminal],
) -> None:
    window = terminal("demo --pace 4", (80, 24))
    frames: list[str] = []

    def ended(text: str) -> object:
        frames.append(text)
        return re.search(r"LEAK, fixed, in (\d):(\d\d) of 3:00", text)

    last = window.wait(ended, 240)
    found = re.search(r"in (\d):(\d\d) of 3:00", last)
    assert found is not None and int(found[1]) < 3
    seen = "\n".join(frames)
    assert re.search(r"inventory\.\(\*Client\)\.Stock  client\.go:\d+", seen)
    assert "returns here without Close" in seen and "+" in seen
    assert "verdict: fixed" in last and "┆" in last
    pids = {int(pid) for pid in re.findall(r"pid (\d+)", "\n".join(text.splitlines()[0] for text in frames))}
    assert len(pids) == 2, "the screen follows to the repaired build"
    assert all(len(line) <= 80 for text in frames for line in text.splitlines())
    window.press("q")
    deadline = time.monotonic() + 15
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        assert time.monotonic() < deadline, "the demo outlived leaktui"
        time.sleep(0.1)


def test_the_target_exits_and_what_was_seen_stays(
    terminal: Callable[[str, tuple[int, int]], Terminal], target_factory: TargetFactory
) -> None:
    truth = expected("earlyreturn")
    assert truth is not None
    with pytest.raises(TargetDied), target_factory("earlyreturn") as target:
        window = terminal(f"--pid {target.pid}", (80, 24))
        window.wait(lambda text: f"main.go:{truth.line}" in text and "LEAK" in text, 120)
        target.stop()
        screen = window.wait(lambda text: "exited" in text, 30)
        assert f"main.go:{truth.line}" in screen
        window.press("3")
        window.wait(lambda text: "readLoop" in text or "(*persistConn)" in text)
        window.press("q")


def test_the_picker_opens_what_is_chosen(
    terminal: Callable[[str, tuple[int, int]], Terminal], target_factory: TargetFactory
) -> None:
    with target_factory("quiet") as target:
        window = terminal("", (80, 24))
        window.wait(lambda text: str(target.pid) in text)
        window.press("/")
        window.press("-l", str(target.pid))
        window.press("Enter")
        time.sleep(0.5)
        window.press("Enter")
        window.wait(lambda text: f"pid {target.pid}" in text and "1 Suspects" in text)
        window.press("q")


def test_hung_up_it_ends_and_the_target_lives(
    terminal: Callable[[str, tuple[int, int]], Terminal], target_factory: TargetFactory
) -> None:
    with target_factory("quiet") as target:
        window = terminal(f"--pid {target.pid}", (80, 24))
        window.wait(lambda text: "1 Suspects" in text and "goroutines" in text)
        ours = _leaktui_on(target.pid)
        assert ours
        window.close()
        deadline = time.monotonic() + 15
        while any(Path(f"/proc/{pid}").exists() for pid in ours):
            assert time.monotonic() < deadline, "leaktui outlived its terminal"
            time.sleep(0.1)
        assert target.alive()


def _leaktui_on(pid: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                command = (entry / "cmdline").read_bytes().split(b"\0")
                if b"leaktui" in command and str(pid).encode() in command:
                    found.append(int(entry.name))
    return found


@pytest.mark.dlv
@pytest.mark.parametrize("size", SIZES, ids=["80x24", "200x50"])
def test_a_burst_of_tracepoints_from_the_question_to_the_source(
    terminal: Callable[[str, tuple[int, int]], Terminal],
    target_factory: TargetFactory,
    size: tuple[int, int],
) -> None:
    truth = expected("earlyreturn")
    assert truth is not None
    with target_factory("earlyreturn", rate=10) as target:
        window = terminal(f"--pid {target.pid}", size)
        window.wait(lambda text: re.search(r"bodies +\d", text) and "finding sources" not in text, 120)
        window.press("T")
        window.wait(lambda text: "Record a burst" in text and "killing dlv itself" in text)
        window.press("2", "5")
        window.wait(lambda text: "[x] bodies opened" in text and "[ ] garbage" in text)
        window.press("y")
        window.wait(lambda text: "bodies by owner" in text and "recorded" in text, 120)
        screen = window.wait(lambda text: f"main.go:{truth.line}" in text, 30)
        assert all(len(line) <= size[0] for line in screen.splitlines())
        window.press("g")
        window.wait(lambda text: "hits · in order" in text)
        window.press("Enter")
        window.wait(lambda text: "after the burst began" in text and "Stack" in text)
        window.press("q")
        deadline = time.monotonic() + 60
        while not window.status.exists():
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert window.status.read_text(encoding="utf-8").strip() == "0"
        assert "TracerPid:\t0" in Path(f"/proc/{target.pid}/status").read_text()
