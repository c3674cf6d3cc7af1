import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leaktui.errors import DecodeError, LimitExceeded, Truncated
from leaktui.wire.trace import Generation, TraceDecoder
from leaktui.wire.trace import events as ev
from tests.wire.trace_bytes import TraceWriter, batch, capture_names, header, read_capture, varints


def decode(data: bytes, step: int = 1 << 16) -> tuple[TraceDecoder, list[Generation]]:
    decoder = TraceDecoder()
    generations = []
    for start in range(0, len(data), step):
        generations += decoder.feed(data[start : start + step])
    return decoder, generations + decoder.finish()


def all_events(generations: list[Generation]) -> list[tuple[int, ...]]:
    return [event for generation in generations for window in generation.windows() for event in window]


def two_generations(minor: int) -> bytes:
    writer = TraceWriter(minor)
    for _ in range(2):
        writer.status(1)
        writer.block(1, "select", "runtime.selectgo", "main.main")
        writer.end_generation()
    return writer.bytes()


@pytest.mark.parametrize("minor", [22, 23, 25, 26])
def test_generations_of_every_format(minor: int) -> None:
    decoder, generations = decode(two_generations(minor))
    assert decoder.format_version == f"go1.{minor}"
    assert [generation.number for generation in generations] == [1, 2]
    assert not decoder.truncated
    assert [event[1] for event in all_events(generations)] == [ev.GO_STATUS, ev.GO_BLOCK] * 2


@pytest.mark.parametrize("step", [1, 7, 1000])
def test_how_the_bytes_are_cut_does_not_matter(step: int) -> None:
    data = read_capture("go1.27-descriptors")
    whole = all_events(decode(data)[1])
    assert len(whole) > 1000
    assert all_events(decode(data, step)[1]) == whole


def test_generations_come_as_they_are_complete() -> None:
    data = two_generations(26)
    decoder = TraceDecoder()
    first = next(end for end in range(len(data)) if decoder.feed(data[end : end + 1]))
    assert decoder.generations == 1
    assert decoder.received_bytes == first + 1
    assert len(data) * 0.4 < first < len(data) * 0.7


@pytest.mark.parametrize("minor", [22, 25, 26])
def test_every_prefix_is_truncated_and_says_so(minor: int) -> None:
    data = two_generations(minor)
    ends_whole = len(data) - (minor >= 26)  # without the last byte, the mark of the end, all is there
    whole = []
    for end in range(ends_whole):
        decoder = TraceDecoder()
        generations = decoder.feed(data[:end])
        try:
            generations += decoder.finish()
        except Truncated:
            assert not generations
        else:
            assert [generation.number for generation in generations] == [1]
            if not decoder.truncated:
                whole.append(end)
    # Where the first generation ends (with or without its mark), what precedes is a trace in itself.
    assert len(whole) == (2 if minor >= 26 else 1)


def test_the_end_missing() -> None:
    decoder, generations = decode(two_generations(26)[:-5])
    assert decoder.truncated
    assert [generation.number for generation in generations] == [1]


def test_nothing_at_all() -> None:
    with pytest.raises(Truncated, match="is empty"):
        TraceDecoder().finish()


def test_ends_before_the_first_generation() -> None:
    decoder = TraceDecoder()
    decoder.feed(read_capture("go1.22-h1")[:5000])
    with pytest.raises(Truncated, match="before its first second"):
        decoder.finish()
    assert decoder.truncated


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"<html><body>404", "not a Go execution trace"),
        (b"\x1f\x8b\x08", "not a Go execution trace"),
        (b"go 2.26 trace\x00\x00\x00", "not a Go execution trace"),
        (b"go 1.26 profile\x00", "not a Go execution trace"),
        (header(21), "Go 1.21, from before the rewrite in Go 1.22: build the service with"),
        (b"go 1.9 trace\x00\x00\x00\x00", "Go 1.9, from before"),
        (header(99), "newer than this leaktui: update"),
        (header() + b"\x63", "unknown kind .99."),
        (header() + varints(1, 1, 1, 1, 1 << 20), "larger than the format allows"),
        (header() + b"\x01" + b"\x80" * 20, "64 bits"),
    ],
)
def test_what_is_no_trace(data: bytes, message: str) -> None:
    decoder = TraceDecoder()
    with pytest.raises(DecodeError, match=message):
        decoder.feed(data)
    assert decoder.truncated


def test_a_generation_may_not_come_back() -> None:
    decoder = TraceDecoder()
    data = header() + b"".join(batch(number, 1, 1, varints(ev.GO_DESTROY, 1)) for number in (1, 2, 1))
    with pytest.raises(DecodeError, match="out of order"):
        decoder.feed(data)


def test_experimental_batches_are_passed_over() -> None:
    data = two_generations(26)
    extra = varints(ev.EXPERIMENTAL_BATCH, 1, 1, 5, 1000, 3) + b"\xff\xff\xff"
    assert all_events(decode(data[:16] + extra + data[16:])[1]) == all_events(decode(data)[1])


def test_too_large() -> None:
    decoder = TraceDecoder(max_bytes=1000)
    decoder.feed(header())
    with pytest.raises(LimitExceeded, match=r"larger than 1\.0 kB: take a shorter one"):
        decoder.feed(bytes(1000))


def test_after_damage_nothing_more_is_taken() -> None:
    decoder = TraceDecoder()
    with pytest.raises(DecodeError):
        decoder.feed(two_generations(26) + b"\x63")
    assert [generation.number for generation in decoder.finish()] == [1, 2]
    assert decoder.truncated
    assert decoder.finish() == []
    with pytest.raises(ValueError, match="feed after finish"):
        decoder.feed(b"")


captures = {name: read_capture(name) for name in capture_names("descriptors")}


@settings(max_examples=150, deadline=None)
@given(name=st.sampled_from(sorted(captures)), data=st.data())
def test_damage_raises_nothing_but_decode_errors(name: str, data: st.DataObject) -> None:
    trace = bytearray(captures[name])
    for _ in range(data.draw(st.integers(1, 4))):
        trace[data.draw(st.integers(0, len(trace) - 1))] = data.draw(st.integers(0, 255))
    end = data.draw(st.integers(0, len(trace)))
    try:
        _, generations = decode(bytes(trace[:end] if data.draw(st.booleans()) else trace))
        for generation in generations:
            for window in generation.windows():
                for event in window[:50]:
                    if event[1] == ev.GO_BLOCK:
                        generation.tables.string(event[3])
                        generation.tables.stack(event[4])
    except DecodeError:
        pass
