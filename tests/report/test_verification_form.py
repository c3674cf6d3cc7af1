"""A verification on paper: the verdict first, a table that fits, and nothing of the target's that could act."""

from __future__ import annotations

import json

from leaktui.model.assessment import Slope
from leaktui.model.finding import LeakKind
from leaktui.model.target import Target
from leaktui.model.verification import Measure, Measurement, Verification, VerificationVerdict
from leaktui.report.verification_form import (
    format_verification_json,
    format_verification_markdown,
    format_verification_text,
)

RISING = Slope(480.0, 470.0, 490.0, 30, 30.0, True)
SUSPECT = (LeakKind.HTTP_BODY, "example.com/shop/pricing.(*Client).Lookup", "/src/pricing/client.go", 61)
ROW = "bodies of pricing.(*Client).Lookup client.go:61"


def measurement(pid: int, left: int, *, suspect: bool) -> Measurement:
    return Measurement(
        Target(pid, exe="/srv/shop", go_version="go1.26.8", module="example.com/shop"),
        30.0,
        (
            Measure("open bodies", 3.0, 3.0 + left, RISING if left else None, kind=LeakKind.HTTP_BODY),
            Measure("live heap", 2 << 20, 9 << 20, unit="bytes", kind=LeakKind.HEAP),
            Measure(ROW, 0.0, left, kind=LeakKind.HTTP_BODY, opened=240, left=left),
        ),
        SUSPECT if suspect else None,
        ("proc", "memory"),
    )


BEFORE, AFTER = measurement(4242, 240, suspect=True), measurement(4243, 0, suspect=False)
FIXED = Verification(
    BEFORE,
    AFTER,
    VerificationVerdict.FIXED,
    (*zip(BEFORE.measures, AFTER.measures, strict=True), (None, Measure("fds: pipe", 2.0, 2.0))),
    ("pricing.(*Client).Lookup leaks no more", "GET /users?token=abc|`x`"),
)


def test_the_text_says_the_verdict_first_and_fits() -> None:
    text = format_verification_text(FIXED)
    lines = text.split("\n")
    assert lines[0] == "Fixed: pricing.(*Client).Lookup"
    assert all(len(line) <= 80 for line in lines)
    assert "  before  pid 4242, shop, go1.26.8, measured for 30 s by proc, memory" in lines
    assert "3 → 243" in text and "+480 ↑" in text and "0 of 240 left" in text
    pipes = next(line for line in lines if "fds: pipe" in line)
    assert pipes.split()[2:] == ["–", "–", "2", "–"]
    assert "abc" not in text


def test_a_wide_table_is_narrowed_and_a_long_name_has_a_line_of_its_own() -> None:
    heap = Measure("resident memory", 310.7 * 2**20, 319.2 * 2**20, RISING, "bytes", LeakKind.HEAP)
    long = Measure(f"bodies of {'x' * 100}", 0.0, 3.0)
    text = format_verification_text(
        Verification(BEFORE, AFTER, VerificationVerdict.UNDECIDED, ((heap, heap), (long, None))),
        width=60,
    )
    assert all(len(line) <= 60 for line in text.split("\n"))
    assert "319 MB" in text and "311" not in text


def test_colour_is_decoration_only() -> None:
    coloured = format_verification_text(FIXED, colour=True)
    assert coloured.startswith("\x1b[1;32mFixed")
    assert len(coloured) > len(format_verification_text(FIXED))


def test_the_json_is_the_contract() -> None:
    document = json.loads(format_verification_json(FIXED))
    assert list(document) == ["schema", "verdict", "reasons", "before", "after", "rows"]
    assert (document["schema"], document["verdict"]) == ("leaktui.verification/1", "fixed")
    assert document["before"]["suspect"] == {
        "kind": "http-body",
        "function": "example.com/shop/pricing.(*Client).Lookup",
        "file": "/src/pricing/client.go",
        "line": 61,
    }
    assert document["after"]["suspect"] is None
    row = document["rows"][2]
    assert (row["name"], row["kind"], row["unit"]) == (ROW, "http-body", "")
    assert row["after"] == {
        "first": 0.0,
        "last": 0,
        "per_minute": None,
        "rising": None,
        "opened": 240,
        "left": 0,
    }
    assert document["rows"][3]["before"] is None and document["rows"][3]["kind"] is None
    assert "abc" not in json.dumps(document)


def test_the_markdown_cannot_be_broken_out_of() -> None:
    text = format_verification_markdown(FIXED)
    assert text.startswith("## Fixed: pricing.(\\*Client).Lookup\n")
    rows = [line for line in text.split("\n") if line.startswith("|")]
    assert all(line.replace("\\|", "").count("|") == 6 for line in rows)
    assert "\\`x\\`" in text and "abc" not in text
