"""What the user may say is to be traced, and what is refused before anything is touched."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaktui.analysis.tracepoint_grammar import format_tracepoint, parse_expression, parse_tracepoint
from leaktui.analysis.tracepoint_presets import BODY_CLOSED, BODY_OPENED, pairs_bodies, parse_preset
from leaktui.errors import UsageError
from leaktui.model.tracepoint import Tracepoint


@pytest.mark.parametrize(
    ("text", "function", "condition"),
    [
        ("runtime.gcStart", "runtime.gcStart", ""),
        ("runtime.mallocgc:size>=32768", "runtime.mallocgc", "size>=32768"),
        ("runtime.mallocgc: size >= 32K ", "runtime.mallocgc", "size >= 32768"),
        ("runtime.mallocgc:size>=1M && size<2MB", "runtime.mallocgc", "size>=1048576 && size<2097152"),
        ("net/http.(*bodyEOFSignal).Close", "net/http.(*bodyEOFSignal).Close", ""),
        (
            'net/http.(*Transport).RoundTrip:req.URL.Host=="a:8080" && req.Body!=nil',
            "net/http.(*Transport).RoundTrip",
            'req.URL.Host=="a:8080" && req.Body!=nil',
        ),
        ('main.f:name=="32K"', "main.f", 'name=="32K"'),
        ("main.Map[go.shape.int]:n>2", "main.Map[go.shape.int]", "n>2"),
        ("main.(*T[a/b.C]).f.func1", "main.(*T[a/b.C]).f.func1", ""),
        ("gopkg.in/yaml%2ev3.Marshal", "gopkg.in/yaml%2ev3.Marshal", ""),
    ],
)
def test_a_tracepoint_is_a_function_and_a_condition(text: str, function: str, condition: str) -> None:
    assert parse_tracepoint(text) == Tracepoint(function, condition)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mallocgc", "is no Go function"),
        ("", "is no Go function"),
        ("runtime.mallocgc size>=3", "is no Go function"),
        ("main.(*T.f", "is no Go function"),
        ("runtime.mallocgc:", "ends where its condition should be"),
        ("runtime.mallocgc:size=3", "assigns"),
        ("runtime.mallocgc:(size>3", "bracket"),
        ('main.f:name=="x', "quote"),
        ("main.f:call main.g()", "never called"),
        ("main.f:a\x1b[2J>3", "control"),
        ("main.f:" + "a" * 2000, "characters"),
    ],
)
def test_what_cannot_be_meant_is_refused(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        parse_tracepoint(text)
    assert caught.value.remedy and str(caught.value).isprintable()


@given(st.text(max_size=60))
def test_any_text_is_a_tracepoint_or_a_sentence(text: str) -> None:
    try:
        point = parse_tracepoint(text)
    except UsageError as error:
        assert str(error).isprintable()
    else:
        assert "." in point.function and format_tracepoint(point).isprintable()


def test_comparisons_are_no_assignments() -> None:
    for text in ("a==1", "a>=1", "a<=1", "a!=1", 's=="x=y"'):
        assert parse_expression(text, condition=True) == text


def test_presets_are_tracepoints_one_could_write() -> None:
    assert parse_preset("alloc") == (Tracepoint("runtime.mallocgc", "size >= 32768"),)
    assert parse_preset("alloc=1M") == (Tracepoint("runtime.mallocgc", "size >= 1048576"),)
    assert parse_preset("gc") == (Tracepoint("runtime.gcStart"),)
    (trip,) = parse_preset("roundtrip=api.internal:8080")
    assert trip.condition == 'req.URL.Host == "api.internal:8080"' and "req.URL.Path" in trip.expressions
    old, new = parse_preset("bodies", "go1.26.8"), parse_preset("bodies", "go1.27.3")
    assert old[:2] == new[:2] == (BODY_OPENED, BODY_CLOSED) and BODY_OPENED.returns
    assert "http2transportResponseBody" in old[2].function and "internal/http2." in new[2].function
    assert pairs_bodies(old) and not pairs_bodies(old[1:])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("heap", "no preset"),
        ("gc=3", "takes no value"),
        ("alloc=", "ends where its SIZE"),
        ("alloc=lots", "no size"),
        ('roundtrip=x" || true', "no host"),
    ],
)
def test_what_is_no_preset_is_refused(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse_preset(text)
