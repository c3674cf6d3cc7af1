"""One call on a stack."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Frame:
    """A call, with inlined calls as frames of their own (`inlined` is then True).

    `function` is the Go symbol as the runtime prints it, e.g. `net/http.(*persistConn).readLoop`;
    `line` is 1-based and 0 where unknown; `pc` is an address in the running process, 0 where unknown.
    """

    function: str
    file: str = ""
    line: int = 0
    pc: int = 0
    inlined: bool = False


Stack = tuple[Frame, ...]
"""Innermost frame first."""
