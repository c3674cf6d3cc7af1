"""`leaktui open FILE`: the screens on a recording, or on an execution trace.

Law: nothing is asked of any process. What is not a capture is refused before the screen is taken.
"""

from __future__ import annotations

import argparse
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from leaktui.cli.exit_status import ExitStatus
from leaktui.cli.screens import refuse_without_terminal, run_app
from leaktui.cli.sources import find_sources
from leaktui.cli.trace_file import is_trace_file, run_trace_file
from leaktui.engines.replay import Tape
from leaktui.errors import UsageError

if TYPE_CHECKING:
    from leaktui.tui.source import InvestigationLike, Listener

_PLAY_SECONDS = 2.0


def open_tape(options: argparse.Namespace) -> Tape:
    """The capture that *options* name. Raises UsageError for one that cannot be opened, or beside a process."""
    if getattr(options, "pid", None) is not None or getattr(options, "url", None) is not None:
        raise UsageError(
            "a capture and a process were named", remedy="give --open FILE or a process, not both"
        )
    return Tape(options.capture)


def run_open(options: argparse.Namespace) -> ExitStatus:
    """Look at the capture or the execution trace that *options* name. Raises LeaktuiError."""
    if is_trace_file(options.capture):
        return run_trace_file(options)
    tape = open_tape(options)
    refuse_without_terminal("run `leaktui diagnose --open` with the same file")
    return show_tape(tape, options)


def show_tape(tape: Tape, options: argparse.Namespace, *, notice: str = "") -> ExitStatus:
    """The screens on *tape*; *notice* is said on them at first."""

    def open_target(listener: Listener) -> InvestigationLike:
        from leaktui.replaying import ReplayedInvestigation

        return ReplayedInvestigation(tape, listener, play_seconds=_PLAY_SECONDS)

    return run_app(
        options,
        open_target,
        title="capture",
        capture=f"capture of {format_date(tape.header.began)}",
        clock=tape.clock,
        wall_clock=tape.wall_clock,
        sources=find_sources(options, tape),
        notice=notice,
    )


def format_date(seconds: float) -> str:
    """A moment (seconds since 1970) in the time zone here, to the minute."""
    try:
        return datetime.fromtimestamp(seconds, timezone.utc).astimezone().strftime("%Y-%m-%d %H:%M")
    except (OverflowError, OSError, ValueError):
        return "an unknown date"
