"""`leaktui guide`: the walkthrough without a screen, step by step as text.

Law: what diagnose does, and no more: it goes by itself, asks nothing, and probes go in where they may, unless
--read-only forbids it. The exit status is the verdict.
"""

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Callable

from leaktui.cli.credentials import read_credentials
from leaktui.cli.exit_status import ExitStatus
from leaktui.cli.explaining import explainer
from leaktui.cli.interruption import interruptible
from leaktui.cli.output import ProgressLine, report_width, wants_colour, write_answer
from leaktui.cli.selection import probe_engines, refuse_stopped, require_answers, select_target
from leaktui.guide import Outcome, State, begin
from leaktui.investigation import Investigation
from leaktui.report.guide_form import format_clock, format_guide_json, format_step
from leaktui.report.redaction import Redaction
from leaktui.text import format_duration
from leaktui.walkthrough import Means, Walkthrough

_TICK_SECONDS = 0.2
_STATUSES = {
    Outcome.LEAK: ExitStatus.LEAK,
    Outcome.NOTHING: ExitStatus.CLEAN,
    Outcome.UNDECIDED: ExitStatus.UNDECIDED,
    Outcome.OPEN: ExitStatus.UNDECIDED,
}


def run_guide(options: argparse.Namespace) -> ExitStatus:
    """Walk through one process. Raises LeaktuiError when it cannot be inspected."""
    credentials = read_credentials(options)
    stop = threading.Event()
    line = ProgressLine()
    redaction = Redaction(show_secrets=options.show_secrets)
    log = _Log(options, redaction, line)
    try:
        with interruptible(stop), select_target(options, credentials) as selection:
            line.show("looking for what works on this process")
            require_answers(probe_engines(selection, url=options.url), url=options.url)
            refuse_stopped(selection.target.pid)
            investigation = Investigation(
                selection.target,
                selection.engines,
                load_program=selection.open_program,
                allow_pauses=not options.read_only and "pause" in (options.allow or ()),
                dumps=False,
                probes=True,
            )
            investigation.start()
            try:
                state = walk(investigation, Means(explainer(options)), log.show, stop)
                investigation.conclude()
                if options.form == "json":
                    write_answer(format_guide_json(state, investigation.diagnosis(), redaction=redaction))
            finally:
                investigation.close()
    finally:
        line.clear()
    return _STATUSES[state.outcome]


def walk(
    investigation: Investigation, means: Means, show: Callable[[State], None], stop: threading.Event
) -> State:
    """Go through all steps on *investigation*, or until *stop*; *show* is told of each state."""
    walkthrough = Walkthrough(begin(paced=False), means, clock=time.monotonic)
    while not walkthrough.state.finished and not stop.is_set():
        walkthrough.look(investigation)
        show(walkthrough.state)
        stop.wait(_TICK_SECONDS)
    return walkthrough.state


class _Log:
    """Prints each step once it is over."""

    def __init__(self, options: argparse.Namespace, redaction: Redaction, line: ProgressLine) -> None:
        self._silent = options.form == "json"
        self._redaction = redaction
        self._colour = wants_colour(options.no_color)
        self._line = line
        self._printed = 0

    def show(self, state: State) -> None:
        while self._printed < len(state.steps) and state.steps[self._printed].over:
            self._line.clear()
            if not self._silent:
                text = format_step(
                    state,
                    self._printed,
                    redaction=self._redaction,
                    colour=self._colour,
                    width=report_width(),
                )
                write_answer(text)
            self._printed += 1
        if not state.finished:
            current = state.current.step
            since = state.seconds - (state.current.began or 0.0)
            self._line.show(
                f"{format_clock(state.seconds)} · {current.title}, {format_duration(since)} · Ctrl-C ends it"
            )
