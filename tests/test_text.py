"""Numbers and symbols as people read them, and nothing a terminal would obey."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaktui.text import (
    cell_width,
    format_bytes,
    format_count,
    format_duration,
    format_rate,
    masked_url,
    package_of,
    printable,
    short_function,
    short_path,
)


@given(st.text())
def test_nothing_printable_moves_a_cursor(text: str) -> None:
    safe = printable(text)
    assert not any(unicodedata.category(char) in ("Cc", "Cs") for char in safe)
    assert not any(char in "\u202a\u202e\u2066\u2069\u200b\ufeff\u2028" for char in safe)
    assert printable(safe) == safe


def test_what_was_unprintable_stays_recognisable() -> None:
    assert printable("a\x1b[31mb\tc\u202ed") == "a\\x1b[31mb c\\u202ed"


def test_long_text_is_cut() -> None:
    assert len(printable("x" * 10_000, 100)) == 100


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("https://user:pw@host/p?token=abc&x=1#frag", "https://host/p?token=…&x=…"),
        ("http://host/p", "http://host/p"),
        ("http://host/p?flag", "http://host/p?flag"),
        ("http://[broken/p?token=abc", "http://[broken/p"),
    ],
)
def test_secrets_in_urls_are_masked(url: str, masked: str) -> None:
    assert masked_url(url) == masked
    assert masked_url(url, show_secrets=True) == url


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1023, "1.0 kB"),
        (1536, "1.5 kB"),
        (120 << 20, "120 MB"),
        (-2048, "-2.0 kB"),
    ],
)
def test_bytes(count: float, text: str) -> None:
    assert format_bytes(count) == text


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0"), (9999, "9999"), (14_200, "14.2k"), (3_100_000, "3.1M")]
)
def test_counts(count: float, text: str) -> None:
    assert format_count(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.42, "0.4 s"), (12, "12 s"), (185, "3m05s"), (8040, "2h14m"), (529_200, "6d03h"), (-1, "0.0 s")],
)
def test_durations(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


def test_rates() -> None:
    assert format_rate(48.2) == "+48/min"
    assert format_rate(-1.2 * (1 << 20), as_bytes=True) == "−1.2 MB/min"
    assert format_rate(0.2) == "±0/min"


@pytest.mark.parametrize(
    ("function", "package", "short"),
    [
        ("net/http.(*T).f", "net/http", "http.(*T).f"),
        ("main.f.func1", "main", "main.f.func1"),
        ("gopkg.in/yaml%2ev3.(*d).x", "gopkg.in/yaml.v3", "yaml.v3.(*d).x"),
        ("example.com/a/b.Map[go.shape.int,net/http.X].Get", "example.com/a/b", "b.Map[...].Get"),
        ("main.fetch[...]", "main", "main.fetch[...]"),
        ("type:.eq.main.T", "", "type:.eq.main.T"),
    ],
)
def test_symbols(function: str, package: str, short: str) -> None:
    assert package_of(function) == package
    assert short_function(function) == short


def test_paths_keep_their_end() -> None:
    assert short_path("/srv/app/main.go", 40) == "/srv/app/main.go"
    cut = short_path("/very/long/path/to/some/deep/package/directory/file.go", 24)
    assert len(cut) <= 24
    assert cut.endswith("/file.go")
    assert cut.startswith("…")


def test_wide_characters_take_two_cells() -> None:
    assert cell_width("abc") == 3
    assert cell_width("漢字") == 4
    assert cell_width("e\u0301") == 1
