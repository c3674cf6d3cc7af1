"""Orders to a DelveEngine, and their answers."""

from __future__ import annotations

import threading

from leaktui.engines.delve import traced
from leaktui.engines.delve.engine import DelveEngine
from leaktui.engines.protocol import (
    EvaluationSeen,
    GoroutinesSeen,
    InspectionSeen,
    Request,
    TracepointsSeen,
    Want,
)
from leaktui.model.goroutine import Goroutine
from leaktui.model.inspection import Evaluation, InspectedFrame, Inspection, Variable
from leaktui.model.tracepoint import Tracepoint, TracepointPlan, TracepointRun
from tests.engines.delve.fault_suite import code_changed


def list_goroutines(engine: DelveEngine) -> tuple[Goroutine, ...]:
    (seen,) = engine.capture(Request(frozenset({Want.GOROUTINES}), allow_pauses=True), threading.Event())
    assert isinstance(seen, GoroutinesSeen)
    return seen.goroutines


def find_goroutine(engine: DelveEngine, function: str) -> int:
    """The number of the goroutine that began with, or is in, *function*."""
    for goroutine in list_goroutines(engine):
        if any(frame.function == function for frame in goroutine.stack):
            return goroutine.goid
    raise AssertionError(f"no goroutine is in {function}")


def inspect(engine: DelveEngine, goid: int, depth: int = 20) -> Inspection:
    request = Request(frozenset({Want.INSPECTION}), subject=goid, depth=depth, allow_pauses=True)
    (seen,) = engine.capture(request, threading.Event())
    assert isinstance(seen, InspectionSeen)
    return seen.inspection


def evaluate(engine: DelveEngine, expression: str, goid: int = 0, frame: int = 0) -> Evaluation:
    request = Request(
        frozenset({Want.EVALUATION}),
        subject=goid,
        expression=expression,
        frame_index=frame,
        allow_pauses=True,
    )
    (seen,) = engine.capture(request, threading.Event())
    assert isinstance(seen, EvaluationSeen)
    return seen.evaluation


def trace(
    engine: DelveEngine, *tracepoints: Tracepoint, cancel: threading.Event | None = None, **plan: float
) -> TracepointRun:
    """The last run of a burst, checked to have everything out."""
    request = Request(
        frozenset({Want.TRACEPOINTS}),
        plan=TracepointPlan(tracepoints, **plan),  # type: ignore[arg-type]
        allow_breakpoints=True,
    )
    runs = [
        fact.run
        for fact in engine.capture(request, cancel or threading.Event())
        if isinstance(fact, TracepointsSeen)
    ]
    assert runs[0].armed
    assert not runs[-1].armed
    return runs[-1]


def frame_of(inspection: Inspection, function: str) -> InspectedFrame:
    return next(frame for frame in inspection.frames if frame.frame.function == function)


def value_of(variables: tuple[Variable, ...], name: str) -> Variable:
    return next(variable for variable in variables if variable.name == name)


def assert_free(pid: int) -> None:
    """Nobody traces it, nothing is in its code, no stop waits for it."""
    assert traced.tracer_pid(pid) == 0
    assert not traced.pending_signals(pid) & (traced.SIGTRAP_BIT | traced.SIGSTOP_BIT)
    assert not code_changed(pid)
