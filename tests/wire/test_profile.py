"""profile.proto: small profiles built byte by byte, recorded ones, and hostile ones."""

from __future__ import annotations

import gzip
import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leaktui.errors import DecodeError, LimitExceeded, Truncated
from leaktui.model.frame import Frame
from leaktui.model.profile import ValueType
from leaktui.wire import profile as profile_module
from leaktui.wire import profile_records
from leaktui.wire.profile import decode_heap, decode_profile
from tests.bench.make_profile import block, make_profile, number, packed, varint
from tests.wire.pprof_captures import RELEASES, compressed, content, lines_of

STRINGS = ("", "samples", "count", "main.f[go.shape.int]", "main.g", "main.go", "route", "/users", "bytes")
NO_NAME, SAMPLES, COUNT, F, G, FILE, ROUTE, USERS, BYTES = range(9)


def strings(*texts: str) -> bytes:
    return b"".join(block(6, text.encode()) for text in texts or STRINGS)


def column(name: int, unit: int) -> bytes:
    return block(1, number(1, name) + number(2, unit))


def sample(locations: list[int], values: list[int], *labels: bytes) -> bytes:
    return block(2, packed(1, locations) + packed(2, values) + b"".join(block(3, label) for label in labels))


def location(identifier: int, *lines: tuple[int, int], address: int = 0x1000) -> bytes:
    encoded = b"".join(block(4, number(1, function) + number(2, line)) for function, line in lines)
    return block(4, number(1, identifier) + number(3, address) + encoded)


def function(identifier: int, name: int, start_line: int = 1) -> bytes:
    return block(5, number(1, identifier) + number(2, name) + number(4, FILE) + number(5, start_line))


FUNCTIONS = function(1, F) + function(2, G)
BASE = column(SAMPLES, COUNT) + FUNCTIONS + strings()


def test_a_profile_field_by_field() -> None:
    data = (
        BASE
        + sample([7, 9], [3], number(1, ROUTE) + number(2, USERS))
        + location(7, (1, 10), (2, 20))
        + location(9, (2, 30))
        + number(9, 1_700_000_000_000_000_000)
        + number(10, 5_000_000)
        + block(11, number(1, SAMPLES) + number(2, BYTES))
        + number(12, 4096)
        + packed(13, [USERS])
        + number(13, FILE)
    )
    profile = decode_profile(data)
    assert profile.value_types == (ValueType("samples", "count"),)
    assert profile.time_ns == 1_700_000_000_000_000_000
    assert profile.duration_ns == 5_000_000
    assert profile.period == 4096
    assert profile.period_type == ValueType("samples", "bytes")
    assert profile.comments == ("/users", "main.go")
    (only,) = profile.samples
    assert only.values == (3,)
    assert only.labels == (("route", "/users"),)
    assert only.stack == (
        Frame("main.f[...]", "main.go", 10, inlined=True),
        Frame("main.g", "main.go", 20),
        Frame("main.g", "main.go", 30),
    )
    assert decode_profile(gzip.compress(data, mtime=0)) == profile


def test_numeric_labels_are_left_out_and_empty_ones_are_not() -> None:
    labels = (number(1, BYTES) + number(3, 64), number(1, ROUTE))
    profile = decode_profile(BASE + sample([], [1], *labels))
    assert profile.samples[0].labels == (("route", ""),)


def test_numbers_may_be_unpacked_negative_and_fields_unknown() -> None:
    unpacked = block(2, number(1, 7) + number(1, 7) + number(2, -5) + number(9, 1))
    unknown = (
        number(99, 1) + varint(98 << 3 | 1) + bytes(8) + varint(97 << 3 | 5) + bytes(4) + block(96, b"x")
    )
    profile = decode_profile(BASE + unknown + unpacked + location(7, (2, 20)))
    assert profile.samples[0].values == (-5,)
    assert [frame.line for frame in profile.samples[0].stack] == [20, 20]


def test_a_location_without_symbol_is_its_address() -> None:
    profile = decode_profile(BASE + sample([7], [1]) + location(7, address=0x7F21C0DE))
    assert profile.samples[0].stack == (Frame("0x7f21c0de", pc=0x7F21C0DE),)


def test_stacks_of_equal_lines_are_one_object() -> None:
    # Two call instructions on one line, and two instantiations of one generic function.
    names = (*STRINGS, "main.f[go.shape.string]")
    data = (
        column(SAMPLES, COUNT)
        + FUNCTIONS
        + function(3, len(STRINGS))
        + strings(*names)
        + sample([1, 3], [1])
        + sample([2, 3], [2])
        + sample([1, 3], [4])
        + sample([3], [8])
        + location(1, (1, 10), address=0x1000)
        + location(2, (3, 10), address=0x2000)
        + location(3, (2, 30))
    )
    first, second, third, other = decode_profile(data).samples
    assert first.stack is second.stack is third.stack
    assert other.stack != first.stack


def test_names_from_the_target_are_made_printable() -> None:
    texts = [*STRINGS[:G], "main.\x1b[31mevil\n\u202e", *STRINGS[FILE:]]
    data = column(SAMPLES, COUNT) + FUNCTIONS + sample([7], [1]) + location(7, (2, 1))
    stack = decode_profile(data + strings(*texts)).samples[0].stack
    assert stack[0].function.isprintable()
    bad_utf8 = data + strings(*STRINGS[:G]) + block(6, b"main.\xff") + strings(*STRINGS[FILE:])
    assert decode_profile(bad_utf8).samples[0].stack[0].function == "main.\ufffd"


@pytest.mark.parametrize("release", RELEASES)
def test_recorded_heap(release: str) -> None:
    data = compressed(release, "heap.0.pb")
    profile, heap = decode_profile(data), decode_heap(data)
    columns = ("alloc_objects", "alloc_space", "inuse_objects", "inuse_space")
    assert tuple(value_type.name for value_type in profile.value_types) == columns
    assert heap.sample_rate == profile.period == 4096
    assert heap.time_ns == profile.time_ns > 1_700_000_000_000_000_000
    # One site a stack, nothing lost.
    assert len({lines_of(site.stack) for site in heap.sites}) == len(heap.sites) < len(profile.samples)
    sums = [sum(sample.values[index] for sample in profile.samples) for index in range(4)]
    assert sums == [
        sum(getattr(site, name) for site in heap.sites)
        for name in ("alloc_objects", "alloc_bytes", "inuse_objects", "inuse_bytes")
    ]
    # main.grow keeps 400 slices of 64 to 2,048 bytes, 263 kB, and throws as many away. The profile
    # samples one in 4,096 bytes.
    live: Counter[str] = Counter()
    dead: Counter[str] = Counter()
    for site in heap.sites:
        for frame in site.stack:
            if frame.function in ("main.keepSome", "main.throwAway"):
                live[frame.function] += site.inuse_bytes
                dead[frame.function] += site.alloc_bytes - site.inuse_bytes
    assert 130_000 < live["main.keepSome"] < 530_000
    assert dead["main.throwAway"] > 200_000 and not live["main.throwAway"]


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("kind", ["block", "mutex"])
def test_recorded_contention(release: str, kind: str) -> None:
    profile = decode_profile(compressed(release, f"{kind}.0.pb"))
    assert profile.value_types == (ValueType("contentions", "count"), ValueType("delay", "nanoseconds"))
    delays = {
        frame.function: values[1]
        for stack, values in ((sample.stack, sample.values) for sample in profile.samples)
        for frame in stack
    }
    assert delays["main.contend.func1"] > 0


def test_a_bare_profile_is_as_good_as_a_compressed_one() -> None:
    assert decode_profile(content("go1.26", "heap.0.pb")) == decode_profile(compressed("go1.26", "heap.0.pb"))


def test_a_generated_profile_adds_up() -> None:
    heap = decode_heap(make_profile(300, functions=50, seed=3))
    profile = decode_profile(make_profile(300, functions=50, seed=3, compress=False))
    assert len(profile.samples) == 300
    assert sum(site.inuse_bytes for site in heap.sites) == sum(sample.values[3] for sample in profile.samples)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the profile is empty"),
        (gzip.compress(b"", mtime=0), "an empty response, not a profile"),
        (b"<!DOCTYPE html><title>Log in</title>", "an HTML page, not a profile"),
        (gzip.compress(b"<html>", mtime=0), "an HTML page, not a profile"),
        (b'{"message": "no"}', "JSON, not a profile"),
        (b"Unknown profile\n", "plain text, not a profile"),
        (content("go1.26", "goroutine.2.txt"), r"a goroutine dump \(debug=2\), not a profile"),
        (b"go 1.26 trace\0\0\0" + bytes(40), "an execution trace, not a profile"),
        (b"\x7fELF\x02\x01\x01" + bytes(40), "an executable, not a profile"),
        (strings(), "names no columns"),
        (BASE + sample([7], [1]), "location 7, which it does not have"),
        (BASE + sample([7], [1]) + location(7, (5, 1)), "function 5, which it does not have"),
        (BASE + function(3, 99), "string 99, which it does not have"),
        (BASE + function(3, -1), "string -1, which it does not have"),
        (BASE + sample([], [1, 2]), "1 columns and a sample of 2 values"),
        (BASE + block(2, b"\x0a\x7f"), "damaged"),
        (BASE + b"\x50" + b"\xff" * 11, "longer than 64 bits"),
        (BASE + b"\x12\x85", "in the middle of a record"),
        (BASE + varint(98 << 3 | 1) + bytes(7), "in the middle of a record"),
    ],
)
def test_what_is_no_profile_is_said_in_words(data: bytes, message: str) -> None:
    with pytest.raises(DecodeError, match=message):
        decode_profile(data)


def test_early_ends_are_truncated() -> None:
    whole = compressed("go1.26", "heap.0.pb")
    for data in (b"", whole[: len(whole) // 2], content("go1.26", "heap.0.pb")[:5001]):
        with pytest.raises(Truncated):
            decode_profile(data)


def test_another_kind_is_no_heap_profile() -> None:
    with pytest.raises(DecodeError, match="not a heap profile: its columns are goroutine"):
        decode_heap(compressed("go1.26", "goroutine.0.pb"))


def test_size_limits() -> None:
    data = make_profile(100, functions=50)
    with pytest.raises(LimitExceeded, match=r"more than 1\.0 kB"):
        decode_profile(data, limit_bytes=1024)
    with pytest.raises(LimitExceeded, match=r"more than the 1\.0 kB"):
        decode_profile(gzip.decompress(data), limit_bytes=1024)
    with pytest.raises(LimitExceeded, match="a record of"):
        decode_profile(BASE + sample(list(range(600_000)), [1]))


def test_amplification_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    deep = BASE + location(7, *[(1, 1)] * 1000)
    with pytest.raises(LimitExceeded, match="a stack of more than 16"):
        decode_profile(deep + sample([7] * 17, [1]))
    with pytest.raises(LimitExceeded, match="at one address"):
        decode_profile(BASE + location(7, *[(1, 1)] * 1025))
    with pytest.raises(LimitExceeded, match="a stack of more than 16"):
        decode_profile(BASE + location(7, (1, 1)) + sample([7] * 500_000, [1]))
    monkeypatch.setattr(profile_module, "MAX_FRAMES", 5000)
    with pytest.raises(LimitExceeded):
        decode_profile(deep + b"".join(sample([7] * count, [1]) for count in range(1, 5)))
    monkeypatch.setattr(profile_module, "MAX_LINES", 1500)
    with pytest.raises(LimitExceeded):
        decode_profile(deep + location(8, *[(1, 1)] * 1000))
    monkeypatch.setattr(profile_records, "MAX_RECORDS", 20)
    with pytest.raises(LimitExceeded, match="more than 20 records"):
        decode_profile(BASE + b"\x12\x00" * 20)


def test_comments_are_bounded() -> None:
    assert len(decode_profile(BASE + packed(13, [USERS] * 5000)).comments) == 1000


SMALL = make_profile(6, functions=8, depth=5, compress=False)


def test_a_profile_cut_anywhere_raises_nothing_but_decode_errors() -> None:
    for length in range(len(SMALL)):
        try:
            decode_heap(SMALL[:length])
        except DecodeError as error:
            assert str(error).isprintable()


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_changed_bytes_raise_nothing_but_decode_errors(data: st.DataObject) -> None:
    damaged = bytearray(SMALL)
    positions = st.integers(0, len(damaged) - 1)
    for position, byte in data.draw(st.lists(st.tuples(positions, st.integers(0, 255)), max_size=12)):
        damaged[position] = byte
    try:
        for result in decode_profile(bytes(damaged)).samples:
            assert len(result.values) == 4
    except DecodeError as error:
        assert str(error).isprintable()


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_noise_raises_nothing_but_decode_errors(data: bytes) -> None:
    try:
        decode_profile(data)
    except DecodeError as error:
        assert str(error).isprintable()


def test_protobuf_is_not_imported_before_it_is_needed() -> None:
    code = (
        "import sys, leaktui.wire.profile, leaktui.wire.goroutine_groups;"
        "sys.exit(any(name.startswith('google') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
