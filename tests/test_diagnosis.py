"""The main job: `leaktui diagnose` names the marked line of every program, and accuses no healthy one.

By default one Go release, stripped: with pprof and no probes, as for an ordinary user; some without pprof, from memory
and probes, as for root, and some from memory alone. With --go-matrix every release found, symbols too,
and all of it. The answers are printed as a table whatever they are.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.conftest import demand
from tests.diagnosis_matrix import Outcome, format_table, run_matrix
from tests.go_expected import healthy_programs, leaking_programs
from tests.go_toolchain import Toolchain, find_toolchains

pytestmark = pytest.mark.go

ALL = (*leaking_programs(), *healthy_programs())

# Without pprof there is no execution trace to show who opens a descriptor, and without probes no books; a program that
# never asks for a heap profile keeps none: the kind is known then, not the line. README, "What each source sees".
WITHOUT_TRACE = frozenset(("connleak", "diropen", "filenogc", "filenotclosed", "listenerleak", "pipeleak"))
WITHOUT_PROFILE = frozenset(("cachegrowth", "listgrowth", "sliceappend", "subslice", "timers"))
WITHOUT_HANDOFF = frozenset(("http2large",))
CAREFUL = WITHOUT_TRACE | WITHOUT_PROFILE | WITHOUT_HANDOFF

FEW = (
    "clienttimeout",
    "deferloop",
    "earlyreturn",
    "gzippart",
    "methodvalue",
    "readclosercaller",
    "roundtripper",
    "storedinmap",
    "tlshttp1",
    "sendaftertimeout",
    "subscriber",
    "waitgroup",
    "keepalive",
    "workers",
)
"""What memory alone is asked about in a quick run."""

BOOKED = (
    "amongstreams",
    "ctxcancel",
    "decodeerror",
    "fanout",
    "http2large",
    "oauthwrap",
    "queuedrop",
    "rareleak",
    "retryoverwrite",
    "shadowederr",
    "connleak",
    "diropen",
    "filenotclosed",
    "listenerleak",
    "cachegrowth",
    "timers",
)
"""What probes are asked about in a quick run: of each way to lose a body, a descriptor or memory some."""

BUSY = ("fdchurn", "gcchurn", "http2busy", "readtoeof", "slowdownloads")
"""Healthy programs that probes could take for leaking: a quick run asks about them with probes, and not without."""


class Variant(NamedTuple):
    """How the programs are built and served, and which of them are asked about."""

    toolchain: Toolchain
    stripped: bool
    pprof: bool
    probes: bool
    programs: tuple[str, ...] = ALL

    def __str__(self) -> str:
        symbols = "stripped" if self.stripped else "symbols"
        return (
            f"{self.toolchain}-{symbols}{'' if self.pprof else '-no-pprof'}{'-probes' if self.probes else ''}"
        )


@functools.cache
def outcomes(variant: Variant) -> dict[str, Outcome]:
    """Every program's answer, watched once for all the tests that ask."""
    if variant.probes:
        demand("probes")
    found = ask(variant, variant.programs)
    # An answer that a starved machine spoiled gets a second chance, alone; a wrong line does not.
    spoiled = ("undecided", "kind only", "failed")
    again = [
        item.program for item in found if item.answer in spoiled and not is_careful(variant, item.program)
    ]
    retried = ask(variant, again) if 0 < len(again) <= 6 else []
    return {item.program: item for item in [*found, *retried]}


def ask(variant: Variant, programs: Sequence[str]) -> list[Outcome]:
    return run_matrix(
        programs,
        variant.toolchain,
        stripped=variant.stripped,
        pprof=variant.pprof,
        without="" if variant.probes else "probes",
    )


def is_careful(variant: Variant, program: str) -> bool:
    """Whether less than the line is an honest answer."""
    if variant.pprof:
        return False
    return program in (WITHOUT_PROFILE if variant.probes else CAREFUL)


def variants(config: pytest.Config) -> list[Variant]:
    toolchains = find_toolchains()
    if config.getoption("--go-matrix"):
        ways = ((True, True, False), (False, True, True), (True, False, False), (True, False, True))
        return [Variant(toolchain, *way) for toolchain in toolchains for way in ways]
    others = tuple(name for name in ALL if name not in BUSY)
    return [
        variant
        for toolchain in toolchains[:1]
        for variant in (
            Variant(toolchain, True, True, False, others),
            Variant(toolchain, True, False, True, (*BOOKED, *BUSY)),
            Variant(toolchain, True, False, False, tuple(name for name in FEW if name in ALL)),
        )
    ]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "program" in metafunc.fixturenames:
        wanted = healthy_programs() if "healthy" in metafunc.function.__name__ else leaking_programs()
        pairs = [
            pytest.param(variant, name, id=f"{variant}-{name}")
            for variant in variants(metafunc.config)
            for name in wanted
            if name in variant.programs
        ]
        metafunc.parametrize("variant, program", pairs)
    elif "variant" in metafunc.fixturenames:
        metafunc.parametrize("variant", variants(metafunc.config), ids=str)


def test_the_leaking_line_is_named(variant: Variant, program: str) -> None:
    outcome = outcomes(variant)[program]
    assert outcome.answer != "wrong", outcome.said
    if not is_careful(variant, program):
        assert outcome.right, outcome.said
    assert outcome.pause_ms < 1000 and (variant.pprof or outcome.pause_ms == 0)


def test_a_healthy_program_is_cleared(variant: Variant, program: str) -> None:
    outcome = outcomes(variant)[program]
    assert outcome.right, outcome.said


def test_the_answers_as_a_table(variant: Variant, capfd: pytest.CaptureFixture[str]) -> None:
    table = format_table(outcomes(variant).values())
    with capfd.disabled():
        print(f"\n{table}", flush=True)
    destination = os.environ.get("LEAKTUI_DIAGNOSIS_TABLE")
    if destination:
        with Path(destination).open("a", encoding="utf-8") as file:
            file.write(table + "\n")
    assert table
