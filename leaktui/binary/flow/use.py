"""The answer to "what does this function do with the response": facts of a walk, summed up.

Law: pure. A path that was not followed to its end never counts for or against closing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from leaktui.binary.flow.facts import Exit, Facts, Passed
from leaktui.binary.flow.state import Status
from leaktui.binary.pclntab import Function
from leaktui.model.frame import Frame

EMPTIED = "emptied response"
"""What is said of a returned response whose body was replaced."""


class Verdict(Enum):
    """What becomes of the responses of one call site."""

    NEVER_CLOSED = "never closed"
    SOMETIMES_UNCLOSED = "not closed on some paths"
    CLOSED = "closed on every path"
    """Panics aside: those that would skip the Close are in `ResponseUse.panics`."""
    HANDED_OVER = "handed to others"
    UNKNOWN = "not known"


@dataclass(frozen=True, slots=True)
class Place:
    """An instruction (link-time address) and the source line it is shown at: the innermost outside the library."""

    pc: int
    frame: Frame


@dataclass(frozen=True, slots=True)
class UnclosedExit:
    """A way out on which the body stays open: a return, or a call whose response `overwrites` this one."""

    place: Place
    overwrites: bool = False


@dataclass(frozen=True, slots=True)
class Store:
    """The response or its body (`what`) put where other code finds it.

    `where` is `heap`, `global`, `array` (of this function), `channel`, `goroutine` or `request` (as its body).
    """

    place: Place
    where: str
    what: str


@dataclass(frozen=True, slots=True)
class ResponseUse:
    """What one physical function (with all that was inlined into it) does with a response.

    `results` are (result number, `response` | `body` | `wrapped`) of what is returned and was not seen closed; where
    it could not be told whether the function has that result at all, they are in `possible_results` instead.
    `drops_replaced_body`: another body was put in the response's place, and the first one was left open.
    `closes_body` are the calls of Close, also in functions that were followed; `touches` the pcs at which the
    response is looked into; `panics` the places where a panic would leave the body open, as no Close is
    deferred yet. `complete` is False where some path was not
    followed; `gaps` says why if the walk itself broke off.
    """

    function: Function
    verdict: Verdict = Verdict.UNKNOWN
    complete: bool = False
    results: tuple[tuple[int, str], ...] = ()
    possible_results: tuple[tuple[int, str], ...] = ()
    closes_body: tuple[Place, ...] = ()
    defers_close: bool = False
    defers_in_loop: bool = False
    reads_body: bool = False
    replaces_body: tuple[Place, ...] = ()
    drops_replaced_body: bool = False
    stores: tuple[Store, ...] = ()
    passes_to: tuple[Passed, ...] = ()
    unclosed_exits: tuple[UnclosedExit, ...] = ()
    panics: tuple[Place, ...] = ()
    touches: tuple[int, ...] = ()
    gaps: tuple[str, ...] = ()

    @property
    def returns_response(self) -> bool:
        """Whether some path returns the `*http.Response` with its body open."""
        return any(what == "response" for _, what in self.results)

    @property
    def returns_body(self) -> bool:
        """Whether some path returns the open body."""
        return any(what == "body" for _, what in self.results)

    @property
    def returns_wrapped(self) -> bool:
        """Whether some path returns an object or a closure that holds the open body."""
        return any(what == "wrapped" for _, what in self.results)

    @property
    def hands_over(self) -> bool | None:
        """Whether the caller gets the open body in some form; None if that is not known."""
        if self.results:
            return True
        if self.possible_results or not self.complete:
            return None
        return False


def summarize_use(
    function: Function,
    facts: Facts,
    taken: frozenset[int] | None,
    statement_of: Callable[[Exit], int],
    place_of: Callable[[int], Place],
    *,
    borrowed: bool = False,
) -> ResponseUse:
    """Sum *facts* up. *taken* are the result numbers the function has, None if that is not known.

    A *borrowed* response is the caller's, who closes it: leaving its body open is no fault, dropping it is.
    """
    results: dict[tuple[int, str], None] = {}
    possible: dict[tuple[int, str], None] = {}
    unclosed: dict[UnclosedExit, None] = {}
    kinds: set[str] = set()
    for end in facts.exits:
        # A reader cannot close it, and of an error nobody would.
        held = [item for item in end.results if item[1] not in ("reader", "error", EMPTIED)]
        mine = [item for item in held if taken is not None and item[0] in taken]
        if end.status is Status.UNSURE:
            # Whoever was given it before may have closed it; what is returned all the same is the caller's to close.
            kinds.add("unsure")
            results.update(dict.fromkeys(mine))
            possible.update(dict.fromkeys(held if taken is None else ()))
        elif end.status in _SETTLED:
            kinds.add(_SETTLED[end.status])
        elif mine:
            kinds.add("returned")
            results.update(dict.fromkeys(mine))
        elif borrowed and end.kept:
            kinds.add("kept")
        elif held and taken is None:
            kinds.add("perhaps returned")
            possible.update(dict.fromkeys(held))
        else:
            kinds.add("open")
            pc = end.pc if end.overwritten else statement_of(end)
            unclosed[UnclosedExit(place_of(pc), end.overwritten)] = None
    complete = not facts.gaps and facts.reached and (bool(facts.exits) or facts.deferred_in_loop)
    return ResponseUse(
        function=function,
        verdict=_verdict(kinds, facts) if complete else Verdict.UNKNOWN,
        complete=complete and "unsure" not in kinds,
        results=tuple(results),
        possible_results=tuple(possible),
        closes_body=tuple(place_of(pc) for pc in sorted(facts.closes)),
        defers_close=bool(facts.deferred_closes),
        defers_in_loop=facts.deferred_in_loop,
        reads_body=bool(facts.reads),
        replaces_body=tuple(place_of(pc) for pc in sorted(facts.replacements)),
        drops_replaced_body=bool(facts.replacements) and _drops(facts),
        stores=tuple(Store(place_of(pc), where, what) for pc, where, what in sorted(facts.stores)),
        passes_to=tuple(sorted(facts.passed)),
        unclosed_exits=tuple(unclosed),
        panics=tuple(place_of(pc) for pc in sorted(facts.panics)),
        touches=tuple(sorted(facts.touches)),
        gaps=tuple(sorted(facts.gaps)),
    )


_SETTLED = {Status.CLOSED: "closed", Status.STORED: "stored"}


def _drops(facts: Facts) -> bool:
    """Whether the response leaves with another body, and the first one is in nobody's hands."""
    return any(
        end.status is Status.OPEN
        and not end.kept
        and not any(what in ("body", "wrapped") for _, what in end.results)
        for end in facts.exits
    )


def _verdict(kinds: set[str], facts: Facts) -> Verdict:
    if "perhaps returned" in kinds:
        return Verdict.UNKNOWN
    if "open" in kinds:
        if facts.closure_given:
            return Verdict.UNKNOWN
        return Verdict.NEVER_CLOSED if kinds == {"open"} else Verdict.SOMETIMES_UNCLOSED
    if "unsure" in kinds:
        return Verdict.UNKNOWN
    if kinds & {"returned", "stored", "kept"}:
        return Verdict.HANDED_OVER
    if not kinds:
        # No way out at all: an endless loop, and what it defers never runs.
        return Verdict.NEVER_CLOSED if facts.deferred_in_loop else Verdict.UNKNOWN
    return Verdict.CLOSED
