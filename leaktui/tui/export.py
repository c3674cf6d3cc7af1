"""Writing what is on the screen to a file.

Law: files are new (nothing is overwritten), private to the user (0600), and hold printable text only.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from leaktui.text import printable
from leaktui.tui.widgets.columns import Column


def format_tsv(columns: Sequence[Column[Any]], rows: Sequence[Any]) -> str:
    """Rows as tab-separated values with a header; sortable columns give their raw value."""
    lines = ["\t".join(column.title for column in columns)]
    lines += ["\t".join(_field(column, row) for column in columns) for row in rows]
    return "\n".join(lines) + "\n"


def _field(column: Column[Any], row: Any) -> str:
    if column.value is None:
        return printable(column.cell(row)[0])
    value = column.value(row)
    if value is None:
        return ""
    return f"{value:.3f}".rstrip("0").rstrip(".") if isinstance(value, float) else printable(str(value))


def write_new_file(directory: Path, stem: str, suffix: str, text: str, *, now: datetime) -> Path:
    """Write *text* to `STEM-YYYYMMDD-HHMMSS.SUFFIX`, numbered when it exists. Raises OSError."""
    return write_new_files(directory, stem, {suffix: text}, now=now)[0]


def write_new_files(
    directory: Path, stem: str, contents: Mapping[str, str | bytes], *, now: datetime
) -> list[Path]:
    """Write each of *contents* (by suffix) to `STEM-YYYYMMDD-HHMMSS.SUFFIX`, side by side under one number.

    Raises OSError; what was written until then stays.
    """
    stamp = f"{now:%Y%m%d-%H%M%S}"
    for number in range(100):
        name = f"{stem}-{stamp}{f'-{number}' if number else ''}"
        paths = [directory / f"{name}.{suffix}" for suffix in contents]
        if any(os.path.lexists(path) for path in paths):
            continue
        try:
            for path, content in zip(paths, contents.values(), strict=True):
                _write_private(path, content.encode() if isinstance(content, str) else content)
        except FileExistsError:
            continue  # somebody else was quicker
        return paths
    raise FileExistsError(f"{stem}-{stamp}.{next(iter(contents))} and a hundred like it exist already")


def _write_private(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(data)
