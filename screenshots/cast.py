"""Records the walkthrough on the demo: `python screenshots/cast.py [--pace N]`.

Runs `leaktui demo` in a terminal of 80×24 (tmux) and presses no key. Writes `walkthrough.cast` (asciicast v2: what
changed on the screen, when), `walkthrough.txt` (each step's last screen as text) and a picture of some of them.
Fails where it does not end with the fix verified, or takes more than three minutes on its clock. Needs Go or the
`demo` extra, tmux, and root for the probes.
"""

from __future__ import annotations

import argparse
import io
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

HERE = Path(__file__).resolve().parent
COLUMNS, ROWS = 80, 24
PICTURES = {
    "Watch it grow": "walkthrough-grow",
    "Pinpoint the line": "walkthrough-line",
    "Why it is not released, and the fix": "walkthrough-fix",
    "Prove the fix": "walkthrough-fixed",
}

_POLL_SECONDS = 0.25
_LONGEST_SECONDS = 400.0
_LINGER_SECONDS = 6.0
_STEP = re.compile(r"^ *(\d+) of \d+ · (.+?)(?:   (?:done|looking…|left out))?\s*$", re.MULTILINE)
_END = re.compile(r", in (\d):(\d\d) of 3:00")
_ESCAPE = re.compile(r"\x1b\[[0-9;:]*m")
_FONT_FACE = re.compile(r"@font-face\s*\{[^}]*\}\s*")
_DARK = TerminalTheme(
    (15, 20, 26),
    (200, 210, 220),
    [
        (15, 20, 26),
        (240, 100, 100),
        (120, 200, 130),
        (230, 190, 90),
        (110, 160, 230),
        (190, 140, 220),
        (90, 190, 200),
        (200, 210, 220),
    ],
)


class Terminal:
    """A tmux server of our own that runs *command* in one window."""

    def __init__(self, command: str, directory: Path) -> None:
        self._socket = str(directory / "tmux")
        shell = f"COLORTERM=truecolor {command}"
        size = ("-x", str(COLUMNS), "-y", str(ROWS))
        self._tmux("-f", "/dev/null", "new-session", "-d", *size, shell)
        self._tmux("set-option", "-g", "default-terminal", "tmux-256color")

    def _tmux(self, *arguments: str) -> str:
        command = ["tmux", "-S", self._socket, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout

    def screen(self) -> list[str]:
        """The lines of the screen with their colours, without this machine's directories."""
        text = self._tmux("capture-pane", "-p", "-e").replace(str(Path.home()), "~")
        lines = text.split("\n")[:ROWS]
        return lines + [""] * (ROWS - len(lines))

    def press(self, key: str) -> None:
        self._tmux("send-keys", key)

    def close(self) -> None:
        subprocess.run(["tmux", "-S", self._socket, "kill-server"], capture_output=True, check=False)


def plain(lines: list[str]) -> str:
    """The screen as text."""
    return "\n".join(_ESCAPE.sub("", line).rstrip() for line in lines)


def record(pace: float) -> tuple[list[tuple[float, str]], dict[str, list[str]], int]:
    """What changed on the screen and when; each step's last screen; how long it took by its own clock, in seconds."""
    events: list[tuple[float, str]] = []
    steps: dict[str, list[str]] = {}
    command = f"{sys.executable} -m leaktui demo" + (f" --pace {pace}" if pace != 1.0 else "")
    with tempfile.TemporaryDirectory() as directory:
        terminal = Terminal(command, Path(directory))
        try:
            began = time.monotonic()
            before = [""] * ROWS
            taken = -1
            end = began + _LONGEST_SECONDS
            while time.monotonic() < end:
                lines = terminal.screen()
                changed = [index for index in range(ROWS) if lines[index] != before[index]]
                if changed:
                    data = "".join(
                        f"\x1b[{index + 1};1H\x1b[0m{lines[index]}\x1b[0m\x1b[K" for index in changed
                    )
                    events.append((time.monotonic() - began, data))
                before = lines
                text = plain(lines)
                if (step := _STEP.search(text)) is not None:
                    steps[step[2]] = lines
                if taken < 0 and (found := _END.search(text)) is not None:
                    taken = 60 * int(found[1]) + int(found[2])
                    end = time.monotonic() + _LINGER_SECONDS
                time.sleep(_POLL_SECONDS)
            terminal.press("q")
            time.sleep(3)
        finally:
            terminal.close()
    return events, steps, taken


def write_cast(events: list[tuple[float, str]]) -> None:
    """asciicast v2 (https://docs.asciinema.org/manual/asciicast/v2/)."""
    header = {"version": 2, "width": COLUMNS, "height": ROWS, "title": "leaktui demo"}
    first = events[0][0] if events else 0.0
    lines = [json.dumps(header)]
    lines += [json.dumps([round(when - first, 2), "o", data], ensure_ascii=False) for when, data in events]
    (HERE / "walkthrough.cast").write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_frames(steps: dict[str, list[str]]) -> None:
    """Each step's last screen as text."""
    frames = [f"{plain(lines).rstrip()}\n{'─' * COLUMNS}\n" for lines in steps.values()]
    (HERE / "walkthrough.txt").write_text("".join(frames), encoding="utf-8")


def write_picture(name: str, lines: list[str]) -> None:
    """A screen as an SVG that stands alone."""
    console = Console(record=True, width=COLUMNS, height=ROWS, file=io.StringIO(), force_terminal=True)
    for line in lines:
        console.print(Text.from_ansi(line), no_wrap=True, crop=True, overflow="crop")
    svg = _FONT_FACE.sub("", console.export_svg(title="leaktui", theme=_DARK))
    svg = svg.replace("<svg ", '<svg xml:space="preserve" ', 1)
    (HERE / f"{name}.svg").write_text(svg, encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pace", type=float, default=1.0, help="how fast it goes; 1 is what a reader needs")
    events, steps, taken = record(parser.parse_args().pace)
    write_cast(events)
    write_frames(steps)
    for title, name in PICTURES.items():
        if title in steps:
            write_picture(name, steps[title])
    last = plain(next(reversed(steps.values()))) if steps else ""
    sys.stderr.write(f"{len(events)} changes, {len(steps)} steps, {taken} s on the clock\n")
    if not 0 <= taken < 180 or ", fixed, in" not in last:
        sys.stderr.write("it did not end with the fix verified within three minutes\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
