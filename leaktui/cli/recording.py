"""`leaktui record`: keep what is seen in a file.

Law: the file is made before the watching, private to the user; a first Ctrl-C (or SIGTERM) ends the recording with a
good file. Secrets are masked unless --show-secrets.
"""

from __future__ import annotations

import argparse
import shlex
import threading
from pathlib import Path

from leaktui.cli.credentials import read_credentials
from leaktui.cli.diagnosing import interruptible
from leaktui.cli.exit_status import ExitStatus
from leaktui.cli.output import ProgressLine, open_private, say
from leaktui.cli.selection import probe_engines, refuse_stopped, require_answers, select_target
from leaktui.cli.sources import find_sources
from leaktui.model.finding import Verdict
from leaktui.record import Recording, RecordProgress, record
from leaktui.report.redaction import Redaction
from leaktui.text import format_bytes, format_duration, short_function


def run_record(options: argparse.Namespace) -> ExitStatus:
    """Record one process. Raises LeaktuiError when it cannot be inspected, or the file not be written."""
    credentials = read_credentials(options)
    line = ProgressLine()
    stop = threading.Event()

    def show(progress: RecordProgress) -> None:
        left = max(0.0, progress.deadline_seconds - progress.elapsed_seconds)
        ending = "ending…" if stop.is_set() else f"{format_duration(left)} more, Ctrl-C ends it"
        line.show(
            # What may be cut off at the terminal's edge comes last.
            f"{format_duration(progress.elapsed_seconds)} · {format_bytes(progress.written_bytes)} ·"
            f" {ending} · {progress.seen or 'looking'}"
        )

    try:
        with interruptible(stop), select_target(options, credentials) as selection:
            line.show("looking for what works on this process")
            require_answers(probe_engines(selection, url=options.url), url=options.url)
            refuse_stopped(selection.target.pid)
            recording = record(
                selection.target,
                selection.engines,
                open_private(options.output),
                load_program=selection.open_program,
                sources=find_sources(options),
                seconds=options.seconds,
                allow_pauses=not options.read_only and "pause" in (options.allow or ()),
                mask=None if options.show_secrets else Redaction(),
                on_progress=show,
                stop=stop,
            )
    finally:
        line.clear()
    say(_summary(recording, options.output))
    return ExitStatus.CLEAN


def _summary(recording: Recording, path: str) -> str:
    """One sentence: how much, and how to look at it."""
    try:
        size = format_bytes(Path(path).stat().st_size)
    except OSError:
        size = "it"
    ended = "" if recording.reason == "the time was up" else f" ({recording.reason})"
    diagnosis = recording.diagnosis
    if diagnosis.verdict is Verdict.LEAK and diagnosis.suspects:
        what = short_function(diagnosis.suspects[0].function)
        shows = f"it shows a leak in {what}" if what else "it shows that something leaks, not where"
    else:
        shows = "it does not show what leaks, if anything does"
    return (
        f"recorded {format_duration(recording.seconds)}{ended}, {size}; {shows}: look at it with"
        f" `leaktui open {shlex.quote(path)}`, on any machine"
    )
