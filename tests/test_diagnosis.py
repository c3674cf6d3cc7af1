"""The main job: `leaktui diagnose` names the marked line of every program, and accuses no healthy one.

By default one Go release, stripped; with --go-matrix every release found, stripped and not. The answers
are printed as a table whatever they are.
"""

from __future__ import annotations

import functools
import os
from pathlib import Path

import pytest

from tests.diagnosis_matrix import Outcome, format_table, run_matrix
from tests.go_expected import healthy_programs, leaking_programs
from tests.go_toolchain import Toolchain, find_toolchains

pytestmark = pytest.mark.go

ALL = (*leaking_programs(), *healthy_programs())

# With pprof alone these are honestly less than right: see the README, "What it cannot see".
CAREFUL: frozenset[str] = frozenset()


@functools.cache
def outcomes(toolchain: Toolchain, stripped: bool) -> dict[str, Outcome]:
    """Every program's answer, watched once for all the tests that ask."""
    found = run_matrix(ALL, toolchain, stripped=stripped)
    # An answer that a starved machine spoiled gets a second chance, alone; a wrong line does not.
    again = [item.program for item in found if item.answer in ("undecided", "kind only", "failed")]
    retried = run_matrix(again, toolchain, stripped=stripped) if 0 < len(again) <= 6 else []
    return {item.program: item for item in [*found, *retried]}


def variants(config: pytest.Config) -> list[tuple[Toolchain, bool]]:
    toolchains = find_toolchains()
    if config.getoption("--go-matrix"):
        return [(toolchain, stripped) for toolchain in toolchains for stripped in (True, False)]
    return [(toolchain, True) for toolchain in toolchains[:1]]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "variant" in metafunc.fixturenames:
        found = variants(metafunc.config) or [None]
        names = [f"{item[0]}-{'stripped' if item[1] else 'symbols'}" if item else "no-go" for item in found]
        metafunc.parametrize("variant", found, ids=names, scope="session")


@pytest.mark.parametrize("program", leaking_programs())
def test_the_leaking_line_is_named(variant: tuple[Toolchain, bool], program: str) -> None:
    outcome = outcomes(*variant)[program]
    assert outcome.answer != "wrong", outcome.said
    if program not in CAREFUL:
        assert outcome.right, outcome.said
    assert outcome.pause_ms < 1000


@pytest.mark.parametrize("program", healthy_programs())
def test_a_healthy_program_is_cleared(variant: tuple[Toolchain, bool], program: str) -> None:
    outcome = outcomes(*variant)[program]
    assert outcome.right, outcome.said


def test_the_answers_as_a_table(variant: tuple[Toolchain, bool], capfd: pytest.CaptureFixture[str]) -> None:
    table = format_table(outcomes(*variant).values())
    with capfd.disabled():
        print(f"\n{table}", flush=True)
    destination = os.environ.get("LEAKTUI_DIAGNOSIS_TABLE")
    if destination:
        with Path(destination).open("a", encoding="utf-8") as file:
            file.write(table + "\n")
    assert table
