"""What an answer looks like that is not what was asked for."""

from __future__ import annotations

import pytest

from leaktui.wire.payload import name_payload
from tests.wire.pprof_captures import compressed, content


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"", "an empty response"),
        (b" \n\n", "blank text"),
        (b"<!DOCTYPE html>\n<html>", "an HTML page"),
        (b"\n\n<HTML lang='en'>", "an HTML page"),
        (b"<?xml version='1.0'?><head>", "an HTML page"),
        (b"<?xml version='1.0'?><error/>", "XML"),
        (b'{"error": "not found"}', "JSON"),
        (b"404 page not found\n", "plain text"),
        ("profile désactivé".encode(), "plain text"),
        (b"heap profile: 3: 40 [5: 80] @ heap/1048576\n", "a heap profile in text form (debug=1)"),
        (b"go 1.22 trace\0\0\0\x01", "an execution trace"),
        (b"\x7fELF\x02\x01\x01", "an executable"),
        (b"\x00\x01\x02\x03", "binary data of another kind"),
    ],
)
def test_payloads_are_named(data: bytes, name: str) -> None:
    assert name_payload(data) == name


def test_recorded_payloads_are_named() -> None:
    assert name_payload(content("go1.26", "goroutine.1.txt")) == "a profile in text form (debug=1)"
    assert name_payload(content("go1.26", "goroutine.2.txt")) == "a goroutine dump (debug=2)"
    assert name_payload(compressed("go1.26", "heap.0.pb")) == "gzip data"
