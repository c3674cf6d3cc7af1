"""leaktui run as its users run it: a process of its own, with real pipes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Ended:
    """How a run ended, and what it said."""

    status: int
    out: str
    err: str

    @property
    def sentence(self) -> str:
        """The one line on stderr of a refusal; fails when it is not exactly that."""
        assert self.status == 2, self
        assert self.out == "", self
        assert self.err.startswith("leaktui: ") and self.err.count("\n") == 1, self
        assert "Traceback" not in self.err and "defect of leaktui" not in self.err, self
        return self.err.strip()


def command(*arguments: str) -> list[str]:
    """The argument vector of a run."""
    return [sys.executable, "-m", "leaktui", *arguments]


def environment(**variables: str) -> dict[str, str]:
    """Ours, without what would change what leaktui does; with *variables*."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("LEAKTUI_") and name not in ("NO_COLOR", "COLUMNS", "LINES")
    }
    return {**kept, "PYTHONPATH": str(ROOT), **variables}


def run(*arguments: str, timeout: float = 120.0, env: dict[str, str] | None = None, **options: Any) -> Ended:
    """Run leaktui to its end without a terminal."""
    said = subprocess.run(
        command(*arguments),
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=timeout,
        env=environment(**(env or {})),
        **options,
    )
    return Ended(said.returncode, said.stdout, said.stderr)


def run_shell(script: str, *, timeout: float = 120.0, arguments: Sequence[str] = ()) -> Ended:
    """Run *script* with bash; `"$@"` is leaktui, ready to take arguments."""
    said = subprocess.run(
        ["bash", "-c", script, "bash", *command(*arguments)],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=timeout,
        env=environment(),
    )
    return Ended(said.returncode, said.stdout, said.stderr)
