"""`leaktui guide`: the walkthrough without a screen, step by step as text.

Law: what diagnose does, and no more: it goes by itself, asks nothing, and probes go in where they may, unless
--read-only forbids it. The exit status is the verdict.
"""

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack

from leaktui.cli.credentials import Credentials, read_credentials
from leaktui.cli.diagnosing import interruptible
from leaktui.cli.exit_status import ExitStatus
from leaktui.cli.output import ProgressLine, report_width, wants_colour, write_answer
from leaktui.cli.selection import probe_engines, refuse_stopped, require_answers, select_target
from leaktui.cli.sources import find_sources
from leaktui.guide import BRIEF, Outcome, State, begin
from leaktui.investigation import Investigation
from leaktui.report.guide_form import format_clock, format_guide_json, format_step
from leaktui.report.redaction import Redaction
from leaktui.text import format_duration
from leaktui.walkthrough import Means, Walkthrough

Swap = Callable[[], argparse.Namespace]

_TICK_SECONDS = 0.2
_STATUSES = {
    Outcome.LEAK: ExitStatus.LEAK,
    Outcome.NOTHING: ExitStatus.CLEAN,
    Outcome.UNDECIDED: ExitStatus.UNDECIDED,
    Outcome.OPEN: ExitStatus.UNDECIDED,
}


def run_guide(options: argparse.Namespace) -> ExitStatus:
    """Walk through one process. Raises LeaktuiError when it cannot be inspected."""
    return guide_through(options)


def guide_through(
    options: argparse.Namespace, *, swap: Swap | None = None, brief: bool = False
) -> ExitStatus:
    """Walk through the process that *options* name; at the end *swap* puts the repaired build in its place.

    With *brief* the shortest way to that. Raises LeaktuiError when it cannot be inspected.
    """
    credentials = read_credentials(options)
    stop = threading.Event()
    line = ProgressLine()
    with ExitStack() as resources, interruptible(stop):
        resources.callback(line.clear)
        line.show("looking for what works on this process")
        walk = _Walk(options, credentials, line, swap, brief=brief)
        resources.callback(walk.close)
        return _STATUSES[walk.go(stop).outcome]


class _Walk:
    """One walkthrough on a process, and on the one that takes its place."""

    def __init__(
        self,
        options: argparse.Namespace,
        credentials: Credentials,
        line: ProgressLine,
        swap: Swap | None,
        *,
        brief: bool,
    ) -> None:
        self._credentials = credentials
        self._line = line
        self._swap = swap
        self._form = getattr(options, "form", "text")
        self._redaction = Redaction(show_secrets=getattr(options, "show_secrets", False))
        self._colour = wants_colour(options.no_color)
        self._sources = find_sources(options)
        self._printed = 0
        self._open: ExitStack = ExitStack()
        self._investigation = self._watch(options)
        means = Means(self._sources, swap=self._follow if swap is not None else None)
        names = BRIEF if brief else None
        state = begin(demo=swap is not None, names=names, paced=False)
        self._walkthrough = Walkthrough(state, means, clock=time.monotonic)

    def go(self, stop: threading.Event) -> State:
        """Go through all steps, or until *stop*."""
        walkthrough = self._walkthrough
        while True:
            self._go_on(stop)
            # What came in last may say otherwise, and then there is more to look at.
            self._investigation.judge()
            walkthrough.look(self._investigation)
            if walkthrough.state.finished or stop.is_set():
                break
        if self._form == "json":
            diagnosis = self._investigation.diagnosis()
            self._line.clear()
            write_answer(format_guide_json(walkthrough.state, diagnosis, redaction=self._redaction))
        return walkthrough.state

    def _go_on(self, stop: threading.Event) -> None:
        walkthrough = self._walkthrough
        while not walkthrough.state.finished and not stop.is_set():
            walkthrough.look(self._investigation)
            self._show(walkthrough.state)
            stop.wait(_TICK_SECONDS)

    def close(self) -> None:
        """Let go of the process."""
        self._open.close()

    def _watch(self, options: argparse.Namespace) -> Investigation:
        with ExitStack() as opening:
            selection = opening.enter_context(select_target(options, self._credentials))
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
            opening.callback(investigation.close)
            investigation.start()
            self._open = opening.pop_all()
        return investigation

    def _follow(self) -> int:
        """Let the repaired build take over, and watch it."""
        assert self._swap is not None
        self._line.show("starting the repaired build")
        self._open.close()
        options = self._swap()
        self._investigation = self._watch(options)
        return int(options.pid)

    def _show(self, state: State) -> None:
        """Print each step once it is over (again, where one was gone back to), and say which one is under way."""
        while self._printed and not state.steps[self._printed - 1].over:
            self._printed -= 1
        while self._printed < len(state.steps) and state.steps[self._printed].over:
            self._line.clear()
            if self._form != "json":
                text = format_step(
                    state,
                    self._printed,
                    sources=self._sources.of_module(self._investigation.target.module),
                    redaction=self._redaction,
                    colour=self._colour,
                    width=report_width(),
                )
                write_answer(text)
            self._printed += 1
        if not state.finished:
            current = state.current
            since = format_duration(state.seconds - (current.began or 0.0))
            self._line.show(f"{format_clock(state.seconds)} · {current.step.title}, {since} · Ctrl-C ends it")
