"""Finding a frame's file: mapped, trimmed, hostile."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from leaktui.model.frame import Frame
from leaktui.tui.panes.drill import source_lines
from leaktui.tui.source_files import SourceFinder
from leaktui.tui.widgets.toned import line_text


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "user.go").write_text("package app\n\nfunc f() {\n\tg()\n}\n")
    return tmp_path


@pytest.mark.parametrize(
    ("roots", "file", "module"),
    [
        ([("/build/src", "{}")], "/build/src/app/user.go", ""),
        ([("/build/src/", "{}")], "/build/src/app/user.go", ""),
        ([("example.com/shop", "{}")], "example.com/shop/app/user.go", "example.com/shop"),
        ([("", "{}")], "app/user.go", ""),
        ([("", "{}")], "example.com/shop/app/user.go", "example.com/shop"),
        ([("", "{}")], "./app/user.go", ""),
    ],
)
def test_mapped_roots(tree: Path, roots: list[tuple[str, str]], file: str, module: str) -> None:
    finder = SourceFinder([(source, to.format(tree)) for source, to in roots], here=tree / "app")
    assert finder.find(file, module) == tree / "app" / "user.go"


def test_trimmed_names_are_looked_for_here(tree: Path) -> None:
    finder = SourceFinder(here=tree)
    assert finder.find("example.com/shop/app/user.go", "example.com/shop") == tree / "app" / "user.go"
    assert finder.find("example.com/shopping/app/user.go", "example.com/shop") is None


def test_dependencies_are_looked_for_in_the_module_cache(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOMODCACHE", str(tree))
    assert SourceFinder(here=tree / "app").find("app/user.go") == tree / "app" / "user.go"


def test_a_prefix_is_a_directory_and_not_a_string(tree: Path) -> None:
    finder = SourceFinder([("/build/src", str(tree))], here=tree)
    assert finder.find("/build/src2/app/user.go") is None


def test_devices_pipes_and_directories_are_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.go")
    finder = SourceFinder()
    assert finder.read(str(tmp_path / "pipe.go")) is None
    assert finder.read("/dev/zero") is None
    assert finder.read(str(tmp_path)) is None
    assert finder.read("") is None
    assert finder.read("/tmp/\0.go") is None


def test_large_and_binary_files_and_links_to_others_are_not_shown(tmp_path: Path) -> None:
    (tmp_path / "large.go").write_bytes(b"//" * (5 * 1024 * 1024))
    (tmp_path / "binary.go").write_bytes(b"package a\0")
    (tmp_path / "link.go").symlink_to("/etc/passwd")
    finder = SourceFinder()
    assert finder.read(str(tmp_path / "large.go")) is None
    assert finder.read(str(tmp_path / "binary.go")) is None
    assert finder.read(str(tmp_path / "link.go")) is None


def test_the_marked_line(tree: Path) -> None:
    frame = Frame("app.f", str(tree / "app" / "user.go"), 4)
    lines, centre = source_lines(frame, SourceFinder().read(frame.file))
    assert centre == 3
    assert [line.marked for line in lines] == [False, False, False, True, False, False]
    assert line_text(lines[3].spans) == "▶ 4      g()"


def test_a_file_shorter_than_the_line_is_another_file(tree: Path) -> None:
    frame = Frame("app.f", str(tree / "app" / "user.go"), 40)
    lines, centre = source_lines(frame, SourceFinder().read(frame.file))
    assert centre == 0 and "not the one" in line_text(lines[0].spans)


def test_a_missing_file_says_how_to_map_it() -> None:
    lines, _ = source_lines(Frame("app.f", "/build/src/user.go", 4), None)
    text = "\n".join(line_text(line.spans) for line in lines)
    assert "/build/src/user.go:4" in text and "--source-root /build/src=DIR" in text
    lines, _ = source_lines(Frame("app.f", "example.com/app/user.go", 4), None)
    assert "--source-root =DIR" in "\n".join(line_text(line.spans) for line in lines)


def test_source_with_control_bytes_is_drawn_as_text(tmp_path: Path) -> None:
    (tmp_path / "a.go").write_text("package a // \x1b[2J\n")
    lines, _ = source_lines(
        Frame("a", str(tmp_path / "a.go"), 1), SourceFinder().read(str(tmp_path / "a.go"))
    )
    assert "\x1b" not in "".join(line_text(line.spans) for line in lines)
