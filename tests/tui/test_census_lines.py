"""Rows of the heap's census, as text."""

from __future__ import annotations

import pytest

from leaktui.tui.census_lines import census_summary, class_lines, size_name, type_lines
from leaktui.tui.wording import type_name
from tests.tui.documents import text_of
from tests.tui.scene import CENSUS


def test_a_size_class_and_its_share() -> None:
    text = text_of(class_lines(CENSUS.classes[3], CENSUS))
    for part in ("48 B each", "9.2 MB in 201k objects", "they may hold pointers", "25 % of it", "57 garbage"):
        assert part in text
    assert "mean size" not in text


def test_large_objects_have_a_mean_size() -> None:
    text = text_of(class_lines(CENSUS.classes[0], CENSUS))
    assert size_name(CENSUS.classes[0]) == "large"
    assert "about 3.0 MB" in text and "they hold none" in text


def test_a_type_says_how_much_of_the_heap_has_one() -> None:
    text = text_of(type_lines(CENSUS.types[1], CENSUS))
    assert "net/http.persistConn" in text and "about 1.2 kB" in text
    assert "The type is known of 4.7 MB" in text and "2.0 % of it is in this row" in text


def test_without_a_census_a_row_stands_alone() -> None:
    assert "whole heap" not in text_of(type_lines(CENSUS.types[1], None))
    assert census_summary(CENSUS) == "36.8 MB live in 413k objects"


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("[]*example.com/shop/catalog.item", "[]*catalog.item"),
        ("map[string]*net/http.Response", "map[string]*http.Response"),
        ("chan<- struct { A int }", "chan<- struct { A int }"),
        ("a.b/c.Pair[a.b/c.Key,d/e.Value]", "c.Pair[c.Key,e.Value]"),
        ("[]uint8", "[]uint8"),
        ("", "–"),
        ("main.\x1bT", "main.\\x1bT"),
    ],
)
def test_types_are_named_without_their_import_paths(name: str, short: str) -> None:
    assert type_name(name) == short
