"""The `pprof` engine: profiles, goroutine dumps and execution traces from `net/http/pprof`.

Law: an answer counts only when the endpoint is known to be the target's. What stops the target (a full
dump of many goroutines, a forced collection) is done only where the request allows it; everything else
costs it milliseconds. Every answer is bounded in bytes and time, and a cancelled capture ends within a
fraction of a second.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from leaktui.engines.pprof_endpoint import Credentials, parse_url
from leaktui.engines.pprof_finding import find_by_pid, find_by_url
from leaktui.engines.pprof_identity import read_mappings
from leaktui.engines.proc_stat import read_live_stat
from leaktui.engines.protocol import Fact, Request, Want
from leaktui.errors import (
    DecodeError,
    EndpointUnreachable,
    EngineError,
    LeaktuiError,
    TargetForbidden,
    Truncated,
    UsageError,
)
from leaktui.model.capability import Capability, Impact
from leaktui.model.target import Target

if TYPE_CHECKING:  # httpx costs a tenth of a second to import: in the engine's thread, when it is needed
    from leaktui.engines.pprof_client import PprofClient
    from leaktui.engines.pprof_discovery import Probed

_ALWAYS = (Want.GROUPS, Want.GOROUTINES, Want.HEAP, Want.HEAP_AFTER_GC, Want.TRACE)
_DYING_SECONDS = 0.3
_DYING_CHECKS = 10
# The cheap and quick first; what takes seconds last.
_ORDER = (Want.GROUPS, Want.HEAP, Want.GOROUTINES, Want.LEAKED, Want.HEAP_AFTER_GC, Want.TRACE)


class PprofEngine:
    """Everything `net/http/pprof` gives about one process, named by a pid, a URL, or both.

    With both, the endpoint must be that process's. Captures may run at the same time in several
    threads; each uses a connection of its own. Raises UsageError for a URL that is none.
    """

    name = "pprof"

    def __init__(
        self,
        pid: int | None = None,
        url: str | None = None,
        *,
        credentials: Credentials | None = None,
        insecure: bool = False,
    ) -> None:
        if pid is None and url is None:
            raise UsageError("there is nothing to look at", remedy="give a process with --pid or a --url")
        self._pid = pid
        self._credentials = credentials or Credentials()
        self._candidates = None
        if url is not None:
            self._candidates, own = parse_url(url, insecure=insecure)
            self._credentials = own or self._credentials
        self._closed = threading.Event()
        self._finding = threading.Lock()
        self._found: Probed | None = None
        self._started_ticks: int | None = None
        self._idle: list[PprofClient] = []
        self._clients = threading.Lock()

    @property
    def url(self) -> str | None:
        """The endpoint's address once it was found, without credentials."""
        return self._found.endpoint.url if self._found else None

    # -- finding -------------------------------------------------------------------------------

    def probe(self, target: Target) -> Capability:
        """Find the endpoint and look at its index: some small requests that stop nothing."""
        from leaktui.engines.pprof_connection import CaptureCancelled
        from leaktui.engines.pprof_exchange import Exchange

        gives = [want.value for want in _ALWAYS]
        try:
            with self._client(self._closed.is_set) as client:
                profiles = Exchange(client, Request(frozenset()), self._closed.is_set).read_index()
        except LeaktuiError as error:
            return self._unusable(str(error.args[0]), error.remedy)
        except CaptureCancelled:
            return self._unusable("the pprof engine was closed")
        if "goroutineleak" in profiles:
            gives.append(Want.LEAKED.value)
        return Capability(
            self.name, usable=True, impact=Impact.LIGHT, gives=tuple(gives), reason=f"at {self.url}"
        )

    def _unusable(self, reason: str, remedy: str = "") -> Capability:
        return Capability(self.name, usable=False, impact=Impact.LIGHT, reason=reason, remedy=remedy)

    def _find(self, cancelled: Callable[[], bool]) -> Probed:
        with self._finding:
            if self._found is None:
                if self._pid is not None:
                    self._started_ticks = read_live_stat(self._pid, self._started_ticks).started_ticks
                if self._candidates is not None:
                    found = find_by_url(self._candidates, self._credentials, self._pid, cancelled)
                elif self._pid is not None:
                    found = find_by_pid(self._pid, self._credentials, cancelled)
                self._found = found
            return self._found

    @contextmanager
    def _client(self, cancelled: Callable[[], bool]) -> Iterator[PprofClient]:
        """A connection nobody else uses now; kept for the next capture if nothing went wrong with it.

        Raises EngineError, DecodeError, TargetGone; what another error hides (the process exited, or is
        stopped) takes its place.
        """
        from leaktui.engines.pprof_client import PprofClient

        try:
            if self._closed.is_set():
                raise EndpointUnreachable("the pprof engine was closed")
            found = self._find(cancelled)
            with self._clients:
                client = self._idle.pop() if self._idle else None
            if client is None:
                mappings = read_mappings(self._pid) if self._pid and found.identified else None
                client = PprofClient(
                    found.endpoint,
                    self._credentials,
                    mappings=mappings,
                    ask_first=self._candidates is None,
                )
            try:
                yield client
            except BaseException:
                client.close()
                raise
            with self._clients:
                keep = not self._closed.is_set()
                if keep:
                    self._idle.append(client)
            if not keep:
                client.close()
        except (EngineError, DecodeError) as error:
            if isinstance(error, EngineError):
                self._found = None  # a program that restarts in place may come back on another port
            self._look_behind(error)
            raise error

    def _look_behind(self, error: LeaktuiError) -> None:
        """After an error: say so if the process has exited or stands still."""
        if self._pid is None or self._started_ticks is None:
            return
        try:
            state = read_live_stat(self._pid, self._started_ticks).state
            # The kernel closes a dying process's sockets a moment before it calls it dead.
            for _ in range(_DYING_CHECKS):
                if state in "Tt" or not isinstance(error, (EndpointUnreachable, Truncated)):
                    break
                time.sleep(_DYING_SECONDS / _DYING_CHECKS)
                state = read_live_stat(self._pid, self._started_ticks).state
        except TargetForbidden:
            return
        if state in "Tt":
            raise EndpointUnreachable(
                f"process {self._pid} is stopped (state {state}), so its endpoint cannot answer",
                remedy=f"let it run on with `kill -CONT {self._pid}`, or end the debugger that holds it",
            )

    # -- capturing -----------------------------------------------------------------------------

    def capture(self, request: Request, cancel: threading.Event) -> Iterator[Fact]:
        """Yield what *request* wants of the endpoint.

        Something the endpoint does not offer, or that would cost too much, comes as Refused. An answer
        that cannot be decoded does not keep the others back: it is raised after them.
        """
        wanted = [want for want in _ORDER if want in request.wants]
        if not wanted:
            return
        from leaktui.engines.pprof_connection import CaptureCancelled
        from leaktui.engines.pprof_exchange import Exchange

        def cancelled() -> bool:
            return cancel.is_set() or self._closed.is_set()

        failure: DecodeError | None = None
        try:
            with self._client(cancelled) as client:
                exchange = Exchange(client, request, cancelled)
                for want in wanted:
                    try:
                        yield from exchange.facts(want)
                    except DecodeError as error:
                        failure = failure or error
                if failure is not None:
                    raise failure
        except CaptureCancelled:
            return

    def close(self) -> None:
        """Drop the connections; captures under way end."""
        self._closed.set()
        with self._clients:
            idle, self._idle = self._idle, []
        for client in idle:
            client.close()
