"""Who is asked before a diagnosis begins, and what it is refused for."""

from __future__ import annotations

import pytest

from leaktui.cli.selection import Selection, probe_engines, require_answers
from leaktui.engines.fake import FakeEngine
from leaktui.engines.protocol import Want
from leaktui.errors import EngineUnavailable
from leaktui.model.capability import Capability, Impact
from leaktui.model.target import Target


def engine(name: str, *gives: Want, usable: bool = True) -> FakeEngine:
    reason = "" if usable else f"{name} is not there"
    capability = Capability(name, usable, Impact.NONE, tuple(want.value for want in gives), reason)
    return FakeEngine({}, name=name, capability=capability)


def probed(*engines: FakeEngine, url: str | None = None) -> list[str]:
    selection = Selection(Target(pid=4242), engines)
    return [item.engine for item in probe_engines(selection, url=url)]


PROC = engine("proc", Want.PROCESS, Want.FDS)
PPROF = engine("pprof", Want.GROUPS, Want.HEAP)


def test_what_comes_after_the_first_that_answers_is_not_waited_for() -> None:
    assert probed(PROC, engine("memory", Want.GROUPS), PPROF) == ["proc", "memory"]


def test_who_cannot_answer_leaves_it_to_the_next() -> None:
    memory = engine("memory", Want.GROUPS, usable=False)
    assert probed(PROC, memory, engine("probes", Want.FD_LEDGER), PPROF) == [
        "proc",
        "memory",
        "probes",
        "pprof",
    ]


def test_an_endpoint_that_was_named_decides_even_where_memory_answers() -> None:
    selection = Selection(
        Target(pid=4242), (PROC, engine("memory", Want.GROUPS), engine("pprof", usable=False))
    )
    capabilities = probe_engines(selection, url="http://127.0.0.1:1")
    assert [item.engine for item in capabilities] == ["proc", "memory", "pprof"]
    with pytest.raises(EngineUnavailable, match="pprof is not there"):
        require_answers(capabilities, url="http://127.0.0.1:1")
    require_answers(probe_engines(selection))


def test_where_nobody_answers_everybody_was_asked() -> None:
    engines = (PROC, engine("memory", usable=False), engine("pprof", usable=False))
    assert probed(*engines) == ["proc", "memory", "pprof"]
    with pytest.raises(EngineUnavailable, match="pprof is not there"):
        require_answers(probe_engines(Selection(Target(pid=4242), engines)))
