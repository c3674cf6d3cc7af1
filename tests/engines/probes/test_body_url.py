"""What a probe reads of a request, as text."""

from __future__ import annotations

import pytest

from leaktui.engines.probes.body_url import LIMITS, UrlPieces

PLAIN = UrlPieces(b"GET", b"https", b"", b"shop.example:8443", b"/a", b"", b"x=1&y=%20", b"")


def test_a_password_is_shown_as_one() -> None:
    assert PLAIN._replace(username=b"me", path=b"", raw_query=b"").format_url(with_password=True) == (
        "https://me:…@shop.example:8443"
    )


@pytest.mark.parametrize("piece", ["host", "path", "raw_query", "opaque"])
def test_what_was_cut_off_says_so(piece: str) -> None:
    limit = LIMITS[piece]
    whole, cut = (
        PLAIN._replace(**{piece: b"/" + b"a" * (size - 1)}).format_url() for size in (limit - 1, limit)
    )
    assert "…" not in whole
    assert "a…" in cut


def test_a_cut_spelling_is_not_taken_for_the_path() -> None:
    raw = b"/" + b"%2F" * 100
    path = b"/" * 101
    pieces = PLAIN._replace(path=path, raw_path=raw[: LIMITS["raw_path"]], raw_query=b"")
    assert pieces.format_url().endswith("/" * 101 + "…")


def test_nothing_that_was_read_makes_no_url() -> None:
    assert UrlPieces().format_url() == ""


def test_a_method_left_empty_is_get() -> None:
    assert [PLAIN._replace(method=method).format_method() for method in (b"", b"PATCH")] == ["GET", "PATCH"]
