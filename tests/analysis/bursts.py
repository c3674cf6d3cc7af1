"""Bursts of tracepoints as data: hits are made from a few words each."""

from __future__ import annotations

from collections.abc import Sequence

from leaktui.analysis import tracepoint_presets as presets
from leaktui.model.frame import Frame, Stack
from leaktui.model.tracepoint import Tracepoint, TracepointHit, TracepointPlan, TracepointRun

ALLOC = Tracepoint("runtime.mallocgc", "size >= 32768")
GC = Tracepoint("runtime.gcStart")

BODY_ITAB, GZIP_ITAB, NO_BODY_ITAB = 7868440, 7868480, 7866760
INNER_ITAB = 7866840
ZEROBASE = 10711744


def stack(*calls: tuple[str, int]) -> Stack:
    return tuple(Frame(function, "/src/" + function.split(".")[0] + ".go", line) for function, line in calls)


RENDER = stack(("runtime.mallocgc", 1051), ("runtime.makeslice", 116), ("main.render", 47), ("main.main", 70))
REPORT = stack(("runtime.mallocgc", 1051), ("runtime.makeslice", 116), ("main.report", 58), ("main.main", 71))


def alloc(time: float, size: int, where: Stack = RENDER, goid: int = 1) -> TracepointHit:
    return TracepointHit(time, 0, goid, where, (("size", str(size)), ("needzero", "true")), size)


def burst(
    hits: Sequence[TracepointHit],
    points: Sequence[Tracepoint] = (ALLOC, GC),
    *,
    seconds: float = 10.0,
    counts: Sequence[int] | None = None,
    most_hits: int = 500,
    **rest: object,
) -> TracepointRun:
    if counts is None:
        counts = [sum(hit.tracepoint == index for hit in hits) for index in range(len(points))]
    return TracepointRun(
        TracepointPlan(tuple(points), most_hits=most_hits),
        100.0,
        100.0 + seconds,
        tuple(hits),
        tuple(counts),
        armed=False,
        stops_ms=120.0,
        longest_stop_ms=2.4,
        attach_stop_ms=610.0,
        **rest,  # type: ignore[arg-type]
    )


BODIES = presets.parse_preset("bodies", "go1.26.8")


def through(*calls: tuple[str, int]) -> Stack:
    return stack(("net/http.(*Transport).roundTrip", 716), ("net/http.(*Client).do", 720), *calls)


LEAKER = through(("main.leak", 18))
GOOD = through(("main.good", 30))


def opened(time: float, body: int, where: Stack = LEAKER, *, gzip: int = 0, goid: int = 1) -> TracepointHit:
    """A response with the body at *body*, wrapped by the gzipReader at *gzip*."""
    return response(
        time, gzip or body, body if gzip else INNER_ITAB, GZIP_ITAB if gzip else BODY_ITAB, where, goid
    )


def response(
    time: float, data: int, first: int, itab: int, where: Stack = LEAKER, goid: int = 1
) -> TracepointHit:
    values = (
        (presets.BODY_DATA, str(data)),
        (presets.BODY_FIRST_WORD, str(first)),
        (presets.BODY_ITAB, str(itab)),
        (presets.BODY_STATUS, "404"),
        (presets.BODY_METHOD, '"GET"'),
        (presets.BODY_HOST, '"users.internal:8080"'),
        (presets.BODY_PATH, '"/v1/users/7"'),
    )
    return TracepointHit(time, 0, goid, where, values)


def closed(time: float, body: int) -> TracepointHit:
    return TracepointHit(time, 1, 1, stack((presets.BODY_CLOSE, 3087)), ((presets.CLOSED_BODY, str(body)),))
