"""The commands of a report: they fit the target, and what it named cannot break out of them."""

from __future__ import annotations

import shlex
from dataclasses import replace

from leaktui.model.capability import Capability, Impact, Source, SourceState
from leaktui.report.by_hand import PPROF_PLACEHOLDER, find_endpoint, list_commands
from leaktui.report.redaction import MASKED
from tests.report.diagnoses import CLEAN, LEAK, UNDECIDED


def commands(diagnosis: object) -> list[str]:
    return [item.command for item in list_commands(diagnosis, MASKED)]  # type: ignore[arg-type]


def test_a_process_is_looked_at_in_proc_and_through_its_endpoint() -> None:
    found = commands(LEAK)
    assert found[0] == "leaktui diagnose --pid 4242"
    assert "grep VmRSS /proc/4242/status; ls /proc/4242/fd | wc -l" in found
    assert f"go tool pprof -top {PPROF_PLACEHOLDER}goroutine" in found
    assert any("inuse_space" in item for item in found)


def test_the_endpoint_that_was_found_is_named() -> None:
    found = Capability("pprof", True, Impact.LIGHT, reason="at http://127.0.0.1:6060/debug/pprof/")
    endpoint = find_endpoint((Capability("memory", True, Impact.NONE), found))
    assert endpoint == "http://127.0.0.1:6060/debug/pprof/"
    asked = [item.command for item in list_commands(LEAK, MASKED, endpoint)]
    assert "go tool pprof -top http://127.0.0.1:6060/debug/pprof/goroutine" in asked
    assert find_endpoint(()) == "" == find_endpoint((replace(found, reason="at unix:/run/app.sock"),))
    assert find_endpoint((replace(found, usable=False),)) == ""


def test_without_an_endpoint_there_is_no_pprof() -> None:
    sources = (Source("memory", SourceState.USED), Source("pprof", SourceState.UNAVAILABLE))
    assert not [item for item in commands(replace(CLEAN, sources=sources)) if "pprof" in item]


def test_an_address_is_masked_and_quoted() -> None:
    found = commands(UNDECIDED)
    assert found[0] == "leaktui diagnose --url 'https://shop.example:6060/debug/pprof?key=…'"
    assert "go tool pprof -sample_index=inuse_space -top https://shop.example:6060/debug/pprof/heap" in found
    hostile = replace(UNDECIDED, target=replace(UNDECIDED.target, url="http://h/'; rm -rf ~ #\x1b[2J"))
    for item in commands(hostile):
        assert "rm" not in shlex.split(item, comments=False) and "\x1b" not in item
