"""`builder` builds this directory's Go programs; `matrix_builder` once for each Go release found."""

from __future__ import annotations

import pytest

from tests.binary.go_builds import Builder
from tests.go_toolchain import Toolchain

_builders: dict[str, Builder] = {}


@pytest.fixture(scope="session")
def builder(go_toolchain: Toolchain, tmp_path_factory: pytest.TempPathFactory) -> Builder:
    """Builds with the first toolchain found."""
    return _builder(go_toolchain, tmp_path_factory)


@pytest.fixture(scope="session")
def matrix_builder(matrix_toolchain: Toolchain, tmp_path_factory: pytest.TempPathFactory) -> Builder:
    """Builds with each toolchain found, or the first only without --go-matrix."""
    return _builder(matrix_toolchain, tmp_path_factory)


def _builder(toolchain: Toolchain, directories: pytest.TempPathFactory) -> Builder:
    if toolchain.version not in _builders:
        _builders[toolchain.version] = Builder(toolchain, directories.mktemp(f"go{toolchain.version}"))
    return _builders[toolchain.version]
