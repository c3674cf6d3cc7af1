"""What is said at the end of a watch of a goroutine that was not seen then."""

from __future__ import annotations

from typing import cast

import pytest

from leaktui.engines.memory.goroutines import GoroutineReader, Seen
from leaktui.engines.memory.runtime_layout import GState
from leaktui.engines.memory.stack_residue import CallerChain
from leaktui.engines.memory.unwind import End, Trace
from leaktui.engines.memory.watch_end import WatchEnd
from leaktui.model.frame import Frame

PLACE = 0xC000001000
ENTRY, OTHER_ENTRY = 0x401000, 0x402000
LOAD, WORKER, IDLE = Frame("main.load"), Frame("main.worker"), Frame("main.idle")
CHAIN = CallerChain((LOAD, WORKER), True, ENTRY, (0x401010, 0x401020))
NOTHING = GState(*[0] * len(GState._fields))


class OneGoroutine:
    """A reader of one runtime.g; None where it cannot be read."""

    def __init__(self, state: GState | None) -> None:
        self._state = state

    def state_at(self, address: int) -> GState | None:
        return self._state if address == PLACE else None


def end_of(*seen: Seen, state: GState | None = None) -> WatchEnd:
    reader = cast(GoroutineReader, OneGoroutine(state))
    return WatchEnd(reader, {item.state.goid: item for item in seen})


def goroutine(goid: int, *stack: Frame, entry: int = ENTRY) -> Seen:
    """One that is at rest at *stack*; without one it runs."""
    trace = Trace(stack, End.TOP) if stack else Trace((), End.TORN)
    return Seen(NOTHING._replace(goid=goid, start_pc=entry), trace, PLACE + goid)


@pytest.mark.parametrize(
    ("state", "alive"),
    [
        (NOTHING._replace(goid=7, status=6), False),
        (NOTHING._replace(goid=9, status=4), False),
        (NOTHING._replace(goid=7, status=8), None),  # its stack is being moved
        (NOTHING._replace(goid=7, status=4), None),
        (None, None),
    ],
    ids=["dead", "another's", "moving", "overlooked", "unreadable"],
)
def test_one_that_was_not_seen_has_ended_only_where_that_shows(
    state: GState | None, alive: bool | None
) -> None:
    assert end_of(state=state).is_alive(7, PLACE) is alive


def test_one_that_was_seen_is_alive_and_its_place_is_told_unless_it_ran() -> None:
    end = end_of(goroutine(7, LOAD, WORKER), goroutine(8))
    assert (end.is_alive(7, PLACE), end.is_alive(8, PLACE)) == (True, True)
    assert (end.stack_of(7), end.stack_of(8), end.stack_of(0)) == ((LOAD, WORKER), (), ())


def test_only_functions_that_a_goroutine_is_inside_may_be_those_of_a_caller_that_is_not_known() -> None:
    end = end_of(goroutine(7, WORKER), goroutine(8, IDLE, entry=OTHER_ENTRY))
    assert end.maybe_inside(0, CHAIN) == {"main.worker"}
    assert end.maybe_inside(5, CHAIN) == {"main.load", "main.worker"}  # it is known, but not where it is


def test_one_that_runs_may_be_inside_whatever_is_called_from_where_it_began() -> None:
    everything = {"main.load", "main.worker"}
    assert end_of(goroutine(8)).maybe_inside(0, CHAIN) == everything
    other = end_of(goroutine(8, entry=OTHER_ENTRY))
    assert other.maybe_inside(0, CHAIN) == frozenset()
    assert other.maybe_inside(0, CHAIN._replace(whole=False)) == everything
