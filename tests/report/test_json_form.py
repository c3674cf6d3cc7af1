"""The contract leaktui.diagnosis/1, key by key."""

from __future__ import annotations

import json
import math
from dataclasses import replace

from leaktui.report.json_form import format_json
from leaktui.report.redaction import Redaction
from tests.report.diagnoses import BODY, CLEAN, HEAP_SOMEWHERE, HOSTILE_LEAK, LEAK, UNDECIDED


def test_keys_and_their_order_are_the_contracts() -> None:
    document = json.loads(format_json(LEAK))
    assert list(document) == [
        "schema",
        "target",
        "sources",
        "verdict",
        "suspects",
        "elapsed_seconds",
        "target_pause_ms",
        "notes",
    ]
    assert list(document["target"]) == ["pid", "exe", "go_version", "module", "stripped"]
    assert [list(source) for source in document["sources"]] == [["name", "state", "detail", "pause_ms"]] * 3
    for suspect in document["suspects"]:
        assert list(suspect) == [
            "kind",
            "confidence",
            "function",
            "file",
            "line",
            "stack",
            "count",
            "growth_per_minute",
            "created_by",
            "evidence",
            "advice",
            "candidates",
            "explanation",
        ]


def test_a_leak_in_full() -> None:
    document = json.loads(format_json(replace(LEAK, suspects=(BODY,))))
    assert document == {
        "schema": "leaktui.diagnosis/1",
        "target": {
            "pid": 4242,
            "exe": "/srv/app",
            "go_version": "go1.26.6",
            "module": "example.com/app",
            "stripped": True,
        },
        "sources": [
            {"name": "proc", "state": "used", "detail": "230 fds", "pause_ms": 0},
            {"name": "pprof", "state": "used", "detail": "14.2k goroutines", "pause_ms": 0.1},
            {
                "name": "memory",
                "state": "unavailable",
                "detail": "no permission to read its memory: run leaktui as root or as the user of the process",
                "pause_ms": 0,
            },
        ],
        "verdict": "leak",
        "suspects": [
            {
                "kind": "http-body",
                "confidence": "proven",
                "function": "example.com/app/users.(*Store).loadUser",
                "file": "/src/app/users/store.go",
                "line": 24,
                "stack": [
                    {
                        "function": "example.com/app/users.(*Store).loadUser",
                        "file": "/src/app/users/store.go",
                        "line": 24,
                    },
                    {"function": "main.main.func1", "file": "/src/app/main.go", "line": 88},
                    {"function": "runtime.goexit", "file": None, "line": None},
                ],
                "count": 212,
                "growth_per_minute": 480.0,
                "created_by": None,
                "evidence": [
                    {
                        "source": "pprof",
                        "text": "96 of 96 bodies handed to this line in 5 s were never closed",
                    },
                    {
                        "source": "proc",
                        "text": "212 sockets to 10.0.0.7:8080 stay ESTABLISHED with bytes nobody reads from them",
                    },
                ],
                "advice": "Close resp.Body on the path that returns when the status is not 200: "
                "defer it right after err.",
                "candidates": [],
                "explanation": None,
            }
        ],
        "elapsed_seconds": 14.2,
        "target_pause_ms": 0.1,
        "notes": ["HTTP/2 bodies that fit the stream window cannot be seen through pprof."],
    }


def test_the_creator_of_a_goroutine_is_an_object() -> None:
    goroutine = json.loads(format_json(LEAK))["suspects"][1]
    assert goroutine["created_by"] == {
        "function": "main.(*quotes).ask",
        "file": "/src/app/quotes.go",
        "line": 47,
    }


def test_what_is_not_known_is_null() -> None:
    suspect = json.loads(format_json(UNDECIDED))["suspects"][0]
    assert (suspect["file"], suspect["line"]) == (None, None)
    assert suspect["candidates"] == [{"function": "main.render", "file": "/src/app/render.go", "line": 9}]
    unmeasured = replace(LEAK, suspects=(replace(HEAP_SOMEWHERE, growth_per_minute=None),))
    assert json.loads(format_json(unmeasured))["suspects"][0]["growth_per_minute"] is None


def test_numbers_json_cannot_hold_are_null() -> None:
    odd = replace(LEAK, suspects=(replace(BODY, growth_per_minute=math.inf),), target_pause_ms=math.nan)
    document = json.loads(format_json(odd), parse_constant=lambda name: f"not JSON: {name}")
    assert document["suspects"][0]["growth_per_minute"] is None
    assert document["target_pause_ms"] is None


def test_a_pause_is_never_told_smaller_than_it_was() -> None:
    pauses = {0.0: 0, 0.01: 0.1, 48.0: 48, 48.21: 48.3}
    for measured, told in pauses.items():
        assert json.loads(format_json(replace(CLEAN, target_pause_ms=measured)))["target_pause_ms"] == told


def test_a_bare_url_is_named_without_its_secrets() -> None:
    target = json.loads(format_json(UNDECIDED))["target"]
    assert (target["pid"], target["url"]) == (None, "https://shop.example:6060/debug/pprof?key=…")


def test_hostile_names_arrive_as_harmless_ascii() -> None:
    text = format_json(HOSTILE_LEAK)
    assert text.isascii()
    assert not any(ord(character) < 32 and character != "\n" for character in text)
    document = json.loads(text)
    assert not any(unsafe in repr_of_strings(document) for unsafe in ("\x1b", "\x07", "\u202e", "\x9b"))
    assert (
        document["suspects"][0]["evidence"][0]["text"]
        == "GET https://h/x?token=…&q=… answered 500 | Cookie: …"
    )


def test_show_secrets_shows_them_but_no_control_bytes() -> None:
    text = json.loads(format_json(HOSTILE_LEAK, redaction=Redaction(show_secrets=True)))["suspects"][0]
    assert "token=abc" in text["evidence"][0]["text"]
    assert "\x1b" not in text["evidence"][0]["text"]


def repr_of_strings(value: object) -> str:
    """Every string in a JSON value, joined as they are."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return "".join(repr_of_strings(item) for item in value.values())
    if isinstance(value, list):
        return "".join(repr_of_strings(item) for item in value)
    return ""
