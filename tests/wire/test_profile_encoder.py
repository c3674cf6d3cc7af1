"""What is encoded decodes to the same: by our own decoder, and by `go tool pprof`."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaktui.model.frame import Frame
from leaktui.model.profile import ValueType
from leaktui.wire.profile import decode_profile
from leaktui.wire.profile_encoder import Entry, Executable, Number, encode_profile
from tests.go_toolchain import find_toolchains

COUNT, SPACE = ValueType("things", "count"), ValueType("space", "bytes")
OUTER = Frame("main.main", "/src/main.go", 10, 0x1000)
INNER = Frame("main.load", "/src/load.go", 20, 0x2000)
INLINED = Frame("main.(*T).get", "/src/load.go", 7, 0x2000, inlined=True)


def test_values_stacks_and_labels_come_back() -> None:
    entries = [
        Entry((INNER, OUTER), (3, 1 << 40), (("host", "a.example"),), (Number("age", 61, "seconds"),)),
        Entry((OUTER,), (0, -1)),
        Entry((), (1, 0)),
    ]
    data = encode_profile((COUNT, SPACE), entries, time_ns=1_700_000_000_000_000_000, comments=("a remark",))
    profile = decode_profile(data)
    assert profile.value_types == (COUNT, SPACE)
    assert profile.time_ns == 1_700_000_000_000_000_000 and profile.comments == ("a remark",)
    assert [sample.values for sample in profile.samples] == [(3, 1 << 40), (0, -1), (1, 0)]
    assert [(frame.function, frame.file, frame.line) for frame in profile.samples[0].stack] == [
        ("main.load", "/src/load.go", 20),
        ("main.main", "/src/main.go", 10),
    ]
    assert profile.samples[0].labels == (("host", "a.example"),)
    assert profile.samples[2].stack == ()


def test_inlined_calls_share_the_location_of_the_frame_they_are_in() -> None:
    data = encode_profile((COUNT,), [Entry((INLINED, INNER, OUTER), (1,)), Entry((INNER, OUTER), (1,))])
    first, second = decode_profile(data).samples
    assert [frame.inlined for frame in first.stack] == [True, False, False]
    assert [frame.inlined for frame in second.stack] == [False, False]


def test_equal_input_gives_equal_bytes() -> None:
    entries = [Entry((INLINED, INNER, OUTER), (1,))] * 3
    assert encode_profile((COUNT,), entries) == encode_profile((COUNT,), iter(entries))


def test_a_value_too_few_is_refused() -> None:
    with pytest.raises(ValueError, match="1 values for 2 columns"):
        encode_profile((COUNT, SPACE), [Entry((), (1,))])


texts = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), max_size=12)
frames = st.builds(Frame, texts, texts, st.integers(0, 1 << 31), st.integers(0, (1 << 64) - 1))


@given(st.lists(st.tuples(st.lists(frames, max_size=6), st.integers(-(1 << 63), (1 << 63) - 1)), max_size=12))
def test_any_profile_comes_back(samples: list[tuple[list[Frame], int]]) -> None:
    data = encode_profile((COUNT,), [Entry(tuple(stack), (value,)) for stack, value in samples])
    decoded = decode_profile(data).samples
    assert [sample.values[0] for sample in decoded] == [value for _, value in samples]
    for sample, (stack, _) in zip(decoded, samples, strict=True):
        assert [(item.file, item.line) for item in sample.stack] == [(item.file, item.line) for item in stack]


@pytest.mark.go
def test_go_reads_it(tmp_path: Path) -> None:
    """Mapping, build id, default column, labels and inlined calls, as `go tool pprof -raw` prints them."""
    entries = [
        Entry((INLINED, INNER, OUTER), (41, 4096), (("state", "unread"),), (Number("age", 90, "seconds"),)),
        Entry((OUTER,), (1, 0)),
    ]
    path = tmp_path / "p.pb.gz"
    path.write_bytes(
        encode_profile(
            (COUNT, SPACE),
            entries,
            default_column="space",
            time_ns=1,
            executable=Executable("/srv/app", "c0ffee"),
        )
    )
    raw = pprof("-raw", path)
    assert "things/count space/bytes[dflt]" in raw
    assert "state:[unread]" in raw and "age:[90 seconds]" in raw
    assert "/srv/app c0ffee [FN][FL][LN][IN]" in raw
    assert "0x2000 M=1 main.(*T).get /src/load.go:7:0 s=0\n             main.load /src/load.go:20:0" in raw
    top = pprof("-top", "-sample_index=things", path)
    assert "42 total" in top and "main.(*T).get (inline)" in top
    assert "4kB" in pprof("-top", path), "the default column"
    assert "41" in pprof("-top", "-sample_index=things", "-tagfocus=age=60s:120s", path)


def pprof(*arguments: object) -> str:
    """What `go tool pprof` prints."""
    go = find_toolchains()[0].go
    said = subprocess.run(
        [go, "tool", "pprof", *map(str, arguments)], capture_output=True, text=True, check=True
    )
    return said.stdout
