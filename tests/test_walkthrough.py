"""The walkthrough on real programs, without a key: on one in every run, on all of them in the matrix."""

from __future__ import annotations

import json

import pytest

from tests.command_line import run
from tests.conftest import TargetFactory
from tests.go_expected import expected, healthy_programs, leaking_programs
from tests.go_toolchain import Toolchain
from tests.walkthrough_matrix import judge_walk, run_matrix

pytestmark = pytest.mark.go


def test_it_ends_with_the_line_the_reason_and_the_change(target_factory: TargetFactory) -> None:
    truth = expected("earlyreturn")
    assert truth is not None
    with target_factory("earlyreturn") as target:
        said = run("guide", "--pid", str(target.pid), "--json", timeout=200)
        assert said.status == 1, said
        form = json.loads(said.out)
        assert form["schema"] == "leaktui.guide/1"
        assert judge_walk(form, truth) == "right", form["steps"]
        explanation = form["explanation"]
        assert (explanation["reason"], explanation["line"]) == ("early return", truth.line)
        assert "Body.Close()" in explanation["diff"]
        assert {step["state"] for step in form["steps"]} <= {"done", "skipped"}


def test_as_text_every_step_says_what_why_and_how(target_factory: TargetFactory) -> None:
    with target_factory("statusprobe", pprof=False) as target:
        said = run("guide", "--pid", str(target.pid), "--without", "probes", timeout=200)
    assert said.status == 1, said
    assert "1/9 Attach" in said.out and "9/9 Report and baseline" in said.out
    for word in ("what", "why", "saw", "by hand"):
        assert said.out.count(f"\n  {word} ") >= 6, word
    assert "go tool pprof" not in said.out, "there are no pprof pages to point it at"
    assert "main.go:20" in said.out


@pytest.mark.matrix
def test_every_program_ends_where_it_should(go_toolchain: Toolchain) -> None:
    walked = run_matrix([*leaking_programs(), *healthy_programs()], go_toolchain)
    assert not [item for item in walked if item.answer in ("wrong", "failed", "late", "unfinished")]
    assert sum(item.right for item in walked) >= 0.9 * len(walked), [
        (item.program, item.answer, item.said) for item in walked if not item.right
    ]
