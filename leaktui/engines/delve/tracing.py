"""A plan of tracepoints made into an order, and what its hits recorded.

Law: pure. A value that cannot be read where the compiler has put it is shown with that reason, never as another one.
At a function's return its arguments' places may hold anything: there the registers are recorded that hold results.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from leaktui.engines.delve.looks import TRACE_LOAD
from leaktui.engines.delve.rpc import open_answer
from leaktui.model.inspection import Variable
from leaktui.model.tracepoint import Tracepoint, TracepointHit, TracepointPlan, TracepointRun
from leaktui.text import format_count, format_duration
from leaktui.wire.delve.states import Hit, decode_stop
from leaktui.wire.delve.variables import format_value

_RESULT_REGISTERS = ("RAX", "RBX", "RCX")
"""The first words of results (ABIInternal, amd64)."""

_SIZE = "size"


def order_of(plan: TracepointPlan) -> dict[str, Any]:
    """What the guardian is told."""
    return {
        "points": [_point(item, plan) for item in plan.tracepoints],
        "seconds": plan.seconds,
        "most_hits": plan.most_hits,
        "most_stops_ms": plan.most_stops_ms,
    }


def _point(tracepoint: Tracepoint, plan: TracepointPlan) -> dict[str, Any]:
    wanted: dict[str, Any] = {
        "functionName": tracepoint.function,
        "line": -1,
        "continue": True,
        "stacktrace": plan.stack_depth,
        "Cond": tracepoint.condition,
        "variables": list(tracepoint.expressions),
    }
    if tracepoint.returns:
        wanted["variables"] += [name for name in _RESULT_REGISTERS if name not in tracepoint.expressions]
    else:
        wanted["LoadArgs"] = TRACE_LOAD
    return {"breakpoint": wanted, "returns": tracepoint.returns}


class Recording:
    """A burst as it is told."""

    def __init__(self, plan: TracepointPlan, began: float, attach_stop_ms: float) -> None:
        self._counts: Counter[int] = Counter()
        self._hits: list[TracepointHit] = []
        self._numbers: dict[int, int] = {}
        self.run = TracepointRun(
            plan, began, began, counts=(0,) * len(plan.tracepoints), attach_stop_ms=attach_stop_ms
        )

    def arm(self, head: Mapping[str, Any], now: float) -> None:
        """It begins."""
        self._numbers = {int(number): int(index) for number, index in head["numbers"].items()}
        not_set = tuple((int(index), str(reason)) for index, reason in head["not_set"])
        self.run = replace(self.run, began=now, time=now, not_set=not_set)
        self._tell(head, now)

    def add(self, head: Mapping[str, Any], line: bytes, now: float) -> bool:
        """A stop, with whatever hits it has; whether it had any. Raises DelveRefused, DecodeError."""
        stop = decode_stop(open_answer(line))
        seconds = float(head["seconds"])
        if seconds < 0:
            seconds = now - self.run.began
        for hit in stop.hits:
            index = self._numbers.get(hit.breakpoint_id)
            if index is None:
                continue
            self._counts[index] += 1
            if len(self._hits) < self.run.plan.most_hits:
                self._hits.append(_recorded(hit, index, seconds))
        self._tell(head, now)
        return bool(stop.hits)

    def go_on(self, head: Mapping[str, Any], now: float) -> None:
        """Nothing new but the time."""
        self._tell(head, now)

    def end(self, head: Mapping[str, Any], now: float) -> None:
        """Everything is out of the target."""
        self._tell(head, now)
        self.run = replace(self.run, armed=False, ended=_sentence(head, self.run))

    def _tell(self, head: Mapping[str, Any], now: float) -> None:
        self.run = replace(
            self.run,
            time=now,
            hits=tuple(self._hits),
            counts=tuple(self._counts[index] for index in range(len(self.run.plan.tracepoints))),
            stops_ms=float(head["stops_ms"]),
            longest_stop_ms=float(head["longest_ms"]),
        )


def _recorded(hit: Hit, index: int, seconds: float) -> TracepointHit:
    variables = (*hit.arguments, *hit.variables)
    return TracepointHit(
        time=seconds,
        tracepoint=index,
        goid=hit.goid,
        stack=hit.stack,
        values=tuple((item.name, format_value(item)) for item in variables),
        size=next((size for item in hit.arguments if (size := _size_of(item)) is not None), None),
    )


def _size_of(variable: Variable) -> int | None:
    if variable.name != _SIZE or variable.unreadable:
        return None
    digits = variable.value
    return int(digits) if digits.isascii() and digits.isdigit() else None


def _sentence(head: Mapping[str, Any], run: TracepointRun) -> str:
    plan, ended = run.plan, str(head["ended"])
    if ended == "error":
        return f"Delve cannot evaluate what was asked for: {head['reason']}"
    if ended == "hits":
        return f"the {format_count(plan.most_hits)} hits asked for were recorded"
    if ended == "seconds":
        return f"its {format_duration(plan.seconds)} are over"
    if ended == "stops":
        return f"its stops had taken {format_duration(plan.most_stops_ms / 1000)} from the program"
    if ended == "nothing":
        return "none of the tracepoints could be set"
    return "it was ended by hand"
