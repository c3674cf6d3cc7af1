from __future__ import annotations

import contextlib
import gzip
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaktui.engines.pprof_identity import (
    Identity,
    Mappings,
    compare,
    decode_mappings,
    read_mappings,
)
from leaktui.errors import DecodeError


def varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def profile(*mappings: tuple[int, bytes]) -> bytes:
    """A profile.proto with these executable mappings (start, file)."""
    strings = [b"", *(name for _, name in mappings)]
    data = field(2, b"\x08\x01") + field(9, 12345)  # a sample and a time, to be passed over
    for index, (start, _) in enumerate(mappings, start=1):
        data += field(3, field(1, index) + field(2, start) + field(5, index))
    return data + b"".join(field(6, string) for string in strings)


def test_mappings_of_a_profile() -> None:
    data = profile((0x400000, b"/srv/app"), (0x7FFC34343000, b"[vdso]"))
    for form in (data, gzip.compress(data)):
        assert decode_mappings(form) == Mappings(0x7FFC34343000, frozenset({b"/srv/app", b"[vdso]"}))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html>",
        b"\x1f\x8bxx",
        profile((1, b"x"))[:-2],
        gzip.compress(profile(), mtime=0)[:-9],
        b"\xff" * 30,
    ],
)
def test_what_is_no_profile(data: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_mappings(data)


@given(st.binary(max_size=300))
def test_any_bytes_give_mappings_or_a_decode_error(data: bytes) -> None:
    with contextlib.suppress(DecodeError):
        assert isinstance(decode_mappings(data), Mappings)


@contextlib.contextmanager
def settled_process() -> Iterator[int]:
    """A `cat` that has loaded its libraries: it has answered."""
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"x")
        process.stdout.read(1)
        yield process.pid
        process.kill()


def test_processes_of_one_program_differ_and_each_equals_itself() -> None:
    with settled_process() as one, settled_process() as two:
        first, again, second = read_mappings(one), read_mappings(one), read_mappings(two)
    if first is None or second is None or first.vdso is None:
        pytest.skip("addresses are not random here")
    assert first == again
    assert compare(first, second) is Identity.SIBLING
    assert compare(first, first) is Identity.SAME


def test_verdicts() -> None:
    ours = Mappings(0x7000, frozenset({b"/srv/app", b"[vdso]"}))
    assert compare(ours, Mappings(0x7000, frozenset())) is Identity.SAME
    assert compare(ours, Mappings(0x8000, frozenset({b"/srv/app", b"[vdso]"}))) is Identity.SIBLING
    assert compare(ours, Mappings(0x8000, frozenset({b"/srv/other", b"[vdso]"}))) is Identity.OTHER
    assert compare(ours, Mappings(None, frozenset({b"/srv/app"}))) is Identity.UNKNOWN
    assert compare(Mappings(None, frozenset()), ours) is Identity.UNKNOWN
    assert compare(None, ours) is Identity.UNKNOWN


def test_addresses_that_are_not_random_prove_nothing() -> None:
    # setarch -R: ADDR_NO_RANDOMIZE in the personality.
    with subprocess.Popen(["setarch", "-R", "sleep", "60"], stdout=subprocess.PIPE) as process:
        while Path(f"/proc/{process.pid}/exe").readlink().name == "setarch":
            pass
        mappings = read_mappings(process.pid)
        process.kill()
    assert mappings is None
