"""A small process that puts probes in and takes them out, so that nothing of them stays however leaktui ends.

Law: the kernel takes a uprobe out in the context of whoever drops it last; where that one is being killed it cannot
touch the target's code any more and leaves the breakpoint in it for good ("failed to unregister, leaking uprobe",
kernel/events/uprobes.c; measured on Linux 6.18: 54 of 100 kills). The keeper shares every link and event with us. When
we are gone, by whatever signal, it drops them as a living process and ends. It is a session of its own, ignores
every signal that can be ignored, and is the last that the kernel would kill for want of memory.
"""

from __future__ import annotations

import atexit
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from leaktui.engines.probes.kernel import perf_event, uprobe_multi
from leaktui.engines.probes.kernel.system_call import KernelRefused, name_process
from leaktui.errors import EngineUnavailable

_START_SECONDS = 20.0
_ANSWER_SECONDS = 60.0
_MESSAGE_BYTES = 1 << 16
_MOST_FILES = 250  # SCM_MAX_FD is 253

_START = (
    "import sys; sys.path[:] = sys.argv[2:]; "
    "from leaktui.engines.probes.kernel.keeper import keep; keep(int(sys.argv[1]))"
)


class Kept:
    """Links and events that the keeper shares: `files` are ours of them. `drop` takes the probes out."""

    def __init__(self, keeper: _Keeper, number: int) -> None:
        self._keeper = keeper
        self._number = number
        self.files: list[int] = []

    def link(self, program: int, path: str, file_offsets: Sequence[int], pid: int) -> None:
        """As `uprobe_multi.link_uprobes`. Raises KernelRefused, EngineUnavailable."""
        request = {"do": "link", "path": path, "offsets": list(file_offsets), "pid": pid}
        self.files += self._keeper.ask(request | {"of": self._number}, [program])

    def open_event(self, program: int, path: str, file_offset: int, pid: int) -> None:
        """An enabled perf event that runs *program*. Raises KernelRefused, EngineUnavailable."""
        request = {"do": "event", "path": path, "offset": file_offset, "pid": pid}
        self.files += self._keeper.ask(request | {"of": self._number}, [program])

    def share(self, files: Sequence[int]) -> None:
        """Have *files*, which stay the caller's, kept too. Raises EngineUnavailable."""
        for first in range(0, len(files), _MOST_FILES):
            self._keeper.ask({"do": "share", "of": self._number}, files[first : first + _MOST_FILES])

    def drop(self) -> None:
        """Close all of them, here and there; returns when the probes are out. Safe to call again."""
        for file in self.files:
            with suppress(OSError):
                os.close(file)
        self.files.clear()
        _give_back(self._keeper, self._number)


_lock = threading.Lock()
_keeper: _Keeper | None = None
_numbers: set[int] = set()
_last_number = 0


def new_kept() -> Kept:
    """Room for links and events with the keeper, which is started for the first. Raises EngineUnavailable."""
    global _keeper, _last_number
    with _lock:
        if _keeper is None or not _keeper.alive:
            if _keeper is not None:
                _keeper.close()
            _numbers.clear()
            _keeper = _Keeper()
        _last_number += 1
        _numbers.add(_last_number)
        return Kept(_keeper, _last_number)


def _give_back(keeper: _Keeper, number: int) -> None:
    global _keeper
    with _lock:
        if keeper is not _keeper or number not in _numbers:
            return
        _numbers.discard(number)
        last = not _numbers
        if last:
            _keeper = None
    with suppress(EngineUnavailable):
        keeper.ask({"do": "drop", "of": number})
    if last:
        keeper.close()


class _Keeper:
    """Our end of the process."""

    def __init__(self) -> None:
        """Raises EngineUnavailable."""
        self._lock = threading.Lock()
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        import leaktui

        parent = str(Path(leaktui.__file__).parents[1])
        try:
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, "-I", "-S", "-c", _START, str(theirs.fileno()), parent, *sys.path],
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                    cwd="/",
                )
        except OSError as error:
            self._socket.close()
            raise _cannot_start(error.strerror or "") from None
        atexit.register(self.close)
        self._socket.settimeout(_START_SECONDS)
        try:
            if self._socket.recv(_MESSAGE_BYTES) != b"ready":
                raise OSError
        except OSError:
            self.close()
            raise _cannot_start("it did not start") from None
        self._socket.settimeout(_ANSWER_SECONDS)

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, request: dict[str, object], files: Sequence[int] = ()) -> list[int]:
        """The descriptors that answer *request*, which are the caller's. Raises KernelRefused, EngineUnavailable."""
        with self._lock:
            try:
                socket.send_fds(self._socket, [json.dumps(request).encode()], list(files))
                data, received, _, _ = socket.recv_fds(self._socket, _MESSAGE_BYTES, _MOST_FILES)
                for file in received:
                    os.set_inheritable(file, False)  # or a program we start would keep the probes in
                answer = json.loads(data)
            except (OSError, ValueError):
                raise EngineUnavailable(
                    "the process that keeps the probes went away", remedy="arm them again"
                ) from None
        if "errno" in answer:
            raise KernelRefused(str(answer["call"]), int(answer["errno"]))
        return received

    def close(self) -> None:
        """End it: what it still keeps it drops. Safe to call again."""
        atexit.unregister(self.close)
        self._socket.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_ANSWER_SECONDS)


def _cannot_start(why: str) -> EngineUnavailable:
    reason = "the process that takes the probes out should leaktui be killed could not be started"
    return EngineUnavailable(f"{reason}: {why}", remedy="without it none are armed; use the memory engine")


# --- the process itself ---


def keep(descriptor: int) -> None:
    """The keeper's life: do what is asked at the socket *descriptor*, and drop all when nobody asks any more."""
    for sign in signal.valid_signals():
        with suppress(OSError, ValueError):  # SIGKILL and SIGSTOP
            signal.signal(sign, signal.SIG_IGN)
    name_process(b"leaktui-keeper")
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("-1000")
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    kept: dict[int, list[int]] = {}
    with socket.socket(fileno=descriptor) as asked, suppress(OSError):
        asked.send(b"ready")
        while True:
            data, files, _, _ = socket.recv_fds(asked, _MESSAGE_BYTES, _MOST_FILES)
            if not data:
                break
            answer, given = _answer(json.loads(data), files, kept)
            socket.send_fds(asked, [json.dumps(answer).encode()], given)
    for number in list(kept):
        _drop(kept, number)


def _answer(
    request: dict[str, object], files: list[int], kept: dict[int, list[int]]
) -> tuple[dict[str, object], list[int]]:
    """The answer to *request*, and the descriptors that go with it."""
    number = int(str(request["of"]))
    if request["do"] == "drop":
        _drop(kept, number)
        return {}, []
    mine = kept.setdefault(number, [])
    if request["do"] == "share":
        mine += files
        return {}, []
    (program,) = files
    path, pid = str(request["path"]), int(str(request["pid"]))
    try:
        if request["do"] == "link":
            offsets = request["offsets"]
            assert isinstance(offsets, list)
            made = uprobe_multi.link_uprobes(program, path, offsets, pid)
            mine.append(made)
        else:
            made = perf_event.open_uprobe(path, int(str(request["offset"])), pid=pid)
            mine.append(made)
            perf_event.set_program(made, program)
            perf_event.enable(made)
    except KernelRefused as refusal:
        return {"call": refusal.call, "errno": refusal.errno}, []
    finally:
        os.close(program)
    return {}, [made]


def _drop(kept: dict[int, list[int]], number: int) -> None:
    for file in kept.pop(number, ()):
        with suppress(OSError):
            os.close(file)
