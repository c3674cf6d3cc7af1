"""The command line: arguments → engines → report, or the screens.

Law: whatever goes wrong, the user gets one sentence on stderr and exit status 2, never a traceback
(LEAKTUI_DEBUG=1 asks for it). Nothing heavy is imported before the command that needs it is known.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from leaktui.cli.arguments import parse_arguments
from leaktui.cli.exit_status import ExitStatus
from leaktui.cli.output import discard_output, say
from leaktui.errors import LeaktuiError

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status (see ExitStatus)."""
    with _quiet_threads() as failures:
        status = _run(arguments)
    if failures and status != ExitStatus.CANNOT_INSPECT:
        say(
            f"a part of leaktui failed ({failures[0]}), so something may be missing: "
            "run it again with LEAKTUI_DEBUG=1 and report what it prints"
        )
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        discard_output()
        if not isinstance(error, BrokenPipeError):
            say(_system_sentence(error))
            return ExitStatus.CANNOT_INSPECT
    return status


def _run(arguments: Sequence[str] | None) -> int:
    debugging = bool(os.environ.get("LEAKTUI_DEBUG"))
    try:
        return int(_run_started(parse_arguments(arguments)))
    except SystemExit as end:  # argparse: --help, --version, a wrong argument
        return end.code if isinstance(end.code, int) else ExitStatus.CLEAN
    except LeaktuiError as error:
        say(str(error))
    except KeyboardInterrupt:
        return ExitStatus.INTERRUPTED
    except BrokenPipeError:
        discard_output()  # whoever read us has seen enough
        return ExitStatus.CLEAN
    except OSError as error:
        if debugging:
            raise
        say(_system_sentence(error))
    except Exception as error:  # the last line of defence against a traceback
        if debugging:
            raise
        say(
            f"this is a defect of leaktui itself ({type(error).__name__}: {error}): "
            "run it again with LEAKTUI_DEBUG=1 and report what it prints"
        )
    return ExitStatus.CANNOT_INSPECT


@contextmanager
def _quiet_threads() -> Iterator[list[str]]:
    """Collects the defects of background threads, to be told when all is over, not across the report."""
    failures: list[str] = []
    if os.environ.get("LEAKTUI_DEBUG"):
        yield failures
        return

    def note(failure: threading.ExceptHookArgs) -> None:
        if failure.exc_type is not SystemExit:
            failures.append(f"{failure.exc_type.__name__}: {failure.exc_value}")

    before = threading.excepthook
    threading.excepthook = note
    try:
        yield failures
    finally:
        threading.excepthook = before


def _run_started(options: argparse.Namespace) -> ExitStatus:
    if getattr(options, "exec_program", None) is None:
        return _run_command(options)
    from leaktui.cli.starting import run_started

    return run_started(options, _run_command)


def _run_command(options: argparse.Namespace) -> ExitStatus:
    if options.command == "diagnose":
        from leaktui.cli.diagnosing import run_diagnose

        return run_diagnose(options)
    if options.command == "guide":
        from leaktui.cli.guiding import run_guide

        return run_guide(options)
    if options.command == "doctor":
        from leaktui.cli.examining import run_doctor

        return run_doctor(options)
    if options.command == "ps":
        from leaktui.cli.listing import run_ps

        return run_ps(options)
    if options.command == "spans":
        from leaktui.cli.spanning import run_spans

        return run_spans(options)
    if options.command == "record":
        from leaktui.cli.recording import run_record

        return run_record(options)
    if options.command == "verify":
        from leaktui.cli.verifying import run_verify

        return run_verify(options)
    if options.command == "demo":
        from leaktui.cli.demonstrating import run_demo

        return run_demo(options)
    if options.command == "trace":
        from leaktui.cli.tracing import run_trace

        return run_trace(options)
    if options.capture is not None:
        from leaktui.cli.opening import run_open

        return run_open(options)
    from leaktui.cli.screens import run_screens

    return run_screens(options)


def _system_sentence(error: OSError) -> str:
    what = error.strerror or type(error).__name__
    where = f" ({error.filename})" if error.filename else ""
    return f"the system refused what leaktui needs, {what}{where}: make room for it and try again"
