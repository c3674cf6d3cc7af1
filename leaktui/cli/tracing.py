"""`leaktui trace`: a counted burst of tracepoints, with consent.

Law: what it will cost is said before anything touches the target, and nothing is set without a yes: at the
terminal, or by --allow pause,breakpoints. Status 0 means that a burst was recorded, 2 that none could be.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from contextlib import suppress
from dataclasses import replace

from leaktui.analysis.tracepoint_grammar import MOST_TRACEPOINTS, parse_expression, parse_tracepoint
from leaktui.analysis.tracepoint_groups import Grouping
from leaktui.analysis.tracepoint_presets import pairs_bodies, parse_preset
from leaktui.cli.credentials import Credentials
from leaktui.cli.diagnosing import interruptible
from leaktui.cli.exit_status import ExitStatus
from leaktui.cli.output import ProgressLine, ReportFile, report_width, say, stdout_is_terminal, write_answer
from leaktui.cli.selection import Selection, refuse_stopped, select_target
from leaktui.engines.protocol import (
    BodiesSeen,
    Engine,
    GoroutinesSeen,
    Refused,
    Request,
    SearchProgress,
    TracepointsSeen,
    Want,
)
from leaktui.errors import EngineError, EngineUnavailable, LeaktuiError, UsageError
from leaktui.model.snapshot import Snapshot
from leaktui.model.tracepoint import Tracepoint, TracepointPlan, TracepointRun
from leaktui.report.redaction import Redaction
from leaktui.report.tracepoint_cost import budget_words, expected_cost
from leaktui.report.tracepoint_report import TracepointReport, build_report
from leaktui.report.wrapping import wrap_text

CONSENTS = frozenset({"pause", "breakpoints"})
"""What --allow has to name where nobody can be asked."""


def run_trace(options: argparse.Namespace) -> ExitStatus:
    """Record one burst and report it. Raises LeaktuiError when that cannot be."""
    plan = build_plan(options)
    if options.read_only:
        raise UsageError(
            "--read-only forbids tracepoints, which stop the target", remedy="leave it out to trace"
        )
    if options.output in (None, "-"):
        report = _trace(options, plan)
        whole = options.by is not None
        width = report_width() if stdout_is_terminal() else None
        write_answer(_format(report, options, width=width, every=whole))
    else:
        with ReportFile(options.output) as file:
            report = _trace(options, plan)
            file.write(_format(report, options, width=None, every=True))
    return ExitStatus.CLEAN


def build_plan(options: argparse.Namespace, go_version: str = "") -> TracepointPlan:
    """The plan that *options* ask for. Raises UsageError."""
    recorded = tuple(parse_expression(text) for text in options.record)
    points: list[Tracepoint] = []
    for text in options.presets:
        points += parse_preset(text, go_version)
    points += [
        parse_tracepoint(text, expressions=recorded, returns=options.returns) for text in options.tracepoints
    ]
    if not points:
        raise UsageError(
            "nothing was named to trace",
            remedy="name a function (runtime.gcStart) or a preset (--preset alloc), see `leaktui trace --help`",
        )
    points = list(dict.fromkeys(points))
    if len(points) > MOST_TRACEPOINTS:
        raise UsageError(
            f"{len(points)} tracepoints are too many for one burst", remedy=f"name at most {MOST_TRACEPOINTS}"
        )
    return TracepointPlan(
        tuple(points),
        seconds=options.seconds,
        most_hits=options.hits,
        most_stops_ms=options.stopped * 1000,
        stack_depth=options.depth,
    )


def _trace(options: argparse.Namespace, plan: TracepointPlan) -> TracepointReport:
    stop = threading.Event()
    line = ProgressLine()
    with select_target(options, Credentials()) as selection:
        plan = build_plan(options, selection.target.go_version)
        engine = find_tracer(selection)
        refuse_stopped(selection.target.pid)
        ask_consent(plan, options)
        try:
            # From here on an interrupt ends the burst in order, instead of leaving it to whoever cleans up.
            with interruptible(stop):
                line.show("attaching Delve")
                run = record(engine, plan, stop, line)
        finally:
            line.clear()
        snapshot = look_after(selection, run) if pairs_bodies(plan.tracepoints) else None
        program = selection.open_program()
        try:
            by = Grouping(options.by) if options.by is not None else None
            return build_report(selection.target, run, by=by, program=program, snapshot=snapshot)
        finally:
            program.close()


def find_tracer(selection: Selection) -> Engine:
    """The engine that sets tracepoints. Raises EngineUnavailable with its reason and remedy."""
    wanted = Want.TRACEPOINTS.value
    refusal: EngineUnavailable | None = None
    for engine in selection.engines:
        if engine.name != "delve":
            continue
        capability = engine.probe(selection.target)
        if capability.usable and wanted in capability.gives:
            return engine
        reason = capability.reason or "Delve sets no tracepoints on this process"
        refusal = EngineUnavailable(reason, remedy=capability.remedy)
    raise refusal or EngineUnavailable(
        "tracepoints need Delve on the machine of the process", remedy="give --pid N there"
    )


def ask_consent(plan: TracepointPlan, options: argparse.Namespace) -> None:
    """Say what *plan* costs, and go on only with a yes. Raises UsageError without one."""
    allowed = frozenset(options.allow or ())
    if allowed >= CONSENTS:
        return
    if sys.stdin is None or not sys.stdin.isatty() or sys.stderr is None or not sys.stderr.isatty():
        missing = ",".join(sorted(CONSENTS, key=lambda word: word != "pause"))
        raise UsageError(
            "tracepoints stop the target at every hit, and nobody is here to be asked",
            remedy=f"read what it costs in `leaktui trace --help`, then give --allow {missing}",
        )
    width = min(100, report_width())
    for sentence in expected_cost(plan):
        for text in wrap_text(sentence, width):
            print(text, file=sys.stderr)
    with suppress(EOFError):
        print("Record it now? [y/N] ", end="", file=sys.stderr, flush=True)
        if sys.stdin.readline().strip().lower() in ("y", "yes"):
            return
    raise UsageError("nothing was recorded, nothing was touched")


def record(engine: Engine, plan: TracepointPlan, stop: threading.Event, line: ProgressLine) -> TracepointRun:
    """The burst of *plan*, to its end or until *stop* is set. Raises EngineError when none came to be."""
    request = Request(frozenset({Want.TRACEPOINTS}), plan=plan, allow_pauses=True, allow_breakpoints=True)
    run: TracepointRun | None = None
    refused: Refused | None = None
    for fact in engine.capture(request, stop):
        if isinstance(fact, TracepointsSeen):
            run = fact.run
            line.show(f"recording: {budget_words(run)}, Ctrl-C ends it")
        elif isinstance(fact, SearchProgress):
            line.show(fact.text)
        elif isinstance(fact, Refused):
            refused = fact
    if run is None:
        reason = refused.reason if refused is not None else "the burst ended before it began"
        raise EngineError(reason, remedy=refused.remedy if refused is not None else "")
    if len(run.not_set) >= len(plan.tracepoints):
        raise EngineError(f"no tracepoint could be set: {run.not_set[0][1]}", remedy="check how it is spelt")
    if run.armed:
        say(
            "the burst was cut off before Delve said that its tracepoints are out again: see `leaktui doctor`"
        )
        run = replace(run, armed=False)
    return run


def look_after(selection: Selection, run: TracepointRun) -> Snapshot:
    """Who is alive, and which bodies are open, right after *run*: as far as memory tells it for nothing."""
    snapshot = Snapshot(run.time, selection.target)
    memory = next((engine for engine in selection.engines if engine.name == "memory"), None)
    if memory is None:
        return snapshot
    with suppress(LeaktuiError):
        if not memory.probe(selection.target).usable:
            return snapshot
        for fact in memory.capture(Request(frozenset({Want.GOROUTINES, Want.BODIES})), threading.Event()):
            now = time.monotonic()
            if isinstance(fact, GoroutinesSeen):
                snapshot = replace(snapshot, goroutines=fact.goroutines, goroutines_time=now)
            elif isinstance(fact, BodiesSeen):
                snapshot = replace(snapshot, bodies=fact.census, bodies_time=now)
    return snapshot


def _format(report: TracepointReport, options: argparse.Namespace, *, width: int | None, every: bool) -> str:
    from leaktui.report import tracepoint_form

    redaction = Redaction(show_secrets=options.show_secrets)
    if options.form == "json":
        return tracepoint_form.format_json(report, redaction=redaction)
    if options.form == "md":
        return tracepoint_form.format_markdown(report, redaction=redaction)
    if options.form == "tsv":
        return tracepoint_form.format_tsv(report, redaction=redaction)
    return tracepoint_form.format_text(report, redaction=redaction, width=width, every=every)
