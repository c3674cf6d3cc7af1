"""Source around a line: found, mapped, and refused where the path is a trap."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from leaktui.model.frame import Frame
from leaktui.report.source_excerpt import read_excerpt
from leaktui.sources import SourceRoot, Sources, parse_source_root


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "main.go"
    path.write_text("".join(f"line {number}\n" for number in range(1, 31)))
    return path


def frame(path: Path | str, line: int = 10) -> Frame:
    return Frame("main.f", str(path), line)


def test_four_lines_either_side(source: Path) -> None:
    excerpt = read_excerpt(frame(source))
    assert excerpt is not None
    assert excerpt.lines == tuple((number, f"line {number}") for number in range(6, 15))
    assert (excerpt.path, excerpt.line, excerpt.newer) == (str(source), 10, False)


@pytest.mark.parametrize(("line", "numbers"), [(1, range(1, 6)), (2, range(1, 7)), (30, range(26, 32))])
def test_at_the_ends_of_the_file(source: Path, line: int, numbers: range) -> None:
    excerpt = read_excerpt(frame(source, line))
    assert excerpt is not None
    assert [number for number, _ in excerpt.lines] == list(numbers)


def test_a_line_the_file_does_not_have(source: Path) -> None:
    assert read_excerpt(frame(source, 99)) is None
    assert read_excerpt(frame(source, 0)) is None
    assert read_excerpt(None) is None


def test_a_root_maps_the_build_path(source: Path) -> None:
    roots = (SourceRoot("/build/app", str(source.parent)),)
    excerpt = read_excerpt(frame("/build/app/main.go"), sources=Sources(roots))
    assert excerpt is not None
    assert excerpt.path == str(source)
    assert read_excerpt(frame("/build/application/main.go"), sources=Sources(roots)) is None


def test_a_root_maps_a_trimmed_module_path(source: Path) -> None:
    assert read_excerpt(frame("example.com/app/main.go")) is None
    assert read_excerpt(
        frame("example.com/app/main.go"), sources=Sources([SourceRoot("example.com/app", str(source.parent))])
    )


def test_an_empty_build_path_maps_relative_names(source: Path) -> None:
    roots = (parse_source_root(f"={source.parent}"),)
    for name in ("main.go", "./main.go"):
        assert read_excerpt(frame(name), sources=Sources(roots)) is not None


def test_a_relative_path_is_never_read_from_where_we_happen_to_be(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(source.parent)
    assert read_excerpt(frame("main.go")) is None


def test_only_source_is_quoted(tmp_path: Path, source: Path) -> None:
    secret = tmp_path / "shadow"
    secret.write_text("root:hash\n")
    link = tmp_path / "link.go"
    link.symlink_to(secret)
    assert read_excerpt(frame(secret, 1)) is None
    assert read_excerpt(frame(link, 1)) is None
    honest = tmp_path / "honest.go"
    honest.symlink_to(source)
    assert read_excerpt(frame(honest, 1)) is not None


def test_a_pipe_called_source_does_not_hold_us(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.go")
    assert read_excerpt(frame(tmp_path / "pipe.go", 1)) is None


def test_a_huge_file_is_left_alone(tmp_path: Path) -> None:
    huge = tmp_path / "huge.go"
    with huge.open("wb") as stream:
        stream.truncate(1 << 30)
    assert read_excerpt(frame(huge, 1)) is None


def test_control_bytes_and_tabs_in_source(tmp_path: Path) -> None:
    path = tmp_path / "x.go"
    path.write_bytes(b"\tif x {\x1b[2J \xff\r\n" + b"y" * 9999)
    excerpt = read_excerpt(frame(path, 1))
    assert excerpt is not None
    assert excerpt.lines[0] == (1, "    if x {\\x1b[2J \ufffd")
    assert len(excerpt.lines[1][1]) == 400


def test_a_file_changed_since_says_so(source: Path) -> None:
    modified = source.stat().st_mtime
    changed = read_excerpt(frame(source), started_at=modified - 60)
    assert changed is not None and changed.newer
    unchanged = read_excerpt(frame(source), started_at=modified + 60)
    assert unchanged is not None and not unchanged.newer
