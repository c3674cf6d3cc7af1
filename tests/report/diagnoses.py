"""Diagnoses as data, for the tests of the report's forms."""

from __future__ import annotations

from dataclasses import replace

from leaktui.model.capability import Source, SourceState
from leaktui.model.finding import Confidence, Diagnosis, Evidence, Finding, LeakKind, Verdict
from leaktui.model.frame import Frame
from leaktui.model.target import Target

LOAD_USER = Frame("example.com/app/users.(*Store).loadUser", "/src/app/users/store.go", 24)

BODY = Finding(
    kind=LeakKind.HTTP_BODY,
    confidence=Confidence.PROVEN,
    function="example.com/app/users.(*Store).loadUser",
    location=LOAD_USER,
    stack=(LOAD_USER, Frame("main.main.func1", "/src/app/main.go", 88), Frame("runtime.goexit", "", 0)),
    count=212,
    growth_per_minute=480.04,
    evidence=(
        Evidence("pprof", "96 of 96 bodies handed to this line in 5 s were never closed"),
        Evidence("proc", "212 sockets to 10.0.0.7:8080 stay ESTABLISHED with bytes nobody reads from them"),
    ),
    advice="Close resp.Body on the path that returns when the status is not 200: defer it right after err.",
)

GOROUTINE = Finding(
    kind=LeakKind.GOROUTINE,
    confidence=Confidence.LIKELY,
    function="main.(*quotes).ask.func1",
    location=Frame("main.(*quotes).ask.func1", "/src/app/quotes.go", 51),
    stack=(Frame("main.(*quotes).ask.func1", "/src/app/quotes.go", 51),),
    count=1,
    growth_per_minute=12.0,
    created_by=Frame("main.(*quotes).ask", "/src/app/quotes.go", 47),
    evidence=(Evidence("pprof", "its group grew from 10 to 61"),),
)

HEAP_SOMEWHERE = Finding(
    kind=LeakKind.HEAP,
    confidence=Confidence.POSSIBLE,
    function="main.(*cache).thumbnail",
    location=None,
    stack=(),
    count=1200,
    growth_per_minute=1.5 * 1024 * 1024,
    candidates=(Frame("main.render", "/src/app/render.go", 9),),
)

LEAK = Diagnosis(
    target=Target(
        pid=4242,
        exe="/srv/app",
        go_version="go1.26.6",
        module="example.com/app",
        stripped=True,
        started_at=1e9,
    ),
    sources=(
        Source("proc", SourceState.USED, "230 fds"),
        Source("pprof", SourceState.USED, "14.2k goroutines", pause_ms=0.04),
        Source(
            "memory",
            SourceState.UNAVAILABLE,
            "no permission to read its memory",
            remedy="run leaktui as root or as the user of the process",
        ),
    ),
    verdict=Verdict.LEAK,
    suspects=(BODY, GOROUTINE, HEAP_SOMEWHERE),
    elapsed_seconds=14.23,
    target_pause_ms=0.04,
    notes=("HTTP/2 bodies that fit the stream window cannot be seen through pprof.",),
)

CLEAN = replace(
    LEAK, verdict=Verdict.CLEAN, suspects=(), elapsed_seconds=60.04, target_pause_ms=0.0, notes=()
)
UNDECIDED = replace(
    LEAK,
    target=Target(pid=None, url="https://ops:hunter2@shop.example:6060/debug/pprof?key=s3cret"),
    sources=(Source("pprof", SourceState.USED, "41 goroutines"),),
    verdict=Verdict.UNDECIDED,
    suspects=(HEAP_SOMEWHERE,),
)

HOSTILE = "main.\x1b[31mf|`x`](http://e)<b>\u202e\r\n## *_#"
HOSTILE_FRAME = Frame(HOSTILE, "/src/\x07`|<i>.go", 7)
HOSTILE_LEAK = replace(
    LEAK,
    target=Target(pid=1, exe="/srv/`a`|b\x1b]0;t\x07", go_version="go1\x00", module="m|`<x>"),
    sources=(Source("pprof", SourceState.FAILED, "answered <script>|`\x9b31m"),),
    suspects=(
        replace(
            BODY,
            function=HOSTILE,
            location=HOSTILE_FRAME,
            stack=(HOSTILE_FRAME, Frame("```\n# not markup", "```", 1)),
            evidence=(
                Evidence(
                    "pprof",
                    "GET https://bob:pw@h/x?token=abc&q=1#f answered 500 | Cookie: sid=42; a=b\x1b[2J",
                ),
            ),
            advice="Authorization: Bearer abcdefghijkl; see /login?password=x and db_password=y, <b>*now*",
        ),
        replace(GOROUTINE, function=HOSTILE, location=HOSTILE_FRAME),
    ),
    notes=("|```\x08*",),
)
