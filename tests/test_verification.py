"""`record` and `verify` on real programs: the fixed twin is fixed, the unfixed program is not.

A few of them here; all kinds, three runs each, by hand: `python -m tests.verification_matrix`.
"""

from __future__ import annotations

import functools

import pytest

from tests.go_toolchain import find_toolchains
from tests.verification_matrix import Answer, format_table, run_matrix

pytestmark = pytest.mark.go

PROGRAMS = ("workerpool", "filenotclosed")


@functools.cache
def answers() -> tuple[Answer, ...]:
    """All of them at once: they mostly wait. What a starved machine spoiled gets a second chance."""
    toolchain = find_toolchains()[0]
    found = run_matrix(PROGRAMS, toolchain, runs=1, seconds=8)
    undecided = sorted({item.program for item in found if item.verdict == "undecided"})
    again = run_matrix(undecided, toolchain, runs=1, seconds=40) if undecided else []
    return (*(item for item in found if item.program not in undecided), *again)


@pytest.mark.parametrize("fixed", [True, False], ids=["fixed", "unfixed"])
@pytest.mark.parametrize("program", PROGRAMS)
def test_the_answer_is_the_truth(program: str, fixed: bool) -> None:
    mine = [item for item in answers() if (item.program, item.fixed) == (program, fixed)]
    assert len(mine) == 1
    assert mine[0].right, format_table(answers())
