"""Columns."""

from __future__ import annotations

from leaktui.cli.table import Column, format_table

COLUMNS = (Column("PID", number=True), Column("NAME"), Column("MODULE"))
ROWS = (("7", "世界", "example.com/app"), ("4242", "a", "m"))


def test_numbers_to_the_right_words_to_the_left() -> None:
    assert format_table(COLUMNS, ROWS) == (
        " PID  NAME  MODULE\n   7  世界  example.com/app\n4242  a     m\n"  # wide letters take two columns
    )


def test_cut_for_a_terminal() -> None:
    assert (
        format_table(COLUMNS, ROWS, width=20) == " PID  NAME  MODULE\n   7  世界  example…\n4242  a     m\n"
    )


def test_titles_alone() -> None:
    assert format_table(COLUMNS, ()) == "PID  NAME  MODULE\n"
