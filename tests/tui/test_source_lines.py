"""A source file as it is drawn: the marked line, what is missing, what could be hostile."""

from __future__ import annotations

from pathlib import Path

import pytest

from leaktui.model.frame import Frame
from leaktui.sources import Sources
from leaktui.tui.panes.drill import source_lines
from leaktui.tui.widgets.toned import line_text


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "user.go").write_text("package app\n\nfunc f() {\n\tg()\n}\n")
    return tmp_path


def test_the_marked_line(tree: Path) -> None:
    frame = Frame("app.f", str(tree / "app" / "user.go"), 4)
    lines, centre = source_lines(frame, Sources().read(frame.file))
    assert centre == 3
    assert [line.marked for line in lines] == [False, False, False, True, False, False]
    assert line_text(lines[3].spans) == "▶ 4      g()"


def test_a_file_shorter_than_the_line_is_another_file(tree: Path) -> None:
    frame = Frame("app.f", str(tree / "app" / "user.go"), 40)
    lines, centre = source_lines(frame, Sources().read(frame.file))
    assert centre == 0 and "not the one" in line_text(lines[0].spans)


def test_a_missing_file_says_how_to_map_it() -> None:
    lines, _ = source_lines(Frame("app.f", "/build/src/user.go", 4), None)
    text = "\n".join(line_text(line.spans) for line in lines)
    assert "/build/src/user.go:4" in text and "--source-root /build/src=DIR" in text
    lines, _ = source_lines(Frame("app.f", "example.com/app/user.go", 4), None)
    assert "--source-root =DIR" in "\n".join(line_text(line.spans) for line in lines)


def test_source_with_control_bytes_is_drawn_as_text(tmp_path: Path) -> None:
    (tmp_path / "a.go").write_text("package a // \x1b[2J\n")
    lines, _ = source_lines(Frame("a", str(tmp_path / "a.go"), 1), Sources().read(str(tmp_path / "a.go")))
    assert "\x1b" not in "".join(line_text(line.spans) for line in lines)
