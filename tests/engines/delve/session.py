"""A leaktui that has Delve on a target, for others to put an end to: `python -m tests.engines.delve.session PID`.

It says on stdout, a JSON line each, which processes there are, and how a burst goes on. `quit` on stdin ends it in
order.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from typing import Any

from leaktui.engines.delve.engine import DelveEngine
from leaktui.engines.protocol import EvaluationSeen, Request, TracepointsSeen, Want
from leaktui.errors import LeaktuiError
from leaktui.model.tracepoint import Tracepoint, TracepointPlan

PLACE = "net/http.(*bodyEOFSignal).Close"
_FOREVER = 3600.0


def say(message: dict[str, Any]) -> None:
    print(json.dumps(message), flush=True)


def main() -> int:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup it would be deaf to its terminal's end
    parser = argparse.ArgumentParser()
    parser.add_argument("pid", type=int)
    parser.add_argument("--dlv")
    parser.add_argument("--quiet", action="store_true", help="attached, and no breakpoint set")
    parser.add_argument("--looking", action="store_true", help="one look after the other")
    parser.add_argument("--place", default=PLACE)
    options = parser.parse_args()
    engine = DelveEngine(pid=options.pid, dlv=options.dlv, idle_seconds=_FOREVER)
    cancel = threading.Event()

    def read_commands() -> None:
        for line in sys.stdin:
            if line.strip() == "quit":
                break
        cancel.set()
        engine.close()

    threading.Thread(target=read_commands, daemon=True).start()
    try:
        if options.quiet or options.looking:
            look(engine, cancel, again=options.looking)
        else:
            burst(engine, cancel, options.place)
    except LeaktuiError as error:
        say({"error": str(error)})
    engine.close()
    say({"over": True})
    return 0


def look(engine: DelveEngine, cancel: threading.Event, *, again: bool) -> None:
    wanted = Request(frozenset({Want.EVALUATION}), allow_pauses=True, expression="runtime.curg")
    told = False
    while not cancel.is_set():
        for fact in engine.capture(wanted, cancel):
            if isinstance(fact, EvaluationSeen) and not told:
                told = True
                say({"armed": True, "pids": engine.pids})
        if not again:
            cancel.wait()


def burst(engine: DelveEngine, cancel: threading.Event, place: str) -> None:
    plan = TracepointPlan(
        (Tracepoint(place),), seconds=_FOREVER, most_hits=10**9, most_stops_ms=_FOREVER * 1000, stack_depth=5
    )
    wanted = Request(frozenset({Want.TRACEPOINTS}), allow_breakpoints=True, plan=plan)
    told = False
    for fact in engine.capture(wanted, cancel):
        if not isinstance(fact, TracepointsSeen):
            say({"refused": str(fact)})
            continue
        if sum(fact.run.counts) and not told:
            told = True
            say({"armed": True, "pids": engine.pids, "hits": sum(fact.run.counts)})
        if not fact.run.armed:
            say({"ended": fact.run.ended})


if __name__ == "__main__":
    sys.exit(main())
