"""The ticket, to the letter, and names that would like to be markup."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from leaktui.report.markdown_form import code_span, escape_markdown, fence_for, format_markdown
from leaktui.sources import SourceRoot, Sources
from tests.report.diagnoses import BODY, CLEAN, HOSTILE_LEAK, LEAK, UNDECIDED

LEAK_MARKDOWN = """\
# Leak: HTTP response bodies never closed in `users.(*Store).loadUser`

| | |
|---|---|
| Process | pid 4242 |
| Executable | `/srv/app` |
| Build | `go1.26.6`, `example.com/app`, stripped |
| Watched | 14 s, the target stopped for under 0.1 ms |

## Where

- **Line**: `/src/app/users/store.go:24`
- **Function**: `example.com/app/users.(*Store).loadUser`
- **Confidence**: proven
- **Held**: 212 open bodies, +480/min

## Evidence

| Source | Observed |
|---|---|
| pprof | 96 of 96 bodies handed to this line in 5 s were never closed |
| proc | 212 sockets to 10.0.0.7:8080 stay ESTABLISHED with bytes nobody reads from them |

The source is not at hand: --source-root FROM=TO says where a copy of it lies.

## What to do

Close resp.Body on the path that returns when the status is not 200: defer it right after err.

## Stack

```
example.com/app/users.(*Store).loadUser
    /src/app/users/store.go:24
main.main.func1
    /src/app/main.go:88
runtime.goexit
```

## Other suspects

| Kind | Confidence | Function | Line | Held |
|---|---|---|---|---|
| goroutines that never end | likely | `main.(*quotes).ask.func1` | `/src/app/quotes.go:51` | 1 goroutine, +12/min |
| heap that only grows | possible | `main.(*cache).thumbnail` | not known | 1200 live objects, +1.5 MB/min |

## Looked at

| Source | State | Detail | Pause |
|---|---|---|---|
| proc | used | 230 fds | 0 ms |
| pprof | used | 14.2k goroutines | under 0.1 ms |
| memory | unavailable | no permission to read its memory: run leaktui as root or as the user of the process | 0 ms |

## Keep in mind

- HTTP/2 bodies that fit the stream window cannot be seen through pprof.
"""


def test_a_leak_to_the_letter() -> None:
    assert format_markdown(LEAK) == LEAK_MARKDOWN


def test_the_other_verdicts() -> None:
    assert format_markdown(CLEAN).startswith(
        "# Clean: nothing leaks\n\n| | |\n|---|---|\n| Process | pid 4242 |\n"
    )
    undecided = format_markdown(UNDECIDED)
    assert undecided.startswith("# Undecided\n")
    assert "| Endpoint | `https://shop.example:6060/debug/pprof?key=…` |\n" in undecided
    assert "## What was missing\n" in undecided


def test_the_source_stands_in_a_go_fence_longer_than_its_backticks(tmp_path: Path) -> None:
    lines = ["x := 1"] * 40
    lines[22] = "const page = ````go"
    (tmp_path / "store.go").write_text("\n".join(lines))
    text = format_markdown(LEAK, sources=Sources([SourceRoot("/src/app/users", str(tmp_path))]))
    block = re.search(r"^`````go\n(.*?)\n`````$", text, re.DOTALL | re.MULTILINE)
    assert block is not None
    shown = block.group(1).splitlines()
    assert shown[3:5] == ["  23 | const page = ````go", "> 24 | x := 1"]


def test_hostile_names_stay_names() -> None:
    text = format_markdown(HOSTILE_LEAK)
    assert all(character == "\n" or character.isprintable() for character in text)
    prose = strip_code(text)
    # Outside code nothing may be left that Markdown or HTML reads, but for the form's own marks.
    assert not re.search(r"(?<!\\)[<>]", prose)
    assert not re.search(r"(?<![\\])\]\(", prose)
    assert "not markup" not in prose
    assert "token=abc" not in text and "sid=42" not in text


def test_hostile_names_break_no_table() -> None:
    for line in format_markdown(HOSTILE_LEAK).splitlines():
        if line.startswith("| ") and not line.startswith("| |"):
            cells = re.split(r"(?<!\\)\|", line)
            assert len(cells) in (4, 6, 7), line


def test_hostile_names_close_no_fence() -> None:
    text = format_markdown(replace(HOSTILE_LEAK, suspects=HOSTILE_LEAK.suspects[:1]))
    assert "````\n" in text
    fenced = text.split("````\n")
    assert len(fenced) == 3
    assert "``` # not markup\n    ```:1\n" in fenced[1]


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("main.(*T).do_it", r"main.(\*T).do\_it"),
        ("a|b `c` <d> [e](f) #1 ~~g~~", r"a\|b \`c\` \<d\> \[e\](f) \#1 \~\~g\~\~"),
        ("- item", r"\- item"),
        ("+12/min", r"\+12/min"),
        ("plain words", "plain words"),
    ],
)
def test_escaping(text: str, escaped: str) -> None:
    assert escape_markdown(text) == escaped


@pytest.mark.parametrize(
    ("text", "span"),
    [("", ""), ("f", "`f`"), ("a`b", "``a`b``"), ("`a", "`` `a ``"), ("``", "``` `` ```"), ("a|b", "`a|b`")],
)
def test_code_spans(text: str, span: str) -> None:
    assert code_span(text) == span


def test_code_spans_in_tables_hide_their_pipes() -> None:
    assert code_span("a|b", in_table=True) == r"`a\|b`"


def test_fences() -> None:
    assert [fence_for(text) for text in ("", "``", "```", "a ````` b")] == ["```", "```", "````", "``````"]


def test_an_unknown_line_says_so() -> None:
    assert "- **Line**: not known\n" in format_markdown(
        replace(LEAK, suspects=(replace(BODY, location=None),))
    )


def strip_code(text: str) -> str:
    """*text* without fenced blocks and code spans."""
    text = re.sub(r"^(`{3,})[a-z]*\n.*?\n\1$", "", text, flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"(?<![\\`])(`+)(?!`).*?(?<!`)\1(?!`)", "", text)
