"""What the Go programs `responses` and `services` say about themselves, and what the analysis answers.

Law: the expectation is read from the comments of the very source that was compiled; nothing is listed twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from leaktui.binary.executable import Executable
from leaktui.binary.flow.use import ResponseUse, Verdict
from leaktui.binary.response_flow import ResponseFlow
from tests.binary.go_builds import PROGRAMS

CLIENT = (
    *(f"net/http.(*Client).{name}" for name in ("Get", "Do", "do", "Post", "PostForm", "Head")),
    *(f"net/http.(*Transport).{name}" for name in ("RoundTrip", "roundTrip")),
)
"""Functions that return a response; the compiler inlines some into their callers."""

WORDS = {
    Verdict.CLOSED: "closed",
    Verdict.NEVER_CLOSED: "never",
    Verdict.SOMETIMES_UNCLOSED: "sometimes",
    Verdict.HANDED_OVER: "handed",
    Verdict.UNKNOWN: "unknown",
}


@dataclass
class Expectation:
    """The comment above a function: its verdicts, and the lines between `first` and `last` that leak."""

    file: str
    name: str
    first: int
    verdicts: frozenset[str]
    last: int = 0
    leaks: set[int] = field(default_factory=set)


@dataclass(frozen=True)
class Answer:
    """What was found of one call site: `right`, `wrong` or `unknown`, and why."""

    expected: Expectation
    outcome: str
    words: str


def read_expectations(program: str) -> list[Expectation]:
    """All functions of *program* that say `// want: …`."""
    return [found for path in sorted((PROGRAMS / program).glob("*.go")) for found in _read_file(path)]


def _read_file(path: Path) -> Iterator[Expectation]:
    wanted: frozenset[str] | None = None
    current: Expectation | None = None
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if match := re.fullmatch(r"// want: (\w+(?: or \w+)*)", line):
            wanted = frozenset(match[1].split(" or "))
        if line.startswith("func ") and wanted is not None:
            current = Expectation(path.name, line[5 : line.index("{")].strip(), number, wanted)
            wanted = None
        if current is None:
            continue
        if "leaks here" in line:
            current.leaks.add(number)
        if line.startswith("}") or (line.startswith("func ") and line.endswith("}")):
            current.last = number
            yield current
            current = None


def return_pcs(flow: ResponseFlow, executable: Executable, callee: str) -> tuple[int, ...]:
    """Return addresses of the direct calls of *callee*."""
    function = executable.find_function(callee)
    return flow.callers_of(function) if function is not None else ()


def iter_answers(path: Path, program: str) -> Iterator[Answer]:
    """The analysis's answer for every call site in *program* that has an expectation."""
    expectations = read_expectations(program)
    with Executable.open(path) as executable:
        flow = ResponseFlow(executable)
        sites = {pc for callee in CLIENT for pc in return_pcs(flow, executable, callee)}
        for pc in sorted(sites):
            frames = [frame for frame in executable.frames_at(pc) if frame.function.startswith("main.")]
            for expected in expectations:
                if (
                    frames
                    and Path(frames[0].file).name == expected.file
                    and expected.first <= frames[0].line <= expected.last
                ):
                    use = flow.use_at(pc)
                    assert use is not None
                    yield _judge(expected, use)


def _judge(expected: Expectation, use: ResponseUse) -> Answer:
    lines = {end.place.frame.line for end in use.unclosed_exits}
    word = WORDS[use.verdict]
    said = f"{expected.name}: expected {sorted(expected.verdicts)} {sorted(expected.leaks)}, got {word} {sorted(lines)}"
    if word == "unknown":
        return Answer(expected, "right" if "unknown" in expected.verdicts else "unknown", said)
    right = word in expected.verdicts and lines <= expected.leaks and bool(lines) == bool(expected.leaks)
    return Answer(expected, "right" if right else "wrong", said)
