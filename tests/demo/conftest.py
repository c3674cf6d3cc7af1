"""A cache directory of the test's own for the demo, with Go's compile cache left where it is."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from leaktui.demo.builder import DemoBinaries, GoToolchain, build_demo
from tests.go_toolchain import Toolchain, find_toolchains, go_environment


@pytest.fixture(scope="session")
def go_compile_cache() -> str:
    """Where Go keeps compiled packages: without it each build compiles the standard library again."""
    if os.environ.get("GOCACHE") or not find_toolchains():
        return os.environ.get("GOCACHE", "")
    command = [find_toolchains()[0].go, "env", "GOCACHE"]
    return subprocess.run(command, env=go_environment(), capture_output=True, text=True).stdout.strip()


@pytest.fixture
def cache_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, go_compile_cache: str) -> Path:
    """XDG_CACHE_HOME, not made yet."""
    if go_compile_cache:
        monkeypatch.setenv("GOCACHE", go_compile_cache)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def demo_toolchain(go_toolchain: Toolchain) -> GoToolchain:
    return GoToolchain(go_toolchain.go, f"go{go_toolchain.version}")


@pytest.fixture(scope="session")
def binaries(
    demo_toolchain: GoToolchain, go_compile_cache: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DemoBinaries]:
    """The demo, built once for the session."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GOCACHE", go_compile_cache)
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("demo")))
        built = build_demo(toolchain=demo_toolchain)
    yield built
