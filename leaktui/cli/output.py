"""Where words go: stdout, stderr, a file, the line that shows progress.

Law: stdout carries the answer and nothing else; a reader that goes away is no error; a report's file is
private to the user and never half written.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import sys
import tempfile
from pathlib import Path
from typing import IO

from leaktui.errors import UsageError
from leaktui.text import cell_width, printable


def say(sentence: str) -> None:
    """One line on stderr, whatever *sentence* holds; silent where stderr is gone."""
    if sys.stderr is None:
        return
    with contextlib.suppress(OSError):
        _forgive_encoding(sys.stderr)
        sys.stderr.write(f"leaktui: {printable(sentence)}\n")
        sys.stderr.flush()


def write_answer(text: str) -> None:
    """*text* on stdout. A reader that has gone away is not an error. Raises UsageError without a stdout."""
    if sys.stdout is None:
        raise UsageError("there is no standard output to write to", remedy="open it, or name a file with -o")
    try:
        _forgive_encoding(sys.stdout)
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        discard_output()


def discard_output() -> None:
    """Point stdout at nothing, so that the interpreter's last flush cannot complain."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def _forgive_encoding(stream: IO[str]) -> None:
    """A terminal that is not UTF-8 shows escapes instead of failing on the first `·`."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")


class ReportFile:
    """A file that appears whole, or not at all, readable by its owner only.

    Made before the long work, so that a directory one cannot write to is known at once. Use it as a
    context manager; raises UsageError when it cannot be made.
    """

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._temporary: str | None = None
        try:
            # A device or pipe is written to as it is; a link is replaced, not followed.
            status = os.lstat(self._path)
            self._direct = not stat.S_ISREG(status.st_mode) and not stat.S_ISLNK(status.st_mode)
            if stat.S_ISDIR(status.st_mode):
                raise UsageError(f"{printable(path)} is a directory", remedy="name a file in it")
        except FileNotFoundError:
            self._direct = False
        except (OSError, ValueError) as error:
            raise self._refusal(error) from None
        try:
            if self._direct:
                self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOCTTY)
            else:
                directory = self._path.parent
                self._descriptor, self._temporary = tempfile.mkstemp(
                    prefix=f".{self._path.name[:64]}.", dir=directory
                )
        except (OSError, ValueError) as error:
            raise self._refusal(error) from None

    def __enter__(self) -> ReportFile:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        if self._temporary is not None:
            Path(self._temporary).unlink(missing_ok=True)
            self._temporary = None

    def write(self, content: str | bytes) -> None:
        """Write *content* and put the file in its place."""
        data = content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content
        try:
            with os.fdopen(self._descriptor, "wb") as stream:
                self._descriptor = -1
                stream.write(data)
            if self._temporary is not None:
                Path(self._temporary).replace(self._path)
                self._temporary = None
        except OSError as error:
            raise self._refusal(error) from None

    def _refusal(self, error: Exception) -> UsageError:
        why = getattr(error, "strerror", None) or str(error)
        return UsageError(
            f"cannot write {printable(str(self._path))} ({why})", remedy="name another file with -o"
        )


def open_private(path: str) -> IO[bytes]:
    """A file to be written piece by piece at *path*, readable by its owner only; what was there is replaced.

    It is in its place at once, so that whatever was written stays if leaktui is killed. Raises UsageError.
    """
    place = Path(path)
    temporary: str | None = None
    try:
        with contextlib.suppress(FileNotFoundError):
            status = os.lstat(place)
            if stat.S_ISDIR(status.st_mode):
                raise UsageError(f"{printable(path)} is a directory", remedy="name a file in it")
            if not stat.S_ISREG(status.st_mode) and not stat.S_ISLNK(status.st_mode):
                return os.fdopen(os.open(place, os.O_WRONLY | os.O_CLOEXEC | os.O_NOCTTY), "wb")
        descriptor, temporary = tempfile.mkstemp(prefix=f".{place.name[:64]}.", dir=place.parent)
        file = os.fdopen(descriptor, "wb")
        Path(temporary).replace(place)
        return file
    except (OSError, ValueError) as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        why = getattr(error, "strerror", None) or str(error)
        raise UsageError(
            f"cannot write {printable(path)} ({why})", remedy="name another file with -o"
        ) from None


class ProgressLine:
    """One line on stderr that is written over, where stderr is a terminal; nothing anywhere else."""

    def __init__(self) -> None:
        self._shown = 0
        self._live = sys.stderr is not None and sys.stderr.isatty()

    def show(self, text: str) -> None:
        """Replace the line by *text*, cut to the terminal's width."""
        if not self._live:
            return
        # The last column stays free: writing into it makes some terminals wrap.
        room = max(8, _stderr_columns() - 1)
        text = printable(text)
        while cell_width(text) > room:
            text = text[:-2] + "…"
        width = cell_width(text)
        with contextlib.suppress(OSError):
            sys.stderr.write("\r" + text + " " * min(max(0, self._shown - width), room - width))
            sys.stderr.flush()
        self._shown = width

    def clear(self) -> None:
        """Take the line away."""
        if self._live and self._shown:
            with contextlib.suppress(OSError):
                sys.stderr.write("\r" + " " * min(self._shown, _stderr_columns() - 1) + "\r")
                sys.stderr.flush()
            self._shown = 0


def _stderr_columns() -> int:
    with contextlib.suppress(OSError, ValueError):
        columns = os.get_terminal_size(sys.stderr.fileno()).columns
        if columns > 0:
            return columns
    return 80


def stdout_is_terminal() -> bool:
    """Whether a person reads stdout."""
    return sys.stdout is not None and sys.stdout.isatty()


def wants_colour(no_color: bool) -> bool:
    """Whether to colour what goes to stdout (https://no-color.org: any non-empty NO_COLOR says no)."""
    return (
        not no_color
        and stdout_is_terminal()
        and not os.environ.get("NO_COLOR")
        and os.environ.get("TERM") != "dumb"
    )


def report_width() -> int:
    """Columns of a report: the terminal's between 60 and 120, 80 anywhere else."""
    if not stdout_is_terminal():
        return 80
    return min(120, max(60, shutil.get_terminal_size((80, 24)).columns))
