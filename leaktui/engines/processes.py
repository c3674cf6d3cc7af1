"""The Go processes of this machine, for `leaktui ps` and the picker.

Law: a look at hundreds of processes takes a moment and touches none of them. Whether an executable is
Go is decided once a file (device, inode, size, time), by the build info's magic in its data segment;
only then is it opened properly. What may not be read is counted, not guessed.
"""

from __future__ import annotations

import os
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from queue import Empty, SimpleQueue

from leaktui.binary.buildinfo import MAGIC
from leaktui.binary.executable import Executable
from leaktui.engines.pprof_endpoint import Credentials
from leaktui.engines.proc_stat import (
    count_fds,
    format_cmdline,
    read_cmdline,
    read_exe,
    read_live_stat,
    read_rss,
    started_at,
    target_error,
    user_name,
)
from leaktui.errors import LeaktuiError, TargetError
from leaktui.model.process import GoProcess
from leaktui.text import printable

PPROF_SECONDS = 0.5
"""How long one process's endpoint may take to say how many goroutines there are."""

_PPROF_THREADS = 16
_PPROF_TOTAL_SECONDS = 2.0
_MAX_PROGRAMS = 4096
_MAX_SEGMENTS = 64
_NAMES_BYTES = 1 << 20
_SEGMENT_BYTES = 64 << 20
_PT_LOAD = 1
_PF_W = 2


@dataclass(frozen=True, slots=True)
class ProcessScan:
    """The Go processes, by pid, and how many processes could not be read."""

    processes: tuple[GoProcess, ...]
    unreadable: int


@dataclass(frozen=True, slots=True)
class _Program:
    go_version: str
    module: str


_programs: dict[tuple[int, int, int, int], _Program | None] = {}


def find_go_processes(
    *,
    ask_pprof: bool = False,
    credentials: Credentials | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> ProcessScan:
    """Every Go process whose executable can be read; with *ask_pprof*, their endpoints and goroutines too.

    Asking adds at most two seconds, whatever the endpoints do.
    """
    processes: list[GoProcess] = []
    unreadable = 0
    for name in os.listdir("/proc"):  # noqa: PTH208 - names, several hundred
        if not name.isdigit():
            continue
        if cancelled():
            break
        try:
            process = read_go_process(int(name))
        except PermissionError:
            unreadable += 1
        except LeaktuiError:
            continue
        else:
            if process is not None:
                processes.append(process)
    processes.sort(key=lambda process: process.pid)
    if ask_pprof:
        processes = _with_pprof(processes, credentials or Credentials(), cancelled)
    return ProcessScan(tuple(processes), unreadable)


def read_go_process(pid: int) -> GoProcess | None:
    """The row of *pid*, None when it is not a Go program.

    Raises PermissionError where its executable may not be read, TargetError where it is gone.
    """
    stat = read_live_stat(pid)
    if stat.kernel_thread:
        return None
    try:
        file = Path(f"/proc/{pid}/exe").stat()
    except PermissionError:
        raise
    except OSError:
        return None
    program = _program_of(pid, file)
    if program is None:
        return None
    fd_count: int | None = None
    with suppress(TargetError):
        fd_count = count_fds(pid)
    return GoProcess(
        pid=pid,
        user=user_name(_owner_of(pid)),
        exe=read_exe(pid),
        command=format_cmdline(read_cmdline(pid)),
        go_version=program.go_version,
        module=program.module,
        age_seconds=max(0.0, time.time() - started_at(stat)),
        rss_bytes=read_rss(pid),
        fd_count=fd_count,
        threads=stat.threads,
    )


def _owner_of(pid: int) -> int:
    """The uid of *pid*. Raises TargetGone."""
    try:
        return Path(f"/proc/{pid}").stat().st_uid
    except OSError as error:
        raise target_error(pid, error) from None


def _program_of(pid: int, file: os.stat_result) -> _Program | None:
    """What the executable is, looked up once a file."""
    key = (file.st_dev, file.st_ino, file.st_size, file.st_mtime_ns)
    if key not in _programs:
        if len(_programs) >= _MAX_PROGRAMS:
            _programs.clear()
        _programs[key] = _read_program(f"/proc/{pid}/exe")
    return _programs[key]


def _read_program(path: str) -> _Program | None:
    if not has_build_info(path):
        return None
    try:
        with Executable.open(path) as executable:
            build = executable.build
    except LeaktuiError:
        return None
    module = build.module.path if build.module else build.main_package
    return _Program(printable(build.go_version, 64), printable(module, 256))


def has_build_info(path: str) -> bool:
    """Whether the ELF file *path* holds Go's build info.

    Reads the headers and little more. Raises PermissionError; False for anything else unreadable.
    """
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - a descriptor for pread
            return _has_build_info(file.fileno())
    except PermissionError:
        raise
    except (OSError, struct.error, OverflowError):
        return False


def _has_build_info(file: int) -> bool:
    head = os.pread(file, 64, 0)
    if len(head) < 64 or head[:4] != b"\x7fELF":
        return False
    wide, order = head[4] == 2, "<" if head[5] == 1 else ">"
    # elf(5): e_phoff, e_shoff, …; then the size and number of program and section headers.
    if wide:
        segments_at, sections_at = struct.unpack_from(order + "QQ", head, 0x20)
        _, segment_size, segments, section_size, sections, names = struct.unpack_from(
            order + "6H", head, 0x34
        )
    else:
        segments_at, sections_at = struct.unpack_from(order + "II", head, 0x1C)
        _, segment_size, segments, section_size, sections, names = struct.unpack_from(
            order + "6H", head, 0x28
        )
    if sections and names < sections and section_size >= (64 if wide else 40):
        headers = os.pread(file, sections * section_size, sections_at)
        # sh_offset and sh_size of the section that holds the names.
        offset, size = struct.unpack_from(
            order + ("QQ" if wide else "II"), headers, names * section_size + (0x18 if wide else 0x10)
        )
        return b"\0.go.buildinfo\0" in os.pread(file, min(size, _NAMES_BYTES), offset)
    # No section headers (sstrip): the magic lies in a segment of data that can be written (linker: first).
    if segment_size < (56 if wide else 32):
        return False
    headers = os.pread(file, min(segments, _MAX_SEGMENTS) * segment_size, segments_at)
    for at in range(0, len(headers) - segment_size + 1, segment_size):
        if wide:
            kind, flags, offset, _, _, size = struct.unpack_from(order + "IIQQQQ", headers, at)
        else:
            kind, offset, _, _, size, _, flags = struct.unpack_from(order + "7I", headers, at)
        if kind == _PT_LOAD and flags & _PF_W and MAGIC in os.pread(file, min(size, _SEGMENT_BYTES), offset):
            return True
    return False


def _with_pprof(
    processes: list[GoProcess], credentials: Credentials, cancelled: Callable[[], bool]
) -> list[GoProcess]:
    """*processes* with their endpoints, as many as answer before the time is over."""
    from leaktui.engines.pprof_summary import read_summary

    waiting: SimpleQueue[int] = SimpleQueue()
    answers: SimpleQueue[tuple[int, GoProcess]] = SimpleQueue()
    over = threading.Event()
    for index in range(len(processes)):
        waiting.put(index)

    def ask() -> None:
        while not over.is_set():
            try:
                index = waiting.get_nowait()
            except Empty:
                return
            process = processes[index]
            summary = read_summary(
                process.pid,
                credentials,
                seconds=PPROF_SECONDS,
                cancelled=lambda: over.is_set() or cancelled(),
            )
            if summary is not None:
                process = replace(process, pprof_url=summary.url, goroutines=summary.goroutines)
            answers.put((index, process))

    for _ in range(min(_PPROF_THREADS, len(processes))):
        threading.Thread(target=ask, name="leaktui-ps-pprof", daemon=True).start()
    deadline = time.monotonic() + _PPROF_TOTAL_SECONDS
    result = list(processes)
    try:
        for _ in processes:
            index, process = answers.get(timeout=max(0.0, deadline - time.monotonic()))
            result[index] = process
    except Empty:
        pass
    finally:
        over.set()
    return result
