"""The executable of a process as the analysis wants it: opened once, its load address taken into account.

Law: reads `/proc/PID/exe` and `/proc/PID/maps`; nothing of the process's memory.
"""

from __future__ import annotations

from pathlib import Path

from leaktui.analysis.executable_program import ExecutableProgram
from leaktui.analysis.program import Program
from leaktui.analysis.source_program import SourceProgram
from leaktui.binary.executable import Executable
from leaktui.errors import LeaktuiError
from leaktui.source_text import read_source


def open_program(pid: int | None) -> Program:
    """What can be known of the program *pid* runs; of a bare URL, what symbols and source files tell. To be closed."""
    if pid is None:
        return SourceProgram(_read)
    try:
        executable = Executable.open(f"/proc/{pid}/exe")
        try:
            maps = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8", errors="replace")
            return ExecutableProgram(executable, executable.bias(maps) or 0)
        except BaseException:
            executable.close()
            raise
    except (LeaktuiError, OSError):
        # The process went away, or is not ours to read: judge by names.
        return SourceProgram(_read)


def _read(path: str) -> str | None:
    found = read_source(path)
    return found[0] if found is not None else None
