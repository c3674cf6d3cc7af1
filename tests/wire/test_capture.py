"""The capture format: what goes in comes out, and whatever else is in a file is told in one sentence."""

from __future__ import annotations

import dataclasses
import gzip
import json
import tracemalloc
import types
import zlib
from collections.abc import Iterable
from enum import Enum
from typing import Any, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leaktui.engines.capture_records import REGISTRY, FunctionNamed, SourceFailed
from leaktui.engines.protocol import (
    BodiesSeen,
    EvaluationSeen,
    Fact,
    FdsSeen,
    GoroutinesSeen,
    GroupsSeen,
    ProcessSeen,
)
from leaktui.errors import DecodeError, LimitExceeded
from leaktui.model.body import BodyState
from leaktui.model.frame import Frame
from leaktui.model.goroutine import Goroutine, GoroutineGroup
from leaktui.model.inspection import Evaluation, Variable
from leaktui.model.open_body import BodyCensus, OpenBody
from leaktui.model.process import FdEntry, FdKind, ProcessStat
from leaktui.report.redaction import Redaction
from leaktui.wire.capture.decoder import Decoder
from leaktui.wire.capture.encoder import LONGEST_LINE, Encoder
from leaktui.wire.capture.lines import LineReader
from leaktui.wire.capture.shapes import Registry

HEADER: dict[str, Any] = {"leaktui": "0.0", "began": 0}
STAT = ProcessStat(1 << 20, 2 << 20, 7, 0.25, 12, None)


def encode(values: Iterable[object], mask: Redaction | None = None) -> bytes:
    encoder = Encoder(REGISTRY, mask)
    lines = [encoder.header(HEADER)]
    lines += [encoder.record(float(index), "test", value) for index, value in enumerate(values)]
    return b"".join(lines)


def decode(text: bytes, registry: Registry = REGISTRY) -> list[Any]:
    decoder = Decoder(registry, text.splitlines())
    decoder.read_header()
    return [record.value for record in decoder.records()]


def read(chunks: Iterable[bytes]) -> list[Any]:
    decoder = Decoder(REGISTRY, LineReader(chunks))
    decoder.read_header()
    return [record.value for record in decoder.records()]


# -- every fact there is ---------------------------------------------------------------------------


def values_of(hint: Any, depth: int = 0) -> st.SearchStrategy[Any]:
    """Any value that *hint* admits."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is int:
        return st.integers(-(1 << 63), (1 << 63) - 1)
    if hint is float:
        return st.floats(allow_nan=False) | st.integers(0, 9).map(float)
    if hint is bool:
        return st.booleans()
    if hint is str:
        return st.text(max_size=12) | st.sampled_from(("GET", "main.main", "net/http.(*Client).do", ""))
    if origin in (Union, types.UnionType):
        rest = next(item for item in arguments if item is not type(None))
        return st.none() | values_of(rest, depth)
    if origin is tuple and arguments[-1] is Ellipsis:
        if depth >= 3:
            return st.just(())
        return st.lists(values_of(arguments[0], depth + 1), max_size=2).map(tuple)
    if origin is tuple:
        return st.tuples(*(values_of(item, depth) for item in arguments))
    if origin is frozenset:
        return st.frozensets(values_of(arguments[0], depth), max_size=2)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return st.sampled_from(hint)
    assert dataclasses.is_dataclass(hint)
    return st.deferred(lambda: instances(hint, depth + 1))


def instances(kind: Any, depth: int = 0) -> st.SearchStrategy[Any]:
    hints = get_type_hints(kind)
    fields = {item.name: values_of(hints[item.name], depth) for item in dataclasses.fields(kind)}
    return st.builds(kind, **fields)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_every_sort_of_record_comes_back_equal(data: st.DataObject) -> None:
    roots = [shape.type for shape in REGISTRY.types.values()]
    kind = data.draw(st.sampled_from(roots))
    values = data.draw(st.lists(instances(kind), min_size=1, max_size=3))
    assert decode(encode(values)) == values


def test_every_fact_of_the_engines_can_be_recorded() -> None:
    assert {kind.__name__ for kind in get_args(Fact)} <= REGISTRY.types.keys()


def test_what_comes_again_is_given_once() -> None:
    stack = tuple(Frame(f"example.com/app.function{index}", "/src/app/main.go", index) for index in range(20))
    looks = [GroupsSeen((GoroutineGroup(count, stack),)) for count in range(100)]
    text = encode(looks)
    assert decode(text) == looks
    assert text.count(b"/src/app/main.go") == 1
    assert len(text) < 20_000


def test_a_fact_longer_than_a_line_is_left_out_and_the_rest_is_readable() -> None:
    encoder = Encoder(REGISTRY, longest_line=4096)
    stack = (Frame("main.work", "/src/main.go", 3),)
    huge = GoroutinesSeen(tuple(Goroutine(index, "select", stack) for index in range(1000)))
    small = GoroutinesSeen((Goroutine(1, "select", stack),))
    lines = [encoder.header(HEADER), *(encoder.record(1.0, "test", value) for value in (small, huge, small))]
    assert decode(b"".join(lines)) == [small, small]


# -- what the types are ----------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Strange:
    thing: dict[str, int]


@dataclasses.dataclass
class Thawed:
    number: int


@pytest.mark.parametrize(
    ("kind", "complaint"), [(Strange, "cannot be in a capture"), (Thawed, "no frozen dataclass")]
)
def test_what_cannot_be_in_a_capture_is_found_at_once(kind: type, complaint: str) -> None:
    with pytest.raises(TypeError, match=complaint):
        Registry((kind,))


# -- other files -----------------------------------------------------------------------------------


def with_lines(*lines: object) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (b"", "it ends before it has begun"),
        (b"hello\n", "a line in it cannot be read"),
        (with_lines([1, 2]), "it is not a capture of leaktui"),
        (with_lines({"format": "leaktui.diagnosis/1"}), "it is not a capture of leaktui"),
        (with_lines({"format": "leaktui.capture/2"}), r"newer leaktui \(leaktui.capture/2\): update"),
        (
            with_lines({"format": "leaktui.capture/1", "leaktui": "9.9"}, ["T", "Telepathy", []]),
            r"another leaktui \(9.9\) and holds what this one does not know \(Telepathy\): update",
        ),
        (
            with_lines(
                {"format": "leaktui.capture/1", "leaktui": "9.9"}, ["T", "Frame", ["function", "mood"]]
            ),
            r"does not know \(Frame.mood\)",
        ),
        (
            with_lines({"format": "leaktui.capture/1", "leaktui": "0.1"}, ["T", "Frame", ["file"]]),
            r"whose Frame is not this one's",
        ),
        (with_lines({"format": "leaktui.capture/1"}, ["T", 1, 2]), "not described as it should be"),
    ],
)
def test_a_file_that_is_none_is_told_in_one_sentence(text: bytes, sentence: str) -> None:
    with pytest.raises(DecodeError, match=sentence) as caught:
        decode(text)
    assert "\n" not in str(caught.value)


def test_a_field_that_a_type_has_got_since_has_its_default() -> None:
    text = with_lines(
        {"format": "leaktui.capture/1", "leaktui": "0.1"},
        ["T", "FunctionNamed", ["function", "main", "stdlib"]],
        ["T", "SourceFailed", ["message"]],
        ["R", 1.5, "memory", 0, ["f", True, False]],
        ["R", 1.5, "memory", 1, ["gone"]],
    )
    assert decode(text) == [FunctionNamed("f", stdlib=False, main=True), SourceFailed("gone")]


HEAD = encode([])
NUMBERS = {name: number for number, name in enumerate(REGISTRY.types)}


@pytest.mark.parametrize(
    "line",
    [
        [],
        {},
        ["Q"],
        ["S", 5],
        ["D", 999, []],
        ["D", -1, []],
        ["K", [7]],
        ["K", ["x"]],
        ["R", 1, "memory", NUMBERS["ProcessSeen"], []],
        ["R", 1, "memory", NUMBERS["ProcessSeen"], [[1, 2, 3]]],
        ["R", 1, "memory", NUMBERS["ProcessSeen"], [["a", 2, 3, 4, 5, 6]]],
        ["R", 1, "memory", NUMBERS["GroupsSeen"], [3]],
        ["R", 1, "memory", NUMBERS["GroupsSeen"], [[], 1, 2, 3, 4]],
        ["R", -1, "memory", NUMBERS["GroupsSeen"], [[]]],
        ["R", 1, 4, NUMBERS["GroupsSeen"], [[]]],
        ["R", 1, "memory", NUMBERS["FdsSeen"], [[[3, "teapot", "x"]]]],
        ["R", 1, "memory", NUMBERS["FdsSeen"], [[[10**40, "file", "x"]]]],
    ],
)
def test_a_line_that_is_not_as_it_should_be_is_refused(line: object) -> None:
    with pytest.raises(DecodeError):
        decode(HEAD + with_lines(line))


def test_a_deeply_nested_line_is_refused() -> None:
    with pytest.raises(DecodeError):
        decode(HEAD + b"[" * 100_000 + b"\n")
    deep: list[Any] = ["x", "y"]
    for _ in range(400):
        deep = ["x", "y", "", [deep]]
    line = ["R", 1, "delve", NUMBERS["EvaluationSeen"], [["e", 1, 0, 1.0, deep]]]
    with pytest.raises(DecodeError):
        decode(HEAD + with_lines(line) + b"[" * 50_000 + b"\n")


# -- bytes -----------------------------------------------------------------------------------------

SAMPLE = encode(
    [
        ProcessSeen(STAT),
        FdsSeen((FdEntry(3, FdKind.FILE, "/var/log/app.log"),)),
        GroupsSeen((GoroutineGroup(3, (Frame("main.main", "/src/main.go", 7),)),)),
    ]
)
PACKED = gzip.compress(SAMPLE, mtime=0)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, len(PACKED) - 1), st.integers(1, 255))
def test_damage_is_never_a_traceback(position: int, change: int) -> None:
    damaged = bytearray(PACKED)
    damaged[position] ^= change
    try:
        read([bytes(damaged)])
    except DecodeError as error:
        assert str(error)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damaged_lines_are_never_a_traceback(data: st.DataObject) -> None:
    text = bytearray(SAMPLE)
    for _ in range(data.draw(st.integers(1, 4))):
        text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
    try:
        decode(bytes(text))
    except DecodeError as error:
        assert str(error)


@pytest.mark.parametrize("cut", range(0, len(PACKED), 37))
def test_a_file_that_was_cut_off_is_read_up_to_there(cut: int) -> None:
    lines = LineReader([PACKED[:cut]])
    decoder = Decoder(REGISTRY, lines)
    try:
        decoder.read_header()
        list(decoder.records())
    except DecodeError as error:
        assert str(error)
    assert not lines.ended


def test_the_proper_end_is_known() -> None:
    lines = LineReader([PACKED[:100], PACKED[100:]])
    assert b"\n".join(lines) + b"\n" == SAMPLE
    assert lines.ended


def test_a_bomb_is_not_inflated() -> None:
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join(packer.compress(b" " * (1 << 20)) for _ in range(256)) + packer.flush()
    assert len(bomb) < 1 << 20
    tracemalloc.start()
    try:
        with pytest.raises(LimitExceeded, match="a line is longer"):
            list(LineReader([bomb]))
        assert tracemalloc.get_traced_memory()[1] < 4 * LONGEST_LINE
    finally:
        tracemalloc.stop()
    many = gzip.compress(b"[]\n" * 1_000_000)
    with pytest.raises(LimitExceeded, match="holds more than"):
        list(LineReader([many], most_bytes=1 << 20))


# -- secrets ---------------------------------------------------------------------------------------

SECRET = "hunter2hunter2"


def test_secrets_are_masked_in_every_string_that_can_hold_one() -> None:
    url = f"https://bob:{SECRET}@api.example.com/v1?key={SECRET}&page=2"
    facts = [
        BodiesSeen(BodyCensus((OpenBody(1, "HTTP/1.1", BodyState.UNREAD, "GET", url),))),
        BodiesSeen(
            BodyCensus((OpenBody(1, "HTTP/1.1", BodyState.UNREAD, "GET", f"/login?password={SECRET}"),))
        ),
        GroupsSeen((GoroutineGroup(1, (), labels=(("token", SECRET), ("path", f"/x?t={SECRET}"))),)),
        SourceFailed(f"GET {url} failed, Authorization: Bearer {SECRET}"),
        EvaluationSeen(Evaluation("cfg.Password", 1, 0, 1.0, Variable("", "string", SECRET))),
        EvaluationSeen(
            Evaluation(
                "req.Header",
                1,
                0,
                1.0,
                Variable(
                    "req.Header",
                    "map",
                    "",
                    (
                        Variable("", "string", "X-Api-Key"),
                        Variable("", "[]string", "", (Variable("", "string", SECRET),)),
                        Variable("", "string", "Accept"),
                        Variable("", "[]string", "", (Variable("", "string", "text/html"),)),
                    ),
                ),
            )
        ),
        EvaluationSeen(
            Evaluation("c", 1, 0, 1.0, Variable("c", "T", "", (Variable("apiToken", "string", SECRET),)))
        ),
    ]
    masked = encode(facts, Redaction())
    assert SECRET.encode() not in masked
    assert b"text/html" in masked and b"api.example.com" in masked
    assert encode(facts).count(SECRET.encode()) >= len(facts)


def test_symbols_and_paths_are_left_alone() -> None:
    stack = (Frame("main.refreshToken", "/src/password=x/main.go", 3),)
    assert decode(encode([GroupsSeen((GoroutineGroup(1, stack),))], Redaction())) == [
        GroupsSeen((GoroutineGroup(1, stack),))
    ]
