"""The section "Why and fix" as lines."""

from __future__ import annotations

from pathlib import Path

from leaktui.analysis.explain import explain_finding
from leaktui.model.explanation import Explanation, MarkedLine, SkipReason
from leaktui.model.finding import Confidence, Finding, LeakKind
from leaktui.model.frame import Frame
from leaktui.sources import SourceRoot, Sources
from leaktui.tui.panes.suspect import read_why
from leaktui.tui.why_lines import diff_lines, why_lines
from leaktui.tui.widgets.document import DocLine
from leaktui.tui.widgets.toned import line_text
from tests.tui.conftest import USER_GO
from tests.tui.scene import OWNER

FINDING = Finding(LeakKind.HTTP_BODY, Confidence.PROVEN, OWNER.function, OWNER, (OWNER,), 9)


def texts(lines: list[DocLine]) -> list[str]:
    return [line_text(line.spans) for line in lines]


def explained() -> Explanation:
    found = explain_finding(FINDING, lambda path: USER_GO)
    assert found is not None
    return found


def test_marks_stand_in_one_column_and_lead_to_their_lines() -> None:
    lines = why_lines(explained(), USER_GO.split("\n"))
    marked = [line for line in lines if "←" in line_text(line.spans)]
    assert [line.target.line for line in marked] == [41, 46, 48]
    assert len({line_text(line.spans).index("←") for line in marked}) == 1
    assert all(len(line_text(line.spans)) <= 80 for line in lines if not line.wrap)


def test_the_change_is_whole_and_coloured() -> None:
    lines = diff_lines(explained().diff)
    tones = {text[2:3]: line.spans[0][1] for text, line in zip(texts(lines), lines, strict=True)}
    assert tones["+"] == "success"
    assert tones["@"] == "muted"
    assert "  +    defer resp.Body.Close()" in texts(lines)


def test_possible_is_said() -> None:
    unsure = Explanation("f", "/x.go", 1, 9, 2, SkipReason.STORED, "It is kept.", certain=False)
    assert "possible: It is kept." in texts(why_lines(unsure, ()))


def test_source_is_made_safe() -> None:
    hostile = Explanation(
        "f", "/x.go", 1, 2, 1, SkipReason.STORED, "\x1b[2Jx", (MarkedLine(1, "\x1b]0;"),), diff="+\x1b[31m\n"
    )
    joined = "".join(texts(why_lines(hostile, ("\x1b[2J\u202e code", "}"))))
    assert "\x1b" not in joined and "\u202e" not in joined


def test_marks_beyond_the_file_are_left_out() -> None:
    other = Explanation("f", "/x.go", 1, 2, 1, SkipReason.STORED, "x", (MarkedLine(7, "gone"),))
    assert not any("gone" in text for text in texts(why_lines(other, ("a", "b"))))


def test_reading_says_whether_the_source_is_here(tmp_path: Path) -> None:
    why = read_why(FINDING, Sources([SourceRoot("/srv/shop/src", str(tmp_path))]))
    assert (why.here, why.explanation) == (False, None)
    (tmp_path / "user.go").write_text("package main\n", encoding="utf-8")
    why = read_why(FINDING, Sources([SourceRoot("/srv/shop/src", str(tmp_path))]))
    assert (why.here, why.explanation) == (True, None)
    (tmp_path / "user.go").write_text(USER_GO, encoding="utf-8")
    why = read_why(FINDING, Sources([SourceRoot("/srv/shop/src", str(tmp_path))]))
    assert why.explanation is not None and why.explanation.reason is SkipReason.EARLY_RETURN


def test_a_suspect_without_a_line_has_no_source_to_read(tmp_path: Path) -> None:
    nowhere = Finding(LeakKind.HEAP, Confidence.POSSIBLE, "main.f", None, (), 1)
    assert not read_why(nowhere, Sources(here=tmp_path)).here
    assert Frame("main.f").file == ""
