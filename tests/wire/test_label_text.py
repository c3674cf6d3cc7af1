"""Labels in the three spellings Go has for them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leaktui.wire.label_text import parse_label_text


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ('{"route":"/users", "tenant":"a"}', (("route", "/users"), ("tenant", "a"))),
        ('{"tenant": "a", "route": "/users"}', (("route", "/users"), ("tenant", "a"))),
        ('{key: value, "a key": "x, y: {z}"}', (("a key", "x, y: {z}"), ("key", "value"))),
        ("{empty: , other: x}", (("empty", ""), ("other", "x"))),
        ('{"empty":""}', (("empty", ""),)),
        (r'{"q":"say \"hi\" \\ there"}', (("q", r'say "hi" \ there'),)),
        (r'{"q":"\u00fc\U0001f600\xe9"}', (("q", "ü😀é"),)),
        (r'{"q":"a\tb\n"}', (("q", "a b "),)),
        (r'{"q":"\x1b[31mred"}', (("q", r"\x1b[31mred"),)),
        (r'{"q":"\Uffffffff"}', (("q", "\ufffd"),)),
        ("{}", ()),
        ("", ()),
        ("no labels", ()),
        ('{"broken', ()),
        ('{"a":"b", "broken', (("a", "b"),)),
    ],
)
def test_spellings(text: str, labels: tuple[tuple[str, str], ...]) -> None:
    assert parse_label_text(text) == labels


@settings(deadline=None)
@given(st.text(alphabet='{}":, \\xuU0af\n', max_size=60))
def test_no_text_raises(text: str) -> None:
    for key, value in parse_label_text("{" + text):
        assert "\n" not in key + value
