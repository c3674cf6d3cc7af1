"""The executable of a process as the analysis wants it: opened once, its load address taken into account.

Law: reads `/proc/PID/exe` and `/proc/PID/maps`; nothing of the process's memory.
"""

from __future__ import annotations

from pathlib import Path

from leaktui.analysis.executable_program import ExecutableProgram
from leaktui.analysis.program import Program, UnknownProgram
from leaktui.binary.executable import Executable
from leaktui.errors import LeaktuiError


def open_program(pid: int | None) -> Program:
    """What can be known of the program *pid* runs; of a bare URL, what symbols alone tell."""
    if pid is None:
        return UnknownProgram()
    try:
        executable = Executable.open(f"/proc/{pid}/exe")
        maps = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8", errors="replace")
        return ExecutableProgram(executable, executable.bias(maps) or 0)
    except (LeaktuiError, OSError):
        # The process went away, or is not ours to read: judge by names.
        return UnknownProgram()
