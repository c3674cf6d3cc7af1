"""What the analysis must know of the program it judges, and the little it can assume without a binary."""

from __future__ import annotations

from enum import Enum
from typing import Protocol

from leaktui.model.frame import Frame
from leaktui.text import package_of


class HandOver(Enum):
    """Whether a function hands the response it obtained to its caller, and how that is known."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


class Program(Protocol):
    """Knowledge of one executable. Answers must be quick and may be cached."""

    def is_stdlib(self, function: str) -> bool:
        """Whether *function* belongs to Go's own library or runtime."""
        ...

    def is_main_module(self, function: str) -> bool:
        """Whether *function* belongs to the module the program was built from."""
        ...

    def hands_over(self, frame: Frame) -> HandOver:
        """Whether the function of *frame* returns the response (or its body) it got from this call."""
        ...

    def replaces_body(self, frame: Frame) -> bool | None:
        """Whether the function of *frame* puts another body into the response; None where unknown."""
        ...

    def call_sites(self, functions: tuple[str, ...]) -> tuple[Frame, ...]:
        """User call sites of *functions* in the executable, as far as they can be found."""
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

    def hands_over(self, frame: Frame) -> HandOver:
        return HandOver.UNKNOWN

    def replaces_body(self, frame: Frame) -> bool | None:
        return None

    def call_sites(self, functions: tuple[str, ...]) -> tuple[Frame, ...]:
        return ()
