"""A trace in a file: whole, cut short, and what is none."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from leaktui.engines.protocol import Refused, Request, TraceSeen, Want
from leaktui.engines.trace_file import TraceFileEngine, validate_trace_file
from leaktui.errors import DecodeError, EngineUnavailable, Truncated
from leaktui.model.target import Target
from leaktui.model.trace import TraceSummary
from leaktui.wire.trace import looks_like_trace
from tests.wire.trace_bytes import TraceWriter, header, read_capture

TARGET = Target(pid=None)


def write(directory: Path, data: bytes) -> Path:
    path = directory / "a.trace"
    path.write_bytes(data)
    return path


def read(path: Path) -> TraceSummary:
    facts = list(TraceFileEngine(path).capture(Request(frozenset({Want.TRACE})), threading.Event()))
    assert isinstance(facts[-1], TraceSeen)
    return facts[-1].trace


def test_a_whole_trace(tmp_path: Path) -> None:
    path = write(tmp_path, read_capture("go1.27-h1"))
    assert TraceFileEngine(path).probe(TARGET).gives == ("trace",)
    summary = read(path)
    assert not summary.truncated
    assert summary.handoffs


def test_a_trace_cut_in_its_second_generation_says_so(tmp_path: Path) -> None:
    data = read_capture("go1.26-h1tls")
    whole = read(write(tmp_path, data))
    cut = read(write(tmp_path, data[:-1000]))
    assert cut.truncated
    assert 0 < cut.events < whole.events
    assert cut.timeline is not None and sum(cut.timeline.created) == cut.created


def test_a_trace_cut_in_its_first_generation_holds_nothing(tmp_path: Path) -> None:
    path = write(tmp_path, read_capture("go1.26-h1tls")[:5000])
    with pytest.raises(Truncated):
        read(path)


def test_bytes_that_are_damaged_after_a_sound_head(tmp_path: Path) -> None:
    with pytest.raises(DecodeError):
        read(write(tmp_path, header() + b"\xff" * 200))


@pytest.mark.parametrize("data", [b"", b"go 1.", b"\x7fELF" + bytes(60), b"go 1.26 profile"])
def test_another_file_is_refused_with_what_to_do(tmp_path: Path, data: bytes) -> None:
    path = write(tmp_path, data)
    capability = TraceFileEngine(path).probe(TARGET)
    assert not capability.usable
    assert "no Go execution trace" in capability.reason
    assert "go test -trace" in capability.remedy


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable, match="cannot be read: No such file"):
        validate_trace_file(tmp_path / "none")


def test_a_directory_is_no_trace(tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable, match="cannot be read"):
        validate_trace_file(tmp_path)


def test_names_are_safe_to_print(tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable) as caught:
        validate_trace_file(tmp_path / "a\x1b[2J")
    assert "\x1b" not in str(caught.value)


def test_other_wants_are_refused(tmp_path: Path) -> None:
    engine = TraceFileEngine(write(tmp_path, read_capture("go1.27-h1")))
    (fact,) = engine.capture(Request(frozenset({Want.HEAP})), threading.Event())
    assert isinstance(fact, Refused)


def test_given_up(tmp_path: Path) -> None:
    cancelled = threading.Event()
    cancelled.set()
    path = write(tmp_path, TraceWriter().bytes() + read_capture("go1.27-h1"))
    assert list(TraceFileEngine(path).capture(Request(frozenset({Want.TRACE})), cancelled)) == []


@pytest.mark.parametrize("minor", [11, 21, 22, 26, 40])
def test_the_head_tells_a_trace_of_whatever_release(minor: int) -> None:
    assert looks_like_trace(header(minor))
    assert looks_like_trace(header(minor) + b"more")


@pytest.mark.parametrize("data", [b"", b"go 1.26", b"go 1.26 trace", b"PK\x03\x04", b"go 2.26 trace\0\0\0"])
def test_what_is_no_trace(data: bytes) -> None:
    assert not looks_like_trace(data)
