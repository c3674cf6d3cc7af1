"""The page: everything is on it, nothing on it can act, and nothing leaves it unmasked."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from html.parser import HTMLParser
from pathlib import Path

import pytest

from leaktui.model.assessment import Slope
from leaktui.model.capability import Source, SourceState
from leaktui.model.explanation import Explanation, MarkedLine, SkipReason
from leaktui.model.finding import Diagnosis, Evidence
from leaktui.model.frame import Frame
from leaktui.report import html_form
from leaktui.report.explained import Explained
from leaktui.report.graphs import Graph
from leaktui.report.html_form import format_html
from leaktui.report.html_source import draw_diff, paint_go
from leaktui.report.redaction import MASKED, Redaction
from leaktui.sources import SourceRoot, Sources
from tests.report.diagnoses import BODY, CLEAN, HOSTILE_LEAK, LEAK, UNDECIDED

RISING = Graph(
    "Open response bodies", tuple((float(x), 10.0 * x) for x in range(9)), Slope(600, 590, 610, 9, 8, True)
)
LEVEL = Graph(
    "Resident memory", ((0.0, 5e7), (8.0, 5.01e7)), Slope(0.0, -1.0, 1.0, 2, 8.0, False), in_bytes=True
)
VOID = frozenset(("meta", "path"))
TAGS = frozenset(
    re.findall(
        r"\w+",
        "html head meta title style body main header h1 h2 h3 h4 p span dl dt dd section article figure figcaption div "
        "svg path code ul ol li table thead tbody tr th td details summary footer",
    )
)
ATTRIBUTES = frozenset(
    re.findall(
        r"[\w-]+",
        "class lang charset http-equiv content name viewbox preserveaspectratio role aria-label d",
    )
)


@dataclass
class Page(HTMLParser):
    """A page taken apart as a browser would."""

    html: str
    words: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    metas: dict[str, str] = field(default_factory=dict)
    style: str = ""

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._open: list[str] = []
        self.feed(self.html)
        self.close()
        assert not self._open, "every tag is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in TAGS
        assert {name for name, _ in attrs} <= ATTRIBUTES
        self.tags.append(tag)
        if tag == "meta":
            values = dict(attrs)
            self.metas[values.get("http-equiv") or values.get("name") or "charset"] = (
                values.get("content") or ""
            )
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] == "style":
            self.style += data
        else:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.mark.parametrize("diagnosis", [LEAK, CLEAN, UNDECIDED, HOSTILE_LEAK])
def test_the_page_is_well_formed_and_fetches_nothing(diagnosis: Diagnosis) -> None:
    html = format_html(diagnosis, graphs=(RISING, LEVEL))
    page = Page(html)
    assert page.tags.count("style") == 1 and "script" not in page.tags
    assert not re.search(r"url\(|@import|https?://", page.style)
    assert html.endswith("</html>\n")


def test_the_policy_allows_this_style_and_no_other() -> None:
    page = Page(format_html(LEAK))
    digest = base64.b64encode(hashlib.sha256(page.style.encode()).digest()).decode()
    policy = page.metas["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; ")
    assert f"style-src 'sha256-{digest}'" in policy
    assert "unsafe" not in policy and "script-src" not in policy
    # The sheet is the only style: none in an attribute, which the policy would refuse.
    assert " style=" not in format_html(LEAK)


def test_everything_a_reader_needs_is_there() -> None:
    moment = datetime(2026, 3, 1, 12, 30, tzinfo=timezone.utc)
    text = Page(format_html(LEAK, graphs=(RISING,), written=moment)).text
    for expected in (
        "HTTP response bodies never closed in users.(*Store).loadUser",
        "/src/app/users/store.go:24",
        "212 open bodies, +480/min",
        "96 of 96 bodies handed to this line in 5 s were never closed",
        "Close resp.Body on the path that returns",
        "2. Goroutines that never end",
        "3. Heap that only grows",
        "main.(*quotes).ask at /src/app/quotes.go:47",
        "memory unavailable no permission to read its memory: run leaktui as root",
        "pprof used 14.2k goroutines under 0.1 ms",
        "in all under 0.1 ms",
        "HTTP/2 bodies that fit the stream window",
        "Not seen through: memory.",
        "leaktui diagnose --pid 4242",
        "2026-03-01 12:30 UTC",
    ):
        assert expected in text, expected
    order = [
        text.index(part) for part in ("1. HTTP", "2. Goroutines", "3. Heap", "Looked at", "Limits", "by hand")
    ]
    assert order == sorted(order)


def test_graphs_tell_value_growth_and_trend() -> None:
    html = format_html(LEAK, graphs=(RISING, LEVEL))
    text = Page(html).text
    assert "Open response bodies 80 +600/min 95 %: +590/min to +610/min" in text
    assert "Resident memory 47.8 MB ±0/min" in text
    assert html.count('class="trend"') == 1, "only what rises for sure has a trend"
    assert 'aria-label="Open response bodies: 0 at first, 80 after 8.0 s, +600/min"' in html
    line = re.search(r'class="line" d="M0\.0 (\d+\.\d) [^"]* L1000\.0 (\d+\.\d)"', html)
    assert line is not None and float(line[1]) == 286.0 and float(line[2]) == 14.0


HOSTILE_TEXTS = (
    "</style><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "`<b>`&lt;script&gt;",
    "--><svg/onload=alert(1)>",
    "\x1b]0;owned\x07\u202e\u2028\x00",
    "javascript:alert(1)",
)


@pytest.mark.parametrize("text", HOSTILE_TEXTS)
def test_a_hostile_target_puts_nothing_into_the_page(text: str) -> None:
    frame = Frame(text, f"/src/{text}.go", 3)
    finding = replace(
        BODY,
        function=text,
        location=frame,
        stack=(frame,) * 20,
        created_by=frame,
        candidates=(frame,),
        evidence=(Evidence(text, text),),
        advice=text,
    )
    target = replace(LEAK.target, exe=text, module=text, go_version=text, url=f"http://u:p@h/{text}")
    sources = (Source(text, SourceState.FAILED, text, remedy=text), Source("pprof", SourceState.USED, text))
    hostile = replace(LEAK, target=target, sources=sources, suspects=(finding, finding), notes=(text,))
    html = format_html(hostile, graphs=(RISING,))
    page = Page(html)  # asserts the tags and attributes
    assert set(page.tags) <= TAGS
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e\u2028]", html)
    if "<" in text:
        assert text not in html


def test_secrets_are_masked_unless_asked_for() -> None:
    html = format_html(HOSTILE_LEAK)
    for secret in ("bob:pw", "abcdefghijkl", "token=abc", "sid=42", "password=x", "db_password=y"):
        assert secret not in html, secret
    assert "hunter2" not in format_html(UNDECIDED) and "s3cret" not in format_html(UNDECIDED)
    assert "token=abc" in format_html(HOSTILE_LEAK, redaction=Redaction(show_secrets=True))


SOURCE = """\
package users

func (s *Store) loadUser(id int) error {
\tresp, err := s.client.Get("http://ops:hunter2@h/u?token=abc")
\tcookie := resp.Header.Get("Set-Cookie")
\tif resp.StatusCode != 200 { // </code><script>
\t\treturn errors.New("<b>")
\t}
\treturn resp.Body.Close()
}
"""


def test_source_explanation_and_change_are_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "store.go").write_text(SOURCE)
    explanation = Explanation(
        "users.(*Store).loadUser", str(tmp_path / "store.go"), 3, 10, 4, SkipReason.EARLY_RETURN,
        "It returns at line 7 before `Close`.", (MarkedLine(7, "leaves without Close"),), certain=False,
        diff="--- a\n+++ b\n@@ -4 +4,2 @@\n+\tdefer resp.Body.Close()\n-\treturn resp.Body.Close() // <i>\n",
        seen=("no Close is pending",),
    )  # fmt: skip
    monkeypatch.setattr(html_form, "explain_suspect", lambda finding, sources: Explained(explanation))
    page = Page(format_html(replace(LEAK, suspects=(BODY,))))
    text = page.text
    assert 'resp, err := s.client.Get( "http://h/u?token=…" )' in text and "hunter2" not in text
    assert "cookie := resp.Header.Get(" in text, "a variable is no header"
    assert "package users" not in text, "only the function"
    assert "leaves without Close" in text and "no Close is pending" in text
    assert "Why (possible): early return" in text and "Possible change: look it over" in text
    assert "+ defer resp.Body.Close()" in text
    assert format_html(replace(LEAK, suspects=(BODY,))).count('class="row here"') == 1


def test_an_excerpt_needs_no_explanation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(html_form, "explain_suspect", lambda finding, sources: Explained())
    (tmp_path / "store.go").write_text(SOURCE)
    at = Frame("users.(*Store).loadUser", "/src/app/users/store.go", 4)
    diagnosis = replace(LEAK, suspects=(replace(BODY, location=at),))
    html = format_html(diagnosis, sources=Sources([SourceRoot("/src/app/users", str(tmp_path))]))
    Page(html)
    assert html.count('class="row here"') == 1 and "package users" in re.sub("<[^>]*>", "", html)


def test_go_is_painted_after_it_was_escaped() -> None:
    assert paint_go('return "<b>" // <i>') == (
        '<span class="keyword">return</span> <span class="string">&quot;&lt;b&gt;&quot;</span> '
        '<span class="comment">// &lt;i&gt;</span>'
    )
    assert "<i>" not in draw_diff("+<i>\n" * 500, MASKED)
    assert "300 more lines" in draw_diff("+x\n" * 500, MASKED)


def test_many_suspects_and_frames_are_cut_and_said() -> None:
    deep = replace(BODY, stack=BODY.stack * 30)
    text = Page(format_html(replace(LEAK, suspects=(deep,) * 40))).text
    assert "… 10 more; --json lists them all" in text and "… 50 more" in text
