"""One capture over one connection: each want as a request, its answer as a fact or a refusal.

Law: an HTTP status becomes a sentence here and nowhere else; what was not done is a Refused with the
reason in the endpoint's own words; what should have been there and was not is an exception.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from time import monotonic

from leaktui.engines.pprof_client import PprofClient, Reply, describe_redirect
from leaktui.engines.pprof_connection import Patience
from leaktui.engines.pprof_trace import record_trace
from leaktui.engines.protocol import (
    DUMP_GATE,
    STOP_SECONDS_PER_GOROUTINE,
    Fact,
    GoroutinesSeen,
    GroupsSeen,
    HeapSeen,
    LeakedSeen,
    Refused,
    Request,
    Want,
)
from leaktui.errors import EndpointDenied, EndpointMismatch, EndpointUnreachable, Truncated
from leaktui.text import format_count, format_duration
from leaktui.wire.goroutine_groups import decode_goroutine_groups
from leaktui.wire.goroutine_text import decode_goroutine_dump
from leaktui.wire.payload import name_payload
from leaktui.wire.profile import decode_heap

PROFILE_LIMIT = 64 << 20
DUMP_LIMIT = 72 << 20  # runtime/pprof.writeGoroutineStacks gives up at 64 MB
TRACE_LIMIT = 512 << 20
MAX_TRACE_SECONDS = 600.0
INDEX_LIMIT = 1 << 20
_ERROR_LIMIT = 1 << 20

_PROFILE_SECONDS = 60.0
_DUMP_SECONDS = 120.0
_IDLE_SECONDS = 15.0

# `<td>12</td><td><a href='goroutine?debug=1'>goroutine</a>`: net/http/pprof.indexTmplExecute, 1.22–1.27.
_INDEX_ROW = re.compile(rb"<td>(\d{1,18})</td><td><a href='([\w.%/-]{1,200})\?debug=1'>")

_CREDENTIALS_REMEDY = (
    "pass --user, or set LEAKTUI_PPROF_USER and LEAKTUI_PPROF_PASSWORD, or LEAKTUI_PPROF_TOKEN"
)


def decode_index(page: bytes) -> dict[str, int]:
    """The profiles an index page lists, with their counts."""
    return {name.decode("ascii"): int(count) for count, name in _INDEX_ROW.findall(page)}


class Exchange:
    """Asks *client* for what *request* wants, one want at a time."""

    def __init__(self, client: PprofClient, request: Request, cancelled: Callable[[], bool]) -> None:
        self._client = client
        self._request = request
        self._cancelled = cancelled
        self._goroutines: int | None = None
        self._answer: dict[Want, Callable[[], Iterator[Fact]]] = {
            Want.GROUPS: self._groups,
            Want.HEAP: self._heap,
            Want.GOROUTINES: self._dump,
            Want.LEAKED: self._leaked,
            Want.HEAP_AFTER_GC: self._heap_after_gc,
            Want.TRACE: self._trace,
        }

    def facts(self, want: Want) -> Iterator[Fact]:
        """What there is for *want*; raises EngineError, DecodeError, CaptureCancelled."""
        return self._answer[want]()

    def read_index(self) -> dict[str, int]:
        """The profiles the index page lists, with their counts; empty where there is no such page."""
        reply = self._client.get("", self._patience(_IDLE_SECONDS), limit=INDEX_LIMIT, what="index")
        if reply.status != 200:
            return {}
        return decode_index(reply.body)

    # -- the wants -----------------------------------------------------------------------------

    def _groups(self) -> Iterator[Fact]:
        reply = self._get("goroutine", "goroutine profile")
        if refused := self._refusal(Want.GROUPS, reply, "a goroutine profile"):
            yield refused
            return
        groups = decode_goroutine_groups(reply.body)
        self._goroutines = sum(group.count for group in groups)
        yield GroupsSeen(groups)

    def _heap(self) -> Iterator[Fact]:
        reply = self._get("heap", "heap profile")
        yield self._refusal(Want.HEAP, reply, "a heap profile") or HeapSeen(decode_heap(reply.body))

    def _heap_after_gc(self) -> Iterator[Fact]:
        if not self._request.allow_pauses:
            yield Refused(
                Want.HEAP_AFTER_GC,
                "a heap profile after a GC forces a collection in the program",
                "allow it with --allow pause",
            )
            return
        reply = self._get("heap", "heap profile", query="gc=1", seconds=_DUMP_SECONDS, idle=_DUMP_SECONDS)
        yield self._refusal(Want.HEAP_AFTER_GC, reply, "a heap profile") or HeapSeen(
            decode_heap(reply.body), after_gc=True
        )

    def _leaked(self) -> Iterator[Fact]:
        reply = self._get("goroutineleak", "goroutineleak profile", seconds=_DUMP_SECONDS, idle=_DUMP_SECONDS)
        if reply.status == 404:
            yield Refused(
                Want.LEAKED,
                "the program has no goroutineleak profile",
                "it comes with Go 1.27, and with Go 1.26 built with GOEXPERIMENT=goroutineleakprofile",
            )
            return
        yield self._refusal(Want.LEAKED, reply, "a goroutineleak profile") or LeakedSeen(
            decode_goroutine_groups(reply.body)
        )

    def _dump(self) -> Iterator[Fact]:
        # The count costs the target nothing: the index page has it, and answers before the dump is asked
        # for, so that its time also says how fast an answer is that stops nobody.
        began = monotonic()
        listed = self.read_index().get("goroutine")
        round_trip = monotonic() - began
        count = self._goroutines if listed is None else listed
        if count is None:
            yield from (fact for fact in self._groups() if isinstance(fact, Refused))
            count = self._goroutines
            if count is None:
                return
        if count > DUMP_GATE and not self._request.allow_pauses:
            pause = format_duration(count * STOP_SECONDS_PER_GOROUTINE)
            yield Refused(
                Want.GOROUTINES,
                f"a full dump of {format_count(count)} goroutines would stop the program for about {pause}",
                "allow it with --allow pause",
            )
            return
        reply = self._get(
            "goroutine",
            "goroutine dump",
            query="debug=2",
            limit=DUMP_LIMIT,
            seconds=_DUMP_SECONDS,
            idle=_DUMP_SECONDS,
        )
        if refused := self._refusal(Want.GOROUTINES, reply, "a goroutine dump"):
            yield refused
            return
        dump = decode_goroutine_dump(reply.body)
        # Until the first byte the handler does nothing but dump, nearly all of it with the world stopped.
        pause_ms = max(0.0, reply.first_byte_seconds - round_trip) * 1000
        yield GoroutinesSeen(dump.goroutines, pause_ms=pause_ms, truncated=dump.truncated)

    def _trace(self) -> Iterator[Fact]:
        seconds = min(max(self._request.trace_seconds, 0.1), MAX_TRACE_SECONDS)
        refused: list[Refused] = []

        def receive(cancelled: Callable[[], bool]) -> Iterator[bytes]:
            # A quiet program writes nothing until a generation ends: silence is no sign of trouble here.
            patience = Patience(seconds + _PROFILE_SECONDS, seconds + _IDLE_SECONDS, cancelled)
            with self._client.open("trace", patience, query=f"seconds={seconds:g}") as (response, _):
                if response.status_code == 200:
                    yield from self._client.iter_body(response, limit=TRACE_LIMIT, what="execution trace")
                    return
                reply = self._client.read(response, 0.0, _ERROR_LIMIT, "answer")
                if refusal := self._refusal(Want.TRACE, reply, "an execution trace"):
                    refused.append(refusal)

        try:
            yield from record_trace(receive, self._cancelled)
        except Truncated:
            if not refused:
                raise
        yield from refused

    # -- requests ------------------------------------------------------------------------------

    def _get(
        self,
        name: str,
        what: str,
        *,
        query: str = "",
        limit: int = PROFILE_LIMIT,
        seconds: float = _PROFILE_SECONDS,
        idle: float = _IDLE_SECONDS,
    ) -> Reply:
        return self._client.get(name, self._patience(seconds, idle), limit=limit, what=what, query=query)

    def _patience(self, seconds: float, idle: float = _IDLE_SECONDS) -> Patience:
        return Patience(total=seconds, idle=min(idle, seconds), cancelled=self._cancelled)

    def _refusal(self, want: Want, reply: Reply, what: str) -> Refused | None:
        """None when the answer is good; Refused for a plain no; raises where it is no pprof at all."""
        name = self._client.endpoint.name
        status, said = reply.status, f" (it says: {reply.text})" if reply.text else ""
        if status == 200:
            if name_payload(reply.body) == "an HTML page":
                raise EndpointMismatch(
                    f"{name} answered with an HTML page instead of {what}{said}",
                    remedy="a login page or a proxy may stand before it: set LEAKTUI_PPROF_TOKEN, "
                    "or give the program's own address with --url",
                )
            return None
        if status in (401, 403):
            raise EndpointDenied(f"{name} answers HTTP {status}", remedy=_CREDENTIALS_REMEDY)
        if 300 <= status < 400:
            raise EndpointMismatch(
                f"{name} redirects to {describe_redirect(reply)}",
                remedy="give that address with --url if it is the program's own",
            )
        if status == 404:
            return Refused(want, f"{name} does not serve {what}", "mount net/http/pprof's Index handler")
        if reply.from_pprof or status in (400, 405):
            remedy = ""
            if want is Want.TRACE and status == 500:
                remedy = "wait until the other trace is over: only one can run at a time"
            elif want is Want.TRACE and status == 400:
                remedy = "ask for a shorter trace: the server's WriteTimeout ends it"
            return Refused(want, f"{name} refuses {what} with HTTP {status}{said}", remedy)
        raise EndpointUnreachable(f"{name} answers HTTP {status} to a request for {what}{said}")
