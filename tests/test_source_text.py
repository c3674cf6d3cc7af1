"""Files the target names: read only when they are source, whatever their path claims."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from leaktui.source_text import LARGEST_FILE, read_source


def test_a_source_file_is_read_with_its_time(tmp_path: Path) -> None:
    file = tmp_path / "main.go"
    file.write_text("package main\n", encoding="utf-8")
    assert read_source(str(file)) == ("package main\n", file.stat().st_mtime)


@pytest.mark.parametrize("kind", ["missing", "link", "fifo", "directory", "large", "relative", "other"])
def test_everything_else_is_refused(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "main.go"
    if kind == "link":
        secret = tmp_path / "id_ed25519"
        secret.write_text("private", encoding="utf-8")
        path.symlink_to(secret)
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    elif kind == "large":
        with path.open("wb") as file:
            file.truncate(LARGEST_FILE + 1)
    elif kind == "relative":
        path.write_text("x", encoding="utf-8")
        monkeypatch.chdir(tmp_path)
        path = Path("main.go")
    elif kind == "other":
        path = tmp_path / "shadow"
        path.write_text("x", encoding="utf-8")
    assert read_source(str(path)) is None
