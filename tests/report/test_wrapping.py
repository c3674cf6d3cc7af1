"""Wrapping by columns."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from leaktui.report.wrapping import fit_path, wrap_text
from leaktui.text import cell_width


@given(st.text(alphabet="ab 世é-/", max_size=200), st.integers(8, 40))
def test_nothing_is_lost_and_every_line_fits(text: str, width: int) -> None:
    lines = wrap_text(text, width)
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert all(cell_width(line) <= width for line in lines)


def test_words_move_whole_where_they_can() -> None:
    assert wrap_text("the line that leaks is here", 12) == ["the line", "that leaks", "is here"]
    assert wrap_text("a " + "x" * 20, 8) == ["a", "xxxxxxxx", "xxxxxxxx", "xxxx"]
    assert wrap_text("", 10) == []


def test_a_path_keeps_its_end() -> None:
    assert fit_path("/srv/app/internal/store.go:24", 16).endswith("store.go:24")
    assert cell_width(fit_path("/srv/app/internal/store.go:24", 16)) <= 16
    assert fit_path("/a.go:1", 16) == "/a.go:1"
