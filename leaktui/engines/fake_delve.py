"""What a debugger would see of the shop of `fake_scenario`: frames with values, expressions, a burst of tracepoints.

Law: as there: pure, nothing is random and nothing is read.
"""

from __future__ import annotations

from leaktui.analysis import tracepoint_presets as presets
from leaktui.model.frame import Frame, Stack
from leaktui.model.inspection import Evaluation, InspectedFrame, Inspection, Variable
from leaktui.model.tracepoint import Tracepoint, TracepointHit, TracepointPlan, TracepointRun
from leaktui.model.wait import DeferredCall

_GO = "/usr/local/go/src/"
_SHOP = "/srv/build/shop/"

PLAN = TracepointPlan((Tracepoint("runtime.mallocgc", "size >= 32768"), Tracepoint("runtime.gcStart")))
BODIES_PLAN = TracepointPlan(presets.parse_preset("bodies", "go1.26.8"))

_MALLOC = Frame("runtime.mallocgc", _GO + "runtime/malloc.go", 1051)
_SLICE = Frame("runtime.makeslice", _GO + "runtime/slice.go", 116)
_ITEM = Frame("example.com/shop/web.(*Server).item", _SHOP + "web/item.go", 38)
_SERVE = Frame("net/http.HandlerFunc.ServeHTTP", _GO + "net/http/server.go", 2286)
_CONN = Frame("net/http.(*conn).serve", _GO + "net/http/server.go", 2073)
_THUMBNAIL: Stack = (
    _MALLOC,
    _SLICE,
    Frame("example.com/shop/catalog.render", _SHOP + "catalog/thumb.go", 61),
    Frame("example.com/shop/catalog.(*Cache).Put", _SHOP + "catalog/cache.go", 44),
    _ITEM,
    _SERVE,
    _CONN,
)
_EXPORT: Stack = (
    _MALLOC,
    Frame("bytes.growSlice", _GO + "bytes/buffer.go", 249),
    Frame("example.com/shop/jobs.(*Pool).export", _SHOP + "jobs/export.go", 92),
    Frame("example.com/shop/jobs.(*Pool).work", _SHOP + "jobs/pool.go", 24),
)
_GC: Stack = (
    Frame("runtime.gcStart", _GO + "runtime/mgc.go", 668),
    Frame("runtime.mallocgc", _GO + "runtime/malloc.go", 1210),
    *_THUMBNAIL[1:],
)
_ROUND_TRIP: Stack = (
    Frame("net/http.(*Transport).roundTrip", _GO + "net/http/transport.go", 716),
    Frame("net/http.(*Client).do", _GO + "net/http/client.go", 729),
)
_LOOKUP: Stack = (
    *_ROUND_TRIP,
    Frame("example.com/shop/pricing.(*Client).Lookup", _SHOP + "pricing/client.go", 61),
)
_LEVEL: Stack = (*_ROUND_TRIP, Frame("example.com/shop/stock.(*Client).Level", _SHOP + "stock/client.go", 33))
_CLOSE: Stack = (Frame(presets.BODY_CLOSE, _GO + "net/http/transport.go", 3087),)


def burst(began: float, *, seconds: float = 3.0, armed: bool = False) -> TracepointRun:
    """Large allocations and collections, recorded for *seconds*."""
    hits = []
    for number in range(int(seconds * 12)):
        time, size = number / 12, 65_536 if number % 3 else 40_960
        stack = _THUMBNAIL if number % 3 else _EXPORT
        values = (("size", str(size)), ("needzero", "true"))
        hits.append(TracepointHit(time, 0, 41 + number % 5, stack, values, size))
        if number % 12 == 11:
            hits.append(
                TracepointHit(time + 0.02, 1, 41 + number % 5, _GC, (("trigger", "gcTrigger {kind: 0}"),))
            )
    return _run(PLAN, began, seconds, tuple(hits), armed=armed, ended="" if armed else "the time is over")


def bodies_burst(began: float, *, seconds: float = 8.0, armed: bool = False) -> TracepointRun:
    """Bodies opened and closed: the price look-up forgets one in three, the stock client none."""
    hits = []
    for number in range(int(seconds * 4)):
        time, body = number / 4, 0xC000_400000 + 64 * number
        stack = _LEVEL if number % 2 else _LOOKUP
        hits.append(_opened(time, body, stack, 200 if number % 2 else 404, 41 + number % 5))
        if number % 2 or number % 3:
            hits.append(TracepointHit(time + 0.04, 1, 41 + number % 5, (*_CLOSE, *stack[2:]), _closed(body)))
    return _run(
        BODIES_PLAN, began, seconds, tuple(hits), armed=armed, ended="" if armed else "the time is over"
    )


def _opened(time: float, body: int, stack: Stack, status: int, goid: int) -> TracepointHit:
    path = "/v1/price" if status == 404 else "/v1/level"
    values = (
        (presets.BODY_DATA, str(body)),
        (presets.BODY_FIRST_WORD, "7866840"),
        (presets.BODY_ITAB, "7868440"),
        (presets.BODY_STATUS, str(status)),
        (presets.BODY_METHOD, '"GET"'),
        (presets.BODY_HOST, '"pricing.internal"' if status == 404 else '"stock.internal"'),
        (presets.BODY_PATH, f'"{path}"'),
    )
    return TracepointHit(time, 0, goid, stack, values)


def _closed(body: int) -> tuple[tuple[str, str], ...]:
    return ((presets.CLOSED_BODY, str(body)),)


def _run(
    plan: TracepointPlan,
    began: float,
    seconds: float,
    hits: tuple[TracepointHit, ...],
    *,
    armed: bool,
    ended: str,
) -> TracepointRun:
    counts = tuple(sum(hit.tracepoint == index for hit in hits) for index in range(len(plan.tracepoints)))
    return TracepointRun(
        plan, began, began + seconds, hits, counts, armed, 1.4 * len(hits), 2.3, 640.0, ended=ended
    )


# -- values --------------------------------------------------------------------------------------


def inspection(goid: int, time: float = 0.0) -> Inspection:
    """A goroutine that waits for the answer to a price look-up."""
    lookup = Frame("example.com/shop/pricing.(*Client).Lookup", _SHOP + "pricing/client.go", 61)
    close = Frame("net/http.(*bodyEOFSignal).Close", _GO + "net/http/transport.go", 3087)
    return Inspection(
        goid,
        time,
        "select",
        (
            InspectedFrame(
                Frame("net/http.(*persistConn).roundTrip", _GO + "net/http/transport.go", 2897),
                arguments=(Variable("pc", "*net/http.persistConn", "0xc000148000"),),
                variables=(Variable("resc", "chan net/http.responseAndError", length=0),),
            ),
            InspectedFrame(
                lookup,
                arguments=(_client(), Variable("sku", "string", "A-1007", length=6, address=0xC000124E20)),
                variables=(
                    _response(),
                    Variable("err", "error", "nil"),
                    Variable("retries", "int", "3", address=0xC000124E48),
                    _queue(),
                    Variable(
                        "prices", "map[string]float64", children=_prices(), length=812, address=0xC000124E60
                    ),
                    Variable("buf", "[]uint8", unreadable="optimised away"),
                ),
                deferred=(DeferredCall(close, lookup),),
            ),
            InspectedFrame(
                _ITEM, unreadable="the arguments were not loaded: the budget of the stop was spent"
            ),
            InspectedFrame(_SERVE),
            InspectedFrame(_CONN),
        ),
        depth=20,
        stop_ms=3.4,
    )


def _client() -> Variable:
    inner = Variable(
        "",
        "example.com/shop/pricing.Client",
        children=(
            Variable("base", "string", "http://pricing.internal", length=23),
            Variable("http", "*net/http.Client", "0xc00011e0c0"),
            Variable("timeout", "time.Duration", "2000000000"),
        ),
        address=0xC000124000,
    )
    return Variable("c", "*example.com/shop/pricing.Client", "0xc000124000", (inner,), address=0xC000124E10)


def _response() -> Variable:
    inner = Variable(
        "",
        "net/http.Response",
        children=(
            Variable("Status", "string", "404 Not Found", length=13),
            Variable("StatusCode", "int", "404"),
            Variable("Header", "net/http.Header", length=5),
            Variable(
                "Body",
                "io.ReadCloser",
                children=(Variable("data", "*net/http.bodyEOFSignal", "0xc000400000"),),
            ),
            Variable("Request", "*net/http.Request", "0xc000210000"),
        ),
        address=0xC000220000,
    )
    return Variable("resp", "*net/http.Response", "0xc000220000", (inner,), address=0xC000124E30)


def _queue() -> Variable:
    return Variable(
        "queue",
        "chan example.com/shop/pricing.Quote",
        children=(
            Variable("qcount", "uint", "2"),
            Variable("dataqsiz", "uint", "8"),
            Variable("buf", "*[8]example.com/shop/pricing.Quote", "0xc000230060"),
            Variable("closed", "uint32", "0"),
        ),
        length=2,
        address=0xC000124E50,
    )


def _prices() -> tuple[Variable, ...]:
    return tuple(Variable(f'["A-{1000 + number}"]', "float64", f"{9.5 + number}") for number in range(8))


def evaluation(expression: str, goid: int, frame_index: int, time: float = 0.0) -> Evaluation:
    """What *expression* gives: the queue's buffer, a status, or that there is no such thing."""
    known = {
        "resp.StatusCode": Variable("resp.StatusCode", "int", "404"),
        "*queue.buf": Variable(
            "*queue.buf",
            "[8]example.com/shop/pricing.Quote",
            children=tuple(
                Variable(
                    f"[{number}]",
                    "example.com/shop/pricing.Quote",
                    children=(
                        Variable("SKU", "string", f"A-{1007 + number}", length=6),
                        Variable("Cents", "int64", str(950 + number)),
                    ),
                )
                for number in range(2)
            ),
            length=8,
        ),
    }
    value = known.get(expression)
    error = "" if value is not None else f"could not find symbol value for {expression.split('.')[0]}"
    return Evaluation(expression, goid, frame_index, time, value, error, 2.1)
