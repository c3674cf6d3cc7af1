"""A service that leaks, as data: what the engines would see of it, moment by moment.

Law: pure arithmetic on the number of the moment; nothing is random and nothing is read. The service is
an HTTP shop whose price look-up forgets the response body on one path: connections, goroutines, heap and
descriptors grow with it, beside a pool and a cache that stay as they are.
"""

from __future__ import annotations

from dataclasses import dataclass

from leaktui.engines.fake import FakeEngine, script_of
from leaktui.engines.fake_ledgers import ShopLedgers
from leaktui.engines.protocol import (
    Fact,
    FdsSeen,
    GoroutinesSeen,
    GroupsSeen,
    HeapSeen,
    ProcessSeen,
    TraceProgress,
    TraceSeen,
)
from leaktui.model.frame import Frame, Stack
from leaktui.model.goroutine import Goroutine, GoroutineGroup
from leaktui.model.process import FdEntry, FdKind, ProcessStat, Socket
from leaktui.model.profile import AllocSite, HeapProfile
from leaktui.model.target import BuildInfo, Module, Target
from leaktui.model.trace import BodyHandoff, GoroutineFlow, HeapPoint, TraceSummary

_GO = "/usr/local/go/src/"
_SHOP = "/srv/build/shop/"
_SECOND_NS = 1_000_000_000

LEAKING_CALL = Frame("example.com/shop/pricing.(*Client).Lookup", _SHOP + "pricing/client.go", 61)
"""Where the forgotten body comes from."""

_HANDLER: Stack = (
    Frame("example.com/shop/web.(*Server).item", _SHOP + "web/item.go", 38),
    Frame("net/http.HandlerFunc.ServeHTTP", _GO + "net/http/server.go", 2286),
    Frame("net/http.(*ServeMux).ServeHTTP", _GO + "net/http/server.go", 2828),
    Frame("net/http.serverHandler.ServeHTTP", _GO + "net/http/server.go", 3311),
    Frame("net/http.(*conn).serve", _GO + "net/http/server.go", 2073),
)
_CLIENT: Stack = (
    Frame("net/http.(*Transport).roundTrip", _GO + "net/http/transport.go", 660),
    Frame("net/http.(*Transport).RoundTrip", _GO + "net/http/roundtrip.go", 33),
    Frame("net/http.send", _GO + "net/http/client.go", 259),
    Frame("net/http.(*Client).send", _GO + "net/http/client.go", 180),
    Frame("net/http.(*Client).do", _GO + "net/http/client.go", 729),
    Frame("net/http.(*Client).Do", _GO + "net/http/client.go", 587, inlined=True),
    Frame("net/http.(*Client).Get", _GO + "net/http/client.go", 479),
)
_ROUND_TRIP: Stack = (
    Frame("net/http.(*persistConn).roundTrip", _GO + "net/http/transport.go", 2897),
    *_CLIENT,
    LEAKING_CALL,
    *_HANDLER,
)
_STOCK: Stack = (
    *_ROUND_TRIP[:8],
    Frame("example.com/shop/stock.(*Client).Level", _SHOP + "stock/client.go", 33),
    *_HANDLER,
)
_DIAL = Frame("net/http.(*Transport).dialConn", _GO + "net/http/transport.go", 1944)
_READ_LOOP: Stack = (Frame("net/http.(*persistConn).readLoop", _GO + "net/http/transport.go", 2484),)
_WRITE_LOOP: Stack = (Frame("net/http.(*persistConn).writeLoop", _GO + "net/http/transport.go", 2657),)
_DIALLING: Stack = (
    Frame("net.newFD", _GO + "net/fd_unix.go", 26),
    Frame("net.socket", _GO + "net/sock_posix.go", 19),
    Frame("net.(*Dialer).DialContext", _GO + "net/dial.go", 540),
    _DIAL,
    Frame("net/http.(*Transport).dialConnFor", _GO + "net/http/transport.go", 1601),
)
_POOL: Stack = (Frame("example.com/shop/jobs.(*Pool).work", _SHOP + "jobs/pool.go", 24),)
_ACCEPT: Stack = (
    Frame("internal/poll.(*FD).Accept", _GO + "internal/poll/fd_unix.go", 613),
    Frame("net.(*netFD).accept", _GO + "net/fd_unix.go", 150),
    Frame("net/http.(*Server).Serve", _GO + "net/http/server.go", 3424),
    Frame("main.main", _SHOP + "main.go", 52),
)
_CACHE: Stack = (
    Frame("example.com/shop/catalog.(*Cache).Put", _SHOP + "catalog/cache.go", 44),
    Frame("example.com/shop/catalog.Load", _SHOP + "catalog/load.go", 17),
    Frame("main.main", _SHOP + "main.go", 31),
)
_READER_BUFFER: Stack = (
    Frame("bufio.NewReaderSize", _GO + "bufio/bufio.go", 57, inlined=True),
    _DIAL,
    Frame("net/http.(*Transport).dialConnFor", _GO + "net/http/transport.go", 1601),
)
_POOL_SIZE = 8


@dataclass(frozen=True, slots=True)
class LeakingService:
    """The service at any moment. *start* bodies are open at moment 0, *step* more at each one after it.

    With *step* 0 it is healthy: everything is there and nothing grows.
    """

    start: int = 12
    step: int = 4
    pid: int = 4242

    def target(self) -> Target:
        """The process."""
        module = Module("example.com/shop", "(devel)")
        return Target(
            pid=self.pid,
            exe="/srv/shop",
            go_version="go1.26.8",
            module=module.path,
            main_package="example.com/shop",
            stripped=False,
            started_at=1_767_225_600.0,
            build=BuildInfo("go1.26.8", "example.com/shop", module),
        )

    def open_bodies(self, moment: int) -> int:
        """How many bodies nobody has closed."""
        return self.start + self.step * moment

    def facts(self, moment: int) -> tuple[Fact, ...]:
        """Everything the engines see at *moment*, but for the trace."""
        return (
            ProcessSeen(self.process(moment)),
            FdsSeen(self.fds(moment)),
            GroupsSeen(self.groups(moment)),
            HeapSeen(self.heap(moment)),
            GoroutinesSeen(self.goroutines(moment), pause_ms=0.4),
        )

    def process(self, moment: int) -> ProcessStat:
        """The counters."""
        bodies = self.open_bodies(moment)
        return ProcessStat(
            rss_bytes=(48 << 20) + bodies * 24_576,
            vms_bytes=1_600 << 20,
            threads=11,
            cpu_seconds=20.0 + 0.25 * moment,
            fd_count=7 + bodies,
            fd_limit=1024,
            memory_limit_bytes=256 << 20,
        )

    def fds(self, moment: int) -> tuple[FdEntry, ...]:
        """The descriptors: standard streams, a log, the listener, and one connection a body."""
        entries = [FdEntry(number, FdKind.DEVICE, "/dev/null", 4) for number in range(3)]
        entries.append(FdEntry(3, FdKind.EPOLL, "anon_inode:[eventpoll]"))
        entries.append(FdEntry(4, FdKind.EVENT, "anon_inode:[eventfd]"))
        entries.append(FdEntry(5, FdKind.FILE, "/var/log/shop/access.log", 7001))
        listener = Socket("tcp6", "[::]:8080", "[::]:0", "LISTEN")
        entries.append(FdEntry(6, FdKind.SOCKET, "socket:[9000]", 9000, listener))
        for index in range(self.open_bodies(moment)):
            connection = Socket("tcp", f"10.0.4.17:{40000 + index}", "10.0.9.2:443", "ESTABLISHED", 2048)
            inode = 9001 + index
            entries.append(FdEntry(7 + index, FdKind.SOCKET, f"socket:[{inode}]", inode, connection))
        return tuple(entries)

    def groups(self, moment: int) -> tuple[GoroutineGroup, ...]:
        """The goroutine profile."""
        bodies = self.open_bodies(moment)
        found = (
            GoroutineGroup(bodies, _READ_LOOP, wait_reason="select"),
            GoroutineGroup(bodies, _WRITE_LOOP, wait_reason="select"),
            GoroutineGroup(_POOL_SIZE, _POOL, wait_reason="chan receive"),
            GoroutineGroup(1, _ACCEPT, wait_reason="IO wait"),
        )
        return tuple(sorted(found, key=lambda group: -group.count))

    def goroutines(self, moment: int) -> tuple[Goroutine, ...]:
        """A full dump. The oldest connection waits longest; a moment is five seconds."""
        found = [Goroutine(1, "IO wait", _ACCEPT, wait_minutes=0 if moment else None)]
        creator = Frame(_DIAL.function, _DIAL.file, _DIAL.line)
        jobs = Frame("example.com/shop/jobs.New", _SHOP + "jobs/pool.go", 15)
        found += [Goroutine(10 + n, "chan receive", _POOL, created_by=jobs) for n in range(_POOL_SIZE)]
        bodies = self.open_bodies(moment)
        for index in range(bodies):
            age = moment if index < self.start else moment - (index - self.start) // max(1, self.step) - 1
            minutes = age * 5 // 60 or None
            for offset, stack in ((0, _READ_LOOP), (1, _WRITE_LOOP)):
                found.append(
                    Goroutine(
                        100 + 2 * index + offset,
                        "select",
                        stack,
                        wait_minutes=minutes,
                        created_by=creator,
                        parent_goid=50 + index,
                    )
                )
        return tuple(found)

    def heap(self, moment: int) -> HeapProfile:
        """The heap profile: buffers of the connections, and a cache as large as ever."""
        bodies = self.open_bodies(moment)
        return HeapProfile(
            sites=(
                AllocSite(_CACHE, 20_000, 41 << 20, 12_000, 24 << 20),
                AllocSite(_READER_BUFFER, bodies + 300, (bodies + 300) * 4096, bodies, bodies * 4096),
                AllocSite(_ROUND_TRIP, 9 * bodies, bodies * 5_200, 3 * bodies, bodies * 1_700),
            ),
            time_ns=(1_767_225_600 + 5 * moment) * _SECOND_NS,
            sample_rate=512 * 1024,
        )

    def trace(self, moment: int) -> TraceSummary:
        """Five seconds of execution trace: *step* bodies left behind, twice as many closed."""
        end = 5 * _SECOND_NS
        closed = tuple(
            self._handoff(index, closed_ns=index * _SECOND_NS // 10 + 3_000_000)
            for index in range(2 * self.step)
        )
        left = tuple(self._handoff(2 * self.step + index) for index in range(self.step))
        first = self.open_bodies(moment)
        return TraceSummary(
            go_version="go1.26",
            duration_ns=end,
            events=12_000 + 40 * self.step,
            handoffs=closed + left,
            goroutines=(
                GoroutineFlow(
                    creation_stack=(Frame(_DIAL.function, _DIAL.file, _DIAL.line),),
                    start=_READ_LOOP,
                    created=self.step,
                    ended=0,
                    parked=self.step,
                    parked_stack=_READ_LOOP,
                    parked_reason="select",
                ),
            ),
            heap=tuple(HeapPoint(n * _SECOND_NS, (26 << 20) + (first + n) * 8_192) for n in range(5)),
            gc_cycles=5,
            end_ns=end,
        )

    def _handoff(self, index: int, closed_ns: int | None = None) -> BodyHandoff:
        return BodyHandoff(
            holder_goid=1000 + 2 * index,
            caller_goid=500 + index,
            opened_ns=index * _SECOND_NS // 10,
            stack=_ROUND_TRIP,
            released_ns=closed_ns,
            release_stack=() if closed_ns is None else (LEAKING_CALL, *_HANDLER),
            caller_alive=False,
        )

    def engine(self, moments: int = 24, *, name: str = "fake") -> FakeEngine:
        """An engine that shows *moments* moments, one a capture of each want, and then the last for ever."""
        script = script_of(
            [
                (
                    *self.facts(moment),
                    TraceProgress(48_000, 2.5),
                    TraceSeen(self.trace(moment)),
                )
                for moment in range(moments)
            ]
        )
        return FakeEngine(script, name=name)

    @property
    def ledgers(self) -> ShopLedgers:
        """What probes see from the moment they are armed."""
        return ShopLedgers(self.step, _ROUND_TRIP, _STOCK, _DIALLING, _CACHE)

    def probes(self, moments: int = 24) -> FakeEngine:
        """The engine that keeps the ledgers, when it is ordered to."""
        return FakeEngine(self.ledgers.script(moments), name="probes")
