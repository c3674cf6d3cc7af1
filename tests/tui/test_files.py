"""Exports and the editor's command."""

from __future__ import annotations

import stat
from datetime import datetime, timezone
from pathlib import Path

import pytest

from leaktui.tui.editor import editor_command
from leaktui.tui.export import format_tsv, write_new_file, write_new_files
from leaktui.tui.widgets.columns import name_column, number_column

NOON = datetime(2026, 1, 2, 12, 0, 0, tzinfo=timezone.utc)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    first = write_new_file(tmp_path, "leaktui-1", "tsv", "a", now=NOON)
    second = write_new_file(tmp_path, "leaktui-1", "tsv", "b", now=NOON)
    assert first.name == "leaktui-1-20260102-120000.tsv" and second.name == "leaktui-1-20260102-120000-1.tsv"
    assert first.read_text() == "a"
    assert stat.S_IMODE(first.stat().st_mode) == 0o600


def test_files_side_by_side_share_their_number(tmp_path: Path) -> None:
    (tmp_path / "r-20260102-120000.html").write_text("older")
    paths = write_new_files(tmp_path, "r", {"md": "ticket", "html": b"page"}, now=NOON)
    assert [path.name for path in paths] == ["r-20260102-120000-1.md", "r-20260102-120000-1.html"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in paths} == {0o600}
    assert (tmp_path / "r-20260102-120000.html").read_text() == "older"


def test_a_link_in_the_way_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "x-20260102-120000.md").symlink_to(victim)
    path = write_new_file(tmp_path, "x", "md", "report", now=NOON)
    assert path.name == "x-20260102-120000-1.md" and victim.read_text() == "precious"


def test_values_are_raw_and_fields_hold_no_separators() -> None:
    columns = [
        number_column("bytes", lambda row: row[0], lambda count: f"{count:.0f} B", 8),
        name_column("name", lambda row: row[1], 8),
        number_column("rate", lambda row: row[2], str, 8),
    ]
    rows = [(1536, "a\tb\nc\x1b", 0.5), (2, "", None)]
    assert format_tsv(columns, rows) == "bytes\tname\trate\n1536\ta b c\\x1b\t0.5\n2\t\t\n"


@pytest.mark.parametrize(
    ("environ", "command"),
    [
        ({}, ["vi", "+7", "/a b.go"]),
        ({"EDITOR": "emacs -nw"}, ["emacs", "-nw", "+7", "/a b.go"]),
        ({"EDITOR": "vi", "VISUAL": "code --wait"}, ["code", "--wait", "--goto", "/a b.go:7"]),
        ({"EDITOR": "/usr/bin/hx"}, ["/usr/bin/hx", "/a b.go:7"]),
    ],
)
def test_editor_command(environ: dict[str, str], command: list[str]) -> None:
    assert editor_command(Path("/a b.go"), 7, environ) == command


def test_an_unknown_line_is_the_first() -> None:
    assert editor_command(Path("/a.go"), 0, {})[1] == "+1"
