"""The build id of the executable a process runs, deleted or not."""

from __future__ import annotations

from leaktui.errors import LeaktuiError


def read_process_build_id(pid: int | None) -> str:
    """The build id of what *pid* runs; empty for no pid, and where it cannot be read."""
    if pid is None:
        return ""
    from leaktui.binary.build_id import read_build_id
    from leaktui.binary.elf import ElfImage

    try:
        with ElfImage.open(f"/proc/{pid}/exe") as image:
            return read_build_id(image)
    except (OSError, LeaktuiError):
        return ""
