"""Why it leaks, in each form of a report, from a source that is at hand."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from leaktui.model.finding import Diagnosis
from leaktui.report.json_form import format_json
from leaktui.report.markdown_form import format_markdown
from leaktui.report.redaction import Redaction
from leaktui.report.text_form import format_text
from leaktui.sources import SourceRoot, Sources
from leaktui.text import cell_width
from tests.report.diagnoses import BODY, LEAK

STORE = """\
package users

import "net/http"

type Store struct{ base string }

type user struct{ Name string }








func (s *Store) loadUser(id string) (*user, error) {
\tif id == "" {
\t\treturn nil, errNoID
\t}
\t// one after the other
\t// asks the users service
\t// with its own client
\tresp, err := http.Get(s.base + "/users?api_token=hunter2&id=" + id)
\tif err != nil {
\t\treturn nil, err
\t}
\tif resp.StatusCode != http.StatusOK {
\t\treturn nil, errStatus
\t}
\tdefer resp.Body.Close()
\treturn decode(resp.Body)
}
"""
DIAGNOSIS = replace(LEAK, suspects=(BODY,))


@pytest.fixture
def roots(tmp_path: Path) -> tuple[SourceRoot, ...]:
    """A copy of the scene's source. `loadUser` asks at line 24, as the suspect says."""
    directory = tmp_path / "users"
    directory.mkdir()
    lines = STORE.split("\n")
    at = next(number for number, line in enumerate(lines, 1) if "http.Get" in line)
    (directory / "store.go").write_text("\n" * (24 - at) + STORE, encoding="utf-8")
    return (SourceRoot("/src/app", str(tmp_path)),)


def explained(diagnosis: Diagnosis, roots: tuple[SourceRoot, ...]) -> dict[str, object]:
    document = json.loads(format_json(diagnosis, sources=Sources(roots)))
    found: dict[str, object] = document["suspects"][0]["explanation"]
    return found


def test_json_has_the_whole_of_it(roots: tuple[SourceRoot, ...]) -> None:
    found = explained(DIAGNOSIS, roots)
    assert list(found) == [
        "reason",
        "text",
        "certain",
        "function",
        "file",
        "line",
        "first_line",
        "last_line",
        "marks",
        "diff",
        "diff_certain",
        "seen",
    ]
    assert found["reason"] == "early return"
    assert (found["line"], found["file"], found["certain"]) == (24, "/src/app/users/store.go", True)
    assert [mark["line"] for mark in found["marks"]] == [24, 29, 31]  # type: ignore[attr-defined]
    assert found["text"] == (
        "The return at line 29 leaves resp.Body open: the Close at line 31 is not reached from there."
    )


def test_the_change_applies(roots: tuple[SourceRoot, ...]) -> None:
    diff = str(explained(DIAGNOSIS, roots)["diff"])
    directory = Path(roots[0].local) / "users"
    subprocess.run(["patch", "-p1", "--fuzz=0"], input=diff, text=True, cwd=directory, check=True, timeout=30)
    lines = (directory / "store.go").read_text(encoding="utf-8").split("\n")
    assert lines[27] == "\tdefer resp.Body.Close()"
    assert sum("defer" in line for line in lines) == 1


def test_markdown_has_a_diff_block(roots: tuple[SourceRoot, ...]) -> None:
    text = format_markdown(DIAGNOSIS, sources=Sources(roots))
    assert "## Why it leaks\n\nThe return at line 29 leaves resp.Body open" in text
    block = text.split("```diff\n")[1].split("```")[0]
    assert block.startswith("--- a/store.go\n+++ b/store.go\n@@ ")
    assert "\n+\tdefer resp.Body.Close()\n" in block
    assert "// returns here without Close" in text


@pytest.mark.parametrize("width", [60, 80, 120])
def test_text_fits_and_says_why(roots: tuple[SourceRoot, ...], width: int) -> None:
    text = format_text(DIAGNOSIS, sources=Sources(roots), width=width)
    assert "Why it leaks" in text
    assert "← returns here without Close" in text
    assert "+    defer resp.Body.Close()" in text
    # Places are never cut; what is new here fits.
    part = text.split("Why it leaks")[1].split("What to do")[0]
    assert all(cell_width(line) <= width for line in part.splitlines())


def test_secrets_in_the_source_are_masked(roots: tuple[SourceRoot, ...]) -> None:
    for text in (
        format_json(DIAGNOSIS, sources=Sources(roots)),
        format_markdown(DIAGNOSIS, sources=Sources(roots)),
        format_text(DIAGNOSIS, sources=Sources(roots)),
    ):
        assert "hunter2" not in text
    shown = format_markdown(DIAGNOSIS, sources=Sources(roots), redaction=Redaction(show_secrets=True))
    assert "hunter2" in shown


def test_without_the_source_there_is_one_sentence() -> None:
    for text in (format_text(DIAGNOSIS), format_markdown(DIAGNOSIS)):
        assert text.count("--source-root") == 1
        assert "Why it leaks" not in text
    assert explained(DIAGNOSIS, ()) is None


def test_hostile_source_is_harmless(tmp_path: Path) -> None:
    directory = tmp_path / "users"
    directory.mkdir()
    # The terminal's escape, a closing fence and a right-to-left override, all within a string of the function.
    hostile = STORE.replace('"/users?', '"\x1b[2J```\u202e/users?')
    at = next(number for number, line in enumerate(hostile.split("\n"), 1) if "http.Get" in line)
    (directory / "store.go").write_text("\n" * (24 - at) + hostile, encoding="utf-8")
    roots = (SourceRoot("/src/app", str(tmp_path)),)
    for text in (
        format_text(DIAGNOSIS, sources=Sources(roots)),
        format_markdown(DIAGNOSIS, sources=Sources(roots)),
    ):
        assert "\x1b" not in text
        assert "\u202e" not in text
    assert "\x1b" not in json.dumps(explained(DIAGNOSIS, roots), ensure_ascii=False)
