"""A few rounds of the fault suite: a busy target lives on, unharmed, however what looks at it ends.

The whole of it is `python -m tests.engines.delve.fault_suite --rounds 50`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.engines.delve.fault_suite import FAULTS, Fault, busy_debuggable, run_fault
from tests.go_target import GoProcess
from tests.go_toolchain import Toolchain

pytestmark = [pytest.mark.go, pytest.mark.dlv, pytest.mark.root]

_ROUNDS = 2
_SURVIVED = [fault for fault in FAULTS if fault.survives]


@pytest.fixture(scope="module")
def client(
    go_toolchain: Toolchain, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[], GoProcess]]:
    with busy_debuggable(go_toolchain, tmp_path_factory.mktemp("faults"), rate=300) as client:
        yield client


@pytest.mark.parametrize("fault", _SURVIVED, ids=lambda fault: fault.name)
def test_the_target_lives_on(fault: Fault, client: Callable[[], GoProcess]) -> None:
    outcome = run_fault(fault, client, _ROUNDS)
    assert outcome.rounds == _ROUNDS
    assert outcome.is_clean(dies=False), outcome
