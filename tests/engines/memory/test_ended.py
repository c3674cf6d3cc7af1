"""Goroutines that have ended, by what the runtime leaves of them: counted on a real program that has no pprof."""

from __future__ import annotations

import threading
import time

import pytest

from leaktui.binary.executable import Executable
from leaktui.engines.memory import MemoryEngine
from leaktui.engines.memory.ended import EndedGoroutines
from leaktui.engines.proc import read_target
from leaktui.engines.protocol import GroupsSeen, Request, Want
from tests.conftest import TargetFactory
from tests.go_toolchain import Toolchain, build

ENTRY = "main.(*pool).worker"


def look(engine: MemoryEngine) -> dict[str, int]:
    facts = list(engine.capture(Request(frozenset({Want.GROUPS})), threading.Event()))
    assert isinstance(facts[0], GroupsSeen)
    return dict(facts[0].ended)


@pytest.mark.go
@pytest.mark.parametrize("fixed", [True, False], ids=["ended", "stayed"])
def test_those_that_end_are_counted_and_those_that_stay_are_not(
    target_factory: TargetFactory, fixed: bool
) -> None:
    """`go p.worker()` begins with a wrapper the compiler made: the function is the one that is wrapped."""
    with target_factory("workerpool", fixed=fixed, stripped=True, tags="nopprof", pprof=False) as target:
        engine = MemoryEngine(target.pid)
        assert engine.probe(read_target(target.pid)).usable
        assert look(engine) == {}
        ended: dict[str, int] = {}
        deadline = time.monotonic() + (30 if fixed else 3)
        while ended.get(ENTRY, 0) < 5 and time.monotonic() < deadline:
            time.sleep(0.3)
            ended = look(engine)
        truth = target.truth()["guilty"]
        engine.close()
    if fixed:
        assert 5 <= ended[ENTRY] <= truth.closed
    else:
        assert ENTRY not in ended and truth.closed == 0


@pytest.mark.go
def test_each_is_counted_once_and_none_from_before(go_toolchain: Toolchain) -> None:
    with Executable.open(build("workerpool", go_toolchain)) as executable:
        table = executable.pc_lines
        pc = table.entry(next(table.find_indexes("main.main")))
        ended = EndedGoroutines(table, 0)
        ended.begin()
        ended.note(0x1000, 7, pc)
        ended.begin()
        ended.note(0x1000, 7, pc)  # the same one still
        ended.note(0x2000, 5, pc)  # ended before the first look, its g just not read then
        ended.note(0x3000, 9, pc)
        ended.note(0x1000, 12, pc)
        ended.note(0x4000, 0, pc)
        ended.note(0x5000, 13, 4)  # no function there
        assert ended.counts() == (("main.main", 2),)
