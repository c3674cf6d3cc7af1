"""What becomes of bodies by what was seen of who asked for them: nobody is blamed for what was not seen."""

from __future__ import annotations

from dataclasses import replace

import pytest

from leaktui.analysis.handoffs import Fate, judge_handoffs, tally_owners
from leaktui.analysis.program import HandOver, ResponseStep, UnknownProgram
from leaktui.model.frame import Stack
from leaktui.model.trace import BodyHandoff
from tests.analysis.stacks import client_call, frames

SECOND = 1_000_000_000
STACK = client_call("main.load:24", "main.worker:9", "main.main.func1:5")
INSIDE = frames("time.Sleep:300", "main.load:26", "main.worker:9", "main.main.func1:5")
ELSEWHERE = frames("time.Sleep:300", "main.worker:11", "main.main.func1:5")
OWNER = "main.load"


class OwnersKeep(UnknownProgram):
    """A program in which no function hands a response to its caller."""

    def follow_response(self, stack: Stack, first: int) -> tuple[ResponseStep, ...]:
        return (ResponseStep(first, HandOver.NO),)


HANDED = BodyHandoff(40, 7, SECOND, STACK, caller_stack=INSIDE)
NOT_KNOWN = replace(HANDED, caller_goid=0, caller_alive=None, caller_stack=())
CUT = STACK[:-1]


def fates(*handoffs: BodyHandoff) -> list[Fate]:
    return [item.fate for item in judge_handoffs(handoffs, 5 * SECOND, OwnersKeep())]


@pytest.mark.parametrize(
    ("handoff", "fate"),
    [
        (HANDED, Fate.IN_USE),
        (replace(HANDED, caller_stack=ELSEWHERE), Fate.LEFT_OPEN),
        (replace(HANDED, caller_alive=False, caller_stack=()), Fate.LEFT_OPEN),
        (replace(HANDED, caller_stack=()), Fate.UNTOLD),
        (replace(NOT_KNOWN, maybe_inside=frozenset((OWNER,))), Fate.UNTOLD),
        (replace(NOT_KNOWN, maybe_inside=frozenset(("main.worker",))), Fate.LEFT_OPEN),
        (replace(NOT_KNOWN, maybe_inside=frozenset((OWNER,)), released_ns=2 * SECOND), Fate.RELEASED),
        (replace(HANDED, stack=CUT, whole=False), Fate.IN_USE),
        (replace(HANDED, stack=CUT, whole=False, caller_stack=ELSEWHERE), Fate.LEFT_OPEN),
    ],
    ids=[
        "still inside",
        "went on",
        "ended",
        "runs",
        "not known, and somebody is inside",
        "not known, and nobody is inside",
        "not known, and released",
        "still inside, outermost calls missing",
        "went on, outermost calls missing",
    ],
)
def test_a_body_is_left_open_only_where_nobody_can_be_at_it(handoff: BodyHandoff, fate: Fate) -> None:
    assert fates(handoff) == [fate]


def test_who_asked_again_at_the_same_call_no_longer_looks_at_the_first_even_while_it_runs() -> None:
    runs = replace(HANDED, caller_stack=())
    assert fates(runs, replace(runs, holder_goid=41, opened_ns=2 * SECOND)) == [Fate.LEFT_OPEN, Fate.UNTOLD]


def test_those_not_known_are_not_counted_as_ended() -> None:
    ended = replace(HANDED, caller_alive=False, caller_stack=())
    handoffs = (ended, NOT_KNOWN, replace(NOT_KNOWN, maybe_inside=frozenset((OWNER,))))
    (tally,) = tally_owners(judge_handoffs(handoffs, 5 * SECOND, OwnersKeep()), 5, OwnersKeep())
    assert tally.attribution.frame.function == OWNER
    assert (tally.opened, tally.left_open, tally.untold, tally.busy) == (3, 2, 1, 0)
    assert (tally.callers_ended, tally.callers_untold) == (1, 1)
