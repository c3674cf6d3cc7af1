"""The screens: `leaktui`, `leaktui --pid N`, `leaktui --url URL`.

Law: textual is imported here and nowhere else on this floor, and only once a terminal is known to be there.
The process is opened in a thread, after the first picture; what keeps it shut ends the command.
"""

from __future__ import annotations

import argparse
import copy
import os
import sys
from collections.abc import Callable
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from leaktui.cli.credentials import Credentials, read_credentials
from leaktui.cli.exit_status import ExitStatus
from leaktui.cli.sources import find_sources
from leaktui.errors import UsageError
from leaktui.sources import Sources

if TYPE_CHECKING:
    from leaktui.engines.processes import ProcessScan
    from leaktui.model.finding import Diagnosis
    from leaktui.tui.source import InvestigationLike, Listener, OpenTarget, SessionLike

Swap = Callable[[], argparse.Namespace]
"""Puts the repaired build in the place of the demo; the options that name it."""


def run_screens(options: argparse.Namespace) -> ExitStatus:
    """Look at the process *options* name, or let one be picked. Raises LeaktuiError."""
    if options.url is not None or getattr(options, "dlv", None) is not None:
        refuse_without_terminal("run `leaktui diagnose` with the same --url")
    else:
        pid = "N" if options.pid is None else options.pid
        refuse_without_terminal(f"run `leaktui diagnose --pid {pid}`")
    if options.pid is None and options.url is None and getattr(options, "dlv", None) is None:
        return _pick(options)
    return show_target(options)


def refuse_without_terminal(instead: str) -> None:
    """Raises UsageError where there is no terminal that could show a screen; *instead* is the remedy."""
    # All three: keys come from stdin, textual draws on stderr, and a redirected stdout is meant for a program.
    if not all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):
        raise UsageError("the screens need a terminal, and this is none", remedy=instead)
    if os.environ.get("TERM", "") in ("", "dumb", "unknown"):
        raise UsageError("TERM names a terminal that cannot show the screens", remedy=f"set it, or {instead}")


def show_target(options: argparse.Namespace, *, swap: Swap | None = None) -> ExitStatus:
    """The screens on the process that *options* name; in the demo the walkthrough can *swap*. Raises LeaktuiError."""
    # A password is asked for before the screen is taken.
    title = f"pid {options.pid}" if options.pid is not None else "pprof"
    credentials = read_credentials(options)

    def swap_target() -> tuple[int, OpenTarget]:
        assert swap is not None
        mended = swap()
        return mended.pid, _opener(mended, credentials)

    return run_app(
        options,
        _opener(options, credentials),
        title=title,
        swap=swap_target if swap is not None else None,
    )


def _pick(options: argparse.Namespace) -> ExitStatus:
    """A list of the Go processes here, and the screens on whichever is chosen."""
    credentials = read_credentials(options)

    def list_processes() -> ProcessScan:
        from leaktui.engines.processes import find_go_processes

        return find_go_processes(ask_pprof=True, credentials=credentials)

    def open_pid(pid: int) -> OpenTarget:
        chosen = copy.copy(options)
        chosen.pid = pid
        return _opener(chosen, credentials)

    return run_app(options, None, picker=list_processes, open_pid=open_pid)


def run_app(
    options: argparse.Namespace,
    target: OpenTarget | None,
    *,
    swap: Callable[[], tuple[int, OpenTarget]] | None = None,
    sources: Sources | None = None,
    **arguments: Any,
) -> ExitStatus:
    """The application with what *options* say of its look; *arguments* are those of `tui.app.run`."""
    if options.no_color:
        os.environ["NO_COLOR"] = "1"
    from leaktui.tui.app import run
    from leaktui.tui.walk_orders import Walking

    sources = sources or find_sources(options)
    status = run(
        target,
        write_report=lambda diagnosis: _write_report(diagnosis, sources),
        write_page=lambda diagnosis, session: _write_page(diagnosis, session, sources),
        lean=options.lean,
        read_only=options.read_only,
        sources=sources,
        walking=Walking(
            at_once=swap is not None or options.walkthrough,
            swap=swap,
            brief=getattr(options, "demo_fix", False),
            pace=options.pace,
        ),
        **arguments,
    )
    return ExitStatus(status)


def _opener(options: argparse.Namespace, credentials: Credentials) -> OpenTarget:
    """What builds the investigation once the screen is up; the imports it causes cost half a second."""

    def open_target(listener: Listener) -> InvestigationLike:
        from leaktui.cli.selection import SelectedInvestigation, select_target

        selection = select_target(options, credentials)
        try:
            return SelectedInvestigation(
                selection, listener, allow_pauses=not options.read_only and "pause" in (options.allow or ())
            )
        except BaseException:
            selection.close()
            raise

    return open_target


def _write_report(diagnosis: Diagnosis, sources: Sources) -> str:
    from leaktui.report.markdown_form import format_markdown

    return format_markdown(diagnosis, sources=sources)


def _write_page(diagnosis: Diagnosis, session: SessionLike, sources: Sources) -> str:
    from leaktui.report.by_hand import find_endpoint
    from leaktui.report.graphs import read_graphs
    from leaktui.report.html_form import format_html

    return format_html(
        diagnosis,
        graphs=read_graphs(session.history),
        sources=sources,
        written=datetime.now(timezone.utc),
        endpoint=find_endpoint(session.capabilities),
    )
