"""Documents read back: their text, and where their lines lead."""

from __future__ import annotations

from collections.abc import Sequence

from leaktui.tui.widgets.document import DocLine
from leaktui.tui.widgets.toned import line_text


def text_of(lines: Sequence[DocLine]) -> str:
    return "\n".join(line_text(line.spans) for line in lines)


def targets_of(lines: Sequence[DocLine]) -> list[object]:
    return [line.target for line in lines if line.target is not None]
