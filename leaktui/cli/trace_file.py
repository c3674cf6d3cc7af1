"""`leaktui open FILE` of an execution trace: the screens on it, with no process behind it."""

from __future__ import annotations

import argparse
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from leaktui.cli.exit_status import ExitStatus
from leaktui.cli.screens import refuse_without_terminal, run_app
from leaktui.engines.trace_file import TraceFileEngine, validate_trace_file
from leaktui.investigation import Investigation, InvestigationEvent, Listener
from leaktui.model.target import Target
from leaktui.wire.trace import looks_like_trace

if TYPE_CHECKING:
    from leaktui.tui.source import InvestigationLike

_TRACE_PANE = 4


class TraceFileInvestigation(Investigation):
    """Reads the trace once it can; after that nothing moves."""

    def __init__(self, path: Path, listener: Listener) -> None:
        self._ordered = threading.Event()
        super().__init__(
            Target(pid=None, exe=str(path)),
            [TraceFileEngine(path)],
            listener,
            automatic=False,
            dumps=False,
        )

    def _on_event(self, event: InvestigationEvent) -> None:
        super()._on_event(event)  # type: ignore[arg-type]
        if not self._ordered.is_set() and not self.session.probing:
            self._ordered.set()
            self.take_trace()


def run_trace_file(options: argparse.Namespace) -> ExitStatus:
    """Show the trace that *options* name. Raises UsageError without a terminal, EngineUnavailable for another file."""
    path = Path(options.capture)
    validate_trace_file(path)
    refuse_without_terminal("use `go tool trace` on it")
    return show_trace_file(path, options)


def is_trace_file(path: str) -> bool:
    """Whether the file begins as an execution trace does; False where it cannot be read, too."""
    try:
        with Path(path).open("rb") as file:
            return looks_like_trace(file.read(16))
    except OSError:
        return False


def show_trace_file(path: Path, options: argparse.Namespace) -> ExitStatus:
    """The screens on the trace at *path*, the Trace pane first."""

    def open_target(listener: Listener) -> InvestigationLike:
        return TraceFileInvestigation(path, listener)

    return run_app(options, open_target, title=path.name, first_pane=_TRACE_PANE)
