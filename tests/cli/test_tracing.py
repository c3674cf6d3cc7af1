"""`leaktui trace` on a scripted engine: consent, budget, and what becomes of the burst."""

from __future__ import annotations

import argparse
import io
import json
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from leaktui.analysis.program import UnknownProgram
from leaktui.analysis.tracepoint_groups import Grouping
from leaktui.cli import tracing
from leaktui.cli.arguments import parse_arguments
from leaktui.cli.output import ProgressLine
from leaktui.cli.selection import Selection
from leaktui.engines.fake import FakeEngine
from leaktui.engines.protocol import Refused, TracepointsSeen, Want
from leaktui.errors import EngineError, EngineUnavailable, UsageError
from leaktui.model.capability import Capability, Impact
from leaktui.model.target import Target
from leaktui.model.tracepoint import TracepointPlan
from leaktui.report import tracepoint_form
from leaktui.report.tracepoint_cost import expected_cost
from leaktui.report.tracepoint_report import build_report
from tests.analysis.bursts import ALLOC, BODIES, GC, REPORT, alloc, burst, closed, opened

TARGET = Target(4242, "/srv/shop", "go1.26.8", "example.com/shop")
PLAN = TracepointPlan((ALLOC, GC))


def options(*words: str) -> argparse.Namespace:
    return parse_arguments(["trace", "--pid", "4242", *words])


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A terminal at which *answer* is typed; gives what was written on stderr."""

    def at(answer: str) -> Terminal:
        said = Terminal()
        monkeypatch.setattr(sys, "stdin", Terminal(answer))
        monkeypatch.setattr(sys, "stderr", said)
        return said

    yield at


# -- the plan ------------------------------------------------------------------------------------


def test_presets_and_functions_make_one_plan() -> None:
    plan = tracing.build_plan(
        options("--preset", "alloc=1M", "--preset", "gc", "main.f:n>3", "--record", "s.name", "--returns")
    )
    assert [point.function for point in plan.tracepoints] == ["runtime.mallocgc", "runtime.gcStart", "main.f"]
    assert plan.tracepoints[2].expressions == ("s.name",) and plan.tracepoints[2].returns
    assert not plan.tracepoints[0].returns and (plan.seconds, plan.most_hits) == (5.0, 500)
    plan = tracing.build_plan(
        options("main.f", "--hits", "9", "--seconds", "1.5", "--depth", "3", "--stopped", ".5")
    )
    assert (plan.most_hits, plan.seconds, plan.stack_depth, plan.most_stops_ms) == (9, 1.5, 3, 500.0)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "nothing was named"),
        (("--preset", "heap"), "no preset"),
        (tuple(f"main.f{n}" for n in range(17)), "too many"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(words: tuple[str, ...], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        tracing.build_plan(options(*words))


@pytest.mark.parametrize(
    "words", [("--hits", "0"), ("--depth", "1000"), ("--seconds", "-1"), ("--by", "line")]
)
def test_a_wrong_budget_is_one_line(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        options("main.f", *words)
    assert caught.value.code == 2 and capsys.readouterr().err.count("\n") == 1


# -- consent -------------------------------------------------------------------------------------


def test_the_cost_comes_before_the_question_and_yes_is_yes(answering: Any) -> None:
    said = answering("y\n")
    tracing.ask_consent(PLAN, options("main.f"))
    text = " ".join(said.getvalue().split())
    assert (
        text.index("about 1 to 4 ms")
        < text.index("0.3 to 1.3 s")
        < text.index("kill -9")
        < text.index("[y/N]")
    )
    assert "condition does not hold" in text and "all but stands still" in text


@pytest.mark.parametrize("answer", ["n\n", "\n", "", "maybe\n"])
def test_anything_else_is_no(answering: Any, answer: str) -> None:
    answering(answer)
    with pytest.raises(UsageError, match="nothing was touched"):
        tracing.ask_consent(PLAN, options("main.f"))


def test_without_a_terminal_it_takes_both_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    for words in ((), ("--allow", "pause"), ("--allow", "breakpoints")):
        with pytest.raises(UsageError, match="--allow pause,breakpoints"):
            tracing.ask_consent(PLAN, options("main.f", *words))
    tracing.ask_consent(PLAN, options("main.f", "--allow", "pause,breakpoints"))


def test_read_only_forbids_before_anything_is_looked_at() -> None:
    with pytest.raises(UsageError, match="--read-only forbids"):
        tracing.run_trace(options("main.f", "--read-only", "--allow", "pause,breakpoints"))


def test_a_quiet_function_is_not_said_to_stop_the_target() -> None:
    text = " ".join(expected_cost(TracepointPlan((GC,), most_hits=100)))
    assert "stands still" not in text and "100 hits, 0.1 s to 0.4 s in all" in text


# -- the burst -----------------------------------------------------------------------------------


def engine(*rounds: Any, **capability: Any) -> FakeEngine:
    gives = (Want.TRACEPOINTS.value, Want.INSPECTION.value)
    said = Capability("delve", capability.pop("usable", True), Impact.BREAKPOINTS, gives, **capability)
    return FakeEngine({Want.TRACEPOINTS: [rounds]}, name="delve", capability=said)


def test_the_engine_is_given_the_plan_and_the_consent() -> None:
    run = burst([alloc(0.5, 65536)])
    delve = engine(TracepointsSeen(run))
    assert tracing.record(delve, PLAN, threading.Event(), ProgressLine()) is run
    (request,) = delve.asked
    assert request.plan is PLAN and request.allow_breakpoints and request.allow_pauses


def test_no_burst_is_an_error_with_the_reason() -> None:
    refused = Refused(Want.TRACEPOINTS, "probes are armed", "disarm them first")
    with pytest.raises(EngineError, match="probes are armed: disarm them first"):
        tracing.record(engine(refused), PLAN, threading.Event(), ProgressLine())
    unset = burst((), not_set=((0, "could not find function"), (1, "could not find function")))
    with pytest.raises(EngineError, match="could not find function"):
        tracing.record(engine(TracepointsSeen(unset)), PLAN, threading.Event(), ProgressLine())


def test_a_source_that_cannot_says_why_and_what_helps() -> None:
    delve = engine(usable=False, reason="the executable is stripped", remedy="build it with symbols")
    with pytest.raises(EngineUnavailable, match="is stripped: build it with symbols"):
        tracing.find_tracer(Selection(TARGET, [delve]))
    with pytest.raises(EngineUnavailable, match="give --pid"):
        tracing.find_tracer(Selection(TARGET, []))


def test_the_whole_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    run = burst([alloc(0.5, 65536), alloc(1.5, 40000, REPORT)], ended="5 s are over")
    selection = Selection(TARGET, [engine(TracepointsSeen(run))])
    monkeypatch.setattr(tracing, "select_target", lambda *_: selection)
    monkeypatch.setattr(tracing, "refuse_stopped", lambda _: None)
    monkeypatch.setattr(Selection, "open_program", lambda self: UnknownProgram())
    assert tracing.run_trace(options("--preset", "alloc", "--allow", "pause,breakpoints", "--json")) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["schema"] == "leaktui.tracepoints/1" and said["tracepoints"][0]["hits"] == 2
    assert said["hits"][0]["size"] == 65536 and said["hits"][0]["caller"]["function"] == "main.render"
    assert [group["bytes"] for group in said["groups"]] == [65536, 40000]
    assert said["cost"] == {"stops_ms": 120.0, "longest_stop_ms": 2.4, "attach_stop_ms": 610.0}


# -- the report ----------------------------------------------------------------------------------


def report(by: Grouping | None = None) -> Any:
    hits = [alloc(0.1 * n, 65536, goid=n) for n in range(30)] + [alloc(4.0, 40000, REPORT)]
    return build_report(TARGET, burst(hits, counts=(45, 0), ended="500 hits were reached"), by=by)


def test_the_text_has_hits_groups_and_what_it_cost() -> None:
    text = tracepoint_form.format_text(report(), width=110)
    assert text.startswith("45 hits in 10 s on pid 4242\n")
    assert "0.100 s  runtime.mallocgc          1  64.0 kB  main.render main.go:47" in text
    assert "… 11 more: --by none lists every hit" in text
    assert "1.9 MB  0.00 s  2.90 s  runtime.mallocgc  main.render main.go:47 ← main.main main.go:70" in text
    assert "stopped for 120 ms in all, 2.4 ms at most at once, 610 ms to attach" in text
    assert "14 hits were counted and not recorded" in text and "Never hit: runtime.gcStart." in text
    assert "It ended: 500 hits were reached." in text
    assert all(len(line) <= 110 for line in text.splitlines())


def test_by_chooses_the_tables() -> None:
    none = tracepoint_form.format_text(report(Grouping.NONE), every=True)
    assert "By stack" not in none and none.count("main.render") == 30 and "more" not in none
    assert "Hits\n" not in tracepoint_form.format_text(report(Grouping.FUNCTION))
    rows = tracepoint_form.format_tsv(report(Grouping.FUNCTION)).splitlines()
    assert len(rows) == 3 and rows[0].startswith("hits\ta second\tbytes")
    assert len(tracepoint_form.format_tsv(report()).splitlines()) == 32


def test_bodies_are_told_by_owner_in_every_form() -> None:
    hits = [opened(0.1 * n, 0x1000 + n) for n in range(4)] + [closed(0.45, 0x1000)]
    pairs = build_report(TARGET, burst(hits, BODIES))
    text = tracepoint_form.format_text(pairs)
    assert (
        "Bodies by owner" in text
        and "     4       1     3          3       0  likely  main.leak main.go:18" in text
    )
    assert "Bodies: a body read to its end without Close counts as left open" in text
    assert json.loads(tracepoint_form.format_json(pairs))["bodies"][0]["left_open"] == 3
    assert "| 4 | 1 | 3 | 3 | 0 | likely | main.leak main.go:18 |" in tracepoint_form.format_markdown(pairs)


def test_what_the_target_says_cannot_leave_its_cell() -> None:
    evil = replace(
        alloc(0.5, 65536),
        size=None,
        values=(("u\x1b[2J", 'https://a.b/?token=s3cret\tx\n| y "password=hunter2"'),),
    )
    made = build_report(TARGET, burst([evil]))
    for form in (tracepoint_form.format_text, tracepoint_form.format_markdown, tracepoint_form.format_tsv):
        text = form(made)  # type: ignore[operator]
        assert "\x1b" not in text and "s3cret" not in text and "hunter2" not in text
    assert len(tracepoint_form.format_tsv(made).splitlines()) == 2
    assert "hunter2" not in tracepoint_form.format_json(made)
