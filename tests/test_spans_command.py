"""`leaktui spans` as its users run it; against a real Jaeger where LEAKTUI_JAEGER names its binary."""

from __future__ import annotations

import gzip
import importlib.util
import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.command_line import ROOT, command, environment, run
from tests.wire.span_captures import CAPTURES, jaeger, log, tags, truth

SHOP = str(CAPTURES / "shop.json.gz")


def test_a_recording_as_text_json_and_markdown() -> None:
    said = run("spans", SHOP)
    assert said.status == 1 and said.err == ""
    lines = said.out.splitlines()
    assert lines[0] == "Not closed: 12 spans of 6 requests without Body.Close"
    first = next(line for line in lines if line.startswith("req-"))
    assert first.split()[:2] == ["req-008", "3"] and "shop stock.get" in first
    assert "s3cret" not in said.out
    document = json.loads(run("spans", SHOP, "--json").out)
    assert document["unclosed"] == truth()["forgotten"]
    assert [item["request_id"] for item in document["requests"]][:2] == ["req-008", "req-020"]
    assert run("spans", SHOP, "--md").out.startswith("# Not closed: 12 spans of 6 requests")


def test_an_export_that_cannot_tell_accuses_nobody() -> None:
    said = run("spans", str(CAPTURES / "blind.json.gz"))
    assert said.status == 3 and said.out.startswith("Untold: no span has Body.Close")
    assert "Nobody is accused" in said.out and "AddEvent" in said.out


def test_standard_input_and_options() -> None:
    span = {"tags": tags(span__kind="client", http__method="GET", order="o-1"), "logs": [log("body_opened")]}
    done = {**span, "logs": [log("body_closed", "message")], "operationName": "other"}
    arguments = ["-", "--event", "Body_Closed", "--id-tag", "order", "--operation", "g*", "--json"]
    ended = subprocess.run(
        command("spans", *arguments), input=jaeger(span, done), capture_output=True, env=environment(),
    )  # fmt: skip
    document = json.loads(ended.stdout)
    assert ended.returncode == 1
    assert (document["clients"], document["unclosed"]) == (1, 1)
    assert document["requests"][0]["request_id"] == "o-1"


def test_everything_closed() -> None:
    path = CAPTURES / "shop.json.gz"
    said = run("spans", str(path), "--operation", "price.get")
    assert said.status == 0 and said.out.startswith("All closed: 24 spans")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "nothing to read"),
        (b"<html>", "an HTML page, not traces"),
        (gzip.decompress((CAPTURES / "shop.json.gz").read_bytes())[:5000], "ends in the middle"),
        ((CAPTURES / "shop.json.gz").read_bytes()[:900], "gzip"),
        (b'{"data":' + b"[" * 200_000, "nested deeper"),
        (b'{"data": [{"spans": 5}]}', "`spans` is no list"),
    ],
    ids=["empty", "page", "cut", "cut gzip", "deep", "wrong type"],
)
def test_what_is_no_export_is_one_sentence(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(content)
    assert words in run("spans", str(path)).sentence


def test_a_missing_file_and_address() -> None:
    assert "No such file" in run("spans", "/nonexistent.json").sentence
    assert "names no service" in run("spans", "http://127.0.0.1:1").sentence
    assert "connection refused" in run("spans", "http://127.0.0.1:1/api/traces?service=x").sentence


@pytest.mark.skipif(not os.environ.get("LEAKTUI_JAEGER"), reason="LEAKTUI_JAEGER names no Jaeger to start")
def test_a_real_jaeger(tmp_path: Path) -> None:
    """What the recordings were made by, live: the same counts, as the program counts itself."""
    recorder = ROOT / "tests" / "captures" / "make_spans" / "record.py"
    spec = importlib.util.spec_from_file_location("record_spans", recorder)
    assert spec is not None and spec.loader is not None
    record = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(record)
    with record.running(Path(os.environ["LEAKTUI_JAEGER"])):
        counted = record.emit(record.build_program(tmp_path))
        url = f"http://127.0.0.1:{record.QUERY}/api/traces?service=shop&limit=1000"
        document = json.loads(run("spans", url, "--json").out)
        assert (document["clients"], document["unclosed"]) == (counted["opened"], counted["forgotten"])
        full = run("spans", url.replace("1000", "5"))
        assert "The answer is full (5 traces)" in full.out
        assert "parameter 'service' is required" in run("spans", url.partition("?")[0]).sentence
