"""`leaktui ps`: the Go processes of this machine.

Law: looks at `/proc` (and asks pprof pages it finds for a count); an empty list is an answer, not an error.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
from typing import Any

from leaktui.cli.credentials import read_credentials
from leaktui.cli.exit_status import ExitStatus
from leaktui.cli.output import say, stdout_is_terminal, write_answer
from leaktui.cli.table import Column, format_table
from leaktui.engines.processes import find_go_processes
from leaktui.model.process import GoProcess
from leaktui.text import format_bytes, format_count, format_duration, masked_url, printable

_COLUMNS = (
    Column("PID", number=True),
    Column("USER"),
    Column("GO"),
    Column("AGE", number=True),
    Column("RSS", number=True),
    Column("FDS", number=True),
    Column("GOROUTINES", number=True),
    Column("PPROF"),
    Column("PROGRAM"),
    Column("MODULE"),
)


def run_ps(options: argparse.Namespace) -> ExitStatus:
    """List the Go processes on stdout."""
    scan = find_go_processes(ask_pprof=True, credentials=read_credentials(options))
    if options.json:
        document = {
            "schema": "leaktui.processes/1",
            "processes": [_document(process) for process in scan.processes],
            "unreadable": scan.unreadable,
        }
        write_answer(json.dumps(document, indent=2) + "\n")
        return ExitStatus.CLEAN
    if scan.processes:
        width = shutil.get_terminal_size((80, 24)).columns if stdout_is_terminal() else None
        write_answer(format_table(_COLUMNS, [_row(process) for process in scan.processes], width=width))
    else:
        say("no Go process is visible here")
    if scan.unreadable and os.geteuid() != 0:
        say(f"{scan.unreadable} processes of other users could not be read: run it as root to see them too")
    return ExitStatus.CLEAN


def _row(process: GoProcess) -> tuple[str, ...]:
    return (
        str(process.pid),
        printable(process.user),
        printable(process.go_version),
        format_duration(process.age_seconds),
        format_bytes(process.rss_bytes),
        "-" if process.fd_count is None else format_count(process.fd_count),
        "-" if process.goroutines is None else format_count(process.goroutines),
        masked_url(process.pprof_url) if process.pprof_url else "-",
        printable(process.exe.rpartition("/")[2] or process.command),
        printable(process.module) or "-",
    )


def _document(process: GoProcess) -> dict[str, Any]:
    return {
        "pid": process.pid,
        "user": printable(process.user),
        "exe": printable(process.exe),
        "command": printable(process.command),
        "go_version": printable(process.go_version),
        "module": printable(process.module),
        "age_seconds": round(process.age_seconds, 1),
        "rss_bytes": process.rss_bytes,
        "fds": process.fd_count,
        "threads": process.threads,
        "goroutines": process.goroutines,
        "pprof_url": masked_url(process.pprof_url) if process.pprof_url else None,
    }
