"""The Program of a target whose executable is out of reach but whose source may be at hand.

Law: symbols decide what is the standard library; the declared results of a function, read from its source,
whether it hands a response over; an assignment to a Body that does not wrap the old one, whether it replaces
it. Source that is not there, or no longer fits, leaves it unknown.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from leaktui.analysis.program import HandOver, ResponseStep, UnknownProgram
from leaktui.binary.go_source import find_declaration
from leaktui.binary.signature import hands_over_body
from leaktui.model.frame import Frame, Stack

_MOST_FILES = 64
_REPLACED = re.compile(r"(\w+)\.Body\s*=(?!=)(?P<new>.*)")


class SourceProgram(UnknownProgram):
    """Answers from the files of the stacks; *read* gives a file's text, or None where it cannot be read."""

    def __init__(self, read: Callable[[str], str | None]) -> None:
        self._read = read
        self._files: dict[str, str | None] = {}
        self._answers: dict[tuple[str, int], tuple[HandOver, bool]] = {}

    def follow_response(self, stack: Stack, first: int) -> tuple[ResponseStep, ...]:
        steps = []
        for index in range(first, len(stack)):
            if self.is_stdlib(stack[index].function):
                continue
            answer, replaces = self._judge(stack[index])
            steps.append(ResponseStep(index, answer, replaces=replaces, known_from="source"))
            if answer is not HandOver.YES:
                break
        return tuple(steps)

    def _judge(self, frame: Frame) -> tuple[HandOver, bool]:
        key = (frame.file, frame.line)
        if key not in self._answers:
            self._answers[key] = self._look(frame)
        return self._answers[key]

    def _look(self, frame: Frame) -> tuple[HandOver, bool]:
        if frame.file not in self._files:
            if len(self._files) >= _MOST_FILES:
                return HandOver.UNKNOWN, False
            self._files[frame.file] = self._read(frame.file)
        text = self._files[frame.file]
        declaration = find_declaration(text, frame.line) if text is not None and frame.line else None
        if text is None or declaration is None or not _fits(declaration.name, frame.function):
            return HandOver.UNKNOWN, False
        body = text.split("\n")[frame.line - 1 : declaration.end_line]
        replaces = any((found := _REPLACED.search(line)) and ".Body" not in found["new"] for line in body)
        return HandOver.YES if hands_over_body(declaration.results) else HandOver.NO, replaces


def _fits(declared: str, function: str) -> bool:
    """Whether a declaration (`Type.Name`, empty for a literal) can be the symbol *function*."""
    if not declared:
        return ".func" in function
    name = declared.rpartition(".")[2]
    return function.split("[", 1)[0].rpartition(".")[2] == name
