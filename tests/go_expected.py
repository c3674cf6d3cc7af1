"""What a diagnosis of a Go program has to say, read from the marks in the program's own source.

A mark stands at the end of the line it is about, so it cannot drift away from it:

    resp, err := c.http.Get(url) // LEAK: http-body main.(*client).loadUser
    answer <- price              // LEAK: goroutine main.(*quotes).ask.func1
    go func() {                  // LEAK: created-by main.(*quotes).ask
    image = render(url)          // LEAK-ALSO: main.(*cache).thumbnail

`http-body`, `fd`, `heap`: the owner's call line and its function as Go prints it. `goroutine`: the line
it is blocked at and its entry function; `created-by` marks its go statement and the function around it.
`LEAK-ALSO` is a second right answer where two are equally true. `// HEALTHY:` marks a program that must
be found clean.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from tests.go_toolchain import PROGRAMS, iter_program_directories, program_directory

_LEAK = re.compile(r"// LEAK: (http-body|goroutine|fd|heap) (\S+)$")
_CREATED_BY = re.compile(r"// LEAK: created-by (\S+)$")
_ALSO = re.compile(r"// LEAK-ALSO: (\S+)$")
_HEALTHY = re.compile(r"^// HEALTHY: ", re.MULTILINE)
_MARK = re.compile(r"// LEAK|// HEALTHY")

KINDS = ("http-body", "goroutine", "fd", "heap")


@dataclass(frozen=True)
class Place:
    """A line of Go. `file` is relative to the module, e.g. `bodies/earlyreturn/main.go`."""

    function: str
    file: str
    line: int

    def matches(self, function: str, file: str, line: int) -> bool:
        """Whether a diagnosis names this place; *file* may be absolute, or a module path (-trimpath)."""
        return function == self.function and line == self.line and f"/{file}".endswith(f"/{self.file}")


@dataclass(frozen=True)
class Expected:
    """The right answer about one leaking program."""

    kind: str
    place: Place
    also: tuple[Place, ...] = ()
    created_by: Place | None = None

    @property
    def function(self) -> str:
        return self.place.function

    @property
    def file(self) -> str:
        return self.place.file

    @property
    def line(self) -> int:
        return self.place.line

    def matches(self, function: str, file: str, line: int) -> bool:
        """Whether a suspect at *function*, *file*, *line* is the culprit."""
        return any(place.matches(function, file, line) for place in (self.place, *self.also))


def expected(program: str) -> Expected | None:
    """The marks of *program*; None for a healthy one. Raises ValueError where they contradict."""
    return read_marks(program_directory(program), PROGRAMS)


def read_marks(directory: Path, module: Path) -> Expected | None:
    """The marks in the Go files under *directory*, with paths relative to *module*."""
    answer: Expected | None = None
    also: list[Place] = []
    creators: list[Place] = []
    healthy = False
    for source in sorted(directory.glob("**/*.go")):
        text = source.read_text(encoding="utf-8")
        healthy |= bool(_HEALTHY.search(text))
        file = str(source.relative_to(module))
        for number, line in enumerate(text.splitlines(), 1):
            if found := _LEAK.search(line):
                if answer is not None:
                    raise ValueError(f"{file}:{number}: a second LEAK mark")
                answer = Expected(found[1], Place(found[2], file, number))
            elif found := _CREATED_BY.search(line):
                creators.append(Place(found[1], file, number))
            elif found := _ALSO.search(line):
                also.append(Place(found[1], file, number))
            elif _MARK.search(line) and not _HEALTHY.match(line):
                raise ValueError(f"{file}:{number}: a mark that cannot be read: {line.strip()}")
    if healthy == (answer is not None):
        raise ValueError(f"{directory.name} must have one LEAK mark or be marked HEALTHY")
    if answer is None:
        return None
    if (answer.kind == "goroutine") != (len(creators) == 1):
        raise ValueError(f"{directory.name}: a goroutine leak, and nothing else, has one created-by mark")
    return replace(answer, also=tuple(also), created_by=creators[0] if creators else None)


def leaking_programs(kind: str | None = None) -> tuple[str, ...]:
    """Names of the programs that leak (only those of *kind*), sorted."""
    return tuple(
        name for name in _programs() if (answer := expected(name)) is not None and kind in (None, answer.kind)
    )


def healthy_programs() -> tuple[str, ...]:
    """Names of the programs a diagnosis must clear, sorted."""
    return tuple(name for name in _programs() if expected(name) is None)


def _programs() -> tuple[str, ...]:
    return tuple(sorted(d.name for d in iter_program_directories() if d.name != "peer"))
