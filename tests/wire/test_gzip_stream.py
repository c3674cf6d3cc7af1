"""gzip streams that are whole, cut short, damaged or too large."""

from __future__ import annotations

import contextlib
import gzip
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leaktui.errors import DecodeError, LimitExceeded, Truncated
from leaktui.wire.gzip_stream import inflate_gzip, is_gzip

TEXT = b"goroutine profile: total 3\n" * 40
STREAM = gzip.compress(TEXT, mtime=0)


@settings(deadline=None)
@given(st.binary(max_size=2000))
def test_content_comes_back(data: bytes) -> None:
    assert inflate_gzip(gzip.compress(data), limit_bytes=2000) == data


def test_members_are_joined_and_padding_is_ignored() -> None:
    assert inflate_gzip(STREAM + STREAM + b"\0" * 9, limit_bytes=10_000) == TEXT * 2


@pytest.mark.parametrize("length", range(2, len(STREAM)))
def test_a_stream_cut_anywhere_is_truncated(length: int) -> None:
    with pytest.raises(Truncated, match="ends early"):
        inflate_gzip(STREAM[:length], limit_bytes=10_000)


def test_the_limit_is_kept_and_named() -> None:
    assert len(inflate_gzip(STREAM, limit_bytes=len(TEXT))) == len(TEXT)
    with pytest.raises(LimitExceeded, match=r"more than 1\.0 kB"):
        inflate_gzip(STREAM, limit_bytes=1024)


def test_the_limit_counts_all_members_together() -> None:
    with pytest.raises(LimitExceeded):
        inflate_gzip(STREAM * 3, limit_bytes=2 * len(TEXT))


def test_a_bomb_is_never_inflated() -> None:
    inflater = zlib.compressobj(9, wbits=31)
    bomb = b"".join(inflater.compress(bytes(1 << 20)) for _ in range(64)) + inflater.flush()
    assert len(bomb) < 1 << 17  # 64 MB in 64 kB
    with pytest.raises(LimitExceeded, match=r"more than 1\.0 MB"):
        inflate_gzip(bomb, limit_bytes=1 << 20)


def test_a_wrong_checksum_is_damage() -> None:
    damaged = bytearray(STREAM)
    damaged[-5] ^= 1
    with pytest.raises(DecodeError, match="damaged"):
        inflate_gzip(bytes(damaged), limit_bytes=10_000)


def test_something_behind_the_stream_is_refused() -> None:
    with pytest.raises(DecodeError, match="followed by something else"):
        inflate_gzip(STREAM + b"HTTP/1.1 200 OK", limit_bytes=10_000)


@settings(deadline=None)
@given(st.integers(0, len(STREAM) - 1), st.integers(1, 255))
def test_a_changed_byte_never_escapes_as_another_error(position: int, change: int) -> None:
    damaged = bytearray(STREAM)
    damaged[position] ^= change
    with contextlib.suppress(DecodeError):  # there are header fields nobody checks
        assert inflate_gzip(bytes(damaged), limit_bytes=10_000) == TEXT


def test_gzip_is_told_by_its_magic() -> None:
    assert is_gzip(STREAM)
    assert not is_gzip(b"\x1f") and not is_gzip(b"<html>") and not is_gzip(b"")
