"""A made-up shop service that leaks bodies, at one moment of a fixed clock."""

from __future__ import annotations

from dataclasses import replace

from leaktui.model.assessment import Assessment, FdRow, GroupRow, LedgerRow, SiteRow, Slope
from leaktui.model.body import BodyHolder, BodyState
from leaktui.model.capability import Capability, Impact, Source, SourceState
from leaktui.model.finding import Confidence, Evidence, Finding, LeakKind, Verdict
from leaktui.model.frame import Frame, Stack
from leaktui.model.goroutine import Goroutine, GoroutineGroup
from leaktui.model.heap_census import HeapCensus, SizeClass, TypeCount
from leaktui.model.holder import Holder, HolderKind, HolderLevel, HolderSearch
from leaktui.model.ledger import Ledger, LedgerKind, LedgerPlace, Opened
from leaktui.model.process import FdKind, GoProcess, ProcessStat
from leaktui.model.profile import AllocSite, HeapProfile
from leaktui.model.snapshot import Snapshot
from leaktui.model.target import BuildInfo, Module, Target
from leaktui.model.wait import Channel, DeferredCall, GoroutineDetail, Panic, Wait
from leaktui.session.history import Metric, Point

NOW = 1_000.0
STARTED = NOW - 84.0
WALL = 1_700_000_000.0

TARGET = Target(
    pid=4242,
    exe="/srv/shop/bin/shop",
    go_version="go1.26.6",
    module="example.com/shop",
    main_package="example.com/shop",
    stripped=False,
    started_at=WALL - 8_040,
    build=BuildInfo("go1.26.6", "example.com/shop", Module("example.com/shop")),
)

OWNER = Frame("main.loadUser", "/srv/shop/src/user.go", 41, 0x6A1B20)
HANDLER = Frame("main.(*server).handleUser", "/srv/shop/src/server.go", 118, 0x6A2F40)


def frame(function: str, file: str = "", line: int = 0, *, inlined: bool = False) -> Frame:
    return Frame(function, file, line, 0x1000 + line, inlined)


def go(function: str, path: str, line: int, *, inlined: bool = False) -> Frame:
    """A frame of Go's own library."""
    return frame(function, f"/usr/local/go/src/{path}", line, inlined=inlined)


READ_LOOP: Stack = (
    go("runtime.gopark", "runtime/proc.go", 461),
    go("runtime.selectgo", "runtime/select.go", 351),
    go("net/http.(*persistConn).readLoop", "net/http/transport.go", 2396),
)
WRITE_LOOP: Stack = (
    *READ_LOOP[:2],
    go("net/http.(*persistConn).writeLoop", "net/http/transport.go", 2600),
)
SERVE: Stack = (
    go("internal/poll.runtime_pollWait", "runtime/netpoll.go", 351),
    go("net.(*conn).Read", "net/net.go", 196),
    go("net/http.(*conn).serve", "net/http/server.go", 2079),
)
WORKER: Stack = (
    go("runtime.gopark", "runtime/proc.go", 461),
    go("runtime.chanrecv1", "runtime/chan.go", 509),
    frame("main.(*thumbnailer).next", "/srv/shop/src/thumbs.go", 64, inlined=True),
    frame("main.(*thumbnailer).run", "/srv/shop/src/thumbs.go", 77),
)
DO: Stack = (
    go("net/http.(*Transport).roundTrip", "net/http/transport.go", 670),
    go("net/http.(*Client).do", "net/http/client.go", 720),
    go("net/http.(*Client).Get", "net/http/client.go", 480, inlined=True),
    OWNER,
    HANDLER,
    go("net/http.HandlerFunc.ServeHTTP", "net/http/server.go", 2294),
    go("net/http.(*conn).serve", "net/http/server.go", 2095),
)
DIAL_CONN = go("net/http.(*Transport).dialConn", "net/http/transport.go", 1944)
NEW_THUMBS = frame("main.newThumbnailer", "/srv/shop/src/thumbs.go", 31)


def rising(per_minute: float) -> Slope:
    return Slope(per_minute, per_minute * 0.9, per_minute * 1.1, 40, 80.0, True)


def level(per_minute: float = 0.0) -> Slope:
    return Slope(per_minute, -1.0, 1.0, 40, 80.0, False)


GOPARK = go("runtime.gopark", "runtime/proc.go", 461)
MAIN = frame("main.main", "/srv/shop/src/main.go", 52)
ACCEPT = go("net/http.(*Server).Serve", "net/http/server.go", 3434)

GROUPS = (
    GroupRow(
        GoroutineGroup(612, READ_LOOP, (), "select", DIAL_CONN, 2),
        None,
        rising(480),
        604,
        tuple(range(100, 160)),
    ),
    GroupRow(
        GoroutineGroup(612, WRITE_LOOP, (), "select", DIAL_CONN, 2),
        None,
        rising(480),
        604,
        tuple(range(800, 860)),
    ),
    GroupRow(GoroutineGroup(24, SERVE, (), "IO wait", ACCEPT), None, level(), 2),
    GroupRow(
        GoroutineGroup(8, WORKER, (("pool", "thumbs"),), "chan receive", NEW_THUMBS, 133),
        WORKER[3],
        level(),
        0,
        (18, 19, 20, 21),
    ),
    GroupRow(GoroutineGroup(1, (GOPARK, MAIN), (), "select"), MAIN, level(), 0),
)

GOROUTINES = (
    *(
        Goroutine(goid, "select", READ_LOOP, 1 if goid < 140 else None, DIAL_CONN, 7)
        for goid in range(100, 160)
    ),
    *(
        Goroutine(goid, "chan receive", WORKER, 133, NEW_THUMBS, 1, (("pool", "thumbs"),))
        for goid in (18, 19, 20, 21)
    ),
)

_BUFIO = go("bufio.NewReaderSize", "bufio/bufio.go", 57)
_CACHE = frame("main.(*catalog).load", "/srv/shop/src/catalog.go", 88)
SITES = (
    SiteRow(
        AllocSite(
            (
                _BUFIO,
                go("bufio.NewReader", "bufio/bufio.go", 63, inlined=True),
                DIAL_CONN,
                go("net/http.(*Transport).dialConnFor", "net/http/transport.go", 1631),
            ),
            1_214,
            4_972_544,
            612,
            2_506_752,
        ),
        None,
        rising(1_966_080),
        2_473_984,
        604,
    ),
    SiteRow(
        AllocSite(
            (
                frame("main.decodeItems", "/srv/shop/src/catalog.go", 132),
                _CACHE,
                frame("main.main", "/srv/shop/src/main.go", 47),
            ),
            88_000,
            912_680_550,
            41_000,
            35_651_584,
        ),
        frame("main.decodeItems", "/srv/shop/src/catalog.go", 132),
        level(),
        0,
        0,
    ),
    SiteRow(
        AllocSite(
            (
                go("bytes.growSlice", "bytes/buffer.go", 249),
                go("bytes.(*Buffer).ReadFrom", "bytes/buffer.go", 211),
                go("io.ReadAll", "io/io.go", 712),
                OWNER,
                HANDLER,
            ),
            9_120,
            77_070_336,
            14,
            118_784,
        ),
        OWNER,
        level(),
        -32_768,
        -4,
    ),
    SiteRow(
        AllocSite(
            (
                go("net/textproto.(*Reader).ReadMIMEHeader", "net/textproto/reader.go", 524),
                go("net/http.ReadResponse", "net/http/response.go", 190),
                go("net/http.(*persistConn).readLoop", "net/http/transport.go", 2260),
            ),
            2_400,
            1_228_800,
            612,
            313_344,
        ),
        None,
        rising(245_760),
        309_248,
        604,
    ),
)

LEAKED_BODIES = tuple(
    BodyHolder(
        goid=100 + index,
        protocol="HTTP/1",
        state=BodyState.OPEN,
        confidence=Confidence.LIKELY,
        method="GET" if index % 3 == 0 else "",
        url=f"http://users.internal:8080/v1/users/{1000 + index}?token=secret" if index % 3 == 0 else "",
        status=503 if index % 3 == 0 else None,
        peer="10.0.3.17:8080" if index % 2 == 0 else "10.0.3.18:8080",
        fd=20 + index if index % 2 == 0 else None,
        age_seconds=float(80 - index),
        owner=OWNER,
        stack=DO,
        sources=("pprof trace", "proc"),
    )
    for index in range(40)
)
BUSY_BODY = BodyHolder(981, "HTTP/1", BodyState.BEING_READ, Confidence.POSSIBLE, peer="10.0.9.2:443")
BODIES = (*LEAKED_BODIES, BUSY_BODY)

SUSPECT = Finding(
    kind=LeakKind.HTTP_BODY,
    confidence=Confidence.LIKELY,
    function="main.loadUser",
    location=OWNER,
    stack=DO,
    count=612,
    growth_per_minute=480.0,
    evidence=(
        Evidence("pprof", "612 connections wait for their body to be closed, 8 when watching began"),
        Evidence("trace", "38 of 38 bodies handed to main.loadUser in 5.0 s were still open at its end"),
        Evidence("proc", "fds grow in step: +480/min, 1,240 of 4,096 in use"),
    ),
    advice="Close resp.Body on every path out of main.loadUser: `defer resp.Body.Close()` right after the "
    "error check also covers the early return for a status that is not 200.",
)
SECOND = Finding(
    kind=LeakKind.GOROUTINE,
    confidence=Confidence.POSSIBLE,
    function="main.(*thumbnailer).run",
    location=WORKER[3],
    stack=WORKER,
    count=8,
    growth_per_minute=6.0,
    created_by=NEW_THUMBS,
    evidence=(
        Evidence("pprof", "8 goroutines wait for a channel nobody sends on, the oldest for 133 minutes"),
    ),
)

SOURCES = (
    Source("proc", SourceState.USED, "1,240 fds"),
    Source("pprof", SourceState.USED, "1,257 goroutines", pause_ms=14.0),
    Source(
        "memory",
        SourceState.UNAVAILABLE,
        "needs the same user or CAP_SYS_PTRACE",
        remedy="run leaktui as root",
    ),
)
CAPABILITIES = (
    Capability("proc", True, Impact.NONE, ("process", "fds")),
    Capability("pprof", True, Impact.LIGHT, ("groups", "goroutines", "heap", "heap-after-gc", "trace")),
    Capability("memory", False, Impact.NONE),
)
MEMORY_SOURCES = (
    Source("proc", SourceState.USED, "1,240 fds"),
    Source("memory", SourceState.USED, "1,257 goroutines, 2 torn"),
    Source("pprof", SourceState.UNAVAILABLE, "no listener of the process serves pprof"),
)
MEMORY_CAPABILITIES = (
    Capability("proc", True, Impact.NONE, ("process", "fds")),
    Capability(
        "memory",
        True,
        Impact.NONE,
        (
            "groups",
            "goroutines",
            "bodies",
            "heap-census",
            "handoffs",
            "leaked",
            "holders",
            "goroutine-detail",
        ),
    ),
    Capability("pprof", False, Impact.LIGHT),
)

SNAPSHOT = Snapshot(
    time=NOW,
    target=TARGET,
    sources=SOURCES,
    process=ProcessStat(222_298_112, 1_800_000_000, 19, 41.0, 1_240, 4_096),
    process_time=NOW,
    groups=tuple(row.group for row in GROUPS),
    groups_time=NOW,
    goroutines=GOROUTINES,
    goroutines_time=NOW - 3,
    heap=HeapProfile(tuple(row.site for row in SITES)),
    heap_time=NOW - 1,
)

LEAKING = Assessment(
    time=NOW,
    verdict=Verdict.LEAK,
    suspects=(SUSPECT, SECOND),
    bodies=BODIES,
    open_bodies=612,
    groups=GROUPS,
    sites=SITES,
    fds=(FdRow(FdKind.SOCKET, "socket", 1_220, rising(480), 357.0),),
    notes=("24 idle keep-alive connections are no leak",),
    missing=("which headers the open responses carry: pprof does not show them",),
    settled=True,
)

BODY, RESPONSE, REQUESTS = 0xC0000A4040, 0xC000176000, 0xC0004C8000
HELD_BODY = BodyHolder(
    goid=100,
    protocol="HTTP/1.1",
    state=BodyState.PART_READ,
    confidence=Confidence.PROVEN,
    method="GET",
    url="https://users.internal/v1/users/1000?token=secret",
    status=503,
    peer="10.0.3.17:443",
    fd=20,
    age_seconds=80.0,
    owner=OWNER,
    stack=DO,
    sources=("memory", "proc"),
    tls=True,
    content_length=12_698,
    buffered_bytes=2_048,
    kernel_bytes=8_602,
    orphaned=False,
    reader_goid=18,
    address=BODY,
    connection=0xC000310000,
)
ORPHANED_BODY = BodyHolder(
    goid=102,
    protocol="HTTP/1.1",
    state=BodyState.UNREAD,
    confidence=Confidence.PROVEN,
    method="POST",
    url="http://mail.internal/send",
    status=202,
    peer="10.0.3.30:80",
    fd=21,
    age_seconds=45.0,
    sources=("memory",),
    buffered_bytes=512,
    orphaned=True,
    connection=0xC000310900,
)
HELD_BY_OBJECT = Holder(
    HolderKind.OBJECT,
    RESPONSE + 0x40,
    BODY,
    object=RESPONSE,
    size=144,
    type_name="net/http.Response",
    field=".Body",
)
HELD_BY_MAP = Holder(
    HolderKind.OBJECT,
    REQUESTS + 0x18,
    RESPONSE,
    object=REQUESTS,
    size=2_048,
    type_name="example.com/shop/users.group",
    field=".slots[3].elem",
)
HELD_BY_GLOBAL = Holder(
    HolderKind.GLOBAL,
    0x9C4A20,
    REQUESTS,
    type_name="map[string]*http.Response",
    name="example.com/shop/users.pending",
)
HELD_BY_FRAME = Holder(HolderKind.FRAME, 0xC00009EF10, RESPONSE, field=".resp", goid=18, frame=WORKER[3])
BODY_HOLDERS = HolderSearch(
    BODY,
    64,
    "net/http.bodyEOFSignal",
    levels=(
        HolderLevel(1, (HELD_BY_OBJECT,)),
        HolderLevel(2, (HELD_BY_MAP, HELD_BY_FRAME), omitted=3),
        HolderLevel(3, (HELD_BY_GLOBAL,)),
    ),
    path=(HELD_BY_OBJECT, HELD_BY_MAP, HELD_BY_GLOBAL),
    done=True,
    scanned_bytes=48_234_496,
    seconds=0.9,
)
CENSUS = HeapCensus(
    live_bytes=38_590_464,
    objects=412_800,
    classes=(
        SizeClass(0, False, 3, 3, 9_437_184),
        SizeClass(0, True, 1, 1, 4_194_304),
        SizeClass(16, False, 240, 122_400, 1_958_400),
        SizeClass(48, True, 1_210, 201_300, 9_662_400, (BODY, RESPONSE, REQUESTS)),
        SizeClass(4_096, False, 306, 612, 2_506_752),
        SizeClass(8_192, True, 0, 0, 0),
    ),
    types=(
        TypeCount("[]*example.com/shop/catalog.item", 1, 4_194_304),
        TypeCount("net/http.persistConn", 612, 783_360),
    ),
    typed_bytes=4_977_664,
    stack_bytes=5_242_880,
    gc_cycles=57,
)
DETAIL = GoroutineDetail(
    18,
    Wait((Channel(0xC00007A0C0, False, "main.job", 16, 0, False, receivers=(18, 19, 20, 21), waiting=8),)),
    deferred=(
        DeferredCall(
            go("sync.(*WaitGroup).Done", "sync/waitgroup.go", 156),
            frame("main.(*thumbnailer).run", "/srv/shop/src/thumbs.go", 72),
            open_coded=True,
        ),
    ),
    panics=(Panic("thumbnail too large", "*errors.errorString", recovered=True),),
)

MEMORY_SNAPSHOT = replace(
    SNAPSHOT,
    sources=MEMORY_SOURCES,
    groups_from="memory",
    goroutines_from="memory",
    heap=None,
    heap_census=CENSUS,
    heap_census_time=NOW,
)
IN_MEMORY = replace(
    LEAKING,
    bodies=(HELD_BODY, ORPHANED_BODY),
    groups=(
        *(replace(row, sources=("memory", "pprof")) for row in GROUPS[:3]),
        replace(GROUPS[3], unreachable=8, sources=("memory",)),
        GROUPS[4],
    ),
    sites=(),
)


# -- what probes saw -----------------------------------------------------------------------------

PROBING_CAPABILITIES = (
    *MEMORY_CAPABILITIES[:2],
    Capability("probes", True, Impact.LIGHT, ("body-ledger", "fd-ledger", "allocation-ledger")),
    MEMORY_CAPABILITIES[2],
)
PROBING_SOURCES = (
    *MEMORY_SOURCES[:2],
    Source("probes", SourceState.WAITING, "no answer yet"),
    MEMORY_SOURCES[2],
)
PROBES_REFUSED = Capability(
    "probes",
    False,
    Impact.LIGHT,
    reason="the kernel lets only root place probes here",
    remedy="run leaktui with sudo, or give it CAP_PERFMON, CAP_BPF and CAP_SYS_PTRACE",
)
PRICES = Frame("main.(*prices).current", "/srv/shop/src/prices.go", 88, 0x6A4400)
LATEST: Stack = (*DO[:3], OWNER, frame("main.warmUp", "/srv/shop/src/warm.go", 19), MAIN)
CLOSING: Stack = (*DO[:3], PRICES, HANDLER, *DO[5:])
TO_END: Stack = (*DO[:3], frame("main.(*health).ping", "/srv/shop/src/health.go", 27), MAIN)
DIALLED: Stack = (go("net.newFD", "net/fd_unix.go", 26), go("net.socket", "net/sock_posix.go", 19), DIAL_CONN)
OPENED_FILE: Stack = (
    go("os.newFile", "os/file_unix.go", 181),
    frame("main.readRates", "/srv/shop/src/rates.go", 52),
)
BODY_LEDGER = Ledger(
    LedgerKind.BODIES,
    began=NOW - 12,
    time=NOW,
    places=(
        LedgerPlace(DO, 90, collected=2),
        LedgerPlace(LATEST, 8),
        LedgerPlace(CLOSING, 322, 319, closing_seconds=(0.0031, 0.0042, 0.0057)),
        LedgerPlace(TO_END, 16, ended=16, whole=False),
    ),
    open=(
        Opened(
            BODY, NOW - 11.5, 0, 2001, "GET", "https://users.internal/v1/users/1000?token=secret", 503, "HTTP/1.1",
            12_698, RESPONSE,
        ),
        *(
            Opened(
                BODY + 0x140 * index, NOW - 11.5 + index / 10, 1 if index > 87 else 0, 2001 + index, "GET",
                f"https://users.internal/v1/users/{1000 + index}?token=secret", 503, "HTTP/1.1", 12_698, 0x10 + index,
            )
            for index in range(1, 96)
        ),
        *(
            Opened(
                BODY + 0x90000 + index, NOW - index / 4, 2, 3001 + index, "POST",
                "https://prices.internal/v2/quote", 200, "HTTP/2.0",
            )
            for index in range(3)
        ),
    ),
    hits=2_180,
    probes=41,
    unseen=("hijacked connections",),
)  # fmt: skip
FD_LEDGER = Ledger(
    LedgerKind.FDS,
    began=NOW - 12,
    time=NOW,
    places=(LedgerPlace(DIALLED, 96, 4), LedgerPlace(OPENED_FILE, 25, 0, 0, 22)),
    open=(
        *(Opened(20 + index, NOW - 11.5 + index / 10, 0, 2001 + index, name="tcp") for index in range(92)),
        *(Opened(200 + index, NOW - 2, 1, 18, name="/var/lib/shop/rates.csv") for index in range(3)),
    ),
    hits=260,
    dropped=3,
    probes=9,
)
ALLOCATION_LEDGER = Ledger(
    LedgerKind.ALLOCATIONS,
    began=NOW - 12,
    time=NOW,
    places=(LedgerPlace(SITES[2].site.stack, 62, collected=48, bytes=62 << 17),),
    open=tuple(Opened(0xC001000000 + 0x20000 * index, NOW - 6, 0, 2001, size=1 << 17) for index in range(14)),
    hits=62,
    probes=4,
)
LEDGER_ROWS = (
    LedgerRow(LedgerKind.BODIES, OWNER, True, 98, 0, 0, 2, 96, 98, 0, None, 11.5, 0, (0, 1)),
    LedgerRow(LedgerKind.BODIES, PRICES, True, 322, 319, 0, 0, 3, 0, 3, 0.0042, 0.5, 0, (2,)),
    LedgerRow(LedgerKind.BODIES, TO_END[3], False, 16, 0, 16, 0, 0, 0, 0, None, None, 0, (3,)),
    LedgerRow(LedgerKind.FDS, None, False, 96, 4, 0, 0, 92, 92, 0, 1.1, 11.5, 0, (0,)),
    LedgerRow(LedgerKind.FDS, OPENED_FILE[1], True, 25, 0, 0, 22, 3, 22, 3, None, 2.0, 0, (1,)),
    LedgerRow(LedgerKind.ALLOCATIONS, OWNER, True, 62, 0, 0, 48, 14, 0, 0, None, 6.0, 62 << 17, (0,)),
)
PROBED = replace(IN_MEMORY, ledger=LEDGER_ROWS)


def ramp(first: float, last: float, seconds: float = 84.0, step: float = 2.0) -> tuple[Point, ...]:
    count = int(seconds / step)
    return tuple(
        Point(STARTED + index * step, first + (last - first) * index / (count - 1)) for index in range(count)
    )


RISING_SERIES: dict[Metric, tuple[Point, ...]] = {
    Metric.RSS: ramp(96_000_000, 222_298_112),
    Metric.LIVE_HEAP: ramp(36_000_000, 38_590_464),
    Metric.GOROUTINES: ramp(49, 1_257),
    Metric.FDS: ramp(36, 1_240),
    Metric.OPEN_BODIES: ramp(8, 612),
}
LEVEL_SERIES: dict[Metric, tuple[Point, ...]] = {
    Metric.RSS: ramp(96_000_000, 96_000_000),
    Metric.LIVE_HEAP: ramp(36_000_000, 36_000_000),
    Metric.GOROUTINES: ramp(49, 49),
    Metric.FDS: ramp(36, 36),
    Metric.OPEN_BODIES: ramp(0, 0),
}

PROCESSES = (
    GoProcess(
        pid=4242,
        user="shop",
        exe="/srv/shop/bin/shop",
        command="/srv/shop/bin/shop -listen :8080",
        go_version="go1.26.6",
        module="example.com/shop",
        age_seconds=8_040.0,
        rss_bytes=222_298_112,
        fd_count=1_240,
        threads=19,
        pprof_url="http://127.0.0.1:6060/debug/pprof/",
        goroutines=1_257,
    ),
    GoProcess(
        pid=977,
        user="root",
        exe="/usr/bin/containerd",
        command="containerd --config /etc/containerd/config.toml",
        go_version="go1.24.11",
        module="github.com/containerd/containerd/v2",
        age_seconds=700_000.0,
        rss_bytes=61_000_000,
        fd_count=22,
        threads=14,
    ),
    GoProcess(
        pid=31007,
        user="dev",
        exe="/home/dev/go/bin/gopls",
        command="gopls serve",
        go_version="go1.25.5",
        module="golang.org/x/tools/gopls",
        age_seconds=3_600.0,
        rss_bytes=911_000_000,
        fd_count=None,
        threads=33,
    ),
)
