"""`leaktui diagnose`: watch, decide, report.

Law: the verdict is the exit status; a first Ctrl-C (or SIGTERM) ends the watching and what is known is
still reported, a second one ends everything.
"""

from __future__ import annotations

import argparse
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime, timezone
from types import FrameType
from typing import TYPE_CHECKING

from leaktui.cli.credentials import read_credentials
from leaktui.cli.exit_status import ExitStatus
from leaktui.cli.output import (
    ProgressLine,
    ReportFile,
    report_width,
    say,
    stdout_is_terminal,
    wants_colour,
    write_answer,
)
from leaktui.cli.selection import (
    can_answer,
    probe_engines,
    refuse_stopped,
    require_answers,
    select_target,
)
from leaktui.cli.sources import find_sources
from leaktui.diagnose import Progress, diagnose
from leaktui.engines.proc import read_process
from leaktui.errors import EngineError, TargetError, TargetGone, UsageError
from leaktui.model.capability import Capability, SourceState
from leaktui.model.finding import Diagnosis, Verdict
from leaktui.report.phrases import format_source_detail
from leaktui.report.redaction import MASKED, Redaction
from leaktui.text import format_duration

if TYPE_CHECKING:
    from leaktui.engines.replay import Tape
    from leaktui.investigation import Investigation
    from leaktui.report.graphs import Graph

_STATUSES = {
    Verdict.CLEAN: ExitStatus.CLEAN,
    Verdict.LEAK: ExitStatus.LEAK,
    Verdict.UNDECIDED: ExitStatus.UNDECIDED,
}


def run_diagnose(options: argparse.Namespace) -> ExitStatus:
    """Diagnose one process and report. Raises LeaktuiError when it cannot be inspected."""
    to_stdout = options.output in (None, "-")
    if options.form == "html" and to_stdout and stdout_is_terminal():
        raise UsageError("a page of HTML is nothing for a terminal", remedy="name a file for it with -o")
    if options.pprof == "-":
        raise UsageError("a profile does not go to standard output beside a report", remedy="name a file")
    seen = Seen(options)
    # Before the long work: a directory one cannot write to is known at once.
    with ExitStack() as files:
        profile = files.enter_context(ReportFile(options.pprof)) if options.pprof is not None else None
        file = files.enter_context(ReportFile(options.output)) if not to_stdout else None
        diagnosis = _watch(options, seen)
        if profile is not None:
            profile.write(seen.profile)
        if file is None:
            write_answer(
                _format(diagnosis, options, seen, colour=wants_colour(options.no_color), width=report_width())
            )
        else:
            file.write(_format(diagnosis, options, seen, colour=False, width=80))
    return _STATUSES[diagnosis.verdict]


class Seen:
    """What the files want of an investigation besides its diagnosis, taken when it has concluded."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self.graphs: tuple[Graph, ...] = ()
        self.endpoint = ""
        self.profile = b""
        self.tape: Tape | None = None

    def take(self, investigation: Investigation) -> None:
        """Read *investigation*'s history, and its last snapshot."""
        from leaktui.engines.proc_build_id import read_process_build_id
        from leaktui.report.by_hand import find_endpoint
        from leaktui.report.graphs import read_graphs
        from leaktui.report.pprof_form import format_pprof

        if self._options.form == "html":
            self.graphs = read_graphs(investigation.session.history)
            self.endpoint = find_endpoint(investigation.session.capabilities)
        if self._options.pprof is not None:
            self.profile = format_pprof(
                investigation.session.snapshot,
                investigation.assessment,
                build_id=read_process_build_id(investigation.target.pid),
                redaction=Redaction(show_secrets=self._options.show_secrets),
                time_ns=time.time_ns(),
            )


def _watch(options: argparse.Namespace, seen: Seen) -> Diagnosis:
    if options.capture is not None:
        return _read(options, seen)
    credentials = read_credentials(options)
    line = ProgressLine()
    stop = threading.Event()

    def show(progress: Progress) -> None:
        left = max(0.0, progress.deadline_seconds - progress.elapsed_seconds)
        ending = "ending…" if stop.is_set() else f"at most {format_duration(left)} more, Ctrl-C ends it"
        # What may be cut off at the terminal's edge comes last.
        line.show(f"{format_duration(progress.elapsed_seconds)} · {ending} · {progress.text}")

    try:
        # Signals first: whoever interrupts early still gets an orderly end.
        with interruptible(stop), select_target(options, credentials) as selection:
            line.show("looking for what works on this process")
            capabilities = probe_engines(selection, url=options.url)
            require_answers(capabilities, url=options.url)
            refuse_stopped(selection.target.pid)
            diagnosis = diagnose(
                selection.target,
                selection.engines,
                load_program=selection.open_program,
                seconds=options.seconds,
                allow_pauses=not options.read_only and "pause" in (options.allow or ()),
                on_progress=show,
                stop=stop,
                on_conclusion=seen.take,
            )
    finally:
        line.clear()
    if diagnosis.verdict is Verdict.UNDECIDED:
        _refuse_blindness(diagnosis, capabilities, interrupted=stop.is_set())
    return diagnosis


def _read(options: argparse.Namespace, seen: Seen) -> Diagnosis:
    """The verdict of a capture."""
    from leaktui.cli.opening import open_tape
    from leaktui.replaying import conclude_capture

    tape = seen.tape = open_tape(options)
    stop = threading.Event()
    with interruptible(stop):
        investigation = conclude_capture(tape, stop=stop)
    seen.take(investigation)
    investigation.close()
    if tape.shortfall:
        say(tape.shortfall)
    return investigation.diagnosis()


def _refuse_blindness(diagnosis: Diagnosis, capabilities: Sequence[Capability], *, interrupted: bool) -> None:
    """ "Undecided" is for what was seen. Raises TargetGone or EngineError where nothing could be seen."""
    pid = diagnosis.target.pid
    if pid is not None:
        try:
            read_process(pid)
        except TargetGone:
            raise TargetGone(
                f"process {pid} exited while it was watched, before it was clear whether it leaks",
                remedy="diagnose the process that took its place",
            ) from None
        except TargetError:
            pass  # it is there, which is all that matters here
    can = {item.engine: can_answer([item]) for item in capabilities}
    # Those that were not asked beforehand have been asked since.
    answering = [
        item for item in diagnosis.sources if can.get(item.name, item.state is not SourceState.UNAVAILABLE)
    ]
    failed = [item for item in answering if item.state is SourceState.FAILED]
    if len(failed) == len(answering) and not diagnosis.suspects and not interrupted:
        detail = format_source_detail(failed[0], MASKED)
        remedy = "" if failed[0].remedy else "try again, or give the program's own address with --url"
        raise EngineError(f"nothing could be read through {failed[0].name}: {detail}", remedy=remedy)


@contextmanager
def interruptible(stop: threading.Event) -> Iterator[None]:
    """The first SIGINT or SIGTERM sets *stop*; the next one acts as it did before."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def interrupt(number: int, frame: FrameType | None) -> None:
        stop.set()
        restore()

    for number in numbers:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        restore()


def _format(
    diagnosis: Diagnosis, options: argparse.Namespace, seen: Seen, *, colour: bool, width: int
) -> str:
    # Needed at the end, and slow to import: not before the watching begins.
    from leaktui.report.html_form import format_html
    from leaktui.report.json_form import format_json
    from leaktui.report.markdown_form import format_markdown
    from leaktui.report.text_form import format_text

    redaction = Redaction(show_secrets=options.show_secrets)
    sources = find_sources(options, seen.tape)
    if options.form == "json":
        return format_json(diagnosis, sources=sources, redaction=redaction)
    if options.form == "md":
        return format_markdown(diagnosis, sources=sources, redaction=redaction)
    if options.form == "html":
        written = datetime.now(timezone.utc)
        return format_html(
            diagnosis,
            graphs=seen.graphs,
            sources=sources,
            redaction=redaction,
            written=written,
            endpoint=seen.endpoint,
        )
    return format_text(diagnosis, sources=sources, redaction=redaction, colour=colour, width=width)
