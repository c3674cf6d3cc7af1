"""What every test with probes needs: that the kernel lets us probe."""

from __future__ import annotations

import os

import pytest

from leaktui.engines.probes.kernel.permission import check
from leaktui.errors import EngineUnavailable


@pytest.fixture(scope="session")
def probes_permitted() -> None:
    """Skips where probes are not permitted, or fails where LEAKTUI_REQUIRE names `probes`."""
    try:
        check()
    except EngineUnavailable as error:
        if "probes" in os.environ.get("LEAKTUI_REQUIRE", "").split(","):
            pytest.fail(f"LEAKTUI_REQUIRE names probes, but: {error}", pytrace=False)
        pytest.skip(str(error))
