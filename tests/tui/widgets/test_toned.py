"""Fitting, spreading, wrapping and comparing lines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from leaktui.tui.widgets.toned import (
    Line,
    changed_columns,
    fit_line,
    fit_text,
    join,
    line_text,
    line_width,
    plain,
    spread,
    wrap_line,
)

TEXT = st.text(st.characters(blacklist_categories=("Cc", "Cs", "Cf", "Mn", "Me", "Zl", "Zp")), max_size=60)


@pytest.mark.parametrize(
    ("text", "width", "options", "fitted"),
    [
        ("abc", 5, {}, "abc  "),
        ("abc", 5, {"align": "right"}, "  abc"),
        ("abcdef", 4, {}, "abc…"),
        ("abcdef", 4, {"cut": "start"}, "…def"),
        ("日本語", 4, {}, "日 …"),
        ("日本語", 5, {"cut": "start"}, "…本語"),
        ("abc", 1, {}, "…"),
        ("abc", 0, {}, ""),
    ],
)
def test_fit_text(text: str, width: int, options: dict[str, str], fitted: str) -> None:
    assert fit_text(text, width, **options) == fitted  # type: ignore[arg-type]


@given(TEXT, st.integers(0, 40), st.sampled_from(["left", "right"]), st.sampled_from(["end", "start"]))
def test_fitted_text_is_exactly_as_wide_as_asked(text: str, width: int, align: str, cut: str) -> None:
    assert cell_len(fit_text(text, width, align=align, cut=cut)) == width  # type: ignore[arg-type]


@given(st.lists(TEXT, max_size=5), st.integers(1, 60))
def test_fitted_lines_are_never_too_wide(texts: list[str], width: int) -> None:
    line: Line = tuple((text, "plain") for text in texts)
    assert line_width(fit_line(line, width)) <= width


@given(st.lists(TEXT, max_size=5), st.integers(8, 60), st.integers(0, 10))
def test_wrapped_lines_fit_and_keep_every_letter(texts: list[str], width: int, indent: int) -> None:
    line: Line = tuple((text, "plain") for text in texts)
    wrapped = wrap_line(line, width, indent)
    assert all(line_width(piece) <= width for piece in wrapped)
    assert "".join("".join(line_text(piece).split()) for piece in wrapped) == "".join(line_text(line).split())


def test_wrapping_breaks_at_words_with_a_hanging_indent() -> None:
    line: Line = (("• pprof: ", "muted"), ("twelve connections wait for somebody", "plain"))
    assert [line_text(piece) for piece in wrap_line(line, 24, 2)] == [
        "• pprof: twelve",
        "  connections wait for",
        "  somebody",
    ]


def test_spread_keeps_the_right_end() -> None:
    assert line_text(spread(plain("left"), plain("right"), 16)) == "left       right"
    assert line_text(spread(plain("a long left part"), plain("right"), 16)) == "a long le… right"


def test_join_leaves_out_what_is_empty() -> None:
    assert line_text(join([plain("a"), (), plain("b")], (" · ", "muted"))) == "a · b"


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        (plain("abc"), plain("abc"), None),
        (plain("abc"), (("a", "plain"), ("bc", "plain")), None),
        (plain("abcdef"), plain("abXdef"), (2, 1)),
        (plain("abc"), plain("abcde"), (3, 2)),
        (plain("abcde"), plain("abc"), (3, 2)),
        (plain("abc"), (("ab", "plain"), ("c", "danger")), (2, 1)),
        (plain("a日c"), plain("a本c"), (1, 2)),
        (plain("x" * 100 + "a"), plain("x" * 100 + "b"), None),
    ],
)
def test_changed_columns(old: Line, new: Line, changed: tuple[int, int] | None) -> None:
    assert changed_columns(old, new, 80) == changed
