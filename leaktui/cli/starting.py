"""`--exec ./app -- ARGUMENTS`: a program that is started for a command, and ends with it.

Law: it is started in the main thread (the kernel ends it with the thread that started it), before a screen is up.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

from leaktui.cli.exit_status import ExitStatus
from leaktui.engines.started_program import StartedProgram
from leaktui.errors import TargetGone, UsageError

_FIRST_SECONDS = 0.3
"""A program that cannot run ends at once: then its own words say why."""


def run_started(
    options: argparse.Namespace, command: Callable[[argparse.Namespace], ExitStatus]
) -> ExitStatus:
    """Run *command* on the program that `--exec` names. Raises LeaktuiError."""
    if options.pid is not None or options.url is not None or options.dlv is not None:
        raise UsageError(
            "--exec starts a process, and another one was named, too",
            remedy="leave out --pid, --url and --dlv",
        )
    program = StartedProgram([options.exec_program, *options.exec_arguments])
    try:
        deadline = time.monotonic() + _FIRST_SECONDS
        while time.monotonic() < deadline:
            if not program.alive:
                raise TargetGone(
                    f"the program ended at once: {program.last_words() or 'it said nothing'}",
                    remedy="start it by hand to see why",
                )
            time.sleep(0.01)
        options.pid = program.pid
        return command(options)
    finally:
        program.stop()
