"""What the interpreter writes down while it walks: facts with the pc they were seen at."""

from __future__ import annotations

from typing import NamedTuple

from leaktui.binary.flow.state import Status, Trail


class Passed(NamedTuple):
    """The response or its body (`what`) given to `callee` as its argument number `argument`."""

    callee: str
    argument: int
    what: str


class Stored(NamedTuple):
    """The response or its body put where other code finds it: `heap`, `global`, `channel`, `goroutine`, `request`."""

    pc: int
    where: str
    what: str


class Exit(NamedTuple):
    """A way out of the function: what happened to the response, and what the result registers hold.

    `pc` is the RET, or for a response that is overwritten by the next one, the call. `results` pairs a
    result's number (0 is RAX) with `response`, `body`, `wrapped`, `reader` or `error` (one that holds it);
    `nil_results` are those surely
    nil here. `kept` says whether the response still leads to the body. `trail` are the last jumps into shared
    code before, newest first.
    """

    pc: int
    status: Status
    results: tuple[tuple[int, str], ...] = ()
    nil_results: frozenset[int] = frozenset()
    kept: bool = True
    trail: Trail = ()
    overwritten: bool = False


class Facts:
    """Collected over one analysis; sets, so that walking a path twice says nothing twice."""

    def __init__(self) -> None:
        self.closes: set[int] = set()
        self.deferred_closes: set[int] = set()
        self.reads: set[int] = set()
        self.stores: set[Stored] = set()
        self.replacements: set[int] = set()
        self.passed: set[Passed] = set()
        self.exits: dict[Exit, None] = {}
        self.exits_in_order: list[Exit] = []
        """One for each end of a path, in the order the interpreter met them, calls that overwrite apart."""
        self.touches: set[int] = set()
        self.panics: set[int] = set()
        self.reached = False
        self.deferred_in_loop = False
        self.closure_given = False
        """Whether the library was given a closure that holds the body, to call now, later or never."""
        self.gaps: set[str] = set()
        """Why the walk is not complete; empty if it is."""
