"""What the analysis must know of the program it judges, and the little it can assume without a binary."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from leaktui.model.frame import Frame, Stack
from leaktui.text import package_of


class HandOver(Enum):
    """Whether a function hands the response it obtained to its caller."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ResponseStep:
    """What one function of a stack does with the response its call returned.

    `index` is the place in the stack of the frame meant. `exits` are the places where it leaves (or asks
    again) with the body open, `panics` those where a panic would skip its Close; `closes` is True when it
    closes it on every path. `replaces` means that it puts another body in its place and forgets the first.
    `known_from` says how it is known.
    """

    index: int
    hands_over: HandOver
    exits: tuple[Frame, ...] = ()
    panics: tuple[Frame, ...] = ()
    closes: bool = False
    replaces: bool = False
    known_from: str = ""


class Program(Protocol):
    """Knowledge of one executable. Answers must be quick and may be cached; after `close` nothing is asked."""

    def is_stdlib(self, function: str) -> bool:
        """Whether *function* belongs to Go's own library or runtime."""
        ...

    def is_main_module(self, function: str) -> bool:
        """Whether *function* belongs to the module the program was built from."""
        ...

    def follow_response(self, stack: Stack, first: int) -> tuple[ResponseStep, ...]:
        """Follow a response from the user frame `stack[first]` outwards, as far as it is handed on.

        The last step is the first one that does not surely hand over. Empty when nothing is known.
        """
        ...

    def call_sites(self, functions: tuple[str, ...]) -> tuple[Frame, ...]:
        """User call sites of *functions* in the executable, the most suspicious first."""
        ...

    def close(self) -> None:
        """Let go of the files that are open; safe to call again."""
        ...


class UnknownProgram:
    """A program whose executable is out of reach (a bare URL): decided from symbols and paths alone."""

    def is_stdlib(self, function: str) -> bool:
        """First path element without a dot, and not `main`: the import path rule of the Go tool."""
        package = package_of(function)
        if package in ("", "main"):
            return not package
        return "." not in package.split("/", 1)[0]

    def is_main_module(self, function: str) -> bool:
        return package_of(function) == "main"

    def follow_response(self, stack: Stack, first: int) -> tuple[ResponseStep, ...]:
        return ()

    def call_sites(self, functions: tuple[str, ...]) -> tuple[Frame, ...]:
        return ()

    def close(self) -> None:
        """Nothing is open."""
