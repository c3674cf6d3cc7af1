"""`leaktui verify`: is it fixed?

Law: the verdict is the exit status: 0 fixed, 1 not fixed, 3 undecided.
"""

from __future__ import annotations

import argparse
import threading

from leaktui.cli.credentials import read_credentials
from leaktui.cli.diagnosing import interruptible
from leaktui.cli.exit_status import ExitStatus
from leaktui.cli.output import ProgressLine, ReportFile, report_width, say, wants_colour, write_answer
from leaktui.cli.selection import probe_engines, refuse_stopped, require_answers, select_target
from leaktui.engines.replay import Tape
from leaktui.model.verification import Verification, VerificationVerdict
from leaktui.replaying import conclude_capture
from leaktui.text import format_duration
from leaktui.verify import Baseline, VerifyProgress, baseline_of, verify

_STATUSES = {
    VerificationVerdict.FIXED: ExitStatus.CLEAN,
    VerificationVerdict.NOT_FIXED: ExitStatus.LEAK,
    VerificationVerdict.UNDECIDED: ExitStatus.UNDECIDED,
}
_LEAST_SECONDS = 10.0


def run_verify(options: argparse.Namespace) -> ExitStatus:
    """Measure, compare and report. Raises LeaktuiError."""
    if options.output in (None, "-"):
        verification = _measure(options)
        write_answer(
            _format(verification, options, colour=wants_colour(options.no_color), width=report_width())
        )
    else:
        with ReportFile(options.output) as file:
            verification = _measure(options)
            file.write(_format(verification, options, colour=False, width=80))
    return _STATUSES[verification.verdict]


def _measure(options: argparse.Namespace) -> Verification:
    baseline = _read_baseline(options.baseline)
    credentials = read_credentials(options)
    seconds = options.seconds or max(_LEAST_SECONDS, baseline.measurement.seconds)
    line = ProgressLine()
    stop = threading.Event()

    def show(progress: VerifyProgress) -> None:
        left = max(0.0, progress.deadline_seconds - progress.elapsed_seconds)
        line.show(f"measuring as the baseline was · {format_duration(left)} more, Ctrl-C ends it")

    try:
        with interruptible(stop), select_target(options, credentials) as selection:
            line.show("looking for what works on this process")
            require_answers(probe_engines(selection, url=options.url), url=options.url)
            refuse_stopped(selection.target.pid)
            return verify(
                baseline,
                selection.target,
                selection.engines,
                load_program=selection.open_program,
                seconds=seconds,
                allow_pauses=not options.read_only and "pause" in (options.allow or ()),
                on_progress=show,
                stop=stop,
            )
    finally:
        line.clear()


def _read_baseline(path: str) -> Baseline:
    """The baseline in the capture at *path*. Raises UsageError."""
    tape = Tape(path)
    investigation = conclude_capture(tape)
    try:
        if tape.shortfall:
            say(tape.shortfall)
        return baseline_of(investigation)
    finally:
        investigation.close()


def _format(verification: Verification, options: argparse.Namespace, *, colour: bool, width: int) -> str:
    from leaktui.report.verification_form import (
        format_verification_json,
        format_verification_markdown,
        format_verification_text,
    )

    if options.form == "json":
        return format_verification_json(verification)
    if options.form == "md":
        return format_verification_markdown(verification)
    return format_verification_text(verification, colour=colour, width=width)
