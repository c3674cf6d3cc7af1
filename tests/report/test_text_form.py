"""The readable form, to the letter."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from leaktui.model.finding import Diagnosis, Verdict
from leaktui.model.frame import Frame
from leaktui.report.text_form import format_text
from leaktui.sources import SourceRoot, Sources
from leaktui.text import cell_width
from tests.report.diagnoses import BODY, CLEAN, HEAP_SOMEWHERE, HOSTILE_LEAK, LEAK, UNDECIDED

LEAK_TEXT = """\
Leak: HTTP response bodies never closed in users.(*Store).loadUser
  /src/app/users/store.go:24
  proven · 212 open bodies, +480/min

Evidence
  · pprof: 96 of 96 bodies handed to this line in 5 s were never closed
  · proc: 212 sockets to 10.0.0.7:8080 stay ESTABLISHED with bytes nobody reads
    from them

  The source is not at hand: --source-root FROM=TO says where a copy of it lies.

What to do
  Close resp.Body on the path that returns when the status is not 200: defer it
  right after err.

Stack
  users.(*Store).loadUser  /src/app/users/store.go:24
  main.main.func1  /src/app/main.go:88
  runtime.goexit

Other suspects
  likely · goroutines that never end · 1 goroutine, +12/min
    main.(*quotes).ask.func1
    /src/app/quotes.go:51
    · pprof: its group grew from 10 to 61
  possible · heap that only grows · 1200 live objects, +1.5 MB/min
    main.(*cache).thumbnail
    · maybe /src/app/render.go:9

Looked at
  pid 4242, /srv/app, go1.26.6, example.com/app, stripped
  proc    used: 230 fds
  pprof   used: 14.2k goroutines; stopped the target for under 0.1 ms
  memory  unavailable: no permission to read its memory: run leaktui as root or
          as the user of the process
  14 s in all, the target stopped for under 0.1 ms

Keep in mind
  · HTTP/2 bodies that fit the stream window cannot be seen through pprof.
"""

UNDECIDED_TEXT = """\
Undecided: 14 s of watching did not settle it

Not proven, but worth a look
  possible · heap that only grows · 1200 live objects, +1.5 MB/min
    main.(*cache).thumbnail
    · maybe /src/app/render.go:9

Looked at
  https://shop.example:6060/debug/pprof?key=…
  pprof  used: 41 goroutines
  14 s in all, the target stopped for under 0.1 ms

What was missing
  · HTTP/2 bodies that fit the stream window cannot be seen through pprof.
"""

CLEAN_TEXT = """\
Clean: watched for 60 s, nothing leaks

Looked at
  pid 4242, /srv/app, go1.26.6, example.com/app, stripped
  proc    used: 230 fds
  pprof   used: 14.2k goroutines; stopped the target for under 0.1 ms
  memory  unavailable: no permission to read its memory: run leaktui as root or
          as the user of the process
  60 s in all, the target stopped for 0 ms
"""


@pytest.mark.parametrize(
    ("diagnosis", "text"),
    [(LEAK, LEAK_TEXT), (CLEAN, CLEAN_TEXT), (UNDECIDED, UNDECIDED_TEXT)],
    ids=["leak", "clean", "undecided"],
)
def test_to_the_letter(diagnosis: Diagnosis, text: str) -> None:
    assert format_text(diagnosis) == text


def test_colour_is_decoration_only() -> None:
    coloured = format_text(LEAK, colour=True)
    assert coloured.startswith("\x1b[1;31mLeak: ")
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == LEAK_TEXT


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("diagnosis", [LEAK, CLEAN, UNDECIDED, HOSTILE_LEAK])
def test_every_line_fits(diagnosis: Diagnosis, width: int) -> None:
    for line in format_text(diagnosis, width=width).splitlines():
        assert cell_width(line) <= width, line


def test_a_place_too_long_for_the_line_is_not_cut() -> None:
    place = "/" + "deep/" * 40 + "main.go"
    text = format_text(replace(LEAK, suspects=(replace(BODY, location=Frame("main.f", place, 7)),)))
    assert f"{place}:7" in text


def test_the_guilty_line_is_marked_in_its_source(tmp_path: Path) -> None:
    (tmp_path / "users").mkdir()
    lines = [f"\tstep{number}()" for number in range(1, 41)]
    lines[23] = '\tresp, err := client.Get(url + "?token=" + t) // ' + "x" * 90
    (tmp_path / "users" / "store.go").write_text("\n".join(lines))
    text = format_text(LEAK, sources=Sources([SourceRoot("/src/app", str(tmp_path))]))
    shown = text.splitlines()[3:16]
    assert shown[0] == ""
    assert shown[1] == "  20 │     step20()"
    assert shown[5].startswith('> 24 │     resp, err := client.Get(url + "?token=" + t) // xxx')
    assert shown[5].endswith("…") and cell_width(shown[5]) <= 80
    assert shown[9] == "  28 │     step28()"
    assert shown[10] == "  The file changed after the process began: lines may have moved."


def test_hostile_text_cannot_move_the_cursor() -> None:
    text = format_text(HOSTILE_LEAK)
    assert all(character == "\n" or character.isprintable() for character in text)
    assert "token=abc" not in text and "sid=42" not in text and "bob" not in text


def test_a_leak_nobody_can_be_named_for() -> None:
    text = format_text(replace(LEAK, suspects=()))
    assert text.startswith("Leak: something grows, but no suspect could be named\n\nLooked at\n")


def test_the_line_may_be_unknown() -> None:
    text = format_text(replace(LEAK, verdict=Verdict.LEAK, suspects=(HEAP_SOMEWHERE,)))
    assert "  the line is not known\n" in text
    assert "Lines it may be\n  main.render  /src/app/render.go:9\n" in text


def test_long_lists_are_cut_and_counted() -> None:
    stack = tuple(Frame(f"main.f{number}", "/m.go", number) for number in range(1, 15))
    text = format_text(replace(LEAK, suspects=(replace(BODY, stack=stack), *[BODY] * 9)))
    assert "  main.f12  /m.go:12\n  … 2 more frames\n" in text
    assert "  … 1 more; --json lists them all\n" in text
